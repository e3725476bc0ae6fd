"""Two clients on one epoll loop each: an open-loop load, and a herd of idle connections.

An open loop sends on a schedule and does not wait for replies, and a request counts from the
moment it was due. A stall of the server is then seen by every request that was due during it; a
closed loop such as wrk's would have paused with the server and counted one slow request.
"""

import selectors
import socket
import time
from collections import deque

from lib_compare import http1
from lib_compare.stats import percentile

# Connections that are opened, or asked, at the same moment: below any listener's backlog.
AT_ONCE = 256

# A reply that takes longer than this is none.
PATIENCE_SECONDS = 10.0


class ClientError(Exception):
    """The server did not do what the measurement needs."""


class Link:
    """One connection: its socket, and where it is in the reply it waits for."""

    __slots__ = ("socket", "left", "due_ns")

    def __init__(self, sock):
        self.socket = sock
        self.left = 0
        self.due_ns = 0


class Herd:
    """Many keep-alive connections that say the same request when asked to."""

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
        """Opens `count` connections, each with one request answered. ClientError if one fails."""
        for start in range(0, count, AT_ONCE):
            fresh = [Link(connect(self.address)) for _ in range(min(AT_ONCE, count - start))]
            self.links += fresh
            answered = self._ask(fresh)
            if answered < len(fresh):
                raise ClientError(
                    f"{len(fresh) - answered} of the connections {start} to "
                    f"{start + len(fresh)} were not answered"
                )

    def ask(self):
        """Asks on every connection once more; the number of them that answered in full."""
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
        end = time.monotonic() + PATIENCE_SECONDS
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
        """True: the whole reply is there. False: it never will be. None: not yet."""
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
    """What an open loop saw: every latency in microseconds, sorted, and what went wrong."""

    def __init__(self, latencies_us, due):
        self.latencies_us = sorted(latencies_us)
        self.due = due

    @property
    def unanswered(self):
        """Requests that were due and had no reply when patience ran out."""
        return self.due - len(self.latencies_us)

    def at(self, percent):
        """The latency in microseconds that `percent` of the requests did not exceed."""
        return percentile(self.latencies_us, percent)


class OpenLoop(Herd):
    """A herd that sends requests at a fixed rate, each on the connection idle for the longest.

    Every reply must be as long as the last one of `open`, so that none has to be parsed.
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
        """Sends `rate` requests a second for so long and waits for the last; a Paced.

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
        deadline = start + round((seconds + PATIENCE_SECONDS) * 1e9)
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
            self.rest(start + issued * period_ns)
            for key, _ in self.selector.select(0):
                if self._advance(key.data):
                    latencies.append((time.perf_counter_ns() - key.data.due_ns) / 1000)
                    idle.append(key.data)
        return Paced(latencies, total)

    def rest(self, due_ns):
        """Nothing is sent before `due_ns`: spins, see `run`."""

    def _send(self, link, due_ns):
        link.due_ns = due_ns
        link.left = self.reply_length
        if link.socket.send(self.request) != len(self.request):
            raise ClientError("a request did not fit into an empty socket buffer")

    def _advance(self, link):
        """Whether the reply is complete now."""
        try:
            count = link.socket.recv_into(self.buffer)
        except BlockingIOError:
            return False
        if count == 0:
            raise ClientError("the server closed a keep-alive connection under load")
        if link.left == self.reply_length and not self.buffer.startswith(b"HTTP/1.1 "):
            raise ClientError(f"not a reply: {bytes(self.buffer[:40])!r}")
        link.left -= count
        if link.left < 0:
            raise ClientError("a reply was longer than the one before the load")
        return link.left == 0


def connect(address):
    """A connected, non-blocking socket without Nagle's delay."""
    sock = socket.create_connection(address, timeout=PATIENCE_SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setblocking(False)
    return sock
