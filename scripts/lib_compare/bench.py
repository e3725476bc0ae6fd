"""The rounds: starts the servers of a scenario, checks them, and times them in turn.

Rounds are interleaved (A B C A B C), so that a slow minute of the machine affects all servers
equally. The result is plain data, ready for JSON: server or point -> {"samples": [...], "absent":
text or None}.
"""

import filecmp
import os
import random
import re
import signal
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from lib_compare import clients, folder, growth, machine
from lib_compare.clients import Greedy, LoadError, Pool
from lib_compare.servers import Running, ServerError

# Connections opened and closed before the memory of idle ones is measured, so that one-time
# allocations of the first requests are not attributed to them.
FIRST_CONNECTIONS = 16

# Time for a server to settle before its memory is read.
SETTLE_SECONDS = 0.3

# After a load, a server has settled once it uses less than this share of its core. The wait ends
# after SETTLE_LIMIT_SECONDS in any case.
SETTLE_QUIET, SETTLE_STEP_SECONDS, SETTLE_LIMIT_SECONDS = 0.02, 0.03, 3.0

# With one request per connection, fewer new connections than this share are an error.
NEW_CONNECTIONS = 0.95

# Number of the many files that are compared byte by byte, and the largest compared file.
COMPARED, COMPARED_BYTES = 20, 64 << 20

# The rounds of `fair` are this many times as long as others: the p99.9 latency of a few thousand
# requests is a single outlier. DEPTH: requests that its pipelining client keeps outstanding.
FAIR_LONGER, DEPTH = 4, 64

# The load on some of many idle connections, and the reloads of a round.
BUSY, RELOADS = 100, 5

# Errors that exclude a server from a scenario, but do not end the comparison.
FAILURES = (LoadError, ServerError, OSError, ValueError, KeyError, subprocess.SubprocessError)


@dataclass
class Plan:
    """How to measure: rounds, duration, cores and folders."""

    rounds: int
    seconds: int
    cores: object
    every: set  # all cores
    root: Path
    home: Path
    tls_load: str  # the program that makes TLS handshakes
    allowed: int  # connections, by the limit on open files
    homes: int = 0

    def start(self, recipe, scenario=None, extra=(), root=None):
        """Starts a server in a new folder of its own; returns a context manager."""
        self.homes += 1
        home = self.home / f"{recipe.name}-{self.homes}"
        both = scenario and "workers" in scenario.needs
        cores = self.every if both else self.cores.server
        return Running(recipe, root or self.root, home, cores, scenario, extra)


class Contender:
    """A running, checked server in one scenario."""

    def __init__(self, running, scenario, headers, reply_bytes, plan):
        self.running, self.scenario, self.plan = running, scenario, plan
        self.headers, self.reply_bytes = headers, reply_bytes

    def url(self, path=None):
        """The URL of a path, by default that of the scenario."""
        scheme, path = self.scenario.scheme, path or self.scenario.path
        return "%s://%s:%d%s" % (scheme, *self.running.address, path)

    def script(self, **arguments):
        """The file with a script for wrk."""
        path = self.plan.home / "load.lua"
        path.write_text(clients.script(**arguments))
        return path


def run(scenario, recipes, plan):
    """Measures one scenario."""
    with ExitStack() as stack:
        if scenario.kind == "growth":
            takers, results = growth.takers(scenario, recipes[0], plan, stack), {}
        else:
            takers, results = _line_up(scenario, recipes, plan, stack)
        for name in takers:
            results[name] = {"samples": [], "absent": None}
        warm = scenario.kind in ("load", "h2", "growth")
        for number in range(-1 if warm else 0, plan.rounds):
            for name, take in takers.items():
                if results[name]["absent"] is None:
                    machine.progress(f"{scenario.name}: round {number + 1}, {name}")
                    _attempt(take, results[name], counts=number >= 0)
    return results


def _attempt(take, result, counts):
    """Takes a sample; a failure is recorded and excludes the server, or the point."""
    try:
        sample = take()
        result["samples"] += [sample] if counts else []
    except FAILURES as error:
        result["absent"] = f"{type(error).__name__}: {error}"


