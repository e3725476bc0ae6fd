"""HTTP/1.1 as a client: requests, and a strict reader of responses (RFC 9112)."""

import re
import socket
from typing import NamedTuple

from lib_compare.machine import Failure

_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5]\d\d) [ -~]*")
_FIELD_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([ -~]*?)[ \t]*")
_DIGITS = re.compile(r"\d+")
HEAD_BYTES = 64 * 1024


class Malformed(Failure):
    """The bytes received are not a valid response."""


class Ended(Failure):
    """The connection ended. `answer` is the incomplete response, if its head was received."""

    def __init__(self, text, answer=None):
        super().__init__(text)
        self.answer = answer


class Answer(NamedTuple):
    """A response: fields by lower-case name, each with one value; `body` may be cut off."""

    status: int
    fields: dict
    head_bytes: int
    body: bytes = b""

    @property
    def length(self):
        """Content-Length; None without that field."""
        value = self.fields.get("content-length")
        return None if value is None else int(value)

    @property
    def closes(self):
        """Whether the response has `Connection: close`."""
        return self.fields.get("connection", "").lower() == "close"


def request(path, headers=None, method="GET", host="127.0.0.1"):
    """The bytes of a request with the fields of the mapping `headers` after Host."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def connect(address, timeout, receive_buffer=None):
    """A connected socket that sends at once. With a small receive buffer, unread data stays with
    the server."""
    sock = socket.socket()
    try:
        sock.settimeout(timeout)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock


def close(sock, reset=True):
    """Closes a connection, by default with a RST, so that no port stays in TIME_WAIT."""
    if reset:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()


class Reader:
    """Reads responses from a socket, one after the other. `pause` is called before each receive."""

    def __init__(self, sock, pause=lambda: None):
        self.sock, self._pause = sock, pause
        self._data = b""

    def parse_head(self, head):
        """Parses a head without its empty line; returns status and fields."""
        first, *lines = head[:-2].split(b"\r\n")
        status = _STATUS_LINE.fullmatch(first)
        if not status:
            raise Malformed(f"not a status line: {first[:80]!r}")
        fields = {}
        for line in lines:
            field = _FIELD_LINE.fullmatch(line)
            if not field:
                raise Malformed(f"not a field line: {line[:80]!r}")
            name = field[1].decode().lower()
            if name in fields:
                raise Malformed(f"duplicate field {name}")
            fields[name] = field[2].decode()
        if not _DIGITS.fullmatch(fields.get("content-length", "0")):
            raise Malformed(f"Content-Length is not a number: {fields['content-length']!r}")
        if "transfer-encoding" in fields:
            raise Malformed("unexpected Transfer-Encoding: files have a length")
        return int(status[1]), fields

    def answer(self, to_head=False):
        """The next response. Raises Ended if the connection ends before it is complete."""
        while (end := self._data.find(b"\r\n\r\n")) < 0:
            if len(self._data) > HEAD_BYTES:
                raise Malformed(f"no end of the head within {HEAD_BYTES:,} bytes")
            self._receive()
        status, fields = self.parse_head(self._data[: end + 2])
        self._data = self._data[end + 4 :]
        answer = Answer(status, fields, end + 4)
        without_body = to_head or status in (204, 304)
        if answer.length is None and not without_body:
            raise Malformed(f"{status} without Content-Length")
        pieces, missing = [], 0 if without_body else answer.length
        while True:
            piece, self._data = self._data[:missing], self._data[missing:]
            pieces.append(piece)
            missing -= len(piece)
            if not missing:
                return answer._replace(body=b"".join(pieces))
            try:
                self._receive()
            except Ended as end:
                raise Ended(str(end), answer._replace(body=b"".join(pieces))) from None

    def expect_end(self):
        """Waits for the end of the connection. Raises Malformed if any byte arrives before it."""
        try:
            while not self._data:
                self._receive()
        except Ended:
            return
        raise Malformed(f"data after the last response: {self._data[:80]!r}")

    def _receive(self):
        self._pause()
        try:
            data = self.sock.recv(1 << 16)
        except ConnectionError as error:
            raise Ended(type(error).__name__) from None
        if not data:
            raise Ended("FIN")
        self._data += data
