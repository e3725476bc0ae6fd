"""The scenarios in which one quantity grows: a server, or one for each point, and a load for each.

The server is always tenkay; a point is named LINE X, as in `judge.point`.
"""

import os
import time

from lib_compare import bench, clients, folder, judge, machine
from lib_compare.clients import LoadError, Pool, fetch

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
        raise LoadError("a series needs tenkay")
    root = plan.home / scenario.name
    root.mkdir(mode=0o755)
    folder.write(root / SMALL.lstrip("/"), SMALL_BODY)
    folder.write(root / "10k.html", b"x" * (10 << 10))

    def start(*limits):
        words = [word for limit in limits for word in ("--limit", limit)]
        return stack.enter_context(plan.start(recipe, extra=words, root=root))

    if scenario.name == "grow-listing":
        found = _listing(scenario, plan, root, recipe)
    else:
        found = SERIES[scenario.name](scenario, plan, root, start)
    return {judge.point(line, x): take for line, x, take in found}


def load(plan, running, scenario, path, headers=None, **arguments):
    """One run of wrk as a sample; it is repeated once if the server waited for its core."""
    one = bench.Contender(running, scenario, headers or {}, 0, plan)
    script, connections = one.script(**arguments), scenario.connections
    command = clients.wrk_command(one.url(path), script, connections, plan.seconds, one.headers)

    def once():
        bench.settle(running)
        result = clients.wrk(clients.run(command, plan.seconds))
        return result.requests, result.seconds

    sample = bench.measured(running, once)
    disturbed = sample["waited"] > judge.DISTURBED
    return bench.measured(running, once) if disturbed else sample


def expect(running, body, *paths):
    """LoadError unless each of these paths, requested in one write, is answered with this body."""
    for path, (head, found) in zip(paths, fetch(running.address, paths)):
        if head.status != 200 or found != body:
            raise LoadError(f"{path}: status {head.status}, {len(found)} bytes of body")


def _idle(scenario, plan, _, start):
    running = start()
    expect(running, SMALL_BODY, SMALL)

    def take(count):
        if count > plan.allowed:
            raise LoadError("the limit on open files is too low")
        with Pool(running.address, SMALL, count):
            return load(plan, running, scenario, SMALL)

    return [("server", count, lambda count=count: take(count)) for count in scenario.points]


def _cached(scenario, plan, root, start):
    """One server for each number of files; its cache holds only these. The files are hard links to
    a few: each name is an entry of the cache, and links are fast to create."""
    for index in range(max(scenario.points)):
        path = root / (MANY_PATTERN % index).lstrip("/")
        if index % NAMES_OF_ONE == 0:
            first = path
            folder.write(first, SMALL_BODY)
        else:
            os.link(first, path)
    found = []
    for count in scenario.points:
        machine.progress(f"{scenario.name}: filling the cache with {count:,} files")
        running = start(*LARGE_CACHE)
        for index in range(0, count, WARM_AT_ONCE):
            names = range(index, min(index + WARM_AT_ONCE, count))
            expect(running, SMALL_BODY, *[MANY_PATTERN % name for name in names])
        found.append(("server", count, lambda running=running, count=count: load(
            plan, running, scenario, SMALL, many=(MANY_PATTERN, count))))
    return found


def _pipeline(scenario, plan, _, start):
    running = start()
    found = []
    for depth in scenario.points:
        expect(running, SMALL_BODY, *[SMALL] * depth)
        found.append(("server", depth, lambda depth=depth: load(
            plan, running, scenario, SMALL, pipeline=depth)))
    return found


def _ranges(scenario, plan, _, start):
    running = start()
    found = []
    for count in scenario.points:
        headers = {"Range": range_field(count)}
        ((head, body),) = fetch(running.address, [scenario.path], headers)
        parts = body.count(b"\r\nContent-Range: ") if count > 1 else len(body)
        if head.status != 206 or parts != count:
            raise LoadError(f"status {head.status}, {parts} parts instead of {count}")
        found.append(("server", count, lambda headers=headers: load(
            plan, running, scenario, scenario.path, headers)))
    return found


