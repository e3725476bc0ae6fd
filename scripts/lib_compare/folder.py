"""The folder that every server serves: the same names, sizes and bytes in every run."""

import gzip
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

# A text with a sidecar file: name, text and sidecar are the same for all servers.
TEXT_PATH = "/text.css"
TEXT = "".join(f".c{number} {{ margin: {number % 7}px }}\n" for number in range(1000)).encode()
SIDECAR = gzip.compress(TEXT, 9, mtime=0)

# A file larger than any socket buffer; created only for scenarios that need it.
HUGE_PATH = "/1g.bin"
HUGE_BYTES = 1 << 30

# Many small files, 1 to 5 KiB each.
MANY = 10_000
MANY_PATTERN = "/many/%05d.html"
MANY_SIZES = (1024, 5 * 1024)

# Age of the files: a server may treat the validators of a fresh file as weak.
AGE_SECONDS = 3600


def make(root):
    """Writes the folder below `root` (an existing Path). Every user can read it, because nginx and
    others may drop privileges."""
    chance = random.Random(10_000)
    block = chance.randbytes(1 << 20).hex().encode()
    for name, size in FILES.items():
        write(root / name, (block * (size // len(block) + 1))[:size])
    write(root / TEXT_PATH.lstrip("/"), TEXT)
    write(root / f"{TEXT_PATH.lstrip('/')}.gz", SIDECAR)
    (root / "many").mkdir(mode=0o755)
    for index, size in enumerate(many_sizes()):
        start = chance.randrange(len(block) - size)
        write(root / (MANY_PATTERN % index).lstrip("/"), block[start : start + size])


def make_huge(root):
    """Writes the huge file below `root`. OSError if less than twice its size is free."""
    if shutil.disk_usage(root).free < 2 * HUGE_BYTES:
        raise OSError(
            f"not enough disk space below {root}: {2 * HUGE_BYTES >> 20:,} MiB must be free"
        )
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
    """Writes one file of the folder."""
    path.write_bytes(data)
    settle(path)


def settle(path):
    """Makes a file readable for all, and sets its age to AGE_SECONDS."""
    path.chmod(0o644)
    then = time.time() - AGE_SECONDS
    os.utime(path, (then, then))
