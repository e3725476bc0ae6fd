"""Fairness: the figures, and the greedy client against a server that counts."""

import socket
import threading
import time
import unittest

from lib_compare import fair, http1, metrics, scenarios, verdicts
from lib_compare.clients import ClientError

REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
REQUEST = http1.request("/a", "h")


class Server(threading.Thread):
    """Answers one connection, request by request, until it ends."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        self.requests = self.most = 0

    def run(self):
        peer, _ = self.listener.accept()
        with peer, self.listener:
            rest = b""
            while data := peer.recv(1 << 16):
                rest += data
                count, left = divmod(len(rest), len(REQUEST))
                rest = rest[len(rest) - left :]
                self.requests += count
                self.most = max(self.most, count)
                try:
                    peer.sendall(REPLY * count)
                except OSError:
                    return


class Greedy(unittest.TestCase):
    def test_it_keeps_so_many_requests_under_way_and_says_what_came(self):
        server = Server()
        server.start()
        before = time.monotonic()
        rate = fair.greedy(server.address, REQUEST, 8, 0.2)
        server.join(5)
        self.assertGreater(server.requests, 8, "it goes on after the first ones")
        self.assertLessEqual(server.most, 8)
        self.assertGreater(rate, 0)
        received = rate * (time.monotonic() - before)
        self.assertGreaterEqual(received, 8 * len(REPLY))

    def test_a_server_that_closes_is_an_error(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            threading.Thread(target=lambda: listener.accept()[0].close(), daemon=True).start()
            with self.assertRaises((ClientError, ConnectionError)):
                fair.greedy(listener.getsockname(), REQUEST, 1, 5)


class Figures(unittest.TestCase):
    def test_the_worse_of_both_counts(self):
        for download, pipeline, worst in ((300, 200, 3.0), (100, 150, 1.5)):
            sample = fair.figures(100, download, pipeline, 1 << 20)
            self.assertEqual(sample["worst"], worst)
            self.assertEqual(sample["moved"], 1 << 20)

    def test_the_goal_is_twice_the_quiet_latency(self):
        scenario = next(one for one in scenarios.scenarios(100) if one.kind == "fair")
        for pipeline, met in ((150, True), (250, False)):
            samples = [fair.figures(100, 120, pipeline, 1.0)]
            results = {"tenkay": {"samples": samples, "absent": None}}
            summary = verdicts.summarise(scenario, {"tenkay": "ours"}, results)
            self.assertEqual((summary.ranked, summary.goal_met), (metrics.SHARE, met))


if __name__ == "__main__":
    unittest.main()
