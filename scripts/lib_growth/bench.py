"""Where and how to measure; servers that last as long as a series; right answers before it."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, NamedTuple

from lib_compare import procfs, servers
from lib_compare.checks import CheckError, Wire
from lib_compare.servers import Running

# After a load a server is at rest once it has used no time for so long; waiting has a limit.
REST_STEP_SECONDS = 0.01
REST_SECONDS = 5.0


@dataclass
class Bench:
    """How to measure: with which program, how often, how long, on which cores, in which folder."""

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
        """A running server of `root` with `limits` as NAME=VALUE; a context that ends it."""
        words = [word for limit in limits for word in ("--limit", limit)]
        recipe = servers.tenkay(self.program, words)
        self.homes += 1
        return Running(recipe, root, self.home / f"server-{self.homes}", self.cores.server)


class Probe(NamedTuple):
    """One point of a series: its line, its place on the axis, and what takes one sample of it."""

    line: str
    x: object
    take: Callable[[], dict]


class Plan(NamedTuple):
    """How a series is measured: its probes, and what to do after the rounds, for more to say."""

    probes: list
    finish: Callable[[], list] = list


def rest(running):
    """Waits until the server has nothing left to do, such as closing what a load has left."""
    end = time.monotonic() + REST_SECONDS
    used = None
    while time.monotonic() < end:
        before, used = used, procfs.cpu(running.pids()).ran
        if used == before:
            return
        time.sleep(REST_STEP_SECONDS)


def check(address, path, body, headers=None, times=1):
    """CheckError unless `path` is answered with 200 and this body, so many times in one write."""
    with Wire(address) as wire:
        wire.send(path, headers or {}, times)
        for _ in range(times):
            head, found = wire.reply()
            if head.status != 200 or found != body:
                raise CheckError(f"{path}: status {head.status}, {len(found)} bytes of body")


def check_ranges(address, path, headers, count):
    """CheckError unless the answer is 206 with so many parts."""
    with Wire(address) as wire:
        wire.send(path, headers)
        head, body = wire.reply()
    parts = body.count(b"\r\nContent-Range: ") if count > 1 else len(body)
    if head.status != 206 or parts != count:
        raise CheckError(f"{path}: status {head.status}, {parts} parts instead of {count}")
