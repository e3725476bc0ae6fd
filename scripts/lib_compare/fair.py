"""Fairness: the latency of small requests while one greedy client takes all it can get.

The greedy client is a process of its own. Where the machine has no core to spare it shares that of
the paced load; it must then not be in the load's way, or its own appetite would be measured. So it
runs on the time that the load leaves over (SCHED_IDLE, else the lowest priority), and the load
sleeps while nothing is due and nothing has come, also in the quiet that it is compared with.

A machine has its own hiccups, which make most of the slowest thousandth, and they come in swarms.
So quiet and disturbed slots of a quarter of a second take turns (the greedy client is stopped for
the quiet ones), and all slots of a kind are judged together.
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

# The load wakes up so long before a request is due, and spins from then on.
SPIN_NS = 150_000

# Small requests that the pipelining client has under way at a time.
DEPTH = 64

DOWNLOAD_PATH = "/10m.bin"

# What the greedy client receives at once: the kernel does not interrupt it before it is done, and
# on a common core that long the load would wait.
RECEIVE_BYTES = 64 << 10

# A round is so many times as long as one of a load: the slowest thousandth of a few thousand
# requests is a single hiccup.
LONGER = 4

# Quiet and disturbed slots are so long, and what was before them has so long to end.
SLOT_SECONDS = 0.25
SETTLE_SECONDS = 0.02

# How often the greedy client looks whether it is to end, and how long that may take in all.
LOOK_SECONDS = 0.05
END_SECONDS = 10.0


class Sleeper(OpenLoop):
    """An open loop that leaves its core to others until something is due or has come."""

    def __init__(self, address, request, connections):
        self.expected = {}
        super().__init__(address, request, connections)

    def rest(self, due_ns):
        left = due_ns - SPIN_NS - time.perf_counter_ns()
        if left <= 0:
            return
        if self.expected:
            # Not the selector, which waits for whole milliseconds.
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
    """One round: beside a download and beside endless pipelining, each in turns with quiet."""
    seconds *= LONGER
    download = _beside(address, scenario, seconds, DOWNLOAD_PATH, 1)
    pipeline = _beside(address, scenario, seconds, scenario.path, DEPTH)
    return figures(download, pipeline)


class Beside(NamedTuple):
    """Latencies in microseconds without and with a greedy client, and its bytes a second."""

    quiet: list
    disturbed: list
    moved: float


def figures(download, pipeline):
    """The sample of two Beside. All that was quiet counts as one: the more requests, the less does
    one hiccup of the machine say."""
    quiet = tail(download.quiet + pipeline.quiet)
    beside = {"download_us": tail(download.disturbed), "pipeline_us": tail(pipeline.disturbed)}
    worst = max(beside.values()) / quiet
    return {"worst": worst, "quiet_us": quiet, **beside, "moved": download.moved}


def tail(latencies):
    """What all but the slowest thousandth did not exceed."""
    return percentile(sorted(latencies), 99.9)


def _beside(address, scenario, seconds, path, depth):
    """So many seconds in quiet and as many beside a greedy client, in turns."""
    host, port = address
    command = [sys.executable, "-m", "lib_compare.fair", host, str(port), path, str(depth)]
    home = Path(__file__).resolve().parents[1]
    request = http1.request(scenario.path, "127.0.0.1")
    quiet, disturbed, running = [], [], 0.0
    gc.collect()
    gc.disable()  # the garbage collector would be in the tail
    try:
        with subprocess.Popen(
            command, cwd=home, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as client, Sleeper(address, request, scenario.connections) as loop:
            try:
                client.stdout.readline()  # it says when its first bytes have come
                for _ in range(max(1, round(seconds / SLOT_SECONDS))):
                    client.send_signal(signal.SIGSTOP)
                    quiet += _slot(loop, scenario.rate)
                    client.send_signal(signal.SIGCONT)
                    start = time.monotonic()
                    disturbed += _slot(loop, scenario.rate)
                    running += time.monotonic() - start
                said, _ = client.communicate(timeout=END_SECONDS)  # closes its input: it ends
            finally:
                client.kill()  # after its end this does nothing
    finally:
        gc.enable()
    if not said or int(said) <= 0:
        raise ClientError("the greedy client received nothing: there was nothing to measure")
    return Beside(quiet, disturbed, int(said) / running)


def _slot(loop, rate):
    """The latencies of one slot, after a moment in which what was before it ends."""
    time.sleep(SETTLE_SECONDS)
    paced = loop.run(rate, SLOT_SECONDS)
    if paced.unanswered:
        raise ClientError(f"{paced.unanswered:,} requests without a reply")
    return paced.latencies_us


def greedy(address, request, depth, ended):
    """Keeps `depth` requests under way and reads all it can, until `ended` says so; the bytes it
    received. Servers that close a connection after some requests (nginx: 1,000) get another."""
    received = 0
    while not ended():
        count = _session(address, request, depth, ended, first=received == 0)
        received += count
        if count == 0 and not ended():
            raise ClientError("the server closed the connection of the greedy client at once")
    return received


def _session(address, request, depth, ended, first):
    """The same on one connection, until the server closed it."""
    buffer, unsent = bytearray(RECEIVE_BYTES), request * depth
    received, reply_bytes, answered = 0, 0, 0
    with socket.create_connection(address) as sock:
        sock.setblocking(False)
        while not ended():
            wanted = [sock] if unsent else []
            readable, writable, _ = select.select([sock], wanted, [], LOOK_SECONDS)
            try:
                if writable:
                    unsent = unsent[sock.send(unsent) :]
                count = sock.recv_into(buffer) if readable else -1
            except ConnectionError:
                break  # it was closed while requests were under way
            if count == 0:
                break
            if count < 0:
                continue
            if received == 0:
                head = http1.parse_head(buffer[:count])
                if head is None:
                    raise ClientError("the first bytes of the reply are no whole head")
                reply_bytes = head.length + head.body_length
                if first:
                    print("under way", flush=True)
            received += count
            # For each answer that has come, one more request.
            unsent += request * (received // reply_bytes - answered)
            answered = received // reply_bytes
    return received


def until_closed(stream):
    """A question that is answered with True once the other end of `stream` is closed, looked at
    now and then."""
    due, closed = 0.0, False

    def ended():
        nonlocal due, closed
        now = time.monotonic()
        if not closed and now >= due:
            due = now + LOOK_SECONDS
            closed = bool(select.select([stream], [], [], 0)[0])
        return closed

    return ended


def step_back():
    """Runs on the time that others leave over."""
    if hasattr(os, "SCHED_IDLE"):
        try:
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
            return
        except PermissionError:
            pass
    os.nice(19)


def main(host, port, path, depth):
    """The greedy client as a process of its own, until its input is closed: prints the bytes it
    received."""
    step_back()
    request = http1.request(path, host)
    try:
        print(greedy((host, int(port)), request, int(depth), until_closed(sys.stdin)))
    except (ClientError, OSError) as error:
        sys.exit(f"greedy client: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
