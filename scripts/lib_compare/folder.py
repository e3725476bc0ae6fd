"""The folder that every server serves: the same names, sizes and bytes in every run."""

import os
import random
import shutil
import time

# Files of one size: name -> bytes.
FILES = {
    "1k.html": 1024,
    "10k.html": 10 * 1024,
    "100k.bin": 100 * 1024,
    "1m.bin": 1 << 20,
    "10m.bin": 10 << 20,
}

# A file that no socket's buffers can hold; made only where it is asked for.
HUGE_PATH = "/1g.bin"
HUGE_BYTES = 1 << 30

# Many small files, 1 to 5 KiB each.
MANY = 10_000
MANY_PATTERN = "/many/%05d.html"
MANY_SIZES = (1024, 5 * 1024)

# Files are this old: a server may hold the validators of a fresh file to be weak.
AGE_SECONDS = 3600


def make(root):
    """Writes the folder below `root` (a Path that exists). Readable for every user: nginx and
    others may give up their rights."""
    chance = random.Random(10_000)
    block = chance.randbytes(1 << 20).hex().encode()
    for name, size in FILES.items():
        write(root / name, (block * (size // len(block) + 1))[:size])
    (root / "many").mkdir(mode=0o755)
    for index, size in enumerate(many_sizes()):
        start = chance.randrange(len(block) - size)
        write(root / (MANY_PATTERN % index).lstrip("/"), block[start : start + size])


def make_huge(root):
    """Writes the huge file below `root`. OSError: there is no room for it, and some more."""
    if shutil.disk_usage(root).free < 2 * HUGE_BYTES:
        raise OSError(f"no room for a file of {HUGE_BYTES >> 20:,} MiB in {root}")
    block = random.Random(3).randbytes(1 << 20)
    path = root / HUGE_PATH.lstrip("/")
    with path.open("wb") as file:
        for _ in range(HUGE_BYTES // len(block)):
            file.write(block)
    settle(path)


def many_sizes():
    """The sizes of the many small files, in order."""
    chance = random.Random(1)
    return [chance.randint(*MANY_SIZES) for _ in range(MANY)]


def write(path, data):
    """Writes one file of the folder: readable for all, and not fresh."""
    path.write_bytes(data)
    settle(path)


def settle(path):
    """Readable for all, and not fresh."""
    path.chmod(0o644)
    then = time.time() - AGE_SECONDS
    os.utime(path, (then, then))
