"""The rounds: starts the servers of a scenario, checks them, and times them in turn.

Rounds are interleaved (A B C A B C), so that a slow minute of the machine affects all servers
equally. The result is plain data, ready for JSON: server or point -> {"samples": [...], "absent":
text or None}.
"""

import filecmp
import os
import random
import signal
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from lib_compare import clients, folder, growth, http1, machine
from lib_compare.clients import Pool
from lib_compare.machine import Failure
from lib_compare.servers import Running

# Connections opened and closed before the memory of idle ones is measured, so that one-time
# allocations of the first requests are not attributed to them.
FIRST_CONNECTIONS = 16

# Time for a server to settle before its memory is read.
SETTLE_SECONDS = 0.3

# After a load, a server has settled once it uses less than this share of its core. The wait ends
# after SETTLE_LIMIT_SECONDS in any case.
SETTLE_QUIET, SETTLE_STEP_SECONDS, SETTLE_LIMIT_SECONDS = 0.02, 0.03, 3.0

# Number of the many files that are compared byte by byte, and the largest compared file.
COMPARED, COMPARED_BYTES = 20, 64 << 20

# The rounds of `fair` are this many times as long as others: the p99.9 latency of a few thousand
# requests is a single outlier. DEPTH: requests that its pipelining client keeps outstanding.
FAIR_LONGER, DEPTH = 4, 64

RELOADS = 5  # in a round

# Errors that exclude a server from a scenario, but do not end the comparison.
FAILURES = (Failure, OSError, ValueError, KeyError, subprocess.SubprocessError)


@dataclass
class Plan:
    """How to measure: rounds, duration, cores and folders."""

    rounds: int
    seconds: int
    core: int  # of the server
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
        cores = self.every if both else {self.core}
        return Running(recipe, root or self.root, home, cores, scenario, extra)

    def script(self, **arguments):
        """The file with a script for wrk."""
        path = self.home / "load.lua"
        path.write_text(clients.script(**arguments))
        return path


@dataclass
class Contender:
    """A running, checked server in one scenario."""

    running: Running
    scenario: object
    plan: Plan
    headers: dict
    reply_bytes: int = 0

    def url(self):
        """The URL of the scenario's path."""
        return self.running.url(self.scenario.path)


def run(scenario, recipes, plan):
    """Measures one scenario. A failure is recorded and excludes the server, or the point."""
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
                if results[name]["absent"] is not None:
                    continue
                try:
                    sample = take()
                    results[name]["samples"] += [sample] if number >= 0 else []
                except FAILURES as error:
                    results[name]["absent"] = f"{type(error).__name__}: {error}"
    return results


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
            if refusal := _refusal(scenario, recipe, plan.allowed):
                raise Failure(refusal)
            if scenario.kind in FRESH:
                takers[recipe.name] = partial(_fresh, scenario, recipe, plan)
                continue
            extra = _constant(scenario, head_length) if recipe.kind == "floor" else ()
            running = stack.enter_context(plan.start(recipe, scenario, extra))
            headers, own_length = check(running, scenario, plan)
            head_length = head_length or own_length
            one = Contender(running, scenario, plan, headers, own_length + scenario.size)
            takers[recipe.name] = partial(_timed, one)
        except FAILURES as error:
            results[recipe.name] = {"samples": [], "absent": str(error)}
    return takers, results


def _is_meant_for(scenario, recipe):
    """Whether a server is of interest: some scenarios compare tenkay with itself."""
    if recipe.name == "one-worker":
        return scenario.name in ("worker", "two-workers")
    return recipe.kind == "ours" or scenario.name not in ("worker", "supervisor", "slow-log")


def _refusal(scenario, recipe, allowed):
    """Why a server does not take part in a scenario, or None."""
    if recipe.kind == "floor" and not scenario.floor:
        return "not measured: it is no lower bound in this scenario"
    if scenario.needs - recipe.features:
        return f"no configuration for {', '.join(scenario.needs - recipe.features)} is known here"
    if scenario.connections > allowed:
        return f"the limit on open files allows {allowed:,} connections only"
    return None


def _constant(scenario, head_length):
    """The floor's arguments for a response as long as the real one."""
    arguments = ["--status", str(scenario.status), "--size", str(scenario.size)]
    arguments += ["--head", str(head_length), "--replies", str(scenario.pipeline)]
    # Reads as much memory as the many files: a single constant would stay in the processor's cache.
    return arguments + ["--copies", str(folder.MANY if scenario.many else 1)]


