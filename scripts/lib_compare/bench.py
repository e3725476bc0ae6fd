"""The rounds: starts the servers of a scenario, checks them, and times them in turn.

Rounds are interleaved (A B C A B C), so that a slow minute of the machine affects all servers
equally. The result is plain data, ready for JSON: the samples of each server, or the reason why it
has none.
"""

import gc
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from lib_compare import checks, fair, folder, http1, procfs, tls, wrk
from lib_compare.checks import CheckError
from lib_compare.clients import ClientError, ConnectionPool, OpenLoop
from lib_compare.servers import Running, ServerError
from lib_compare.wrk import LoadError

# Connections opened and closed before the memory of idle ones is measured, so that one-time
# allocations of the first requests are not attributed to them.
FIRST_CONNECTIONS = 16

# Time for a server to settle before its memory is read.
SETTLE_SECONDS = 0.3

# After a load, a server has settled once it uses less than this share of its core. The wait ends
# after SETTLE_LIMIT_SECONDS in any case.
SETTLE_QUIET = 0.02
SETTLE_STEP_SECONDS = 0.03
SETTLE_LIMIT_SECONDS = 3.0

# A run of wrk that exceeds its duration by this is killed.
GRACE_SECONDS = 30

# With one request per connection, fewer new connections than this share of the requests are an
# error.
NEW_CONNECTIONS = 0.95


# Errors that exclude a server from a scenario, but do not end the comparison.
FAILURES = (CheckError, ClientError, LoadError, ServerError, OSError)


@dataclass
class Plan:
    """How to measure: rounds, duration, cores and folders."""

    rounds: int
    seconds: int
    warm: bool
    cores: object
    root: Path
    home: Path
    report: object  # called with one line of progress
    tls_load: str = ""  # the program that makes TLS handshakes


class Contender:
    """A running, checked server in one scenario, with its samples so far."""

    def __init__(self, running, headers, reply_bytes):
        self.running = running
        self.headers = headers
        self.reply_bytes = reply_bytes
        self.samples = []
        self.absent = None


def run(scenario, recipes, plan):
    """Measures one scenario; returns server name -> {"samples": [...], "absent": text or None}."""
    if scenario.kind == "start":
        return _each_alone(scenario, recipes, plan, _start_sample)
    if scenario.kind == "idle":
        return _each_alone(scenario, recipes, plan, _idle_sample)
    return _side_by_side(scenario, recipes, plan)


def _side_by_side(scenario, recipes, plan):
    results = {}
    with ExitStack() as stack:
        contenders = {}
        for recipe, outcome in _line_up(scenario, recipes, plan, stack):
            if isinstance(outcome, Contender):
                contenders[recipe.name] = outcome
            else:
                results[recipe.name] = {"samples": [], "absent": outcome}
        if scenario.kind == "load" and (plan.warm or scenario.many):
            for contender in contenders.values():
                _attempt(_wrk, scenario, contender, plan, 1)
        timed = TIMED[scenario.kind]
        for number in range(plan.rounds):
            for name, contender in contenders.items():
                if contender.absent is None:
                    plan.report(f"{scenario.name}: round {number + 1}, {name}")
                    sample = _attempt(timed, scenario, contender, plan)
                    if sample is not None:
                        contender.samples.append(sample)
    for name, contender in contenders.items():
        results[name] = {"samples": contender.samples, "absent": contender.absent}
    return results


def _attempt(action, scenario, contender, plan, *more):
    """Returns the result of the action; a failure is recorded and excludes the contender."""
    try:
        contender.running.require_alive()
        result = action(scenario, contender, plan, *more)
        _settle(contender.running)
        return result
    except FAILURES as error:
        contender.absent = str(error)
        return None


def _settle(running):
    """Waits until the server has closed its connections: the next server runs on the same core."""
    if not procfs.available():
        time.sleep(SETTLE_SECONDS)
        return
    end = time.monotonic() + SETTLE_LIMIT_SECONDS
    used = procfs.cpu(running.pids()).ran
    while time.monotonic() < end:
        time.sleep(SETTLE_STEP_SECONDS)
        before, used = used, procfs.cpu(running.pids()).ran
        if used - before < SETTLE_QUIET * SETTLE_STEP_SECONDS * 1e9:
            return