def range_field(count):
    """`count` ranges of one byte, far enough apart that the server does not join them."""
    return "bytes=" + ",".join(f"{100 * index}-{100 * index}" for index in range(count))


def _drip(scenario, plan, _, start):
    """Each byte is sent separately, to each of the connections in turn. The next byte is sent once
    the server sleeps, because it has then received everything: each receive gets one byte."""
    running = start()

    def take(length):
        head = head_of(length)
        heads = DRIP_BYTES // length // scenario.connections * scenario.connections
        with Pool(running.address, SMALL, scenario.connections) as pool:
            bench.settle(running)
            before = machine.cpu(running.pids())
            for _ in range(heads // scenario.connections):
                _send_slowly(pool, running.process.pid, head)
            used = machine.spent(before, machine.cpu(running.pids()), heads)
        cost = used.pop("cpu_us")
        return {**used, "head_us": cost, "byte_ns": cost * 1000 / length}

    return [("server", length, lambda length=length: take(length)) for length in scenario.points]


def head_of(length):
    """A request head of exactly this length, padded by one long field."""
    bare = len(clients.request(SMALL, headers={"Cookie": ""}))
    return clients.request(SMALL, headers={"Cookie": "c" * (length - bare)})


def _send_slowly(pool, pid, head):
    """Sends the head on each connection, byte by byte, and reads the responses."""
    for byte in head:
        for sock in pool.sockets:
            sock.send(bytes([byte]))
        end = time.monotonic() + clients.TIMEOUT_SECONDS
        # A send makes the server runnable before the send returns.
        while machine.stat(pid)[0] != "S":
            if time.monotonic() > end:
                raise LoadError("the server did not become idle")
    for sock in pool.sockets:
        found = sock.recv(1 << 16)
        if not found.startswith(b"HTTP/1.1 200 ") or len(found) != pool.reply_bytes:
            raise LoadError(f"wrong response to a head sent byte by byte: {found[:40]!r}")


def _listing(scenario, plan, root, recipe):
    """A new server for each sample, because a server caches its listings."""
    for count in scenario.points:
        machine.progress(f"{scenario.name}: creating {FOLDERS[count]} folders of {count:,} files")
        for number in range(FOLDERS[count]):
            path = root / f"{count}-{number:03}"
            path.mkdir(mode=0o755)
            for index in range(count):
                os.close(os.open(path / f"{index:06}.txt", os.O_CREAT | os.O_WRONLY, 0o644))

    def take(count):
        paths = [f"/{count}-{number:03}/" for number in range(FOLDERS[count])]
        with plan.start(recipe, root=root) as running:
            expect(running, SMALL_BODY, SMALL)
            bench.settle(running)
            before = machine.cpu(running.pids())
            for path in paths:
                ((head, body),) = fetch(running.address, [path])
                if head.status != 200 or body.count(b'.txt"') != count:
                    raise LoadError(f"{path}: status {head.status}, {body.count(b'.txt')} files")
            used = machine.spent(before, machine.cpu(running.pids()), len(paths))
        cost = used.pop("cpu_us")
        return {**used, "listing_us": cost, "entry_us": cost / count}

    return [("server", count, lambda count=count: take(count)) for count in scenario.points]


def _size(scenario, plan, root, start):
    """Two servers: one caches the contents of all files, the other of none."""
    limits = {"memory": "cached_body_bytes=16777216", "sendfile": "cached_body_bytes=0"}
    running = {line: start(limits[line]) for line in scenario.lines}
    found = []
    for size in scenario.points:
        folder.write(root / f"{size}.bin", b"x" * size)
        for line, server in running.items():
            expect(server, b"x" * size, f"/{size}.bin")
            found.append((line, size, lambda server=server, size=size: load(
                plan, server, scenario, f"/{size}.bin")))
    return found


SERIES = {"grow-idle": _idle, "grow-cached": _cached, "grow-pipeline": _pipeline,
          "grow-ranges": _ranges, "grow-drip": _drip, "grow-size": _size}
