"""Tests of fairness: the figures, and the greedy client against a server that counts requests."""

import socket
import threading
import time
import unittest
from unittest import mock

from lib_compare import fair, http1, metrics, scenarios, verdicts
from lib_compare.clients import ClientError

REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
REQUEST = http1.request("/a", "h")


class Server(threading.Thread):
    """Answers each connection until the client closes it or it has got `most` responses."""

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
                return  # the listener was shut down
            threading.Thread(target=self.serve_to_end, args=(peer,), daemon=True).start()

    def serve_to_end(self, peer):
        """Serves one connection; errors end it."""
        with peer:
            try:
                self.serve(peer)
            except OSError:
                pass  # the client has disconnected, as it does at the end of each test

    def end(self):
        """Stops the thread."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.join(5)
        self.listener.close()

    def serve(self, peer):
        """Serves one connection."""
        begin, rest = self.requests, b""
        while self.most is None or self.requests - begin < self.most:
            data = peer.recv(1 << 16)
            if not data:
                return
            rest += data
            count, (_, _, rest) = rest.count(b"\r\n\r\n"), rest.rpartition(b"\r\n\r\n")
            self.requests += count
            self.at_once = max(self.at_once, count)
            peer.sendall(REPLY * count)


class Greedy(unittest.TestCase):
    def server(self, most=None):
        """A server that runs until the end of the test."""
        server = Server(most)
        server.start()
        self.addCleanup(server.end)
        return server

    def test_it_keeps_the_requests_outstanding_and_returns_the_bytes_received(self):
        server = self.server()
        received = fair.greedy(server.address, REQUEST, 8, lambda: server.requests > 40)
        self.assertLessEqual(server.at_once, 8)
        self.assertGreaterEqual(received, 8 * len(REPLY))
        self.assertLessEqual(received, server.requests * len(REPLY))

    def test_it_reconnects_when_the_server_closes_the_connection(self):
        server = self.server(20)
        received = fair.greedy(server.address, REQUEST, 2, lambda: server.requests > 60)
        self.assertGreater(received, 40 * len(REPLY))

    def test_a_server_that_closes_without_a_response_is_an_error(self):
        server = self.server(0)
        with self.assertRaises(ClientError):
            fair.greedy(server.address, REQUEST, 1, lambda: False)

    def test_it_stops_when_its_input_is_closed(self):
        ours, theirs = socket.socketpair()
        with ours:
            ended = fair.until_closed(ours)
            self.assertFalse(ended())
            theirs.close()
            while not ended():
                time.sleep(fair.CHECK_SECONDS)
            self.assertTrue(ended(), "it stays True")

    def test_slots_with_and_without_the_client_are_measured(self):
        server = self.server()
        scenario = mock.Mock(path="/a", connections=2, rate=200)
        beside = fair._beside(server.address, scenario, 0.5, "/a", 4)
        self.assertEqual((len(beside.quiet), len(beside.disturbed)), (100, 100))
        self.assertGreater(beside.moved, 0)


def beside(quiet, disturbed):
    """Ten equal latencies of each kind."""
    return fair.Beside([quiet] * 10, [disturbed] * 10, 1 << 20)


class Figures(unittest.TestCase):
    def test_the_worse_of_both_is_compared_with_all_quiet_slots(self):
        cases = (((100, 300), (100, 200), 3.0), ((200, 300), (50, 500), 2.5))
        for download, pipeline, worst in cases:
            sample = fair.figures(beside(*download), beside(*pipeline))
            self.assertEqual(sample["worst"], worst)
            self.assertEqual(sample["moved"], 1 << 20)

    def test_the_goal_is_at_most_twice_the_quiet_latency(self):
        scenario = next(one for one in scenarios.scenarios(100) if one.kind == "fair")
        for pipeline, met in ((150, True), (250, False)):
            samples = [fair.figures(beside(100, 120), beside(100, pipeline))]
            results = {"tenkay": {"samples": samples, "absent": None}}
            summary = verdicts.summarise(scenario, {"tenkay": "ours"}, results)
            self.assertEqual((summary.ranked, summary.goal_met), (metrics.SHARE, met))


if __name__ == "__main__":
    unittest.main()
