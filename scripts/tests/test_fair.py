"""Fairness: the figures, and the greedy client against a server that counts."""

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
    """Answers every connection until it ends or has had `most` answers."""

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
            threading.Thread(target=self.serve_to_end, args=(peer,), daemon=True).start()

    def serve_to_end(self, peer):
        """One connection, however it ends."""
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
            count, (_, _, rest) = rest.count(b"\r\n\r\n"), rest.rpartition(b"\r\n\r\n")
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
        received = fair.greedy(server.address, REQUEST, 8, lambda: server.requests > 40)
        self.assertLessEqual(server.at_once, 8)
        self.assertGreaterEqual(received, 8 * len(REPLY))
        self.assertLessEqual(received, server.requests * len(REPLY))

    def test_a_server_that_closes_now_and_then_gets_another_connection(self):
        server = self.server(20)
        received = fair.greedy(server.address, REQUEST, 2, lambda: server.requests > 60)
        self.assertGreater(received, 40 * len(REPLY))

    def test_a_server_that_closes_at_once_is_an_error(self):
        server = self.server(0)
        with self.assertRaises(ClientError):
            fair.greedy(server.address, REQUEST, 1, lambda: False)

    def test_it_ends_when_its_input_is_closed(self):
        ours, theirs = socket.socketpair()
        with ours:
            ended = fair.until_closed(ours)
            self.assertFalse(ended())
            theirs.close()
            while not ended():
                time.sleep(fair.LOOK_SECONDS)
            self.assertTrue(ended(), "and stays so")


    def test_both_kinds_of_slots_are_measured_with_the_client_and_without(self):
        server = self.server()
        scenario = mock.Mock(path="/a", connections=2, rate=200)
        beside = fair._beside(server.address, scenario, 0.5, "/a", 4)
        self.assertEqual((len(beside.quiet), len(beside.disturbed)), (100, 100))
        self.assertGreater(beside.moved, 0)


def beside(quiet, disturbed):
    """As many of each as need be: all are the same."""
    return fair.Beside([quiet] * 10, [disturbed] * 10, 1 << 20)


class Figures(unittest.TestCase):
    def test_the_worse_of_both_counts_against_all_that_was_quiet(self):
        cases = (((100, 300), (100, 200), 3.0), ((200, 300), (50, 500), 2.5))
        for download, pipeline, worst in cases:
            sample = fair.figures(beside(*download), beside(*pipeline))
            self.assertEqual(sample["worst"], worst)
            self.assertEqual(sample["moved"], 1 << 20)

    def test_the_goal_is_twice_the_quiet_latency(self):
        scenario = next(one for one in scenarios.scenarios(100) if one.kind == "fair")
        for pipeline, met in ((150, True), (250, False)):
            samples = [fair.figures(beside(100, 120), beside(100, pipeline))]
            results = {"tenkay": {"samples": samples, "absent": None}}
            summary = verdicts.summarise(scenario, {"tenkay": "ours"}, results)
            self.assertEqual((summary.ranked, summary.goal_met), (metrics.SHARE, met))


if __name__ == "__main__":
    unittest.main()
