"""Files that say in every line what they are: name, version, size, place.

The size and the bytes of a version follow from its name and number alone, so whoever has some bytes
of an answer can tell of which version they are, and if all of them are. A line is 64 bytes, which
divides every page: what a kernel or a cache could mix up, it would mix at lines.
"""

import functools
import re
import zlib

LINE = 64
SMALL = (LINE, 6_000)
# Beyond what the server keeps in memory (64 KiB), so that these are sent from their files; and some
# beyond what the buffers of a socket take at once.
LARGE = (70_000, 4_000_000)
_STAMP = re.compile(rb"^([a-z0-9-]{1,16}) +v(\d{8}) s(\d{10}) l(\d{10}) \.+\n", re.MULTILINE)


def is_large(name):
    """Whether the versions of this file are large."""
    return "-large-" in name


def size(name, version):
    """Bytes of a version; different for neighbours."""
    least, most = LARGE if is_large(name) else SMALL
    return least + zlib.crc32(f"{name}/{version}".encode()) % (most - least)


@functools.lru_cache(maxsize=64)
def content(name, version):
    """All bytes of a version."""
    return piece(name, version, 0, size(name, version))


def piece(name, version, at, length):
    """As many bytes of a version, from `at`, as it has."""
    end = min(at + length, size(name, version))
    start = f"{name:<16} v{version:08} s{size(name, version):010} l".encode()
    rest = b" " + b"." * (LINE - len(start) - 10 - 2) + b"\n"
    first, after = at // LINE, -(-end // LINE)
    lines = b"".join(b"%s%010d%s" % (start, line, rest) for line in range(first, after))
    return lines[at - first * LINE : max(end - first * LINE, 0)]


def version_of(data):
    """The version that the first whole line in `data` names; None if there is no such line."""
    found = _STAMP.search(data)
    return int(found[2]) if found else None


def fault(name, data, at=0, versions=range(1)):
    """What is wrong with `data` as the bytes from `at` of one of these versions; None: nothing."""
    version = version_of(data)
    if version is None:
        if len(data) >= 2 * LINE:
            return "not a line of any version"
        if any(piece(name, one, at, len(data)) == data for one in reversed(versions)):
            return None
        return "the bytes are of no version"
    if version not in versions:
        return f"version {version} is not among {versions.start} to {versions.stop - 1}"
    if content(name, version)[at : at + len(data)] != data:
        others = {int(one[2]) for one in _STAMP.finditer(data)} - {version}
        return f"version {version} is mixed with {sorted(others) or 'something else'}"
    return None