def _line_up(scenario, recipes, plan, stack):
    """Starts and checks every server; returns the functions that take a sample by server, and
    results for the servers that do not take part.

    The floor comes last: its constant is as long as the response of the first server, tenkay.
    """
    takers, results, head_length = {}, {}, 0
    for recipe in sorted(recipes, key=lambda recipe: recipe.kind == "floor"):
        if not _is_meant_for(scenario, recipe):
            continue
        try:
            refusal = _refusal(scenario, recipe)
            if refusal:
                raise LoadError(refusal)
            if scenario.kind in ALONE:
                take = ALONE[scenario.kind]
                takers[recipe.name] = lambda take=take, recipe=recipe: take(scenario, recipe, plan)
                continue
            machine.progress(f"{scenario.name}: starting {recipe.name}")
            is_floor = recipe.kind == "floor"
            extra = _constant(scenario, head_length) if is_floor else ()
            running = stack.enter_context(plan.start(recipe, scenario, extra))
            headers, head = check(running, scenario, None if is_floor else plan.root, plan.home)
            head_length = head_length or head.length
            one = Contender(running, scenario, headers, head.length + head.body_length, plan)
            takers[recipe.name] = lambda one=one: _timed(one)
        except FAILURES as error:
            results[recipe.name] = {"samples": [], "absent": str(error)}
    return takers, results


def _is_meant_for(scenario, recipe):
    """Whether a server is of interest: some scenarios compare tenkay with itself."""
    if recipe.name == "one-worker":
        return scenario.name in ("worker", "two-workers")
    return recipe.kind == "ours" or scenario.name not in ("worker", "supervisor", "slow-log")


def _refusal(scenario, recipe):
    """Why a server does not take part in a scenario, or None."""
    if recipe.kind == "floor" and not scenario.floor:
        return "not measured: it is no lower bound in this scenario"
    if scenario.needs - recipe.features:
        return f"no configuration for {', '.join(scenario.needs - recipe.features)} is known here"
    return None


def _constant(scenario, head_length):
    """The floor's arguments for a response as long as the real one."""
    arguments = ["--status", str(scenario.status), "--size", str(scenario.size)]
    arguments += ["--head", str(head_length), "--replies", str(scenario.pipeline)]
    # Reads as much memory as the many files: a single constant would stay in the processor's cache.
    return arguments + ["--copies", str(folder.MANY if scenario.many else 1)]


def check(running, scenario, root, home):
    """Requests what the load will request, and compares status, length and bytes. Returns the
    fields of the load's requests, and the Head. `root` is the folder with the expected bytes; None
    for the floor, whose bytes are arbitrary."""
    base = "%s://%s:%d" % (scenario.scheme, *running.address)
    headers = dict(scenario.headers)
    if scenario.status == 304:
        headers["If-None-Match"] = '"floor"'
        if root is not None:
            (head,), _, _ = clients.curl([base + scenario.path], {}, scenario.protocol, home)
            headers["If-None-Match"] = head.fields["etag"]
    if scenario.pipeline > 1:
        found = clients.fetch(running.address, [scenario.path] * scenario.pipeline, headers)
        body = home / "body"
        for head, data in found:
            body.write_bytes(data)
            _compare(scenario.path, scenario, head, body, root)
        return headers, found[0][0]
    if scenario.many:
        chosen = random.Random(7).sample(range(folder.MANY), COMPARED)
        paths = [folder.MANY_PATTERN % index for index in chosen]
    else:
        # curl cannot use a connection twice with prior knowledge of HTTP/2.
        once = scenario.by_bytes or "h2c" in scenario.needs
        paths = [scenario.path] * (1 if once else 2)
    urls = [base + path for path in paths]
    heads, bodies, connections = clients.curl(urls, headers, scenario.protocol, home)
    if connections != (len(paths) if scenario.close else 1):
        raise LoadError(f"{len(paths)} requests made {connections} connections")
    for path, head, body in zip(paths, heads, bodies):
        _compare(path, scenario, head, body, root)
        body.unlink(missing_ok=True)
    return headers, heads[0]


