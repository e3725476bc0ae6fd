"""The folder that every server serves: the same names, sizes and bytes in every run."""

import gzip
import os
import random
import shutil
import time

# Files of one size: name -> bytes.
FILES = {
    "1k.html": 1 << 10, "10k.html": 10 << 10, "100k.bin": 100 << 10, "1m.bin": 1 << 20,
    "10m.bin": 10 << 20,
}


def _rules(count):
    """A text of `count` lines, and its sidecar file."""
    lines = [f".c{number} {{ margin: {number % 7}px }}\n" for number in range(count)]
    text = "".join(lines).encode()
    return text, gzip.compress(text, 9, mtime=0)


# Texts with a sidecar file: path -> (text, sidecar). The sidecar of the second one has about 1 KiB.
TEXTS = {"/text.css": _rules(1000), "/small.css": _rules(360)}

# A file larger than any socket buffer; created only for scenarios that need it.
HUGE_PATH, HUGE_BYTES = "/1g.bin", 1 << 30

# Many small files, 1 to 5 KiB each.
MANY, MANY_PATTERN, MANY_SIZES = 10_000, "/many/%05d.html", (1024, 5 * 1024)

# Age of the files: a server may treat the validators of a fresh file as weak.
AGE_SECONDS = 3600


def make(root, huge):
    """Writes the folder below `root` (an existing Path), with the huge file if it is needed."""
    chance = random.Random(10_000)
    block = chance.randbytes(1 << 20).hex().encode()
    for name, size in FILES.items():
        write(root / name, (block * (size // len(block) + 1))[:size])
    for path, (text, sidecar) in TEXTS.items():
        write(root / path.lstrip("/"), text)
        write(root / f"{path.lstrip('/')}.gz", sidecar)
    (root / "many").mkdir(mode=0o755)
    for index, size in enumerate(many_sizes()):
        start = chance.randrange(len(block) - size)
        write(root / (MANY_PATTERN % index).lstrip("/"), block[start : start + size])
    if huge:
        if shutil.disk_usage(root).free < 2 * HUGE_BYTES:
            raise OSError(f"{root}: {2 * HUGE_BYTES >> 20:,} MiB of the disk must be free")
        write(root / HUGE_PATH.lstrip("/"), block[: 1 << 20], HUGE_BYTES >> 20)


def many_sizes():
    """The sizes of the many small files, in order."""
    chance = random.Random(1)
    return [chance.randint(*MANY_SIZES) for _ in range(MANY)]


def write(path, data, times=1):
    """Writes one file that every user can read, because nginx and others may drop privileges."""
    with path.open("wb") as file:
        for _ in range(times):
            file.write(data)
    path.chmod(0o644)
    then = time.time() - AGE_SECONDS
    os.utime(path, (then, then))
