"""File contents that name file, version, size and line number in every line.

The size and the bytes of a version depend only on its name and number, so a client can tell from
any bytes of a response which version they belong to, and whether all of them do. A line is 64
bytes, which divides the page size: if a kernel or a cache mixes pages, the mix occurs at line
boundaries.
"""

import functools
import re
import zlib

LINE = 64
SMALL = (LINE, 6_000)
# Larger than the bodies that the server caches (64 KiB), so that these are sent with sendfile; some
# are larger than the buffers of a socket.
LARGE = (70_000, 4_000_000)
_STAMP = re.compile(rb"^([a-z0-9-]{1,16}) +v(\d{8}) s(\d{10}) l(\d{10}) \.+\n", re.MULTILINE)


def is_large(name):
    """Whether the versions of this file are large."""
    return "-large-" in name


def size(name, version):
    """The size of a version; successive versions differ."""
    least, most = LARGE if is_large(name) else SMALL
    return least + zlib.crc32(f"{name}/{version}".encode()) % (most - least)


@functools.lru_cache(maxsize=64)
def content(name, version):
    """The content of a version."""
    return piece(name, version, 0, size(name, version))


def piece(name, version, at, length):
    """At most `length` bytes of a version from offset `at`."""
    end = min(at + length, size(name, version))
    start = f"{name:<16} v{version:08} s{size(name, version):010} l".encode()
    rest = b" " + b"." * (LINE - len(start) - 10 - 2) + b"\n"
    first, after = at // LINE, -(-end // LINE)
    lines = b"".join(b"%s%010d%s" % (start, line, rest) for line in range(first, after))
    return lines[at - first * LINE : max(end - first * LINE, 0)]


def version_of(data):
    """The version named in the first complete line of `data`; None without such a line."""
    found = _STAMP.search(data)
    return int(found[2]) if found else None


def fault(name, data, at=0, versions=range(1)):
    """Checks that `data` is the bytes from `at` of one of these versions; returns the fault as
    text, or None."""
    version = version_of(data)
    if version is None:
        if len(data) >= 2 * LINE:
            return "not a line of any version"
        if any(piece(name, one, at, len(data)) == data for one in reversed(versions)):
            return None
        return "the bytes match no version"
    if version not in versions:
        return f"version {version} is not among {versions.start} to {versions.stop - 1}"
    if content(name, version)[at : at + len(data)] != data:
        others = {int(one[2]) for one in _STAMP.finditer(data)} - {version}
        return f"version {version} is mixed with {sorted(others) or 'something else'}"
    return None
