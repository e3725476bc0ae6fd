"""The machine: cores, limits, network namespaces, and what /proc tells about processes (Linux).

A server can have several processes (nginx: a master and a worker), so figures of processes are sums
over a process tree.
"""

import argparse
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

# The Debian packages of programs whose packages have another name.
PACKAGES = {"h2load": "nghttp2-client", "nginx": "nginx-light"}

# Folders with system programs that may be missing on a user's PATH.
SYSTEM_FOLDERS = ("/usr/sbin", "/usr/local/sbin")

TCP = Path("/proc/sys/net/ipv4")
# The variable that a program finds set in its network namespace.
INSIDE = "TENKAY_COMPARE_NAMESPACE"


class Cpu(NamedTuple):
    """Nanoseconds on a core, and nanoseconds runnable while another process used the core."""

    ran: int
    waited: int


class Memory(NamedTuple):
    """User memory in bytes: RSS; PSS, which divides shared pages among processes; and pages that
    are not of a file."""

    resident: int
    proportional: int
    anonymous: int


class Failure(Exception):
    """A server or a load did not run as intended, or a response was wrong; the text says why."""


def parser(description):
    """The parser of a script's command line, with the option that all of them have."""
    found = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    found.add_argument("--tenkay", metavar="PATH", help="executable to run, instead of building it")
    return found


def find(program):
    """The path of an installed program, or None."""
    folders = os.pathsep.join([os.environ.get("PATH", ""), *SYSTEM_FOLDERS])
    return shutil.which(program, path=folders)


def missing(program):
    """The message that a program is not installed, and how to install it."""
    package = f"apt install {PACKAGES.get(program, program)}"
    return f"{program} is not installed ({'https://rustup.rs' if program == 'cargo' else package})"


def choose_cores():
    """The cores of the server and of the load: the last one, and the first that is not a thread of
    the same physical core. OSError if there is only one."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise OSError("the server and the load need a core each; there is one core")
    shared = Path(f"/sys/devices/system/cpu/cpu{cores[-1]}/topology/thread_siblings_list")
    siblings = parse_core_list(shared.read_text()) if shared.exists() else {cores[-1]}
    return cores[-1], next((core for core in cores if core not in siblings), cores[0])


def parse_core_list(text):
    """The set of cores in a list such as '0-1,4'."""
    ranges = [part.split("-") for part in text.strip().split(",")]
    return {core for ends in ranges for core in range(int(ends[0]), int(ends[-1]) + 1)}


def raise_open_files():
    """Raises the soft limit on open files to the hard limit, also for children; returns it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    hard = 1 << 16 if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def describe(cores):
    """A description of this machine for the report: a mapping of names to texts."""
    names = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    processor = names[0] if names else platform.machine()
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    pinned = "server on core {}, load on core {}".format(*cores)
    return {
        "processor": f"{processor}, {os.cpu_count()} cores ({pinned})",
        "memory": f"{memory_gib:.0f} GiB",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "open files": f"{raise_open_files():,}",
        "load average at start": ", ".join(f"{value:.2f}" for value in os.getloadavg()),
        "network": f"loopback, TCP with {congestion_control()}",
    }


def first_line(*command):
    """The first line of a command's output (its version). Empty if the command fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return ((done.stdout + done.stderr).strip().splitlines() or [""])[0]


def congestion_control():
    """The name of the congestion control in use."""
    return (TCP / "tcp_congestion_control").read_text().strip()


def enter(name):
    """Starts this program again in a new network namespace in which TCP uses the congestion control
    `name`, so that the machine's setting does not change. No effect for None, or there.

    Congestion control decides when the kernel sends queued data, and which process is charged for
    the CPU time: with BBR, which paces by timers, large files cost something else than with CUBIC.
    """
    if name is None or INSIDE in os.environ:
        return
    for setting in ("available", "allowed"):
        path = TCP / f"tcp_{setting}_congestion_control"
        # Some namespaces do not show what is allowed.
        known = path.read_text().split() if path.exists() else [name]
        if name not in known:
            raise OSError(f"--congestion: {name} is not in {path}: {' '.join(known)}")
    # An unprivileged user needs a new user namespace for a network namespace; there it is root.
    flags = "-n" if os.geteuid() == 0 else "-rn"
    setting = TCP / "tcp_congestion_control"
    script = f"ip link set lo up && echo {name} >{setting} && exec \"$@\""
    command = ["unshare", flags, "sh", "-c", script, "sh", sys.executable, *sys.argv]
    os.execvpe("unshare", command, {**os.environ, INSIDE: name})


def tree(root):
    """The process IDs of `root` and its descendants."""
    children = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            children.setdefault(int(stat(entry.name)[1]), []).append(int(entry.name))
        except OSError:
            continue  # it has exited
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def stat(pid):
    """The fields of /proc/PID/stat after the name: the state, the parent's ID, and others."""
    return parse_stat(Path(f"/proc/{pid}/stat").read_text())


def parse_stat(text):
    """The same, of the text of that file; the name may contain spaces and ')'."""
    return text[text.rindex(")") + 2 :].split()


def _read(pids, pattern):
    """The texts of these files below /proc/PID, except those of processes that have exited."""
    for path in (path for pid in pids for path in Path(f"/proc/{pid}").glob(pattern)):
        try:
            yield path.read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue


def cpu(pids):
    """The Cpu time of all threads of these processes so far."""
    times = [list(map(int, text.split())) for text in _read(pids, "task/*/schedstat")]
    return Cpu(sum(one[0] for one in times), sum(one[1] for one in times))


def children_us():
    """CPU time in microseconds of this process's exited children, such as the runs of wrk."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (usage.ru_utime + usage.ru_stime) * 1e6


def spent(before, after, requests):
    """CPU time per request and share of waiting time between two results of `cpu`."""
    ran, waited = after.ran - before.ran, after.waited - before.waited
    return {"cpu_us": ran / requests / 1000, "waited": waited / max(ran + waited, 1)}


def memory(pids):
    """The Memory of these processes now."""
    every = [parse_rollup(text) for text in _read(pids, "smaps_rollup")]
    return Memory(*(sum(one[name] for one in every) for name in ("Rss", "Pss", "Anonymous")))


def parse_rollup(text):
    """The fields of /proc/PID/smaps_rollup in bytes."""
    return {name: int(kib) * 1024 for name, kib in re.findall(r"(\w+): +(\d+) kB", text)}


def descriptors(pid):
    """The targets of the open descriptors of a process."""
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(os.readlink(entry))
        except OSError:
            continue  # it was closed
    return found


def sockets(pids):
    """The number of sockets that these processes have open."""
    return sum(target.startswith("socket:") for pid in pids for target in descriptors(pid))
