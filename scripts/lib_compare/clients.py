"""Two clients on one epoll loop each: an open-loop load, and a pool of idle connections.

An open loop sends on a schedule and does not wait for responses; latency is measured from the time
at which a request was due. A stall of the server therefore delays every request that was due during
it; a closed loop such as wrk's would pause with the server and count one slow request.
"""

import selectors
import socket
import time
from collections import deque

from lib_compare import http1
from lib_compare.stats import percentile

# Connections opened, or used, at the same time: fewer than any listener's backlog.
AT_ONCE = 256

# A response that takes longer than this counts as missing.
TIMEOUT_SECONDS = 10.0


class ClientError(Exception):
    """The server did not do what the measurement needs."""


class Link:
    """One connection: its socket, and its position in the pending response."""

    __slots__ = ("socket", "left", "due_ns")

    def __init__(self, sock):
        self.socket = sock
        self.left = 0
        self.due_ns = 0


class ConnectionPool:
    """Many keep-alive connections that all send the same request."""

    def __init__(self, address, request):
        self.address = address
        self.request = request
        self.links = []
        self.reply_length = 0
        self.selector = selectors.DefaultSelector()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Closes every connection."""
        for link in self.links:
            link.socket.close()
        self.selector.close()

    def open(self, count):
        """Opens `count` connections with one answered request on each. ClientError if one fails."""
        for start in range(0, count, AT_ONCE):
            fresh = [Link(connect(self.address)) for _ in range(min(AT_ONCE, count - start))]
            self.links += fresh
            answered = self._ask(fresh)
            if answered < len(fresh):
                raise ClientError(
                    f"{len(fresh) - answered} of the connections {start} to "
                    f"{start + len(fresh)} got no response"
                )

    def ask(self):
        """Sends another request on every connection; returns the number of complete responses."""
        groups = range(0, len(self.links), AT_ONCE)
        return sum(self._ask(self.links[start : start + AT_ONCE]) for start in groups)

    def _ask(self, links):
        waiting = {}
        for link in links:
            try:
                link.socket.sendall(self.request)
            except OSError:
                continue
            waiting[link.socket.fileno()] = bytearray()
            self.selector.register(link.socket, selectors.EVENT_READ)
        answered = 0
        end = time.monotonic() + TIMEOUT_SECONDS
        while waiting and time.monotonic() < end:
            for key, _ in self.selector.select(0.1):
                done = self._receive(key.fileobj, waiting[key.fd])
                if done is None:
                    continue
                answered += done
                del waiting[key.fd]
                self.selector.unregister(key.fileobj)
        for key in list(self.selector.get_map().values()):
            self.selector.unregister(key.fileobj)
        return answered

    def _receive(self, sock, data):
        """True: the response is complete. False: it failed. None: it is still incomplete."""
        try:
            piece = sock.recv(65536)
        except BlockingIOError:
            return None
        except OSError:
            return False
        if not piece:
            return False
        data += piece
        head = http1.parse_head(data)
        if head is None or len(data) < head.length + head.body_length:
            return None
        self.reply_length = len(data)
        return head.status in (200, 304)


class Paced:
    """The result of an open loop: all latencies in microseconds, sorted, and the requests due."""

    def __init__(self, latencies_us, due):
        self.latencies_us = sorted(latencies_us)
        self.due = due

    @property
    def unanswered(self):
        """Requests that were due and got no response before the timeout."""
        return self.due - len(self.latencies_us)

    def at(self, percent):
        """The latency in microseconds that `percent` of the requests did not exceed."""
        return percentile(self.latencies_us, percent)


class OpenLoop(ConnectionPool):
    """A pool that sends requests at a fixed rate, each on the connection that was idle longest.

    Every response must be as long as the last one in `open`, so that no response has to be parsed.
    """

    def __init__(self, address, request, connections):
        super().__init__(address, request)
        self.buffer = bytearray(1 << 18)
        try:
            self.open(connections)
        except BaseException:
            self.close()
            raise

    def run(self, rate, seconds):
        """Sends `rate` requests per second for `seconds`, waits for the last response, and returns
        a Paced.

        It spins instead of sleeping: a sleep would add the scheduler's delay to every figure.
        """
        for link in self.links:
            self.selector.register(link.socket, selectors.EVENT_READ, link)
        try:
            return self._run(deque(self.links), rate, seconds)
        finally:
            for link in self.links:
                self.selector.unregister(link.socket)

    def _run(self, idle, rate, seconds):
        period_ns = round(1e9 / rate)
        total = int(rate * seconds)
        late, latencies = deque(), []
        start = time.perf_counter_ns()
        deadline = start + round((seconds + TIMEOUT_SECONDS) * 1e9)
        issued = 0
        while len(latencies) < total:
            now = time.perf_counter_ns()
            if now > deadline:
                break
            while issued < total and start + issued * period_ns <= now:
                late.append(start + issued * period_ns)
                issued += 1
            while late and idle:
                self._send(idle.popleft(), late.popleft())
            self.pause_until(start + issued * period_ns)
            for key, _ in self.selector.select(0):
                if self._advance(key.data):
                    latencies.append((time.perf_counter_ns() - key.data.due_ns) / 1000)
                    idle.append(key.data)
        return Paced(latencies, total)

    def pause_until(self, due_ns):
        """Called when no request is due before `due_ns`. Returns at once, so that `run` spins."""

    def _send(self, link, due_ns):
        link.due_ns = due_ns
        link.left = self.reply_length
        if link.socket.send(self.request) != len(self.request):
            raise ClientError("a request did not fit into an empty socket buffer")

    def _advance(self, link):
        """Whether the response is complete now."""
        try:
            count = link.socket.recv_into(self.buffer)
        except BlockingIOError:
            return False
        if count == 0:
            raise ClientError("the server closed a keep-alive connection under load")
        if link.left == self.reply_length and not self.buffer.startswith(b"HTTP/1.1 "):
            raise ClientError(f"not a response: {bytes(self.buffer[:40])!r}")
        link.left -= count
        if link.left < 0:
            raise ClientError("a response was longer than the one before the load")
        return link.left == 0


def connect(address):
    """A connected, non-blocking socket with TCP_NODELAY."""
    sock = socket.create_connection(address, timeout=TIMEOUT_SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setblocking(False)
    return sock
