"""The client processes, and the process that changes files."""

import multiprocessing
import random
import threading
from collections import Counter
from typing import NamedTuple

from lib_soak import kinds, tree
from lib_soak.client import Client

# Most violations kept per process, so that a broken server does not exhaust memory.
VIOLATIONS_MOST = 50


class Outcome(NamedTuple):
    """The counts and violations of one process, or of all."""

    counts: Counter
    violations: list


class Load(NamedTuple):
    """The parameters of a load."""

    place: object
    root: object
    seed: int
    processes: int
    threads: int
    requests: int


def run(load, seconds, watch):
    """Runs conversations for `seconds` or until `load.requests` were made; `watch` runs meanwhile
    in this process. Returns the Outcome of all processes."""
    context = multiprocessing.get_context("fork")
    stop, results = context.Event(), context.Queue()
    versions = load.place.versions
    churner = context.Process(
        target=tree.churn, args=(load.root, versions, load.seed, stop), daemon=True
    )
    clients = [
        context.Process(target=_clients, args=(load, number, stop, results), daemon=True)
        for number in range(load.processes)
    ]
    for process in [churner, *clients]:
        process.start()
    try:
        watch(seconds, lambda: any(process.is_alive() for process in clients))
    finally:
        stop.set()
    outcomes = [results.get(timeout=120) for _ in clients]
    for process in [churner, *clients]:
        process.join(timeout=60)
    counts, violations = Counter(), []
    for outcome in outcomes:
        counts.update(outcome.counts)
        violations += outcome.violations
    return Outcome(counts, violations)


def _clients(load, number, stop, results):
    """A process with one thread per client, each with its own seed."""
    clients = [Client(load.place, f"{load.seed}/{number}/{one}") for one in range(load.threads)]
    most = load.requests // (load.processes * load.threads)
    threads = [threading.Thread(target=_client, args=(one, most, stop)) for one in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts, violations = Counter(), []
    for client in clients:
        counts.update(client.counts)
        violations += client.violations
    results.put(Outcome(counts, violations[:VIOLATIONS_MOST]))


def _client(client, most, stop):
    chance = random.Random(client.chance.random())
    chosen, weights = list(kinds.WEIGHTS), list(kinds.WEIGHTS.values())
    while not stop.is_set() and len(client.violations) < VIOLATIONS_MOST:
        client.run(chance.choices(chosen, weights)[0])
        made = sum(count for (what, _), count in client.counts.items() if what == "requests")
        if made >= most:
            return
