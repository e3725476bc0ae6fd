"""Fairness: the latency of small requests while one greedy client saturates the server.

The greedy client is a separate process. If the machine has no further core, it shares that of the
paced load, and its own CPU use must not delay the load. It therefore runs with SCHED_IDLE (else
with the lowest priority), and the load sleeps while no request is due and no data has arrived. The
load sleeps in the quiet slots as well, so that both kinds of slots are comparable.

Most of the p99.9 latency is the machine's own jitter, which occurs in bursts. Quiet and disturbed
slots of a quarter of a second therefore alternate (the greedy client is stopped during the quiet
ones), and all slots of a kind are evaluated together.
"""

import gc
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from lib_compare import http1
from lib_compare.clients import ClientError, OpenLoop
from lib_compare.stats import percentile

# The load wakes up this long before a request is due, and spins until then.
SPIN_NS = 150_000

# Outstanding small requests of the pipelining client.
DEPTH = 64

DOWNLOAD_PATH = "/10m.bin"

# Most bytes per receive of the greedy client: the kernel does not preempt a receive, so on a shared
# core a larger one would delay the load.
RECEIVE_BYTES = 64 << 10

# A round is this many times as long as that of a load: the p99.9 latency of a few thousand requests
# is a single outlier.
LONGER = 4

# The length of a quiet or disturbed slot, and the pause before each.
SLOT_SECONDS = 0.25
SETTLE_SECONDS = 0.02

# How often the greedy client checks whether to exit, and the timeout for its exit.
CHECK_SECONDS = 0.05
END_SECONDS = 10.0


class SleepingLoop(OpenLoop):
    """An open loop that sleeps until a request is due or data has arrived."""

    def __init__(self, address, request, connections):
        self.expected = {}
        super().__init__(address, request, connections)

    def pause_until(self, due_ns):
        left = due_ns - SPIN_NS - time.perf_counter_ns()
        if left <= 0:
            return
        if self.expected:
            # Not self.selector, whose timeout is in whole milliseconds.
            select.select(list(self.expected.values()), [], [], left / 1e9)
        else:
            time.sleep(left / 1e9)

    def _send(self, link, due_ns):
        super()._send(link, due_ns)
        self.expected[link.socket.fileno()] = link.socket

    def _advance(self, link):
        done = super()._advance(link)
        if done:
            del self.expected[link.socket.fileno()]
        return done


def sample(address, scenario, seconds):
    """One round: beside a download and beside endless pipelining, each alternating with quiet."""
    seconds *= LONGER
    download = _beside(address, scenario, seconds, DOWNLOAD_PATH, 1)
    pipeline = _beside(address, scenario, seconds, scenario.path, DEPTH)
    return figures(download, pipeline)


class Beside(NamedTuple):
    """Latencies in microseconds without and with a greedy client, and its bytes per second."""

    quiet: list
    disturbed: list
    moved: float


def figures(download, pipeline):
    """The sample of two Beside. The quiet slots of both are merged: with more requests, a single
    outlier has less influence."""
    quiet = tail(download.quiet + pipeline.quiet)
    beside = {"download_us": tail(download.disturbed), "pipeline_us": tail(pipeline.disturbed)}
    worst = max(beside.values()) / quiet
    return {"worst": worst, "quiet_us": quiet, **beside, "moved": download.moved}


def tail(latencies):
    """The p99.9 latency."""
    return percentile(sorted(latencies), 99.9)


def _beside(address, scenario, seconds, path, depth):
    """Alternates quiet slots and slots beside a greedy client, `seconds` of each kind."""
    host, port = address
    command = [sys.executable, "-m", "lib_compare.fair", host, str(port), path, str(depth)]
    home = Path(__file__).resolve().parents[1]
    request = http1.request(scenario.path, "127.0.0.1")
    quiet, disturbed, running = [], [], 0.0
    gc.collect()
    gc.disable()  # its pauses would appear in the tail
    try:
        with subprocess.Popen(
            command, cwd=home, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as client, SleepingLoop(address, request, scenario.connections) as loop:
            try:
                client.stdout.readline()  # it prints a line when its first bytes have arrived
                for _ in range(max(1, round(seconds / SLOT_SECONDS))):
                    client.send_signal(signal.SIGSTOP)
                    quiet += _slot(loop, scenario.rate)
                    client.send_signal(signal.SIGCONT)
                    start = time.monotonic()
                    disturbed += _slot(loop, scenario.rate)
                    running += time.monotonic() - start
                output, _ = client.communicate(timeout=END_SECONDS)  # closing its input stops it
            finally:
                client.kill()  # no effect after its exit
    finally:
        gc.enable()
    if not output or int(output) <= 0:
        raise ClientError("the greedy client received nothing: there was nothing to measure")
    return Beside(quiet, disturbed, int(output) / running)


def _slot(loop, rate):
    """The latencies of one slot, after a pause in which the previous slot settles."""
    time.sleep(SETTLE_SECONDS)
    paced = loop.run(rate, SLOT_SECONDS)
    if paced.unanswered:
        raise ClientError(f"{paced.unanswered:,} requests without a response")
    return paced.latencies_us


def greedy(address, request, depth, ended):
    """Keeps `depth` requests outstanding and reads as fast as it can until `ended()`; returns the
    bytes received. It reconnects to servers that close a connection after some requests (nginx:
    1,000)."""
    received = 0
    while not ended():
        count = _session(address, request, depth, ended, first=received == 0)
        received += count
        if count == 0 and not ended():
            raise ClientError("the server closed the connection of the greedy client at once")
    return received


def _session(address, request, depth, ended, first):
    """The same on one connection, until the server closes it."""
    buffer, unsent = bytearray(RECEIVE_BYTES), request * depth
    received, reply_bytes, answered = 0, 0, 0
    with socket.create_connection(address) as sock:
        sock.setblocking(False)
        while not ended():
            wanted = [sock] if unsent else []
            readable, writable, _ = select.select([sock], wanted, [], CHECK_SECONDS)
            try:
                if writable:
                    unsent = unsent[sock.send(unsent) :]
                count = sock.recv_into(buffer) if readable else -1
            except ConnectionError:
                break  # the server closed it while requests were outstanding
            if count == 0:
                break
            if count < 0:
                continue
            if received == 0:
                head = http1.parse_head(buffer[:count])
                if head is None:
                    raise ClientError("the first receive did not contain a whole response head")
                reply_bytes = head.length + head.body_length
                if first:
                    print("started", flush=True)
            received += count
            # One more request for each response received.
            unsent += request * (received // reply_bytes - answered)
            answered = received // reply_bytes
    return received


def until_closed(stream):
    """A function that returns True once the other end of `stream` is closed. It checks every
    CHECK_SECONDS at most."""
    due, closed = 0.0, False

    def ended():
        nonlocal due, closed
        now = time.monotonic()
        if not closed and now >= due:
            due = now + CHECK_SECONDS
            closed = bool(select.select([stream], [], [], 0)[0])
        return closed

    return ended


def lower_priority():
    """Gives other processes precedence on this core."""
    if hasattr(os, "SCHED_IDLE"):
        try:
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
            return
        except PermissionError:
            pass
    os.nice(19)


def main(host, port, path, depth):
    """Runs the greedy client as a process until its standard input is closed, and prints the bytes
    that it received."""
    lower_priority()
    request = http1.request(path, host)
    try:
        print(greedy((host, int(port)), request, int(depth), until_closed(sys.stdin)))
    except (ClientError, OSError) as error:
        sys.exit(f"greedy client: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
