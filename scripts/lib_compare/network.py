"""The loopback network: its congestion control, and how to measure with another one.

Congestion control decides when the kernel sends queued data, and which process is charged for the
CPU time. With BBR, which paces by timers, the figures for large files differ from those with CUBIC,
the Linux default. The reports therefore name the congestion control, and a measurement can select
one: it then runs in its own network namespace, so that the machine's setting does not change.
"""

import ctypes
import fcntl
import os
import socket
import struct
from pathlib import Path

SETTING = Path("/proc/sys/net/ipv4/tcp_congestion_control")
KNOWN = Path("/proc/sys/net/ipv4/tcp_available_congestion_control")

# linux/sched.h
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000

# linux/sockios.h and net/if.h: struct ifreq is a name of 16 bytes and, here, a short.
SIOCSIFFLAGS = 0x8914
IFF_UP = 1
IFREQ = "16sh22x"


def add_argument(parser):
    """Adds --congestion, the option of all scripts that measure."""
    parser.add_argument(
        "--congestion", metavar="NAME", help="measure with this congestion control, such as cubic "
        "or bbr, in a separate network namespace (Linux; default: the machine's setting)"
    )


def congestion_control():
    """The name of the congestion control in use, or None if it is unknown."""
    try:
        return SETTING.read_text().strip()
    except OSError:
        return None


def describe():
    """One phrase for the report."""
    name = congestion_control()
    return f"loopback, TCP with {name}" if name else "loopback, TCP"


def enter(name):
    """Moves this process and its future children into a new network namespace in which TCP uses the
    congestion control `name`. No effect for None. OSError if that fails."""
    if name is None:
        return
    if congestion_control() is None:
        raise OSError("--congestion needs Linux")
    known = KNOWN.read_text().split()
    if name not in known:
        raise OSError(
            f"--congestion: this kernel has no congestion control {name} "
            f"(available: {', '.join(known)})"
        )
    try:
        _leave_the_network()
        _raise_loopback()
        SETTING.write_text(name)
    except OSError as error:
        raise OSError(f"--congestion: cannot create a network namespace: {error}") from error


def _leave_the_network():
    """Enters a new network namespace; unprivileged users need a new user namespace for that."""
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        _unshare(CLONE_NEWNET)
        return
    _unshare(CLONE_NEWUSER | CLONE_NEWNET)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def _unshare(flags):
    call = getattr(ctypes.CDLL(None, use_errno=True), "unshare", None)
    if call is None:
        raise OSError("this system has no network namespaces")
    if call(flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _raise_loopback():
    """Sets the loopback interface up: it is down in a new network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack(IFREQ, b"lo", IFF_UP))