def _line_up(scenario, recipes, plan, stack):
    """Starts and checks every server; yields (recipe, Contender or the reason for its absence).

    The floor comes last: its constant is as long as the response of the first server, tenkay.
    """
    head_length = 0
    for recipe in sorted(recipes, key=lambda recipe: recipe.kind == "floor"):
        is_floor = recipe.kind == "floor"
        refusal = _refusal(scenario, recipe)
        if refusal is not None:
            yield recipe, refusal
            continue
        plan.report(f"{scenario.name}: starting {recipe.name}")
        extra = _constant(scenario, head_length) if is_floor else ()
        try:
            home = plan.home / f"{scenario.name}-{recipe.name}"
            cores = plan.cores
            running = Running(recipe, plan.root, home, cores.server, extra, scenario.feature)
            stack.enter_context(running)
            root = None if is_floor else plan.root
            headers, head = checks.check(running.address, scenario, root)
        except FAILURES as error:
            yield recipe, str(error)
            continue
        head_length = head_length or head.length
        yield recipe, Contender(running, headers, head.length + head.body_length)


def _refusal(scenario, recipe):
    """Why a server does not take part in a scenario, or None."""
    if recipe.kind == "floor" and not scenario.floor:
        return "not measured: it is no lower bound in this scenario"
    if scenario.feature and scenario.feature not in recipe.features:
        return f"no configuration for {scenario.feature} is known here"
    if recipe.most_connections is not None and scenario.connections > recipe.most_connections:
        return f"configured for at most {recipe.most_connections:,} connections"
    return None


def _constant(scenario, head_length):
    """The floor's arguments for a response as long as the real one."""
    arguments = ["--status", str(scenario.status), "--size", str(scenario.size)]
    arguments += ["--head", str(head_length), "--replies", str(scenario.pipeline)]
    # Reads as much memory as the many files: a single constant would stay in the processor's cache.
    return arguments + ["--copies", str(folder.MANY if scenario.many else 1)]


def _load_sample(scenario, contender, plan):
    """One run of wrk."""
    running = contender.running
    pids = running.pids() if procfs.available() else []
    accepted = procfs.accepted() if pids else 0
    before, load_before = procfs.cpu(pids), procfs.children_us()
    result = _wrk(scenario, contender, plan, plan.seconds * scenario.longer)
    after, load_us = procfs.cpu(pids), procfs.children_us() - load_before
    requests = result.bytes / contender.reply_bytes if scenario.by_bytes else result.requests
    sample = {
        "requests": requests,
        "seconds": result.seconds,
        "bytes": result.bytes,
        "rate": requests / result.seconds,
        "wall_us": 1e6 * result.seconds / requests,
    }
    if pids:
        if scenario.close:
            _require_new_connections(procfs.accepted() - accepted, result.requests)
        sample.update(procfs.spent(before, after, requests))
        sample["both_us"] = sample["cpu_us"] + load_us / requests
        sample["resident"] = procfs.memory(pids).resident
    return sample


def _require_new_connections(accepted, requests):
    if accepted < NEW_CONNECTIONS * requests:
        raise LoadError(f"{requests:,} requests on only {accepted:,} new connections")


def _wrk(scenario, contender, plan, seconds):
    """Runs wrk against a contender. Raises LoadError if wrk reports any error."""
    script = plan.home / f"{scenario.name}.lua"
    pattern = folder.MANY_PATTERN if scenario.many else None
    script.write_text(wrk.script(scenario.pipeline, pattern, folder.MANY))
    scheme = "https" if tls.is_secure(scenario.feature) else "http"
    url = "%s://%s:%d%s" % (scheme, *contender.running.address, scenario.path)
    command = wrk.command(url, script, scenario.connections, seconds, contender.headers)
    try:
        # This process is pinned to the load's core, and wrk inherits the pinning.
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds + GRACE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise LoadError(f"wrk did not exit within {seconds + GRACE_SECONDS} s") from error
    return wrk.checked(done.stdout, scenario.by_bytes)


