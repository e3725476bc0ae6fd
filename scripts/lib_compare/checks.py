"""Does a server give the right answer? Asked of each one before it is timed.

The requests are those of the load: same target, same fields, same pipelining. A server that
answers wrongly is not timed, for a fast wrong answer is worth nothing.
"""

import random
import socket

from lib_compare import folder, http1

PATIENCE_SECONDS = 5.0

# How many of the many files are compared byte by byte.
SAMPLES = 20


class CheckError(Exception):
    """The answer was wrong; the text says how."""


class Wire:
    """A blocking connection that reads whole replies."""

    def __init__(self, address):
        self.host = "%s:%d" % address
        self.socket = socket.create_connection(address, timeout=PATIENCE_SECONDS)
        self.data = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, path, headers, times=1):
        """Sends the request so many times in one write."""
        self.socket.sendall(http1.request(path, self.host, headers) * times)

    def reply(self):
        """The head and the body of the next reply."""
        while (head := http1.parse_head(self.data)) is None:
            self._fill()
        end = head.length + head.body_length
        while len(self.data) < end:
            self._fill()
        body = bytes(self.data[head.length : end])
        del self.data[:end]
        return head, body

    def at_end(self):
        """Whether the server has closed the connection with nothing more to read."""
        return not self.data and self.socket.recv(1) == b""

    def _fill(self):
        piece = self.socket.recv(1 << 18)
        if not piece:
            raise CheckError("the connection was closed before the reply was complete")
        self.data += piece


def check(address, scenario, root):
    """Checks the server at `address` and returns (fields of the load's requests, the Head).

    `root` is the folder with the expected bytes; None for the floor, whose bytes are arbitrary.
    """
    try:
        headers = dict(scenario.headers)
        if scenario.status == 304:
            headers.update(condition(address, scenario, root))
        return headers, _check(address, scenario, headers, root)
    except (OSError, ValueError, KeyError) as error:
        raise CheckError(f"{type(error).__name__}: {error}") from error


def condition(address, scenario, root):
    """The condition that makes this server answer 304: its own tag, else its own date."""
    if root is None:
        return {"If-None-Match": '"floor"'}
    with Wire(address) as wire:
        wire.send(scenario.path, {})
        head, _ = wire.reply()
    if "etag" in head.fields:
        return {"If-None-Match": head.fields["etag"]}
    return {"If-Modified-Since": head.fields["last-modified"]}


def _check(address, scenario, headers, root):
    with Wire(address) as wire:
        for path in _paths(scenario):
            wire.send(path, headers, scenario.pipeline)
            for _ in range(scenario.pipeline):
                head, body = wire.reply()
                _compare(path, scenario, head, body, root)
        if scenario.close and not wire.at_end():
            raise CheckError("the connection stayed open after Connection: close")
    return head


def _paths(scenario):
    """The paths that are checked, all on one connection."""
    if scenario.many:
        chosen = random.Random(7).sample(range(folder.MANY), SAMPLES)
        return [folder.MANY_PATTERN % index for index in chosen]
    return [scenario.path] if scenario.close else [scenario.path] * 2


def _compare(path, scenario, head, body, root):
    if head.status != scenario.status:
        raise CheckError(f"{path}: status {head.status} instead of {scenario.status}")
    if scenario.status == 304:
        return
    if root is None:
        expected = scenario.size
    else:
        expected = (root / path.lstrip("/")).stat().st_size
    if len(body) != expected:
        raise CheckError(f"{path}: {len(body)} bytes of body instead of {expected}")
    if root is not None and body != (root / path.lstrip("/")).read_bytes():
        raise CheckError(f"{path}: the body differs from the file")
