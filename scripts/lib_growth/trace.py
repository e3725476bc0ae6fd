"""Counts the system calls of a server with strace, if it is installed and permitted.

strace slows the server down, so nothing is timed while it counts.
"""

import signal
import subprocess
import time

from lib_compare import machine

TIMEOUT_SECONDS = 5.0


class TraceError(Exception):
    """strace could not count; the text says why."""


class Trace:
    """A context manager that counts calls; afterwards `calls` has the successful ones by name."""

    def __init__(self, bench, pid, names):
        self.calls = {}
        self.output = bench.home / "strace.txt"
        self.pid = pid
        # '?': strace ignores calls that this architecture does not have.
        wanted = ",".join(f"?{name}" for name in names)
        self.command = ["strace", "-c", "-o", str(self.output), "-e", f"trace={wanted}"]
        self.core = bench.cores.server

    def __enter__(self):
        self.process = subprocess.Popen(
            [*self.command, "-p", str(self.pid)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # On the server's core: the server is stopped whenever strace runs.
            preexec_fn=lambda: machine.pin(self.core),
        )
        end = time.monotonic() + TIMEOUT_SECONDS
        while not _is_traced(self.pid):
            if self.process.poll() is not None or time.monotonic() > end:
                self._end()
                raise TraceError(
                    "strace could not attach to the server (see kernel.yama.ptrace_scope)"
                )
            time.sleep(0.01)
        return self

    def __exit__(self, *_):
        self._end()
        if self.output.exists():
            self.calls = parse(self.output.read_text())

    def _end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def available():
    """Whether strace is installed."""
    return machine.find("strace") is not None


def _is_traced(pid):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
        return any(line.startswith("TracerPid:") and line.split()[1] != "0" for line in status)


def parse(table):
    """The successful calls by name in the table of `strace -c`."""
    calls = {}
    for line in table.splitlines():
        fields = line.split()
        # Columns: share, seconds, microseconds per call, calls, errors (optional), name.
        if len(fields) in (5, 6) and fields[3].isdigit() and fields[-1] != "total":
            failed = int(fields[4]) if len(fields) == 6 else 0
            calls[fields[-1]] = int(fields[3]) - failed
    return calls
