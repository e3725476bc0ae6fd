"""Checks the responses of each server before it is timed.

The requests are those of the load: same target, same fields, same pipelining. A server with a wrong
response is not timed.
"""

import os
import random
import socket
import ssl

from lib_compare import folder, http1, tls

TIMEOUT_SECONDS = 5.0

# Number of the many files that are compared byte by byte.
SAMPLES = 20


class CheckError(Exception):
    """The response was wrong; the text says how."""


class Wire:
    """A blocking connection that reads whole responses."""

    def __init__(self, address, secure=False):
        self.host = "%s:%d" % address
        self.socket = socket.create_connection(address, timeout=TIMEOUT_SECONDS)
        if secure:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        self.data = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, path, headers, times=1):
        """Sends the request `times` times in one write."""
        self.socket.sendall(http1.request(path, self.host, headers) * times)

    def reply(self):
        """The head and the body of the next response."""
        head = self.head()
        return head, b"".join(self.body(head))

    def head(self):
        """The head of the next response; the caller must read its body next."""
        while (head := http1.parse_head(self.data)) is None:
            self._fill()
        del self.data[: head.length]
        return head

    def body(self, head):
        """The body that follows this head, in pieces as they arrive."""
        left = head.body_length
        while left > 0:
            if not self.data:
                self._fill()
            piece = bytes(self.data[:left])
            del self.data[:left]
            left -= len(piece)
            yield piece

    def at_end(self):
        """Whether the server has closed the connection and no data is left."""
        return not self.data and self.socket.recv(1) == b""

    def _fill(self):
        piece = self.socket.recv(1 << 18)
        if not piece:
            raise CheckError("the connection was closed before the response was complete")
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
    """The condition for which this server answers 304: its own ETag, else its own date."""
    if root is None:
        return {"If-None-Match": '"floor"'}
    with Wire(address) as wire:
        wire.send(scenario.path, {})
        head, _ = wire.reply()
    if "etag" in head.fields:
        return {"If-None-Match": head.fields["etag"]}
    return {"If-Modified-Since": head.fields["last-modified"]}


def _check(address, scenario, headers, root):
    with Wire(address, tls.is_secure(scenario.feature)) as wire:
        for path in _paths(scenario):
            wire.send(path, headers, scenario.pipeline)
            for _ in range(scenario.pipeline):
                head = wire.head()
                _compare(path, scenario, head, wire.body(head), root)
        if scenario.close and not wire.at_end():
            raise CheckError("the connection stayed open after Connection: close")
    return head


def _paths(scenario):
    """The paths to check, all on one connection."""
    if scenario.many:
        chosen = random.Random(7).sample(range(folder.MANY), SAMPLES)
        return [folder.MANY_PATTERN % index for index in chosen]
    once = scenario.close or scenario.by_bytes
    return [scenario.path] if once else [scenario.path] * 2


def _compare(path, scenario, head, pieces, root):
    if head.status != scenario.status:
        raise CheckError(f"{path}: status {head.status} instead of {scenario.status}")
    if scenario.status == 304:
        return
    file = None if root is None else root / (scenario.body_path or path).lstrip("/")
    if file is not None and scenario.field and scenario.field not in head.fields:
        raise CheckError(f"{path}: the field {scenario.field} is missing")
    expected = scenario.size if file is None else file.stat().st_size
    if head.body_length != expected:
        raise CheckError(f"{path}: {head.body_length} bytes of body instead of {expected}")
    with open(file or os.devnull, "rb") as content:
        for piece in pieces:
            if file is not None and piece != content.read(len(piece)):
                raise CheckError(f"{path}: the body differs from the file")
