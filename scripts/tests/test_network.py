"""Tests of the network module: congestion control and network namespaces."""

import subprocess
import sys
import unittest
from pathlib import Path

from lib_compare import network

SCRIPTS = Path(__file__).resolve().parents[1]

# Enters a network namespace and prints its congestion control.
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
    def test_another_congestion_control_applies_only_in_the_namespace(self):
        before = network.congestion_control()
        done = subprocess.run(
            [sys.executable, "-c", ENTER], cwd=SCRIPTS, capture_output=True, text=True, timeout=60
        )
        if "denied" in done.stderr:
            self.skipTest(done.stderr.strip())
        self.assertEqual(done.stdout.strip(), "loopback, TCP with reno b'reno'", done.stderr)
        self.assertEqual(network.congestion_control(), before)

    def test_an_unknown_name_is_an_error_that_lists_the_known_ones(self):
        with self.assertRaisesRegex(OSError, "no congestion control x .*available: .*"):
            network.enter("x")
        network.enter(None)  # no effect


class Elsewhere(unittest.TestCase):
    def test_without_proc_the_report_omits_the_congestion_control(self):
        setting, network.SETTING = network.SETTING, Path("/nowhere/at/all")
        try:
            self.assertEqual(network.describe(), "loopback, TCP")
            with self.assertRaisesRegex(OSError, "needs Linux"):
                network.enter("cubic")
        finally:
            network.SETTING = setting


if __name__ == "__main__":
    unittest.main()
