"""The rounds: the points of a series are measured in turn, so that a slow minute of the machine
affects all of them equally. The result is plain data, ready for JSON."""

import subprocess
from contextlib import ExitStack

from lib_compare.checks import CheckError
from lib_compare.clients import ClientError
from lib_compare.servers import ServerError
from lib_compare.wrk import LoadError
from lib_compare.verdicts import QUIET
from lib_growth import drip, listing, probes, wakeups
from lib_growth.trace import TraceError

# Errors that exclude a point from a series, but do not end the run.
FAILURES = (
    CheckError, ClientError, LoadError, ServerError, TraceError, OSError, ValueError, KeyError,
    subprocess.SubprocessError,
)

PLANS = {
    "idle": probes.idle,
    "cached": probes.cached,
    "wakeups": wakeups.wakeups,
    "pipeline": probes.pipeline,
    "ranges": probes.ranges,
    "drip": drip.drip,
    "listing": listing.listing,
    "size": probes.size,
}


def run(series, bench):
    """Measures one series; returns {"points": [...], "said": [remarks], "absent": text or None}."""
    try:
        with ExitStack() as stack:
            bench.report(f"{series.name}: preparing")
            plan = PLANS[series.name](series, bench, stack)
            points = [
                {"line": probe.line, "x": probe.x, "samples": [], "absent": None}
                for probe in plan.probes
            ]
            _visit(series, bench, plan.probes, points)
            return {"points": points, "said": plan.finish(), "absent": None}
    except FAILURES as error:
        return {"points": [], "said": [], "absent": f"{type(error).__name__}: {error}"}


def _visit(series, bench, plan, points):
    """Runs a warm-up round (not in a quick run), and then the rounds that count."""
    warm = 0 if bench.quick or series.scale == "names" else 1
    rounds = min(bench.rounds, series.most_rounds)
    for number in range(-warm, rounds):
        for probe, point in zip(plan, points):
            if point["absent"]:
                continue
            name = f"round {number + 1} of {rounds}" if number >= 0 else "warm-up"
            bench.report(f"{series.name}: {name}, {probe.line} {series.write(probe.x)}")
            try:
                sample = _take(probe)
            except FAILURES as error:
                point["absent"] = f"{type(error).__name__}: {error}"
                continue
            if number >= 0:
                point["samples"].append(sample)


def _take(probe):
    """Takes a sample; repeats it once if the server waited for its core."""
    sample = probe.take()
    return probe.take() if sample.get("waited", 0) > QUIET else sample
