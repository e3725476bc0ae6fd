"""The first listing of a folder by a newly started server."""

import os

from lib_compare import procfs
from lib_compare.checks import CheckError, Wire
from lib_growth.bench import Plan, Probe, wait_until_idle

# Folders of each size per sample: many small ones, so that a sample is long enough to be precise.
FOLDERS = {10: 200, 100: 50, 1_000: 10, 10_000: 2, 100_000: 1}

FIRST = "/first/"


def listing(series, bench, stack):
    """A new server for each sample, because a server caches its listings."""
    del stack  # nothing outlives a sample
    root = bench.folder("listing")
    counts = series.chosen(bench.quick)
    make(root / FIRST.strip("/"), 1)
    for count in counts:
        bench.report(f"listing: creating {FOLDERS[count]} folders of {count:,} files")
        for number in range(FOLDERS[count]):
            make(root / _name(count, number), count)
    return Plan([
        Probe("server", count, lambda count=count: _sample(bench, root, count))
        for count in counts
    ])


def make(path, count):
    """Creates a folder with `count` empty files."""
    path.mkdir(mode=0o755)
    for index in range(count):
        os.close(os.open(path / f"{index:06}.txt", os.O_CREAT | os.O_WRONLY, 0o644))


def _name(count, number):
    return f"{count}-{number:03}"


def _sample(bench, root, count):
    folders = [f"/{_name(count, number)}/" for number in range(FOLDERS[count])]
    with bench.server(root) as running, Wire(running.address) as wire:
        _list(wire, FIRST, 1)
        wait_until_idle(running)
        pids = running.pids()
        before = procfs.cpu(pids)
        for path in folders:
            _list(wire, path, count)
        after = procfs.cpu(pids)
    figures = procfs.spent(before, after, len(folders))
    figures["listing_us"] = figures.pop("cpu_us")
    figures["entry_us"] = figures["listing_us"] / count
    return figures


def _list(wire, path, count):
    """Requests a listing. CheckError unless it has `count` files."""
    wire.send(path, {})
    head, body = wire.reply()
    found = body.count(b'.txt"')
    if head.status != 200 or found != count:
        raise CheckError(f"{path}: status {head.status}, {found} files instead of {count}")