def _compare(path, scenario, head, body, root):
    if head.status != scenario.status:
        raise LoadError(f"{path}: status {head.status} instead of {scenario.status}")
    if scenario.status == 304:
        return
    file = None if root is None else root / (scenario.body_path or path).lstrip("/")
    if file is not None and scenario.field and scenario.field not in head.fields:
        raise LoadError(f"{path}: the field {scenario.field} is missing")
    expected = scenario.size if file is None else file.stat().st_size
    if head.body_length != expected:
        raise LoadError(f"{path}: {head.body_length} bytes of body instead of {expected}")
    if file and expected <= COMPARED_BYTES and not filecmp.cmp(body, file, shallow=False):
        raise LoadError(f"{path}: the body differs from the file")


def _timed(one):
    """One run of the load against a running server."""
    one.running.require_alive()
    sample = LOADS[one.scenario.kind](one)
    settle(one.running)
    return sample


def settle(running):
    """Waits until the server has closed its connections: the next server runs on the same core."""
    end = time.monotonic() + SETTLE_LIMIT_SECONDS
    used = machine.cpu(running.pids()).ran
    while time.monotonic() < end:
        time.sleep(SETTLE_STEP_SECONDS)
        before, used = used, machine.cpu(running.pids()).ran
        if used - before < SETTLE_QUIET * SETTLE_STEP_SECONDS * 1e9:
            return


def measured(running, load):
    """Runs a load that returns (requests, seconds); returns the sample, with CPU times."""
    pids = running.pids()
    before, client_us = machine.cpu(pids), machine.children_us()
    requests, seconds = load()
    after, client_us = machine.cpu(pids), machine.children_us() - client_us
    sample = {"requests": requests, "rate": requests / seconds, "seconds": seconds}
    sample.update(machine.spent(before, after, requests))
    sample["both_us"] = sample["cpu_us"] + client_us / requests
    sample["resident"] = machine.memory(pids).resident
    return sample


def _load(one):
    """One run of wrk."""
    scenario, seconds = one.scenario, one.plan.seconds * one.scenario.longer
    many = (folder.MANY_PATTERN, folder.MANY) if scenario.many else None
    script = one.script(pipeline=scenario.pipeline, many=many)
    command = clients.wrk_command(one.url(), script, scenario.connections, seconds, one.headers)
    before = machine.accepted()

    def load():
        result = clients.wrk(clients.run(command, seconds), scenario.by_bytes)
        requests = result.bytes / one.reply_bytes if scenario.by_bytes else result.requests
        return requests, result.seconds

    sample = measured(one.running, load)
    accepted = machine.accepted() - before
    if scenario.close and accepted < NEW_CONNECTIONS * sample["requests"]:
        raise LoadError(f"{sample['requests']:,} requests on only {accepted:,} new connections")
    return sample


def _http2(one):
    """One run of h2load."""
    scenario, seconds = one.scenario, one.plan.seconds
    command = clients.h2load_command(
        one.url(), scenario.connections, scenario.streams, one.headers, "-D", str(seconds)
    )

    def load():
        result = clients.h2load(clients.run(command, seconds), scenario.size)
        return result.requests, result.seconds

    return measured(one.running, load)


def _workers(one):
    """Two runs of wrk at the same time, one on each core: on loopback, a request from another core
    costs twice as much, so each worker gets half of its requests from either core. Each connection
    waits for a millisecond before each request, because the loads share the cores of the workers.
    One worker has half of the connections of two.
    """
    script, seconds = one.script(paced=True), one.plan.seconds
    cores = sorted(one.plan.every)[:2]
    each = one.scenario.connections // (4 if one.running.recipe.name == "one-worker" else 2)
    line = clients.wrk_command(one.url(), script, each, seconds, {})
    if one.running.recipe.kind == "ours":
        for core, pid in zip(cores, worker_pids(one.running)):
            machine.pin(core, pid)

    def load():
        loads = [
            subprocess.Popen(["taskset", "-c", str(core), *line], stdout=subprocess.PIPE, text=True)
            for core in cores
        ]
        results = [clients.wrk(load.communicate()[0]) for load in loads]
        return sum(one.requests for one in results), results[0].seconds

    return measured(one.running, load)


