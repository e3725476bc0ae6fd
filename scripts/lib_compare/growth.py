"""The scenarios in which one quantity grows: a server, or one for each point, and a load for each.

The server is always tenkay; a point is named LINE X, as in `judge.point`.
"""

import os
import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lib_compare import bench, clients, folder, judge, machine
from lib_compare.clients import Pool, fetch
from lib_compare.http1 import request
from lib_compare.machine import Failure

# Hard links per file: file systems limit them (ext4: 65,000).
NAMES_OF_ONE, MANY_PATTERN = 10_000, "/%06d.html"

# Requests per write while the cache is filled.
WARM_AT_ONCE = 256

# Limits for a cache that holds all files.
LARGE_CACHE = ("cache_bytes=1073741824", "cache_entries=200000", "revalidate_ms=3600000")

# Bytes of heads per sample, independent of their length, so that all samples are equally precise.
DRIP_BYTES = 102_400

# Folders of each size per sample: many small ones, so that a sample is long enough to be precise.
FOLDERS = {10: 200, 100: 50, 1_000: 10, 10_000: 2, 100_000: 1}

SMALL, SMALL_BODY = "/1k.html", b"x" * 1024


def takers(scenario, recipe, plan, stack):
    """The functions that take a sample, by point; `recipe` is that of tenkay."""
    if recipe.kind != "ours":
        raise Failure("a series needs tenkay")
    root = plan.home / scenario.name
    root.mkdir(mode=0o755)
    folder.write(root / SMALL.lstrip("/"), SMALL_BODY)
    folder.write(root / "10k.html", b"x" * (10 << 10))
    series = Series(scenario, recipe, plan, root, stack)
    return {judge.point(line, x): take for line, x, take in SERIES[scenario.name](series)}


@dataclass
class Series:
    """A scenario with tenkay, and the folder that it serves. `stack` stops the servers."""

    scenario: object
    recipe: object
    plan: object
    root: Path
    stack: ExitStack

    def start(self, *limits):
        """Starts a server, which runs until the end of the series."""
        words = [word for limit in limits for word in ("--limit", limit)]
        return self.stack.enter_context(self.plan.start(self.recipe, extra=words, root=self.root))

    def load(self, running, path, headers=None, **arguments):
        """One run of wrk as a sample; it is repeated once if the server waited for its core."""
        one = bench.Contender(running, self.scenario, self.plan, headers or {})
        script = self.plan.script(**arguments)
        for _ in range(2):
            bench.settle(running)
            sample = bench.wrk(one, running.url(path), script)
            if sample["waited"] <= judge.DISTURBED:
                break
        return sample


def expect(running, body, *paths):
    """Failure unless each of these paths, requested in one write, is answered with this body."""
    for path, answer in zip(paths, fetch(running.address, paths)):
        if answer.status != 200 or answer.body != body:
            raise Failure(f"{path}: status {answer.status}, {len(answer.body)} bytes of body")


def cost(running, key, requests, load):
    """The CPU time of a load of this many requests as a sample."""
    bench.settle(running)
    before = machine.cpu(running.pids())
    load()
    used = machine.spent(before, machine.cpu(running.pids()), requests)
    return {key: used.pop("cpu_us"), **used}


# The series: each makes the name of its line, the points, and the functions that take a sample.


def _idle(series):
    running = series.start()
    expect(running, SMALL_BODY, SMALL)

    def take(count):
        if count > series.plan.allowed:
            raise Failure("the limit on open files is too low")
        with Pool(running.address, request(SMALL), count):
            return series.load(running, SMALL)

    for count in series.scenario.points:
        yield "server", count, partial(take, count)


def _cached(series):
    """One server for each number of files; its cache holds only these. The files are hard links to
    a few: each name is an entry of the cache, and links are fast to create."""
    for index in range(max(series.scenario.points)):
        path = series.root / (MANY_PATTERN % index).lstrip("/")
        if index % NAMES_OF_ONE == 0:
            first = path
            folder.write(first, SMALL_BODY)
        else:
            os.link(first, path)
    for count in series.scenario.points:
        running = series.start(*LARGE_CACHE)
        for index in range(0, count, WARM_AT_ONCE):
            names = range(index, min(index + WARM_AT_ONCE, count))
            expect(running, SMALL_BODY, *[MANY_PATTERN % name for name in names])
        yield "server", count, partial(series.load, running, SMALL, many=(MANY_PATTERN, count))


