"""Heads that arrive byte by byte: the cost of a byte that completes nothing.

Each byte is sent separately, to each of the connections in turn. The next byte is sent once the
server sleeps, because it has then received everything. Each receive therefore gets one byte, which
strace verifies if it is installed.
"""

import time

from lib_compare import folder, http1, procfs
from lib_compare.clients import TIMEOUT_SECONDS, ClientError, ConnectionPool
from lib_growth import trace
from lib_growth.bench import Plan, Probe, wait_until_idle
from lib_growth.probes import SMALL, SMALL_BODY

CONNECTIONS = 32

# Bytes per sample, independent of the length of the heads, so that all samples are equally precise.
BYTES = 102_400

TRACED_BYTES = 12_800

RECEIVES = ("recvfrom", "recvmsg", "read", "readv")


def drip(series, bench, stack):
    """One server, and heads of each length."""
    root = bench.folder("drip")
    folder.write(root / SMALL.lstrip("/"), SMALL_BODY)
    running = stack.enter_context(bench.server(root))
    host = "%s:%d" % running.address
    lengths = series.chosen(bench.quick)
    probes = [
        Probe("server", length, lambda head=head_of(length, host): _sample(running, head))
        for length in lengths
    ]
    return Plan(probes, lambda: [_receives(bench, running, head_of(lengths[2], host))])


def head_of(length, host):
    """A request head of exactly this length, padded by one long field."""
    bare = len(http1.request(SMALL, host, {"Cookie": ""}))
    if length < bare:
        raise ValueError(f"a head needs at least {bare} bytes, not {length}")
    return http1.request(SMALL, host, {"Cookie": "c" * (length - bare)})


def _sample(running, head):
    heads = BYTES // len(head) // CONNECTIONS * CONNECTIONS
    with ConnectionPool(running.address, http1.request(SMALL, "%s:%d" % running.address)) as pool:
        pool.open(CONNECTIONS)
        wait_until_idle(running)
        pids = running.pids()
        before = procfs.cpu(pids)
        send(pool, running.process.pid, head, heads // CONNECTIONS)
        after = procfs.cpu(pids)
    figures = procfs.spent(before, after, heads)
    figures["head_us"] = figures.pop("cpu_us")
    figures["byte_ns"] = figures["head_us"] * 1000 / len(head)
    return {**figures, "heads": heads}


def send(pool, pid, head, times):
    """Sends the head `times` times on each connection, byte by byte, and reads the responses."""
    pieces = [bytes([byte]) for byte in head]
    for _ in range(times):
        for piece in pieces:
            for link in pool.links:
                link.socket.send(piece)
            _await_sleep(pid)
        for link in pool.links:
            found = link.socket.recv(1 << 16)
            if not found.startswith(b"HTTP/1.1 200 ") or len(found) != pool.reply_length:
                raise ClientError(f"wrong response to a head sent byte by byte: {found[:40]!r}")


def _await_sleep(pid):
    """Waits until the server sleeps: a send makes it runnable before the send returns."""
    end = time.monotonic() + TIMEOUT_SECONDS
    while procfs.state(pid) != "S":
        if time.monotonic() > end:
            raise ClientError(f"the server did not become idle within {TIMEOUT_SECONDS:.0f} s")


def _receives(bench, running, head):
    """A remark on the number of bytes per receive."""
    if not trace.available():
        return "bytes per receive were not counted: strace is not installed"
    times = TRACED_BYTES // len(head) // CONNECTIONS
    request = http1.request(SMALL, "%s:%d" % running.address)
    try:
        with ConnectionPool(running.address, request) as pool:
            pool.open(CONNECTIONS)
            wait_until_idle(running)
            with trace.Trace(bench, running.process.pid, RECEIVES) as counted:
                send(pool, running.process.pid, head, times)
    except trace.TraceError as error:
        return f"bytes per receive were not counted: {error}"
    calls, sent = sum(counted.calls.values()), times * CONNECTIONS * len(head)
    return f"{sent:,} bytes in {calls:,} receives: {sent / max(calls, 1):.3f} bytes each"
