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
    """Answers one connection after the other, each until it ends or has had `most` answers."""

    def __init__(self, most):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        self.most = most
        self.requests = self.at_once = 0

    def run(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return  # ended
            with peer:
                try:
                    self.serve(peer)
                except OSError:
                    pass  # the client has left, which ends every test

    def end(self):
        """Wakes the thread up and ends it."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.join(5)
        self.listener.close()

    def serve(self, peer):
        """One connection."""
        begin, rest = self.requests, b""
        while self.most is None or self.requests - begin < self.most:
            data = peer.recv(1 << 16)
            if not data:
                return
            rest += data
            count, left = divmod(len(rest), len(REQUEST))
            rest = rest[len(rest) - left :]
            self.requests += count
            self.at_once = max(self.at_once, count)
            peer.sendall(REPLY * count)


class Greedy(unittest.TestCase):
    def server(self, most=None):
        """A server that runs until the test is over."""
        server = Server(most)
        server.start()
        self.addCleanup(server.end)
        return server

    def test_it_keeps_so_many_requests_under_way_and_says_what_came(self):
        server = self.server()
        before = time.monotonic()
        rate = fair.greedy(server.address, REQUEST, 8, 0.2)
        self.assertGreater(server.requests, 8, "it goes on after the first ones")
        self.assertLessEqual(server.at_once, 8)
        self.assertGreater(rate, 0)
        received = rate * (time.monotonic() - before)
        self.assertGreaterEqual(received, 8 * len(REPLY))

    def test_a_server_that_closes_now_and_then_gets_another_connection(self):
        server = self.server(20)
        rate = fair.greedy(server.address, REQUEST, 2, 0.2)
        self.assertGreater(server.requests, 40)
        self.assertGreater(rate, 0)

    def test_a_server_that_closes_at_once_is_an_error(self):
        server = self.server(0)
        with self.assertRaises(ClientError):
            fair.greedy(server.address, REQUEST, 1, 5)


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
