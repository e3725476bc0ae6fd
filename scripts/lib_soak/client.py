"""One client: connects, sends requests, checks the responses, and counts."""

import random
import socket
import struct
import time
from collections import Counter
from typing import NamedTuple

from lib_soak import tree
from lib_soak.answers import Ended, Malformed, Reader
from lib_soak.judge import CUT_OFF, Violation, group, judge, judge_cut_off

# The timeout of every socket call, under any load.
TIMEOUT_SECONDS = 30.0
NO_LINGER = struct.pack("ii", 1, 0)


class Place(NamedTuple):
    """The server's address, the versions of its files, and whether its resources are scarce."""

    address: tuple
    versions: tree.Versions
    scarce: bool


class Client:
    """The functions that all kinds of conversations share."""

    def __init__(self, place, seed):
        self.place = place
        self.chance = random.Random(seed)
        self.names = tree.names()
        self.large = [name for name in self.names if "-large-" in name]
        self.small = [name for name in self.names if "-small-" in name]
        self.counts = Counter()
        self.violations = []

    def run(self, kind):
        """Runs one conversation of a kind and records violations."""
        self.counts["conversations", kind.__name__] += 1
        try:
            kind(self)
        except (Violation, Malformed) as fault:
            self.record(kind, f"{fault}")
        except Ended as end:
            # Without free slots or pages, the server may close a connection at any time.
            self.counts["ends", f"early, by {str(end).partition(',')[0]}"] += 1
            if not self.place.scarce:
                self.record(kind, f"the connection ended early, by {end}")
        except TimeoutError:
            self.record(kind, f"timeout: no progress for {TIMEOUT_SECONDS:.0f} s")
        except OSError as error:  # a reset, or a consequence of one
            self.counts["ends", f"early, by {type(error).__name__}"] += 1
            if not self.place.scarce:
                self.record(kind, f"connection error: {type(error).__name__}")

    def record(self, kind, text):
        """Records a violation."""
        self.violations.append(f"{kind.__name__}: {text}")

    def connect(self, receive_buffer=None):
        """Opens a connection. With a small receive buffer, unread data stays with the server."""
        sock = socket.socket()
        sock.settimeout(TIMEOUT_SECONDS)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            sock.connect(self.place.address)
        except BaseException:
            sock.close()
            raise
        return sock

    def request(self, path, method="GET", **fields):
        """Counts a request and returns its bytes. Underscores in field names become hyphens."""
        self.counts["requests", method] += 1
        lines = [f"{method} /{path} HTTP/1.1", "Host: soak"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def ask(self, sock, reader, name, usual=(200,), **fields):
        """Requests a file; returns the checked response."""
        oldest = self.place.versions.oldest(name)
        sock.sendall(self.request(name, **fields))
        return self.take(reader, name, oldest, usual)

    def take(self, reader, name, oldest, usual=(200,), may_end=False):
        """The next response, to a request for this file. None if it was cut off and that is
        allowed."""
        try:
            answer = reader.answer()
        except Ended as end:
            versions = range(oldest, self.place.versions.newest(name) + 1)
            if end.answer:
                judge_cut_off(name, end.answer, versions)
            if not (may_end or end.answer and group(name) in CUT_OFF):
                where = "within the body" if end.answer else "before the head"
                raise Ended(f"{end} {where}, of {name}") from None
            self.counts["ends", "cut off (allowed)"] += 1
            return None
        self.counts["statuses", answer.status] += 1
        versions = range(oldest, self.place.versions.newest(name) + 1)
        judge(name, answer, versions, set(usual), self.place.scarce)
        return answer

    def other(self, reader, usual, to_head=False):
        """The next response, to a request that is not for a file."""
        answer = reader.answer(to_head)
        self.counts["statuses", answer.status] += 1
        if answer.status not in usual:
            raise Violation(f"status {answer.status} instead of {sorted(usual)}")
        return answer

    def pick(self, names=None):
        """A random one of these names, or of all files."""
        return self.chance.choice(names or self.names)

    def wait(self, least, most):
        """Sleeps for a random time."""
        time.sleep(self.chance.uniform(least, most))


def reset(sock):
    """Closes the connection with a RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
    sock.close()

