"""One run of wrk against a server, and the CPU time of both ends.

wrk counts its duration in whole seconds; here it is ended earlier, by the signal of Ctrl-C, so
that many short runs can be interleaved. Its own figures are right all the same.
"""

import signal
import subprocess
import time
from dataclasses import dataclass, field

from lib_compare import procfs, wrk
from lib_compare.wrk import LoadError
from lib_growth.bench import rest

# A run that has not begun, or not ended, by then is broken.
PATIENCE_SECONDS = 20.0

# The load has begun once the server has worked for so long.
BEGUN_NS = 2_000_000
STEP_SECONDS = 0.002


@dataclass(frozen=True)
class Load:
    """What wrk asks for."""

    path: str
    connections: int = 64
    headers: dict = field(default_factory=dict)
    script: str = wrk.DONE


def sample(bench, running, load):
    """One sample: what a request costs the server and both ends, and requests per second."""
    rest(running)
    running.require_alive()
    pids = running.pids()
    before, client_us = procfs.cpu(pids), procfs.children_us()
    result = _run(bench, running, load, pids)
    after, client_us = procfs.cpu(pids), procfs.children_us() - client_us
    figures = procfs.spent(before, after, result.requests)
    figures["both_us"] = figures["cpu_us"] + client_us / result.requests
    return {**figures, "requests": result.requests, "rate": result.rate}


def _run(bench, running, load, pids):
    script = bench.home / "load.lua"
    script.write_text(load.script)
    url = "http://%s:%d%s" % (*running.address, load.path)
    longest = round(PATIENCE_SECONDS + bench.seconds)
    command = wrk.command(url, script, load.connections, longest, load.headers)
    idle = procfs.cpu(pids).ran
    # This process is pinned to the core of the load, and wrk inherits that.
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        _await_load(process, pids, idle)
        time.sleep(bench.seconds)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise LoadError("wrk did not end in time") from error
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    return wrk.checked(output)


def _await_load(process, pids, idle):
    """Waits until the load has begun: to prepare many requests takes wrk a while."""
    end = time.monotonic() + PATIENCE_SECONDS
    while procfs.cpu(pids).ran < idle + BEGUN_NS:
        if process.poll() is not None:
            raise LoadError(f"wrk ended at once: {process.stdout.read().strip()[-300:]}")
        if time.monotonic() > end:
            raise LoadError("wrk did not begin")
        time.sleep(STEP_SECONDS)
