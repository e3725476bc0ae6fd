"""The served folder: files whose every line names their version, and the changes to them.

The size and the bytes of a version depend only on its name and number, so a client can tell from
any bytes of a response which version they belong to, and whether all of them do. A line is 64
bytes, which divides the page size: if a kernel or a cache mixes pages, the mix occurs at line
boundaries.

A file's name contains its class, which determines the allowed responses:

    still      never changes
    moved      replaced by renaming: every response is one complete version
    written    truncated and rewritten in place: responses may be cut off, or be the start of it
    coming     deleted and created again: may be 404
    closed     touched, made readable and unreadable: may be 403, or cut off when touched

`Versions` is shared by all processes. It records the versions of each file and their times.
"""

import collections
import functools
import multiprocessing
import os
import random
import re
import time
import zlib

CLASSES = ("still", "moved", "written", "coming", "closed")
NAMES = [f"{group}-{kind}-{number}" for group in CLASSES
         for kind, count in (("small", 12), ("large", 3)) for number in range(count)]
CHANGING = [name for name in NAMES if not name.startswith("still")]
ENTRIES = 600  # of the folder that is only listed

LINE = 64
# The sizes of small files, and of large ones: larger than the bodies that the server caches, so
# that these are sent with sendfile; some are larger than the buffers of a socket.
SMALL, LARGE = (LINE, 6_000), (70_000, 4_000_000)
_STAMP = re.compile(rb"^([a-z0-9-]{1,16}) +v(\d{8}) s(\d{10}) l(\d{10}) \.+\n", re.MULTILINE)

# A change must be visible after this time: the server revalidates each second, and this machine may
# be busy.
SEEN_SECONDS = 6.0


def group(name):
    """The class of a file."""
    return name.partition("-")[0]


def sizes(name):
    """The least and the greatest size of the versions of a file."""
    return LARGE if "-large-" in name else SMALL


def size(name, version):
    """The size of a version; successive versions differ."""
    least, most = sizes(name)
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


class Versions:
    """Current and earlier versions of each file; written by one process, read by all."""

    def __init__(self):
        self._index = {name: number for number, name in enumerate(NAMES)}
        self._begun, self._done, self._oldest, self._since = (
            multiprocessing.Array(kind, len(NAMES), lock=False) for kind in "qqqd")
        # Only in the writing process: replaced versions, and when they were replaced.
        self._gone = {name: collections.deque() for name in NAMES}

    def begin(self, name):
        """Starts a new version and returns its number."""
        index, now, gone = self._index[name], time.monotonic(), self._gone[name]
        gone.append((self._done[index], now))
        while gone[0][1] < now - SEEN_SECONDS:
            gone.popleft()
        self._oldest[index] = gone[0][0]
        self._since[index] = float("inf")
        self._begun[index] += 1
        return self._begun[index]

    def end(self, name):
        """Marks the started version as written."""
        index = self._index[name]
        self._done[index] = self._begun[index]
        self._since[index] = time.monotonic()

    def oldest(self, name):
        """The oldest version that the response to a request sent now may contain."""
        index = self._index[name]
        done, since = self._done[index], self._since[index]
        return done if time.monotonic() - since > SEEN_SECONDS else self._oldest[index]

    def newest(self, name):
        """The newest version that a response received by now may contain."""
        return self._begun[self._index[name]]


def make(root, versions):
    """Creates the folder with the first version of every file."""
    for name in NAMES:
        versions.end(name)
        (root / name).write_bytes(content(name, versions.newest(name)))
        (root / name).chmod(0o644)
    (root / "folder").mkdir()
    for number in range(ENTRIES):
        (root / "folder" / f"entry {number}").touch()
    root.chmod(0o755)


def churn(root, versions, seed, stop):
    """Changes files until the event `stop` is set."""
    chance = random.Random(seed)
    while not stop.wait(chance.uniform(0.0, 0.01)):
        change(root, chance.choice(CHANGING), versions, chance)
    for name in CHANGING:
        _replace(root, name, versions)


def change(root, name, versions, chance):
    """Makes one change according to the class of the file."""
    path = root / name
    match group(name):
        case "moved":
            _replace(root, name, versions)
        case "written":
            # A single write call: a concurrent reader sees a prefix of the version.
            data = content(name, versions.begin(name))
            with open(path, "wb", buffering=0) as file:
                file.write(data)
            versions.end(name)
        case "coming" if path.exists():
            path.unlink()
        case "coming":
            _replace(root, name, versions)
        case "closed" if chance.random() < 0.5:
            os.utime(path)
        case "closed":
            path.chmod(chance.choice([0o644, 0o644, 0o000]))
    if chance.random() < 0.05:
        entry = root / "folder" / f"entry {chance.randrange(ENTRIES)}"
        entry.touch() if chance.random() < 0.5 else entry.unlink(missing_ok=True)


def _replace(root, name, versions):
    beside = root / f".{name}.new"
    beside.write_bytes(content(name, versions.begin(name)))
    beside.chmod(0o644)
    beside.rename(root / name)
    versions.end(name)
