"""The processes of the load: one for each client, and one that changes files."""

import multiprocessing
from collections import Counter

from lib_soak import files
from lib_soak.client import Client

CLIENTS = 48


def run(address, versions, scarce, root, seed, watch):
    """Runs conversations until `watch` returns, which gets a function that says whether all
    processes run. Returns the counts and the violations of all clients."""
    context = multiprocessing.get_context("fork")
    stop, results = context.Event(), context.Queue()

    def converse(number):
        client = Client(address, versions, scarce, f"{seed}/{number}")
        client.run_until(stop)
        results.put((client.counts, client.violations))

    processes = [context.Process(target=converse, args=(number,)) for number in range(CLIENTS)]
    processes.append(context.Process(target=files.churn, args=(root, versions, seed, stop)))
    for process in processes:
        process.daemon = True
        process.start()
    try:
        watch(lambda: all(process.is_alive() for process in processes))
    finally:
        stop.set()
    counts, violations = Counter(), []
    for _ in range(CLIENTS):
        some, more = results.get(timeout=120)
        counts.update(some)
        violations += more
    for process in processes:
        process.join(timeout=60)
    return counts, violations
