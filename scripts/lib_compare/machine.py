"""The machine: cores, the limit on open files, installed programs, and a description."""

import os
import platform
import resource
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple, Optional

from lib_compare import network

# How to install a program: command -> (Debian or Ubuntu, macOS).
PACKAGES = {
    "wrk": ("apt install wrk", "brew install wrk"),
    "nginx": ("apt install nginx-light", "brew install nginx"),
    "lighttpd": ("apt install lighttpd", "brew install lighttpd"),
    "h2o": ("apt install h2o", "brew install h2o"),
    "caddy": ("apt install caddy", "brew install caddy"),
    "cargo": ("https://rustup.rs", "https://rustup.rs"),
}

# Folders with system programs that may be missing on a user's PATH.
SYSTEM_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin")


class Cores(NamedTuple):
    """The core of the server and the core of the load; None: not pinned."""

    server: Optional[int]
    load: Optional[int]

    def describe(self):
        """One phrase for the report."""
        if self.server is None:
            return "not pinned: one core, or a system without sched_setaffinity"
        return f"server on core {self.server}, load on core {self.load}"


def find(program):
    """The path of an installed program, or None."""
    path = os.environ.get("PATH", "") + os.pathsep + os.pathsep.join(SYSTEM_FOLDERS)
    return shutil.which(program, path=path)


def hint(program):
    """How to install a program."""
    debian, macos = PACKAGES[program]
    return debian if debian == macos else f"Debian: {debian}; macOS: {macos}"


def choose_cores():
    """The last core for the server; for the load, the first core that is not its sibling."""
    if not hasattr(os, "sched_getaffinity"):
        return Cores(None, None)
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return Cores(None, None)
    server = cores[-1]
    others = [core for core in cores if core not in siblings(server)] or cores
    return Cores(server, others[0])


def siblings(core):
    """The cores that share execution units with `core`, including `core`."""
    path = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
    try:
        return parse_core_list(path.read_text())
    except OSError:
        return {core}


def parse_core_list(text):
    """The set of cores in a list such as '0-1,4'."""
    cores = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        cores.update(range(int(first), int(last or first) + 1))
    return cores


def pin(core):
    """Pins this process and its future children to `core`. No effect for None."""
    if core is not None:
        os.sched_setaffinity(0, {core})


def raise_open_files():
    """Raises the soft limit on open files to the hard limit, also for children; returns it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = 1 << 16
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def open_files():
    """The soft limit on open files."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def describe(cores):
    """A description of this machine for the report: a mapping of names to texts."""
    load = os.getloadavg()
    return {
        "processor": f"{processor()}, {os.cpu_count()} cores ({cores.describe()})",
        "memory": memory(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "open files": f"{open_files():,}",
        "load average at start": ", ".join(f"{value:.2f}" for value in load),
        "network": network.describe(),
    }


def processor():
    """The name of the processor."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def memory():
    """The size of the memory."""
    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{size / 2**30:.0f} GiB"


def first_line(command):
    """The first line of a command's output (its version). Empty if the command fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0] if lines else ""


def wrk_version():
    """The version of the load generator."""
    return first_line([find("wrk"), "-v"]).partition(" Copyright")[0]
