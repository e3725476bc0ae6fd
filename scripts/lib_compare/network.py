"""The loopback that is measured on: its congestion control, and how to measure with another.

Congestion control decides when the kernel sends what a server has handed over, and on whose time.
With BBR, which paces by timers, large files cost other figures than with CUBIC, Linux's default;
and nobody tells a reader which one a machine has. So the reports name it, and a measurement can be
made with another: in a network namespace of its own, so that the machine's setting stays.
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
    """The option of all scripts that measure."""
    parser.add_argument(
        "--congestion", metavar="NAME", help="measure in a network namespace of its own with this "
        "congestion control, such as cubic or bbr, instead of the machine's (Linux)"
    )


def congestion_control():
    """The name of the one in use, or None where it cannot be told."""
    try:
        return SETTING.read_text().strip()
    except OSError:
        return None


def describe():
    """One phrase for the report."""
    name = congestion_control()
    return f"loopback, TCP with {name}" if name else "loopback, TCP"


def enter(name):
    """Moves this process, and all it starts from now on, into a network of its own, in which TCP
    uses the congestion control `name`. Nothing for None. OSError if that cannot be."""
    if name is None:
        return
    if congestion_control() is None:
        raise OSError("--congestion needs Linux")
    known = KNOWN.read_text().split()
    if name not in known:
        raise OSError(f"no such congestion control here: {name} (there are: {', '.join(known)})")
    try:
        _leave_the_network()
        _raise_loopback()
        SETTING.write_text(name)
    except OSError as error:
        raise OSError(f"no network of its own for --congestion: {error}") from error


def _leave_the_network():
    """A new network; for a user without rights also a new user namespace, which allows it."""
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
    """A new network has a loopback that is down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack(IFREQ, b"lo", IFF_UP))
