"""The machine: cores, limits, network namespaces, and what /proc tells about processes (Linux).

A server can have several processes (nginx: a master and a worker), so figures of processes are sums
over a process tree.
"""

import os
import platform
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple, Optional

# The Debian packages of programs whose packages have another name.
PACKAGES = {"h2load": "nghttp2-client", "nginx": "nginx-light"}

# Folders with system programs that may be missing on a user's PATH.
SYSTEM_FOLDERS = ("/usr/sbin", "/usr/local/sbin")

TCP = Path("/proc/sys/net/ipv4")
# The variable that a program finds set in its network namespace.
INSIDE = "TENKAY_COMPARE_NAMESPACE"


class Cores(NamedTuple):
    """The core of the server and the core of the load; None: not pinned."""

    server: Optional[int]
    load: Optional[int]

    def describe(self):
        """One phrase for the report."""
        if self.server is None:
            return "not pinned: there is one core"
        return f"server on core {self.server}, load on core {self.load}"


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


def say(line):
    """Prints one message on standard error, separate from the tables."""
    print(line, file=sys.stderr, flush=True)


def progress(line):
    """Overwrites the progress line on standard error; on a terminal only."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{line[:100]}")
        sys.stderr.flush()


def find(program):
    """The path of an installed program, or None."""
    folders = os.pathsep.join([os.environ.get("PATH", ""), *SYSTEM_FOLDERS])
    return shutil.which(program, path=folders)


def hint(program):
    """How to install a program."""
    package = f"apt install {PACKAGES.get(program, program)}"
    return "https://rustup.rs" if program == "cargo" else package


def choose_cores():
    """The last core for the server; for the load, the first core that is not its sibling."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return Cores(None, None)
    server = cores[-1]
    try:
        shared = Path(f"/sys/devices/system/cpu/cpu{server}/topology/thread_siblings_list")
        siblings = parse_core_list(shared.read_text())
    except OSError:
        siblings = {server}
    return Cores(server, ([core for core in cores if core not in siblings] or cores)[0])


def parse_core_list(text):
    """The set of cores in a list such as '0-1,4'."""
    cores = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        cores.update(range(int(first), int(last or first) + 1))
    return cores


def pin(cores, pid=0):
    """Pins a process (0: this one) and its future children to a core, or to a set of cores. No
    effect for None."""
    if cores is not None:
        os.sched_setaffinity(pid, cores if isinstance(cores, set) else {cores})


def raise_open_files():
    """Raises the soft limit on open files to the hard limit, also for children; returns it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    hard = 1 << 16 if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def describe(cores):
    """A description of this machine for the report: a mapping of names to texts."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    processor = names[0] if names else platform.machine()
    return {
        "processor": f"{processor}, {os.cpu_count()} cores ({cores.describe()})",
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


def require_congestion_control(name):
    """OSError unless a network namespace may use this congestion control; None always may."""
    if name is None:
        return
    known = (TCP / "tcp_available_congestion_control").read_text().split()
    if name not in known:
        raise OSError(f"--congestion: this kernel has no congestion control {name} "
                      f"(available: {', '.join(known)})")
    path = TCP / "tcp_allowed_congestion_control"
    allowed = path.read_text().strip() if path.exists() else name  # unknown in some namespaces
    if name not in allowed.split():
        raise OSError(f"--congestion: namespaces may not use {name}; allow it with "
                      f"sysctl -w net.ipv4.tcp_allowed_congestion_control='{allowed} {name}'")


def enter(name):
    """Starts this program again in a new network namespace in which TCP uses the congestion control
    `name`, so that the machine's setting does not change. No effect for None, or there.

    Congestion control decides when the kernel sends queued data, and which process is charged for
    the CPU time: with BBR, which paces by timers, large files cost something else than with CUBIC.
    """
    if name is not None and INSIDE not in os.environ:
        # An unprivileged user needs a new user namespace for a network namespace; there it is root.
        flags = "-n" if os.geteuid() == 0 else "-rn"
        setting = TCP / "tcp_congestion_control"
        script = f"ip link set lo up && echo {name} >{setting} && exec \"$@\""
        command = ["unshare", flags, "sh", "-c", script, "sh", sys.executable, *sys.argv]
        os.execvpe("unshare", command, {**os.environ, INSIDE: name})


def tree(root):
    """The process IDs of `root` and its descendants."""
    children = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int(stat(entry.name)[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, todo = [], [root]
    while todo:
        found.append(todo.pop())
        todo += children.get(found[-1], [])
    return found


def stat(pid):
    """The fields of /proc/PID/stat after the name (which may contain spaces and ')'): the state,
    the parent's ID, and others."""
    return parse_stat(Path(f"/proc/{pid}/stat").read_text())


def parse_stat(text):
    """The same, of the text of that file."""
    return text[text.rindex(")") + 2 :].split()


def cpu(pids):
    """The Cpu time of all threads of these processes so far."""
    ran = waited = 0
    for task in (task for pid in pids for task in Path(f"/proc/{pid}/task").glob("*/schedstat")):
        try:
            fields = task.read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has exited
        ran, waited = ran + int(fields[0]), waited + int(fields[1])
    return Cpu(ran, waited)


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
    every = []
    for pid in pids:
        try:
            every.append(parse_rollup(Path(f"/proc/{pid}/smaps_rollup").read_text()))
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has exited
    return Memory(*(sum(one[name] for one in every) for name in ("Rss", "Pss", "Anonymous")))


def parse_rollup(text):
    """The fields of /proc/PID/smaps_rollup in bytes."""
    lines = [line.split() for line in text.splitlines()[1:]]
    return {name.rstrip(":"): int(value) * 1024 for name, value, *_ in lines}


def threads(pids):
    """The number of threads of these processes."""
    return sum(len(os.listdir(f"/proc/{pid}/task")) for pid in pids)


def accepted():
    """Connections accepted on this machine so far (PassiveOpens)."""
    return parse_snmp(Path("/proc/net/snmp").read_text())["PassiveOpens"]


def parse_snmp(text):
    """The Tcp fields of /proc/net/snmp by name."""
    names, values = (line.split()[1:] for line in text.splitlines() if line.startswith("Tcp:"))
    return dict(zip(names, map(int, values)))
