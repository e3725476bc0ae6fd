"""Tests of the network that is measured on."""

import subprocess
import sys
import unittest
from pathlib import Path

from lib_compare import network

SCRIPTS = Path(__file__).resolve().parents[1]

# Enters a network of its own, and says what it found there.
ENTER = """
import socket, sys
from lib_compare import network
try:
    network.enter("reno")
except OSError as error:
    sys.exit(f"denied: {error}")
listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
print(network.describe(), client.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 4))
"""


@unittest.skipUnless(network.congestion_control(), "needs the /proc of Linux")
class Network(unittest.TestCase):
    def test_another_congestion_control_holds_in_a_network_of_its_own_only(self):
        before = network.congestion_control()
        done = subprocess.run(
            [sys.executable, "-c", ENTER], cwd=SCRIPTS, capture_output=True, text=True, timeout=60
        )
        if "denied" in done.stderr:
            self.skipTest(done.stderr.strip())
        self.assertEqual(done.stdout.strip(), "loopback, TCP with reno b'reno'", done.stderr)
        self.assertEqual(network.congestion_control(), before)

    def test_a_name_that_the_kernel_does_not_know_is_told_with_those_it_knows(self):
        with self.assertRaisesRegex(OSError, "no such congestion control here: x .*there are: .*"):
            network.enter("x")
        network.enter(None)  # stays where it is


class Elsewhere(unittest.TestCase):
    def test_the_report_does_not_need_to_know_it(self):
        setting, network.SETTING = network.SETTING, Path("/nowhere/at/all")
        try:
            self.assertEqual(network.describe(), "loopback, TCP")
            with self.assertRaisesRegex(OSError, "needs Linux"):
                network.enter("cubic")
        finally:
            network.SETTING = setting


if __name__ == "__main__":
    unittest.main()
