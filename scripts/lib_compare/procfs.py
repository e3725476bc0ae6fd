"""CPU time, memory, threads and sleeps of a process and its descendants, from /proc (Linux).

A server can have several processes (nginx: a master and a worker), so each figure is a sum over the
process tree. On other systems `available()` returns False.
"""

import os
import resource
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")


class Cpu(NamedTuple):
    """Nanoseconds on a core, and nanoseconds runnable while another process used the core."""

    ran: int
    waited: int


class Memory(NamedTuple):
    """User memory in bytes: RSS, and PSS, which divides shared pages among the processes."""

    resident: int
    proportional: int


def available():
    """Whether this system has the files that this module reads."""
    return (PROC / "self" / "schedstat").exists()


def tree(root):
    """The process IDs of `root` and its descendants."""
    children = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            parent = parse_parent(stat)
            children.setdefault(parent, []).append(int(entry.name))
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += children.get(pid, [])
    return found


def parse_parent(stat):
    """The parent's ID in the text of /proc/PID/stat; the name in it may contain spaces and ')'."""
    return int(stat[stat.rindex(")") + 2 :].split()[1])


def cpu(pids):
    """The Cpu time of all threads of these processes so far."""
    ran = waited = 0
    for pid in pids:
        for task in (PROC / str(pid) / "task").iterdir():
            try:
                fields = (task / "schedstat").read_text().split()
            except OSError:
                continue
            ran += int(fields[0])
            waited += int(fields[1])
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
    resident = proportional = 0
    for pid in pids:
        fields = parse_rollup((PROC / str(pid) / "smaps_rollup").read_text())
        resident += fields["Rss"]
        proportional += fields["Pss"]
    return Memory(resident, proportional)


def parse_rollup(text):
    """The fields of /proc/PID/smaps_rollup in bytes."""
    fields = {}
    for line in text.splitlines()[1:]:
        name, value, *_ = line.split()
        fields[name.rstrip(":")] = int(value) * 1024
    return fields


def threads(pids):
    """The number of threads of these processes."""
    return sum(len(os.listdir(PROC / str(pid) / "task")) for pid in pids)


def voluntary_switches(pids):
    """How often the threads of these processes have gone to sleep; each sleep ends in a wakeup."""
    total = 0
    for pid in pids:
        for task in (PROC / str(pid) / "task").iterdir():
            total += parse_voluntary((task / "status").read_text())
    return total


def parse_voluntary(status):
    """The voluntary context switches in the text of /proc/PID/status."""
    for line in status.splitlines():
        if line.startswith("voluntary_ctxt_switches:"):
            return int(line.partition(":")[2])
    raise ValueError("no voluntary context switches")


def state(pid):
    """The state of a process's main thread: 'R' running, 'S' sleeping, or a rarer letter."""
    return parse_state((PROC / str(pid) / "stat").read_text())


def parse_state(stat):
    """The state in the text of /proc/PID/stat."""
    return stat[stat.rindex(")") + 2]


def accepted():
    """Connections accepted on this machine so far (PassiveOpens of /proc/net/snmp)."""
    return parse_snmp((PROC / "net" / "snmp").read_text())["PassiveOpens"]


def parse_snmp(text):
    """The Tcp fields of /proc/net/snmp by name."""
    names, values = (line.split()[1:] for line in text.splitlines() if line.startswith("Tcp:"))
    return dict(zip(names, map(int, values)))
