"""Wakeups of the event loop: one for each single request, and none while idle.

The open loop sends single requests, a millisecond apart. The server sleeps in between, so each
request causes one wakeup; any further wakeup is unnecessary.
"""

import gc
import time

from lib_compare import folder, http1, procfs
from lib_compare.clients import ConnectionPool, OpenLoop
from lib_compare.wrk import LoadError
from lib_growth import trace
from lib_growth.bench import Plan, Probe, check, wait_until_idle
from lib_growth.probes import SMALL, SMALL_BODY
from lib_growth.series import AT_REST, PACED

RATE = 1_000
CONNECTIONS = 64
PACED_SECONDS = 2
IDLE = 1_000
IDLE_SECONDS = 3.0

POLLS = ("epoll_wait", "epoll_pwait", "epoll_pwait2")


def wakeups(series, bench, stack):
    """One server: first with a fixed rate of requests, then idle."""
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
        remark = "calls of epoll_wait were not counted: strace is not installed"
        return Plan(probes, lambda: [remark])
    probes.append(Probe(polls, PACED, lambda: _traced(bench, running)))
    return Plan(probes)


def _paced(running):
    """Voluntary context switches per request."""
    with _loop(running) as loop:
        wait_until_idle(running)
        before = procfs.voluntary_switches(running.pids())
        requests = _ask(loop)
        slept = procfs.voluntary_switches(running.pids()) - before
    return {"wakes": slept / requests}


def _traced(bench, running):
    """Successful calls of epoll_wait per request."""
    with _loop(running) as loop:
        wait_until_idle(running)
        with trace.Trace(bench, running.process.pid, POLLS) as counted:
            requests = _ask(loop)
    return {"wakes": sum(counted.calls.values()) / requests}


def _loop(running):
    request = http1.request(SMALL, "%s:%d" % running.address)
    return OpenLoop(running.address, request, CONNECTIONS)


def _ask(loop):
    """Sends requests at the rate; returns their number. Garbage collection is off: its pauses would
    make several requests due at once."""
    gc.collect()
    gc.disable()
    try:
        paced = loop.run(RATE, PACED_SECONDS)
    finally:
        gc.enable()
    if paced.unanswered:
        raise LoadError(f"{paced.unanswered:,} requests without a response")
    return paced.due


def _at_rest(running):
    """Voluntary context switches while all connections are idle."""
    with ConnectionPool(running.address, http1.request(SMALL, "%s:%d" % running.address)) as pool:
        pool.open(IDLE)
        wait_until_idle(running)
        before = procfs.voluntary_switches(running.pids())
        time.sleep(IDLE_SECONDS)
        slept = procfs.voluntary_switches(running.pids()) - before
    return {"wakes": slept}
