"""What is measured: the table of series. Pure data.

In a series one quantity grows and all else stays the same. Its figures are drawn over that
quantity, and a rule says how they may grow.
"""

from dataclasses import dataclass
from typing import Callable

from lib_compare import metrics
from lib_compare.metrics import BOTH, CPU, Metric

BYTE = Metric("byte_ns", "server CPU per byte of the head", "CPU ns/byte", "ns", metrics.whole)
HEAD = Metric("head_us", "server CPU per head", "CPU µs/head", "µs", metrics.whole)
ENTRY = Metric("entry_us", "server CPU per entry", "CPU µs/entry", "µs", metrics.plain)
LISTING = Metric("listing_us", "server CPU per listing", "CPU µs/listing", "µs", metrics.whole)
WAKES = Metric("wakes", "how often the loop wakes", "wakes", "", lambda value: f"{value:,.3f}")

# How much each quantity may add.
IDLE_SHARE = 0.03
CACHED_US = 0.3
WAKES_PER_REQUEST = 1.05

# What is linear costs k times as much for k times as many; what is quadratic, k² times. A step
# from x to k·x may cost k to the power of this: linear, and as much more as noise adds.
LINEAR = 1.1

PACED = "per request, at 1,000 a second"
AT_REST = "in 3 s, 1,000 connections idle"


def count(value):
    """A number of things, or a name."""
    return value if isinstance(value, str) else f"{value:,}"


def size(value):
    """Bytes as KiB or MiB."""
    return f"{value >> 20} MiB" if value >= 1 << 20 else f"{value >> 10} KiB"


@dataclass(frozen=True)
class Series:
    """One series. The first of `metrics` is drawn (of `drawn` many); `judged` must keep to the
    rule, which is the name of a function in `judge`."""

    name: str
    title: str
    about: str
    axis: str
    bound: str
    rule: str
    metrics: tuple
    judged: Metric
    points: tuple
    quick_points: tuple = ()
    lines: tuple = ("server",)
    each: str = ""  # one of what grows, where the rule fits a line
    scale: str = "log"  # of the quantity: "log", "linear", or "names" where it is none
    steep: bool = False  # whether the figures need a logarithmic scale, too
    drawn: int = 1
    most_rounds: int = 100
    write: Callable = count

    def chosen(self, quick):
        """The points to measure."""
        return self.quick_points if quick and self.quick_points else self.points


def every():
    """All series in order."""
    return [*_crowds(), *_pieces(), *_bytes()]


def _crowds():
    return [
        Series(
            "idle", "Idle connections",
            "1 KiB file on 64 busy connections, while others are open and idle",
            "idle connections", f"at most +{IDLE_SHARE:.0%} from none to most", "share",
            (CPU,), CPU, (0, 1_000, 10_000, 18_000), scale="linear",
        ),
        Series(
            "cached", "Files in the cache",
            "1 KiB files asked for at random on 64 connections, all of them in the cache",
            "files", f"at most +{CACHED_US} µs from fewest to most", "absolute",
            (CPU,), CPU, (10, 100, 1_000, 10_000, 100_000),
        ),
        Series(
            "wakeups", "Wakes of the loop",
            "64 connections asked at a fixed rate of 1,000 requests a second; and 1,000 "
            "connections that are silent. A wake is a voluntary context switch of the server",
            "", f"at most {WAKES_PER_REQUEST} per request, none at rest", "wakes",
            (WAKES,), WAKES, (PACED, AT_REST), scale="names", most_rounds=2,
            lines=("switches", "epoll_wait"),
        ),
    ]


def _pieces():
    return [
        Series(
            "pipeline", "Depth of a pipeline",
            "1 KiB file on 8 connections, so many requests in one segment",
            "requests at once", "no deeper one costs more per request", "falling",
            (CPU,), CPU, tuple(1 << power for power in range(9)),
        ),
        Series(
            "ranges", "Ranges of a request",
            "So many ranges of one byte, 100 bytes apart, of a 10 KiB file on 64 connections. One "
            "range is no multipart, so the line begins at two",
            "ranges", "linear from 2 on", "multipart",
            (CPU,), CPU, (1, 2, 3, 4, 6, 8, 12, 16), (1, 2, 4, 8, 16), each="range",
            scale="linear",
        ),
        Series(
            "drip", "Bytes of a head that drips",
            "Heads that arrive one byte at a time on 32 connections. The next byte of a connection "
            "is sent once the server sleeps, so it cannot come together with the one before",
            "bytes of the head", "linear", "linear",
            (BYTE, HEAD), HEAD, (100, 200, 400, 800, 1_600, 3_200), each="byte",
        ),
        Series(
            "listing", "Entries of a folder",
            "The first listing of a folder by a server that has just started",
            "entries", "linear", "linear",
            (ENTRY, LISTING), LISTING, (10, 100, 1_000, 10_000, 100_000), (10, 100, 1_000, 10_000),
            each="entry",
        ),
    ]


def _bytes():
    sizes = tuple(kib << 10 for kib in (1, 4, 16, 64, 128, 256, 512, 1024))
    return [
        Series(
            "size", "Size of a file: from memory, and by sendfile",
            "One file on 16 connections. The client is wrk, its user and system time together; on "
            "loopback the kernel charges a part of TCP's work to whoever receives",
            "size", "none, but where do the two cross?", "crossing",
            (CPU, BOTH), CPU, sizes, lines=("memory", "sendfile"), steep=True, drawn=2, write=size,
        ),
    ]
