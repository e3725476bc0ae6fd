"""The served folder, and the changes to its files.

A file's name contains its class, which determines the allowed responses:

    still      never changes
    moved      replaced by renaming: every response is one complete version
    written    truncated and rewritten in place: responses may be cut off, or be the start of it
    coming     deleted and created again: may be 404
    closed     touched, made readable and unreadable: may be 403, or cut off when touched

`Versions` is shared by all processes. It records the versions of each file and their times.
"""

import collections
import multiprocessing
import os
import random
import time

from lib_soak.content import content

CLASSES = ("still", "moved", "written", "coming", "closed")
SMALL_EACH = 12
LARGE_EACH = 3
# A change must be visible after this time: the server revalidates each second, and this machine may
# be busy.
SEEN_SECONDS = 6.0


def names():
    """The names of all files."""
    return [
        f"{group}-{kind}-{number}"
        for group in CLASSES
        for kind, count in (("small", SMALL_EACH), ("large", LARGE_EACH))
        for number in range(count)
    ]


class Versions:
    """Current and earlier versions of each file; written by one process, read by all."""

    def __init__(self):
        self._index = {name: number for number, name in enumerate(names())}
        self._begun = multiprocessing.Array("q", len(self._index), lock=False)
        self._done = multiprocessing.Array("q", len(self._index), lock=False)
        self._since = multiprocessing.Array("d", len(self._index), lock=False)
        self._oldest = multiprocessing.Array("q", len(self._index), lock=False)
        # Only in the writing process: replaced versions, and when they were replaced.
        self._gone = {name: collections.deque() for name in self._index}

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
    for name in names():
        versions.end(name)
        (root / name).write_bytes(content(name, versions.newest(name)))
        (root / name).chmod(0o644)
    folder = root / "folder"
    folder.mkdir()
    for number in range(600):
        (folder / f"entry {number}").touch()
    root.chmod(0o755)


def churn(root, versions, seed, stop):
    """Changes files until `stop` is set; returns the number of changes."""
    chance = random.Random(seed)
    changing = [name for name in names() if not name.startswith("still")]
    changes = 0
    while not stop.wait(chance.uniform(0.0, 0.01)):
        name = chance.choice(changing)
        change(root, name, versions, chance)
        changes += 1
    for name in changing:
        _replace(root, name, versions)
    return changes


def change(root, name, versions, chance):
    """Makes one change according to the class of the file."""
    path = root / name
    match name.partition("-")[0]:
        case "moved":
            _replace(root, name, versions)
        case "written":
            # A single write call: a concurrent reader sees a prefix of the version.
            data = content(name, versions.begin(name))
            with open(path, "wb", buffering=0) as file:
                file.write(data)
            versions.end(name)
        case "coming":
            if path.exists():
                path.unlink()
            else:
                _replace(root, name, versions)
        case "closed":
            if chance.random() < 0.5:
                os.utime(path)
            else:
                path.chmod(chance.choice([0o644, 0o644, 0o000]))
    if chance.random() < 0.05:
        entry = root / "folder" / f"entry {chance.randrange(600)}"
        entry.touch() if chance.random() < 0.5 else entry.unlink(missing_ok=True)


def _replace(root, name, versions):
    beside = root / f".{name}.new"
    beside.write_bytes(content(name, versions.begin(name)))
    beside.chmod(0o644)
    beside.rename(root / name)
    versions.end(name)
