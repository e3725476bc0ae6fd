"""Reads responses from a socket, strictly by RFC 9112, and parses multipart bodies.

`Malformed` is a violation by the server. `Ended` means that the connection ended before a response
was complete; whether this is a violation depends on what the client did.
"""

import re
from typing import NamedTuple

_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5]\d\d) [ -~]*")
_FIELD_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([ -~]*?)[ \t]*")
_DIGITS = re.compile(rb"\d+")
_CONTENT_RANGE = re.compile(rb"bytes (\d+)-(\d+)/(\d+)")
HEAD_BYTES = 64 * 1024


class Malformed(Exception):
    """The bytes received are not a valid response."""


class Ended(Exception):
    """The connection ended. `answer` is the incomplete response, if its head was received."""

    def __init__(self, text, answer=None):
        super().__init__(text)
        self.answer = answer


class Answer(NamedTuple):
    """A response: fields by lower-case name, each with one value; `body` may be cut off."""

    status: int
    fields: dict
    body: bytes

    @property
    def length(self):
        """Content-Length; None without that field."""
        value = self.fields.get(b"content-length")
        return None if value is None else int(value)

    @property
    def closes(self):
        """Whether the response has `Connection: close`."""
        return self.fields.get(b"connection", b"").lower() == b"close"


def parse_head(head):
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
        name = field[1].lower()
        if name in fields:
            raise Malformed(f"duplicate field {name.decode()}")
        fields[name] = field[2]
    for needed in (b"date", b"x-content-type-options"):
        if needed not in fields:
            raise Malformed(f"missing field {needed.decode()}")
    if not _DIGITS.fullmatch(fields.get(b"content-length", b"0")):
        raise Malformed(f"Content-Length is not a number: {fields[b'content-length']!r}")
    if b"transfer-encoding" in fields:
        raise Malformed("unexpected Transfer-Encoding: tenkay never sends it")
    return int(status[1]), fields


class Reader:
    """Reads responses from a socket, one after the other."""

    def __init__(self, sock, pause=lambda: None):
        self._socket = sock
        self._pause = pause
        self._data = b""

    def answer(self, to_head=False):
        """The next response. Raises Ended if the connection ends before it is complete."""
        while (end := self._data.find(b"\r\n\r\n")) < 0:
            if len(self._data) > HEAD_BYTES:
                raise Malformed(f"no end of the head within {HEAD_BYTES:,} bytes")
            self._receive(None)
        status, fields = parse_head(self._data[: end + 2])
        self._data = self._data[end + 4 :]
        answer = Answer(status, fields, b"")
        without_body = to_head or status in (204, 304)
        if answer.length is None and not without_body:
            raise Malformed(f"{status} without Content-Length")
        if status in (204, 304) and answer.length is not None:
            raise Malformed(f"{status} with Content-Length")
        pieces, missing = [], 0 if without_body else answer.length
        while True:
            piece, self._data = self._data[:missing], self._data[missing:]
            pieces.append(piece)
            missing -= len(piece)
            if not missing:
                return answer._replace(body=b"".join(pieces))
            try:
                self._receive(missing)
            except Ended as end:
                raise Ended(str(end), answer._replace(body=b"".join(pieces))) from None

    def expect_end(self):
        """Waits for the end of the connection. Raises Malformed if any byte arrives before it."""
        try:
            while not self._data:
                self._receive(None)
        except Ended:
            return
        raise Malformed(f"data after the last response: {self._data[:80]!r}")

    def _receive(self, most):
        self._pause()
        try:
            data = self._socket.recv(min(most or 65_536, 65_536))
        except ConnectionError as error:
            raise Ended(type(error).__name__) from None
        if not data:
            raise Ended("FIN")
        self._data += data


class Part(NamedTuple):
    """One part of a multipart/byteranges body."""

    first: int
    last: int
    complete: int
    content: bytes


def content_range(fields):
    """First position, last position and complete length from Content-Range."""
    found = _CONTENT_RANGE.fullmatch(fields.get(b"content-range", b""))
    if not found:
        raise Malformed(f"invalid Content-Range: {fields.get(b'content-range')!r}")
    first, last, complete = map(int, found.groups())
    if not first <= last < complete:
        raise Malformed(f"invalid Content-Range: {first}-{last}/{complete}")
    return first, last, complete


def parts(answer):
    """The parts of a multipart/byteranges body (RFC 9110 section 14.6)."""
    media_type = answer.fields.get(b"content-type", b"")
    if not media_type.startswith(b"multipart/byteranges; boundary="):
        raise Malformed(f"expected multipart/byteranges, got {media_type!r}")
    delimiter = b"\r\n--" + media_type.partition(b"boundary=")[2]
    before, *sections = answer.body.split(delimiter)
    if before or len(sections) < 2 or sections.pop() != b"--\r\n":
        raise Malformed("multipart body with missing or misplaced delimiters")
    found = []
    for section in sections:
        head, empty_line, data = section.partition(b"\r\n\r\n")
        lines = [line.partition(b": ") for line in head.split(b"\r\n")[1:]]
        first, last, complete = content_range({name.lower(): value for name, _, value in lines})
        if not empty_line or len(data) != last - first + 1:
            raise Malformed(f"wrong length of the part {first}-{last}: {len(data)} bytes")
        found.append(Part(first, last, complete, data))
    return found
