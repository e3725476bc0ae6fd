"""One run of wrk against a server, and the CPU time of server and client.

wrk accepts only whole seconds as its duration. It is stopped earlier with SIGINT, so that many
short runs can be interleaved; its figures remain correct.
"""

import signal
import subprocess
import time
from dataclasses import dataclass, field

from lib_compare import procfs, wrk
from lib_compare.wrk import LoadError
from lib_growth.bench import wait_until_idle

# Timeouts for the start of a run and for its end.
TIMEOUT_SECONDS = 20.0

# The load has started once the server has used this much CPU time.
BEGUN_NS = 2_000_000
STEP_SECONDS = 0.002


@dataclass(frozen=True)
class Load:
    """The requests of a run."""

    path: str
    connections: int = 64
    headers: dict = field(default_factory=dict)
    script: str = wrk.DONE


def sample(bench, running, load):
    """One sample: CPU time per request of the server and of server + client, requests per
    second."""
    wait_until_idle(running)
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
    longest = round(TIMEOUT_SECONDS + bench.seconds)
    command = wrk.command(url, script, load.connections, longest, load.headers)
    idle = procfs.cpu(pids).ran
    # This process is pinned to the load's core, and wrk inherits the pinning.
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        _await_load(process, pids, idle)
        time.sleep(bench.seconds)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise LoadError(f"wrk did not exit within {TIMEOUT_SECONDS:.0f} s") from error
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    return wrk.checked(output)


def _await_load(process, pids, idle):
    """Waits until the load has started: wrk needs time to prepare many requests."""
    end = time.monotonic() + TIMEOUT_SECONDS
    while procfs.cpu(pids).ran < idle + BEGUN_NS:
        if process.poll() is not None:
            raise LoadError(f"wrk exited at once: {process.stdout.read().strip()[-300:]}")
        if time.monotonic() > end:
            raise LoadError(f"wrk sent no load within {TIMEOUT_SECONDS:.0f} s")
        time.sleep(STEP_SECONDS)