def _tail_sample(scenario, contender, plan):
    """One run of the open loop. Garbage collection is off: its pauses would appear in the tail."""
    running = contender.running
    request = http1.request(scenario.path, "127.0.0.1", contender.headers)
    pids = running.pids() if procfs.available() else []
    gc.collect()
    gc.disable()
    try:
        with OpenLoop(running.address, request, scenario.connections) as loop:
            before = procfs.cpu(pids)
            paced = loop.run(scenario.rate, plan.seconds)
            after = procfs.cpu(pids)
    finally:
        gc.enable()
    if paced.unanswered:
        raise LoadError(f"{paced.unanswered:,} requests without a response")
    sample = {
        "requests": paced.due,
        "p50_us": paced.at(50),
        "p99_us": paced.at(99),
        "p999_us": paced.at(99.9),
        "max_us": paced.at(100),
    }
    if pids:
        sample.update(procfs.spent(before, after, paced.due))
    return sample


def _fair_sample(scenario, contender, plan):
    """The latency without and with a greedy client, on a running server."""
    return fair.sample(contender.running.address, scenario, plan.seconds)


def _handshake_sample(scenario, contender, plan):
    """One run of handshakes."""
    running = contender.running
    pids = running.pids() if procfs.available() else []
    before = procfs.cpu(pids)
    connections, seconds = tls.handshakes(plan.tls_load, running.address, scenario, plan.seconds)
    after = procfs.cpu(pids)
    sample = {"requests": connections, "seconds": seconds, "rate": connections / seconds,
              "wall_us": 1e6 * seconds / connections}
    if pids:
        sample.update(procfs.spent(before, after, connections))
        sample["resident"] = procfs.memory(pids).resident
    return sample


# The function that takes a sample while the other servers run, by kind of scenario.
TIMED = {
    "load": _load_sample,
    "handshake": _handshake_sample,
    "tail": _tail_sample,
    "fair": _fair_sample,
}


def _each_alone(scenario, recipes, plan, timed):
    """Rounds in which each server is started anew and runs alone."""
    results = {recipe.name: {"samples": [], "absent": None} for recipe in recipes}
    for number in range(plan.rounds):
        for recipe in recipes:
            result = results[recipe.name]
            result["absent"] = result["absent"] or _refusal(scenario, recipe)
            if result["absent"] is not None:
                continue
            plan.report(f"{scenario.name}: round {number + 1}, {recipe.name}")
            home = plan.home / f"{scenario.name}-{recipe.name}-{number}"
            try:
                with Running(recipe, plan.root, home, plan.cores.server) as running:
                    result["samples"].append(timed(scenario, running, plan))
            except FAILURES as error:
                result["absent"] = str(error)
    return results


def _start_sample(scenario, running, plan):
    """The time until it listens, and the memory once it has settled."""
    sample = {"listen_ms": running.listen_seconds * 1000}
    if procfs.available():
        time.sleep(SETTLE_SECONDS)
        running.require_alive()
        sample.update(procfs.memory(running.pids())._asdict())
    return sample


def _idle_sample(scenario, running, plan):
    """The user memory of many idle connections, each after one response."""
    if not procfs.available():
        raise LoadError("memory is read from /proc; run this on Linux")
    checks.check(running.address, scenario, plan.root)
    request = http1.request(scenario.path, "127.0.0.1")
    with ConnectionPool(running.address, request) as first:
        first.open(FIRST_CONNECTIONS)
    time.sleep(SETTLE_SECONDS)
    before = procfs.memory(running.pids())
    with ConnectionPool(running.address, request) as pool:
        pool.open(scenario.connections)
        time.sleep(SETTLE_SECONDS)
        after = procfs.memory(running.pids())
        answered = pool.ask()
    if answered < scenario.connections:
        missing = scenario.connections - answered
        raise LoadError(f"{missing:,} idle connections did not answer a second request")
    grown = after.proportional - before.proportional
    return {
        "idle_bytes": grown / scenario.connections,
        "proportional": after.proportional,
        "resident": after.resident,
    }
