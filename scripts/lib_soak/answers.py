"""Checks responses of tenkay against the versions that the requested file had.

`Violation` and `Malformed` are faults of the server.
"""

import re

from lib_compare import http1
from lib_compare.http1 import Malformed
from lib_soak import files

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")

# Statuses that a file of this class can cause, besides the usual ones. 500: the file was rewritten
# during each attempt to read it.
OTHER_STATUSES = {"written": {500}, "coming": {404}, "closed": {403}}

# Classes whose files change in size or time while they are sent, so responses may be cut off.
CUT_OFF = {"written", "closed"}


class Violation(Malformed):
    """The server violated its contract: the response is not one of this file."""


class Reader(http1.Reader):
    """A reader that also checks the fields that each response of tenkay has."""

    def parse_head(self, head):
        """Parses a head without its empty line; returns status and fields."""
        status, fields = super().parse_head(head)
        for needed in ("date", "x-content-type-options"):
            if needed not in fields:
                raise Malformed(f"missing field {needed}")
        if status in (204, 304) and "content-length" in fields:
            raise Malformed(f"{status} with Content-Length")
        return status, fields


def content_range(fields):
    """First position, last position and complete length from Content-Range."""
    found = _CONTENT_RANGE.fullmatch(fields.get("content-range", ""))
    if not found:
        raise Violation(f"invalid Content-Range: {fields.get('content-range')!r}")
    first, last, complete = map(int, found.groups())
    if not first <= last < complete:
        raise Violation(f"invalid Content-Range: {first}-{last}/{complete}")
    return first, last, complete


def pieces(answer):
    """The bytes of a file in a 200 or 206, as a list of (bytes, offset, complete length of the
    file). Raises Violation unless the lengths agree."""
    if answer.status == 200:
        return [(answer.body, 0, answer.length)]
    if answer.status != 206:
        return []
    if "content-range" not in answer.fields:
        return parts(answer)
    first, last, complete = content_range(answer.fields)
    if last - first + 1 != answer.length:
        raise Violation(f"Content-Length {answer.length} for the range {first}-{last}")
    return [(answer.body, first, complete)]


def parts(answer):
    """The same, of a multipart/byteranges body (RFC 9110 section 14.6)."""
    media_type = answer.fields.get("content-type", "")
    if not media_type.startswith("multipart/byteranges; boundary="):
        raise Violation(f"expected multipart/byteranges, got {media_type!r}")
    delimiter = b"\r\n--" + media_type.partition("boundary=")[2].encode()
    before, *sections = answer.body.split(delimiter)
    if before or len(sections) < 2 or sections.pop() != b"--\r\n":
        raise Violation("multipart body with missing or misplaced delimiters")
    found = []
    for section in sections:
        head, empty_line, data = section.partition(b"\r\n\r\n")
        lines = [line.partition(": ") for line in head.decode("latin-1").split("\r\n")[1:]]
        first, last, complete = content_range({name.lower(): value for name, _, value in lines})
        if not empty_line or len(data) != last - first + 1:
            raise Violation(f"wrong length of the part {first}-{last}: {len(data)} bytes")
        found.append((data, first, complete))
    return found


def judge(name, answer, versions, usual, scarce):
    """Raises Violation unless `answer` has one of the `usual` statuses with bytes of one of
    `versions`, or a failure that this class of file, or scarce resources, can cause."""
    if answer.status in usual:
        found = pieces(answer)
        for piece in found:
            judge_piece(name, *piece, versions)
        if len({files.version_of(data) for data, _, _ in found} - {None}) > 1:
            raise Violation(f"{name}: the parts belong to several versions")
        return
    others = OTHER_STATUSES.get(files.group(name), set()) | ({503} if scarce else set())
    if answer.status not in others:
        raise Violation(f"{name}: status {answer.status} instead of {sorted(usual)}")


def judge_cut_off(name, answer, versions):
    """Raises Violation unless the bytes received of an incomplete body are right."""
    if answer.status == 200 or "content-range" in answer.fields:
        for piece in pieces(answer):
            judge_piece(name, *piece, versions)


def judge_piece(name, data, at, complete, versions):
    """Raises Violation unless `data` is at offset `at` in one of `versions`, and that version has
    `complete` bytes.

    A file that is being rewritten in place may appear with only the start of its new version.
    """
    trouble = files.fault(name, data, at, versions)
    if trouble:
        raise Violation(f"{name}, {len(data)} bytes from {at} of {complete}: {trouble}")
    version = files.version_of(data)
    sizes = {files.size(name, one) for one in (versions if version is None else [version])}
    if complete in sizes or files.group(name) == "written" and complete < max(sizes):
        return
    raise Violation(f"{name}: the length {complete} is not the size of an allowed version")
