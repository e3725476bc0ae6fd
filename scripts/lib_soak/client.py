"""One client: it connects, asks, judges what it gets, and keeps count."""

import random
import socket
import struct
import time
from collections import Counter
from typing import NamedTuple

from lib_soak import tree
from lib_soak.answers import Ended, Malformed, Reader
from lib_soak.judge import CUT_OFF, Violation, group, judge, judge_cut_off

# Nothing may take longer than that, whatever the load.
TIMEOUT_SECONDS = 30.0
NO_LINGER = struct.pack("ii", 1, 0)


class Place(NamedTuple):
    """Where the server is, what its files are, and whether it is short of everything."""

    address: tuple
    versions: tree.Versions
    scarce: bool


class Client:
    """What all kinds of conversation need."""

    def __init__(self, place, seed):
        self.place = place
        self.chance = random.Random(seed)
        self.names = tree.names()
        self.large = [name for name in self.names if "-large-" in name]
        self.small = [name for name in self.names if "-small-" in name]
        self.counts = Counter()
        self.violations = []

    def run(self, kind):
        """One conversation of a kind; whatever the server does wrong is kept."""
        self.counts["conversations", kind.__name__] += 1
        try:
            kind(self)
        except (Violation, Malformed) as fault:
            self.record(kind, f"{fault}")
        except Ended as end:
            # For lack of slots or pages, the server may close whenever it likes.
            self.counts["ends", f"early, by {str(end).partition(',')[0]}"] += 1
            if not self.place.scarce:
                self.record(kind, f"the connection ended early, by {end}")
        except TimeoutError:
            self.record(kind, f"nothing happened for {TIMEOUT_SECONDS:.0f} s")
        except OSError as error:  # a reset, or what comes of one
            self.counts["ends", f"early, by {type(error).__name__}"] += 1
            if not self.place.scarce:
                self.record(kind, f"{type(error).__name__}")

    def record(self, kind, text):
        """Keeps a violation."""
        self.violations.append(f"{kind.__name__}: {text}")

    def connect(self, receive_buffer=None):
        """A connection; with a small buffer, what is not read stays with the server."""
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
        """A request as bytes, counted. An underscore in the name of a field is a hyphen."""
        self.counts["requests", method] += 1
        lines = [f"{method} /{path} HTTP/1.1", "Host: soak"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def ask(self, sock, reader, name, usual=(200,), **fields):
        """Asks for a file, and returns its answer, judged."""
        oldest = self.place.versions.oldest(name)
        sock.sendall(self.request(name, **fields))
        return self.take(reader, name, oldest, usual)

    def take(self, reader, name, oldest, usual=(200,), may_end=False):
        """The next answer, which is to a request for this file. None: it was cut off, as may be."""
        try:
            answer = reader.answer()
        except Ended as end:
            versions = range(oldest, self.place.versions.newest(name) + 1)
            if end.answer:
                judge_cut_off(name, end.answer, versions)
            if not (may_end or end.answer and group(name) in CUT_OFF):
                came = "within the body" if end.answer else "before the head"
                raise Ended(f"{end} {came}, of {name}") from None
            self.counts["ends", "cut off, as may be"] += 1
            return None
        self.counts["statuses", answer.status] += 1
        versions = range(oldest, self.place.versions.newest(name) + 1)
        judge(name, answer, versions, set(usual), self.place.scarce)
        return answer

    def other(self, reader, usual, to_head=False):
        """The next answer, which is to a request for no file."""
        answer = reader.answer(to_head)
        self.counts["statuses", answer.status] += 1
        if answer.status not in usual:
            raise Violation(f"status {answer.status} instead of {sorted(usual)}")
        return answer

    def pick(self, names=None):
        """One of these files, or of all."""
        return self.chance.choice(names or self.names)

    def wait(self, least, most):
        """Takes its time."""
        time.sleep(self.chance.uniform(least, most))


def reset(sock):
    """Closes in the rudest way."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
    sock.close()

