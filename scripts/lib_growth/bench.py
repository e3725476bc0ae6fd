"""The conditions of a run; starts the servers of a series and checks their responses."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, NamedTuple

from lib_compare import procfs, servers
from lib_compare.checks import CheckError, Wire
from lib_compare.servers import Running

# A server is idle once it has used no CPU time for IDLE_STEP_SECONDS. The wait ends after
# IDLE_TIMEOUT_SECONDS in any case.
IDLE_STEP_SECONDS = 0.01
IDLE_TIMEOUT_SECONDS = 5.0


@dataclass
class Bench:
    """How to measure: executable, rounds, duration, cores and folder."""

    program: str
    rounds: int
    seconds: float
    quick: bool
    cores: object
    open_files: int
    home: Path
    report: object  # called with one line of progress
    homes: int = 0

    def folder(self, name):
        """A new folder that every user can read."""
        path = self.home / name
        path.mkdir(mode=0o755)
        return path

    def server(self, root, *limits):
        """Starts a server of `root` with `limits` (NAME=VALUE); returns a context manager."""
        words = [word for limit in limits for word in ("--limit", limit)]
        recipe = servers.tenkay(self.program, words)
        self.homes += 1
        return Running(recipe, root, self.home / f"server-{self.homes}", self.cores.server)


class Probe(NamedTuple):
    """One point of a series: its line, its place on the axis, and the function that takes one
    sample."""

    line: str
    x: object
    take: Callable[[], dict]


class Plan(NamedTuple):
    """How to measure a series: its probes, and a function that runs after the rounds and returns
    remarks."""

    probes: list
    finish: Callable[[], list] = list


def wait_until_idle(running):
    """Waits until the server is idle, for example after it has closed the load's connections."""
    end = time.monotonic() + IDLE_TIMEOUT_SECONDS
    used = None
    while time.monotonic() < end:
        before, used = used, procfs.cpu(running.pids()).ran
        if used == before:
            return
        time.sleep(IDLE_STEP_SECONDS)


def check(address, path, body, headers=None, times=1):
    """Sends `times` requests in one write. CheckError unless each is answered with 200 and this
    body."""
    with Wire(address) as wire:
        wire.send(path, headers or {}, times)
        for _ in range(times):
            head, found = wire.reply()
            if head.status != 200 or found != body:
                raise CheckError(
                    f"{path}: wrong response: status {head.status}, {len(found)} bytes of body"
                )


def check_ranges(address, path, headers, count):
    """CheckError unless the response is 206 with `count` parts."""
    with Wire(address) as wire:
        wire.send(path, headers)
        head, body = wire.reply()
    parts = body.count(b"\r\nContent-Range: ") if count > 1 else len(body)
    if head.status != 206 or parts != count:
        raise CheckError(f"{path}: status {head.status}, {parts} parts instead of {count}")