def worker_pids(running):
    """The workers of a supervisor, in the order of their start."""
    return sorted(set(running.pids()) - {running.process.pid})


def _handshakes(one):
    """One run of handshakes."""
    scenario, plan = one.scenario, one.plan
    return measured(one.running, lambda: clients.handshakes(
        plan.tls_load, one.running.address, scenario.path, scenario.resumes, plan.seconds
    ))


def _paced(one, seconds):
    """One run at a fixed rate: the latencies, and the sample."""
    log, scenario = one.plan.home / "latencies.log", one.scenario
    connections = BUSY if scenario.kind == "idle" else scenario.connections
    command = clients.paced_command(
        one.url(), connections, scenario.rate, seconds, log, one.headers
    )

    def load():
        log.unlink(missing_ok=True)
        result = clients.h2load(clients.run(command, seconds), scenario.size)
        return result.requests, result.seconds

    sample = measured(one.running, load)
    found = clients.latencies(log)
    points = {"p50_us": 50, "p99_us": 99, "p999_us": 99.9, "max_us": 100}
    sample.update({key: clients.percentile(found, percent) for key, percent in points.items()})
    return found, sample


def _tail(one):
    """The latency at a fixed rate."""
    return _paced(one, one.plan.seconds)[1]


def _fair(one):
    """The latency without and with a greedy client: a download, and endless pipelining."""
    seconds = one.plan.seconds * FAIR_LONGER
    quiet, beside = [], {}
    cases = {"download_us": ("/10m.bin", 1), "pipeline_us": (None, DEPTH)}
    for key, (path, depth) in cases.items():
        quiet += _paced(one, seconds)[0]
        with Greedy(one.url(path), one.script(pipeline=depth), seconds + 1) as greedy:
            time.sleep(SETTLE_SECONDS)
            beside[key] = _paced(one, seconds)[1]["p999_us"]
        if path:
            moved = greedy.bytes_per_second
    quiet_us = clients.percentile(sorted(quiet), 99.9)
    worst = max(beside.values()) / quiet_us
    return {"worst": worst, "quiet_us": quiet_us, "moved": moved, **beside}


def _slow_log(scenario, recipe, plan):
    """The latency with an access log that is written, one whose reader sleeps, and one on a full
    disk. Lines that find no room must be reported."""
    fifo, found = plan.home / "fifo", {}
    fifo.unlink(missing_ok=True)
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        logs = {"quiet_us": plan.home / "written", "sleeping_us": fifo, "full_us": "/dev/full"}
        for key, log in logs.items():
            with plan.start(recipe, scenario, ("--access-log", str(log))) as running:
                headers, _ = check(running, scenario, plan.root, plan.home)
                one = Contender(running, scenario, headers, 0, plan)
                found[key] = _paced(one, plan.seconds * FAIR_LONGER)[1]["p999_us"]
                if (key == "quiet_us") == (" of the access log" in running.log.read_text()):
                    raise LoadError(f"dropped lines with {log}: {running.output_tail()}")
    finally:
        os.close(reader)
    return {"worst": max(found["sleeping_us"], found["full_us"]) / found["quiet_us"], **found}


def _start(scenario, recipe, plan):
    """The time until it listens, and the memory once it has settled."""
    with plan.start(recipe, scenario) as running:
        time.sleep(SETTLE_SECONDS)
        running.require_alive()
        memory = machine.memory(running.pids())._asdict()
        return {"listen_ms": running.listen_seconds * 1000, **memory}


