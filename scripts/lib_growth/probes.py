"""The series whose load is wrk."""

import os
import socket
import struct

from lib_compare import folder, http1, wrk
from lib_compare.checks import CheckError, Wire
from lib_compare.clients import ConnectionPool
from lib_growth.bench import Plan, Probe, check, check_ranges
from lib_growth.load import Load, sample

SMALL = "/1k.html"
SMALL_BODY = b"x" * 1024

# Hard links per file: file systems limit them (ext4: 65,000).
NAMES_OF_ONE = 10_000
MANY_PATTERN = "/%06d.html"

# Requests per write while the cache is filled.
WARM_AT_ONCE = 64

# Limits for a cache that holds all files.
LARGE_CACHE = ("cache_bytes=1073741824", "cache_entries=200000", "revalidate_ms=3600000")

RANGES_PATH = "/10k.html"


class ResizablePool(ConnectionPool):
    """A pool that can shrink. It resets its connections, so that no port stays in TIME_WAIT."""

    def resize(self, count):
        """Opens more connections, or resets all and opens `count`."""
        if count < len(self.links):
            self.reset()
        self.open(count - len(self.links))

    def reset(self):
        """Resets every connection."""
        for link in self.links:
            option = struct.pack("ii", 1, 0)
            link.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, option)
            link.socket.close()
        self.links.clear()

    def close(self):
        self.reset()
        super().close()


def idle(series, bench, stack):
    """Idle connections beside the load; their number grows within each round."""
    root = bench.folder("idle")
    folder.write(root / SMALL.lstrip("/"), SMALL_BODY)
    running = stack.enter_context(bench.server(root))
    check(running.address, SMALL, SMALL_BODY)
    request = http1.request(SMALL, "%s:%d" % running.address)
    pool = stack.enter_context(ResizablePool(running.address, request))

    def take(count):
        pool.resize(count)
        return sample(bench, running, Load(SMALL))

    # Server and client need a few other descriptors, and the load its own connections.
    most = bench.open_files - 500
    counts = list(dict.fromkeys(min(count, most) for count in series.chosen(bench.quick)))
    return Plan([Probe("server", count, lambda count=count: take(count)) for count in counts])


def cached(series, bench, stack):
    """One server for each number of files; its cache holds only these."""
    root = bench.folder("cached")
    counts = series.chosen(bench.quick)
    make_many(root, max(counts))
    probes = []
    for count in counts:
        bench.report(f"cached: filling the cache with {count:,} files")
        running = stack.enter_context(bench.server(root, *LARGE_CACHE))
        warm(running.address, count)
        load = Load(MANY_PATTERN % 0, script=wrk.script(pattern=MANY_PATTERN, count=count))
        probes.append(_probe("server", count, bench, running, load))
    return Plan(probes)


def make_many(root, count):
    """Creates many hard links to a few files: each name is a cache entry, and links are fast to
    create."""
    for index in range(count):
        path = root / (MANY_PATTERN % index).lstrip("/")
        if index % NAMES_OF_ONE == 0:
            first = path
            folder.write(first, SMALL_BODY)
        else:
            os.link(first, path)


def warm(address, count):
    """Requests each file once and checks every response."""
    with Wire(address) as wire:
        for start in range(0, count, WARM_AT_ONCE):
            names = range(start, min(start + WARM_AT_ONCE, count))
            requests = [http1.request(MANY_PATTERN % name, wire.host) for name in names]
            wire.socket.sendall(b"".join(requests))
            for name in names:
                head, body = wire.reply()
                if head.status != 200 or body != SMALL_BODY:
                    raise CheckError(
                        f"{MANY_PATTERN % name}: wrong response: status {head.status}, "
                        f"{len(body)} bytes of body"
                    )


def pipeline(series, bench, stack):
    """One server, and a script for each depth."""
    root = bench.folder("pipeline")
    folder.write(root / SMALL.lstrip("/"), SMALL_BODY)
    running = stack.enter_context(bench.server(root))
    probes = []
    for depth in series.chosen(bench.quick):
        check(running.address, SMALL, SMALL_BODY, times=depth)
        # Few connections: wrk does not count responses to requests that are outstanding at its end.
        load = Load(SMALL, connections=8, script=wrk.script(pipeline=depth))
        probes.append(_probe("server", depth, bench, running, load))
    return Plan(probes)


def ranges(series, bench, stack):
    """One server, and a Range field for each number of ranges."""
    root = bench.folder("ranges")
    folder.write(root / RANGES_PATH.lstrip("/"), b"x" * 10 * 1024)
    running = stack.enter_context(bench.server(root))
    probes = []
    for count in series.chosen(bench.quick):
        headers = {"Range": range_field(count)}
        check_ranges(running.address, RANGES_PATH, headers, count)
        load = Load(RANGES_PATH, headers=headers)
        probes.append(_probe("server", count, bench, running, load))
    return Plan(probes)


def range_field(count):
    """`count` ranges of one byte, far enough apart that the server does not join them."""
    return "bytes=" + ",".join(f"{100 * index}-{100 * index}" for index in range(count))


def size(series, bench, stack):
    """Two servers: one caches the contents of all files, the other of none."""
    root = bench.folder("size")
    limits = {"memory": "cached_body_bytes=16777216", "sendfile": "cached_body_bytes=0"}
    running = {
        line: stack.enter_context(bench.server(root, limits[line])) for line in series.lines
    }
    probes = []
    for bytes_ in series.chosen(bench.quick):
        body = b"x" * bytes_
        folder.write(root / f"{bytes_}.bin", body)
        for line, server in running.items():
            check(server.address, f"/{bytes_}.bin", body)
            load = Load(f"/{bytes_}.bin", connections=16)
            probes.append(_probe(line, bytes_, bench, server, load))
    return Plan(probes)


def _probe(line, x, bench, running, load):
    return Probe(line, x, lambda: sample(bench, running, load))