def check(running, scenario, plan):
    """Requests what the load will request, and compares status, length and bytes. Returns the
    fields of the load's requests, and the bytes of a response's head."""
    # The bytes of the floor are arbitrary.
    root = None if running.recipe.kind == "floor" else plan.root
    headers, home = dict(scenario.headers), plan.home
    if scenario.status == 304:
        headers["If-None-Match"] = '"floor"'
        if root is not None:
            (answer,), _, _ = clients.curl([running.url(scenario.path)], {}, "http1.1", home)
            headers["If-None-Match"] = answer.fields["etag"]
    if scenario.pipeline > 1:
        answers = clients.fetch(running.address, [scenario.path] * scenario.pipeline, headers)
        for answer in answers:
            (home / "body").write_bytes(answer.body)
            _compare(scenario.path, scenario, answer, home / "body", root)
        return headers, answers[0].head_bytes
    if scenario.many:
        chosen = random.Random(7).sample(range(folder.MANY), COMPARED)
        paths = [folder.MANY_PATTERN % index for index in chosen]
    else:
        # curl cannot use a connection twice with prior knowledge of HTTP/2.
        once = scenario.by_bytes or "h2c" in scenario.needs
        paths = [scenario.path] * (1 if once else 2)
    urls = [running.url(path) for path in paths]
    answers, bodies, connections = clients.curl(urls, headers, scenario.protocol, home)
    if connections != (len(paths) if scenario.close else 1):
        raise Failure(f"{len(paths)} requests made {connections} connections")
    for path, answer, body in zip(paths, answers, bodies):
        _compare(path, scenario, answer, body, root)
        body.unlink()
    return headers, answers[0].head_bytes


def _compare(path, scenario, answer, body, root):
    if answer.status != scenario.status:
        raise Failure(f"{path}: status {answer.status} instead of {scenario.status}")
    if scenario.status == 304:
        return
    file = None if root is None else root / (scenario.body_path or path).lstrip("/")
    if file is not None and scenario.field and scenario.field not in answer.fields:
        raise Failure(f"{path}: the field {scenario.field} is missing")
    expected, length = scenario.size if file is None else file.stat().st_size, body.stat().st_size
    if length != expected:
        raise Failure(f"{path}: {length} bytes of body instead of {expected}")
    if file and expected <= COMPARED_BYTES and not filecmp.cmp(body, file, shallow=False):
        raise Failure(f"{path}: the body differs from the file")


def _timed(one):
    """One run of the load against a running server."""
    one.running.require_alive()
    sample = LOADS[one.scenario.kind](one)
    settle(one.running)
    return sample


def _fresh(scenario, recipe, plan):
    """The same against a server that is started for each run."""
    with plan.start(recipe, scenario) as running:
        return LOADS[scenario.kind](Contender(running, scenario, plan, {}))


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
    sample = {"requests": requests, "rate": requests / seconds}
    sample.update(machine.spent(before, after, requests))
    sample["both_us"] = sample["cpu_us"] + client_us / requests
    sample["resident"] = machine.memory(pids).resident
    return sample


def wrk(one, url, script):
    """One run of wrk."""
    scenario, seconds = one.scenario, one.plan.seconds * one.scenario.longer
    command = clients.wrk_command(url, script, scenario.connections, seconds, one.headers)

    def load():
        result = clients.wrk(clients.run(command, seconds), scenario.by_bytes)
        requests = result.bytes / one.reply_bytes if scenario.by_bytes else result.requests
        return requests, result.seconds

    return measured(one.running, load)


def _load(one):
    """One run of wrk with the requests of the scenario."""
    many = (folder.MANY_PATTERN, folder.MANY) if one.scenario.many else None
    return wrk(one, one.url(), one.plan.script(pipeline=one.scenario.pipeline, many=many))


def h2load(one, command, seconds):
    """One run of h2load."""
    def load():
        result = clients.h2load(clients.run(command, seconds), one.scenario.size)
        return result.requests, result.seconds

    return measured(one.running, load)


def _http2(one):
    """One run of h2load over HTTP/2."""
    scenario, seconds = one.scenario, one.plan.seconds
    command = clients.h2load_command(
        one.url(), scenario.connections, scenario.streams, one.headers, "-D", str(seconds)
    )
    return h2load(one, command, seconds)


def _workers(one):
    """Two runs of wrk at the same time, one on each core: on loopback, a request from another core
    costs twice as much, so each worker gets half of its requests from either core. Each connection
    waits for a millisecond before each request, because the loads share the cores of the workers.
    One worker has half of the connections of two.
    """
    script, seconds = one.plan.script(paced=True), one.plan.seconds
    cores = sorted(one.plan.every)[:2]
    each = one.scenario.connections // (4 if one.running.recipe.name == "one-worker" else 2)
    line = clients.wrk_command(one.url(), script, each, seconds, {})
    if one.running.recipe.kind == "ours":
        for core, pid in zip(cores, worker_pids(one.running)):
            os.sched_setaffinity(pid, {core})

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
    log.unlink(missing_ok=True)
    command = clients.paced_command(
        one.url(), scenario.connections, scenario.rate, seconds, log, one.headers
    )
    sample, found = h2load(one, command, seconds), clients.latencies(log)
    points = {"p50_us": 50, "p99_us": 99, "p999_us": 99.9, "max_us": 100}
    sample.update({key: clients.percentile(found, percent) for key, percent in points.items()})
    return found, sample


def _tail(one):
    """The latency at a fixed rate."""
    return _paced(one, one.plan.seconds)[1]


