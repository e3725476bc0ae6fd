"""Fairness: the latency of small requests while one greedy client takes all it can get.

The greedy client is a process of its own. Where the machine has no core to spare it shares that of
the paced load; it must then not be in the load's way, or its own appetite would be measured. So it
runs on the time that the load leaves over (SCHED_IDLE, else the lowest priority), and the load
sleeps while nothing is due, also in the quiet run that it is compared with.
"""

import gc
import os
import select
import socket
import subprocess
import sys
import time
from pathlib import Path

from lib_compare import http1
from lib_compare.clients import ClientError, OpenLoop

# The load wakes up so long before a request is due, and spins from then on.
SPIN_NS = 150_000

# Small requests that the pipelining client has under way at a time.
DEPTH = 64

DOWNLOAD_PATH = "/10m.bin"

# What the greedy client receives at once: the kernel does not interrupt it before it is done, and
# on a common core that long the load would wait.
RECEIVE_BYTES = 64 << 10

# The greedy client runs so much longer than the load, which begins once it is under way.
MARGIN_SECONDS = 1.0
END_SECONDS = 10.0


class Sleeper(OpenLoop):
    """An open loop that leaves its core to others while nothing is due or expected."""

    def rest(self, due_ns, expected):
        if expected == 0:
            left = due_ns - SPIN_NS - time.perf_counter_ns()
            if left > 0:
                time.sleep(left / 1e9)


def sample(address, scenario, seconds):
    """One round: quiet, beside a download, beside endless pipelining."""
    quiet = _paced(address, scenario, seconds)
    download, moved = _beside(address, scenario, seconds, DOWNLOAD_PATH, 1)
    pipeline, _ = _beside(address, scenario, seconds, scenario.path, DEPTH)
    return figures(quiet, download, pipeline, moved)


def figures(quiet, download, pipeline, moved):
    """The sample from the latencies in microseconds and the bytes a second of the download."""
    return {
        "worst": max(download, pipeline) / quiet,
        "quiet_us": quiet,
        "download_us": download,
        "pipeline_us": pipeline,
        "moved": moved,
    }


def _paced(address, scenario, seconds):
    """p99.9 in microseconds. The garbage collector sleeps: it would be in the tail."""
    request = http1.request(scenario.path, "127.0.0.1")
    gc.collect()
    gc.disable()
    try:
        with Sleeper(address, request, scenario.connections) as loop:
            paced = loop.run(scenario.rate, seconds)
    finally:
        gc.enable()
    if paced.unanswered:
        raise ClientError(f"{paced.unanswered:,} requests without a reply")
    return paced.at(99.9)


def _beside(address, scenario, seconds, path, depth):
    """p99.9 beside a greedy client, and how many bytes a second that received."""
    host, port = address
    command = [sys.executable, "-m", "lib_compare.fair", host, str(port), path, str(depth),
               str(seconds + MARGIN_SECONDS)]
    home = Path(__file__).resolve().parents[1]
    with subprocess.Popen(command, cwd=home, stdout=subprocess.PIPE, text=True) as greedy:
        try:
            greedy.stdout.readline()  # it says when its first bytes have come
            latency = _paced(address, scenario, seconds)
            said, _ = greedy.communicate(timeout=END_SECONDS)
        finally:
            greedy.kill()  # after its end this does nothing
    moved = float(said or 0)
    if moved <= 0:
        raise ClientError("the greedy client received nothing: there was nothing to measure")
    return latency, moved


def greedy(address, request, depth, seconds):
    """Keeps `depth` requests under way and reads all it can, for so long; bytes a second. Servers
    that close a connection after some requests (nginx: 1,000) get another one."""
    start = time.monotonic()
    received = 0
    while (left := start + seconds - time.monotonic()) > 0:
        count = _session(address, request, depth, left, first=received == 0)
        received += count
        if count == 0 and time.monotonic() < start + seconds:
            raise ClientError("the server closed the connection of the greedy client at once")
    return received / (time.monotonic() - start)


def _session(address, request, depth, seconds, first):
    """The same on one connection; the bytes it received, until the server closed it."""
    end = time.monotonic() + seconds
    buffer, unsent = bytearray(RECEIVE_BYTES), request * depth
    received, reply_bytes, answered = 0, 0, 0
    with socket.create_connection(address) as sock:
        sock.setblocking(False)
        while (left := end - time.monotonic()) > 0:
            readable, writable, _ = select.select([sock], [sock] if unsent else [], [], left)
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


def step_back():
    """Runs on the time that others leave over."""
    if hasattr(os, "SCHED_IDLE"):
        try:
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
            return
        except PermissionError:
            pass
    os.nice(19)


def main(host, port, path, depth, seconds):
    """The greedy client as a process of its own: prints the bytes a second it received."""
    step_back()
    request = http1.request(path, host)
    try:
        print(greedy((host, int(port)), request, int(depth), float(seconds)))
    except (ClientError, OSError) as error:
        sys.exit(f"greedy client: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