def _idle(scenario, recipe, plan):
    """The user memory of many connections, each idle after one response. Over HTTP/1.1, requests
    are then sent on BUSY further ones at a fixed rate, and every idle one must answer again."""
    with plan.start(recipe, scenario) as running:
        headers, _ = check(running, scenario, plan.root, plan.home)
        one = Contender(running, scenario, headers, 0, plan)
        if scenario.scheme == "https":
            return _idle_secure(one)
        Pool(running.address, scenario.path, FIRST_CONNECTIONS).close()
        time.sleep(SETTLE_SECONDS)
        before = machine.memory(running.pids())
        with Pool(running.address, scenario.path, scenario.connections - BUSY) as pool:
            time.sleep(SETTLE_SECONDS)
            after = machine.memory(running.pids())
            _, sample = _paced(one, plan.seconds * 2)
            if (answered := pool.ask()) < len(pool.sockets):
                raise LoadError(f"{answered:,} of {len(pool.sockets):,} connections answered again")
            return {**sample, **_each(before, after, len(pool.sockets))}


def _each(before, after, connections):
    """The memory for each connection, and of all."""
    grown = after.proportional - before.proportional
    return {"idle_bytes": grown / connections, "proportional": after.proportional,
            "resident": after.resident}


def _idle_secure(one):
    """The same with h2load as the client, which sends a request on each connection at its start and
    the next one after this measurement."""
    scenario, pids = one.scenario, one.running.pids()
    clients.run(_hold(one, FIRST_CONNECTIONS, 1), 1)
    time.sleep(SETTLE_SECONDS)
    before, opened = machine.memory(pids), machine.accepted()
    seconds = 3 + scenario.connections // 200
    with subprocess.Popen(_hold(one, scenario.connections, seconds + 2), stdout=subprocess.PIPE,
                          text=True) as client:
        end, used = time.monotonic() + seconds, machine.cpu(pids).ran
        try:
            while time.monotonic() < end and (
                machine.accepted() - opened < scenario.connections
                or used != (used := machine.cpu(pids).ran)
            ):
                time.sleep(SETTLE_SECONDS)
            after, opened = machine.memory(pids), machine.accepted() - opened
        finally:
            client.kill()
    if opened < scenario.connections:
        raise LoadError(f"only {opened:,} of {scenario.connections:,} connections were opened")
    return _each(before, after, scenario.connections)


def _hold(one, connections, seconds):
    protocol = [] if one.scenario.streams > 1 else ["--h1"]
    return clients.h2load_command(
        one.url(), connections, one.scenario.streams, one.headers, *protocol, "--rps", "0.001",
        "-D", str(seconds),
    )


def _supervisor(scenario, recipe, plan):
    """The time of reloads, the memory of the supervisor afterwards, and how two workers share many
    connections."""
    with plan.start(recipe, scenario) as running:
        times = []
        for number in range(1, RELOADS + 1):
            begun = time.perf_counter()
            running.process.send_signal(signal.SIGHUP)
            while len(re.findall("reloaded: ", running.log.read_text())) < number:
                if time.perf_counter() > begun + clients.TIMEOUT_SECONDS:
                    raise LoadError(f"the reload failed: {running.output_tail()}")
                time.sleep(0.001)
            times.append((time.perf_counter() - begun) * 1000)
        workers = worker_pids(running)[-2:]
        before = [len(os.listdir(f"/proc/{pid}/fd")) for pid in workers]
        count = min(10_000, plan.allowed)
        with Pool(running.address, scenario.path, count):
            each = [len(os.listdir(f"/proc/{pid}/fd")) - had for pid, had in zip(workers, before)]
        memory = machine.memory([running.process.pid])._asdict()
        return {"reload_ms": sum(times) / len(times), "share": max(each) / sum(each), **memory}


# The function that takes a sample of a running server, by kind of scenario; and those that start
# the server themselves.
LOADS = {"load": _load, "h2": _http2, "workers": _workers, "handshake": _handshakes, "tail": _tail,
         "fair": _fair}
ALONE = {"start": _start, "idle": _idle, "supervisor": _supervisor, "slow-log": _slow_log}