def _pipeline(series):
    running = series.start()
    for depth in series.scenario.points:
        expect(running, SMALL_BODY, *[SMALL] * depth)
        yield "server", depth, partial(series.load, running, SMALL, pipeline=depth)


def _ranges(series):
    running, path = series.start(), series.scenario.path
    for count in series.scenario.points:
        headers = {"Range": range_field(count)}
        (answer,) = fetch(running.address, [path], headers)
        parts = answer.body.count(b"\r\nContent-Range: ")
        if answer.status != 206 or parts != count:
            raise Failure(f"status {answer.status}, {parts} parts instead of {count}")
        yield "server", count, partial(series.load, running, path, headers)


def range_field(count):
    """`count` ranges of one byte, far enough apart that the server does not join them."""
    return "bytes=" + ",".join(f"{100 * index}-{100 * index}" for index in range(count))


def _drip(series):
    """Each byte is sent separately, to each of the connections in turn. The next byte is sent once
    the server sleeps, because it has then received everything: each receive gets one byte."""
    running, connections = series.start(), series.scenario.connections

    def take(length):
        head, rounds = head_of(length), DRIP_BYTES // length // connections
        with Pool(running.address, request(SMALL), connections) as pool:
            return cost(running, "head_us", rounds * connections, lambda: [
                _send_slowly(pool, running.process.pid, head) for _ in range(rounds)])

    for length in series.scenario.points:
        yield "server", length, partial(take, length)


def head_of(length):
    """A request head of exactly this length, padded by one long field."""
    bare = len(request(SMALL, {"Cookie": ""}))
    return request(SMALL, {"Cookie": "c" * (length - bare)})


def _send_slowly(pool, pid, head):
    """Sends the head on each connection, byte by byte, and reads the responses."""
    for byte in head:
        for reader in pool.readers:
            reader.sock.send(bytes([byte]))
        end = time.monotonic() + clients.TIMEOUT_SECONDS
        # A send makes the server runnable before the send returns.
        while machine.stat(pid)[0] != "S":
            if time.monotonic() > end:
                raise Failure("the server did not become idle")
    pool.read(pool.readers)


def _listing(series):
    """A new server for each sample, because a server caches its listings."""
    def take(count):
        with series.plan.start(series.recipe, root=series.root) as running:
            expect(running, SMALL_BODY, SMALL)
            return cost(running, "listing_us", FOLDERS[count], lambda: [
                _list(running, f"/{count}-{number:03}/", count)
                for number in range(FOLDERS[count])])

    for count in series.scenario.points:
        for number in range(FOLDERS[count]):
            path = series.root / f"{count}-{number:03}"
            path.mkdir(mode=0o755)
            for index in range(count):
                (path / f"{index:06}.txt").touch(0o644)
        yield "server", count, partial(take, count)


def _list(running, path, count):
    (answer,) = fetch(running.address, [path])
    listed = answer.body.count(b'.txt"')
    if answer.status != 200 or listed != count:
        raise Failure(f"{path}: status {answer.status}, {listed} files")


def _size(series):
    """Two servers: one caches the contents of all files, the other of none."""
    limits = {"memory": "cached_body_bytes=16777216", "sendfile": "cached_body_bytes=0"}
    servers = {line: series.start(limits[line]) for line in series.scenario.lines}
    for size in series.scenario.points:
        folder.write(series.root / f"{size}.bin", b"x" * size)
        for line, running in servers.items():
            expect(running, b"x" * size, f"/{size}.bin")
            yield line, size, partial(series.load, running, f"/{size}.bin")


SERIES = {"grow-idle": _idle, "grow-cached": _cached, "grow-pipeline": _pipeline,
          "grow-ranges": _ranges, "grow-drip": _drip, "grow-listing": _listing, "grow-size": _size}