def _fair(one):
    """The latency without and with a greedy client: a download, and endless pipelining. It has the
    lowest scheduling priority, because it shares the core of the load that is measured."""
    seconds, quiet, beside = one.plan.seconds * FAIR_LONGER, [], {}
    cases = {"download_us": ("/10m.bin", 1), "pipeline_us": (one.scenario.path, DEPTH)}
    for key, (path, depth) in cases.items():
        quiet += _paced(one, seconds)[0]
        script = one.plan.script(pipeline=depth)
        line = clients.wrk_command(one.running.url(path), script, 1, seconds + 1, {})
        idle_priority = ["chrt", "--idle", "0", *line]
        with subprocess.Popen(idle_priority, stdout=subprocess.PIPE, text=True) as greedy:
            time.sleep(SETTLE_SECONDS)
            beside[key] = _paced(one, seconds)[1]["p999_us"]
            clients.wrk(greedy.communicate()[0], partly=True)
    quiet_us = clients.percentile(sorted(quiet), 99.9)
    return {"worst": max(beside.values()) / quiet_us, "quiet_us": quiet_us, **beside}


def _slow_log(one):
    """The latency with an access log that is written, one whose reader sleeps, and one on a full
    disk, of a server each. Lines that find no room must be reported."""
    plan, found = one.plan, {}
    fifo = plan.home / "fifo"
    fifo.unlink(missing_ok=True)
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        logs = {"quiet_us": plan.home / "written", "sleeping_us": fifo, "full_us": "/dev/full"}
        for key, log in logs.items():
            extra = ("--access-log", str(log))
            with plan.start(one.running.recipe, one.scenario, extra) as running:
                logging = replace(one, running=running)
                found[key] = _paced(logging, plan.seconds * FAIR_LONGER)[1]["p999_us"]
                if (key == "quiet_us") == (" of the access log" in running.log.read_text()):
                    raise Failure(f"dropped lines with {log}: {running.output_tail()}")
    finally:
        os.close(reader)
    return {"worst": max(found["sleeping_us"], found["full_us"]) / found["quiet_us"], **found}


def _start(one):
    """The time until it listens, and the memory once it has settled."""
    time.sleep(SETTLE_SECONDS)
    one.running.require_alive()
    memory = machine.memory(one.running.pids())._asdict()
    return {"listen_ms": one.running.listen_seconds * 1000, **memory}


def _idle(one):
    """The user memory of many connections, each idle after one response: h2load sends a request on
    each connection at its start, and the next one after this measurement."""
    scenario, pids = one.scenario, one.running.pids()
    had = machine.sockets(pids)

    def hold(connections, seconds):
        protocol = [] if scenario.streams > 1 else ["--h1"]
        return clients.h2load_command(one.url(), connections, scenario.streams, {}, *protocol,
                                      "--rps", "0.001", "-D", str(seconds))

    clients.h2load(clients.run(hold(FIRST_CONNECTIONS, 1), 1), scenario.size)
    settle(one.running)
    before = machine.memory(pids)
    seconds = 5 + scenario.connections // 200
    command = hold(scenario.connections, seconds)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as client:
        try:
            while machine.sockets(pids) - had < scenario.connections:
                if client.poll() is not None:
                    raise Failure(f"not all connections were opened within {seconds} s")
                time.sleep(SETTLE_SECONDS)
            time.sleep(SETTLE_SECONDS)
            settle(one.running)
            after = machine.memory(pids)
        finally:
            client.kill()
    grown = after.proportional - before.proportional
    return {"idle_bytes": grown / scenario.connections, **after._asdict()}


def _supervisor(one):
    """The time of reloads, the memory of the supervisor afterwards, and how two workers share many
    connections."""
    running, times = one.running, []
    for number in range(1, RELOADS + 1):
        begun = time.perf_counter()
        running.process.send_signal(signal.SIGHUP)
        while running.log.read_text().count("reloaded: ") < number:
            if time.perf_counter() > begun + clients.TIMEOUT_SECONDS:
                raise Failure(f"the reload failed: {running.output_tail()}")
            time.sleep(0.001)
        times.append((time.perf_counter() - begun) * 1000)
    workers = worker_pids(running)[-2:]
    before = [machine.sockets([pid]) for pid in workers]
    with Pool(running.address, http1.request(one.scenario.path), one.scenario.connections):
        each = [machine.sockets([pid]) - had for pid, had in zip(workers, before)]
    memory = machine.memory([running.process.pid])._asdict()
    return {"reload_ms": sum(times) / len(times), "share": max(each) / sum(each), **memory}


# The function that takes a sample, by kind of scenario, and the kinds whose servers are started for
# each sample.
LOADS = {"load": _load, "h2": _http2, "workers": _workers, "handshake": _handshakes, "tail": _tail,
         "fair": _fair, "slow-log": _slow_log, "start": _start, "idle": _idle,
         "supervisor": _supervisor}
FRESH = ("start", "idle", "supervisor", "slow-log")
