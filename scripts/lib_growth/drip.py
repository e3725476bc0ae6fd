"""Heads that arrive byte by byte: what a byte costs that completes nothing.

Each byte is a send of its own, to each of some connections in turn. The next round of bytes is
sent once the server sleeps, which means that it has taken all that was there: so each receive
gets one byte, and strace, where it is installed, counts that it is so.
"""

import time

from lib_compare import folder, http1, procfs
from lib_compare.clients import PATIENCE_SECONDS, ClientError, Herd
from lib_growth import trace
from lib_growth.bench import Plan, Probe, rest
from lib_growth.probes import SMALL, SMALL_BODY

CONNECTIONS = 32

# Bytes of a sample, whatever the length of its heads, so that all are equally precise.
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
    """A request head of exactly this length, filled up by one long field."""
    bare = len(http1.request(SMALL, host, {"Cookie": ""}))
    if length < bare:
        raise ValueError(f"no head has only {length} bytes")
    return http1.request(SMALL, host, {"Cookie": "c" * (length - bare)})


def _sample(running, head):
    heads = BYTES // len(head) // CONNECTIONS * CONNECTIONS
    with Herd(running.address, http1.request(SMALL, "%s:%d" % running.address)) as herd:
        herd.open(CONNECTIONS)
        rest(running)
        pids = running.pids()
        before = procfs.cpu(pids)
        send(herd, running.process.pid, head, heads // CONNECTIONS)
        after = procfs.cpu(pids)
    figures = procfs.spent(before, after, heads)
    figures["head_us"] = figures.pop("cpu_us")
    figures["byte_ns"] = figures["head_us"] * 1000 / len(head)
    return {**figures, "heads": heads}


def send(herd, pid, head, times):
    """Sends the head so many times on each connection, byte by byte, and takes the answers."""
    pieces = [bytes([byte]) for byte in head]
    for _ in range(times):
        for piece in pieces:
            for link in herd.links:
                link.socket.send(piece)
            _await_sleep(pid)
        for link in herd.links:
            found = link.socket.recv(1 << 16)
            if not found.startswith(b"HTTP/1.1 200 ") or len(found) != herd.reply_length:
                raise ClientError(f"a head that dripped got {found[:40]!r}")


def _await_sleep(pid):
    """Waits until the server sleeps: a send has made it runnable before it returns."""
    end = time.monotonic() + PATIENCE_SECONDS
    while procfs.state(pid) != "S":
        if time.monotonic() > end:
            raise ClientError("the server does not come to rest")


def _receives(bench, running, head):
    """One line on how many bytes each receive got."""
    if not trace.available():
        return "strace is not installed: how many bytes each receive got was not counted"
    times = TRACED_BYTES // len(head) // CONNECTIONS
    try:
        with Herd(running.address, http1.request(SMALL, "%s:%d" % running.address)) as herd:
            herd.open(CONNECTIONS)
            rest(running)
            with trace.Trace(bench, running.process.pid, RECEIVES) as counted:
                send(herd, running.process.pid, head, times)
    except trace.TraceError as error:
        return f"{error}: how many bytes each receive got was not counted"
    calls, sent = sum(counted.calls.values()), times * CONNECTIONS * len(head)
    return f"{sent:,} bytes came by {calls:,} receives: {sent / max(calls, 1):.3f} bytes each"
