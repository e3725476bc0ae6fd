"""How often the loop wakes: once for each request that comes alone, and never for nothing.

The open loop sends requests one by one, a millisecond apart. The server sleeps in between, so
each request has to wake it; what exceeds that is a turn of the loop that nobody asked for.
"""

import gc
import time

from lib_compare import folder, http1, procfs
from lib_compare.clients import Herd, OpenLoop
from lib_compare.wrk import LoadError
from lib_growth import trace
from lib_growth.bench import Plan, Probe, check, rest
from lib_growth.probes import SMALL, SMALL_BODY
from lib_growth.series import AT_REST, PACED

RATE = 1_000
CONNECTIONS = 64
PACED_SECONDS = 2
IDLE = 1_000
IDLE_SECONDS = 3.0

POLLS = ("epoll_wait", "epoll_pwait", "epoll_pwait2")


def wakeups(series, bench, stack):
    """One server, asked at a fixed rate and left alone."""
    root = bench.folder("wakeups")
    folder.write(root / SMALL.lstrip("/"), SMALL_BODY)
    running = stack.enter_context(bench.server(root))
    check(running.address, SMALL, SMALL_BODY)
    switches, polls = series.lines
    probes = [
        Probe(switches, PACED, lambda: _paced(running)),
        Probe(switches, AT_REST, lambda: _at_rest(running)),
    ]
    if not trace.available():
        said = "strace is not installed: calls of epoll_wait were not counted"
        return Plan(probes, lambda: [said])
    probes.append(Probe(polls, PACED, lambda: _traced(bench, running)))
    return Plan(probes)


def _paced(running):
    """Voluntary context switches for each request."""
    with _loop(running) as loop:
        rest(running)
        before = procfs.voluntary_switches(running.pids())
        requests = _ask(loop)
        slept = procfs.voluntary_switches(running.pids()) - before
    return {"wakes": slept / requests}


def _traced(bench, running):
    """Calls of epoll_wait that returned, for each request."""
    with _loop(running) as loop:
        rest(running)
        with trace.Trace(bench, running.process.pid, POLLS) as counted:
            requests = _ask(loop)
    return {"wakes": sum(counted.calls.values()) / requests}


def _loop(running):
    request = http1.request(SMALL, "%s:%d" % running.address)
    return OpenLoop(running.address, request, CONNECTIONS)


def _ask(loop):
    """Asks at the rate, and how often. The garbage collector sleeps: it would bunch requests."""
    gc.collect()
    gc.disable()
    try:
        paced = loop.run(RATE, PACED_SECONDS)
    finally:
        gc.enable()
    if paced.unanswered:
        raise LoadError(f"{paced.unanswered:,} requests without a reply")
    return paced.due


def _at_rest(running):
    """Voluntary context switches while every connection is silent."""
    with Herd(running.address, http1.request(SMALL, "%s:%d" % running.address)) as herd:
        herd.open(IDLE)
        rest(running)
        before = procfs.voluntary_switches(running.pids())
        time.sleep(IDLE_SECONDS)
        slept = procfs.voluntary_switches(running.pids()) - before
    return {"wakes": slept}
