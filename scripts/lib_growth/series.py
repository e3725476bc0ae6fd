"""The table of series. Pure data.

In a series one quantity grows and all others stay constant. The figures are plotted over that
quantity, and a rule limits their growth.
"""

from dataclasses import dataclass
from typing import Callable

from lib_compare import metrics
from lib_compare.metrics import BOTH, CPU, Metric

BYTE = Metric("byte_ns", "server CPU per byte of the head", "CPU ns/byte", "ns", metrics.whole)
HEAD = Metric("head_us", "server CPU per head", "CPU µs/head", "µs", metrics.whole)
ENTRY = Metric("entry_us", "server CPU per entry", "CPU µs/entry", "µs", metrics.plain)
LISTING = Metric("listing_us", "server CPU per listing", "CPU µs/listing", "µs", metrics.whole)
WAKES = Metric("wakes", "wakeups of the event loop", "wakeups", "", lambda value: f"{value:,.3f}")

# The bounds: most growth of the cost.
IDLE_SHARE = 0.03
CACHED_US = 0.3
WAKES_PER_REQUEST = 1.05

# A step from x to k·x multiplies a linear cost by k and a quadratic cost by k². The bound is k to
# the power of this, which allows for noise.
LINEAR = 1.1

PACED = "per request, at 1,000 a second"
AT_REST = "in 3 s, 1,000 connections idle"


def count(value):
    """Formats a count; a name stays as it is."""
    return value if isinstance(value, str) else f"{value:,}"


def size(value):
    """Formats bytes as KiB or MiB."""
    return f"{value >> 20} MiB" if value >= 1 << 20 else f"{value >> 10} KiB"


@dataclass(frozen=True)
class Series:
    """One series. The first `drawn` of `metrics` are plotted; `rule` is the name of a rule in
    `judge`, which is applied to the metric `judged`."""

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
    each: str = ""  # the unit of the quantity, where the rule fits a line
    scale: str = "log"  # of the quantity: "log", "linear", or "names" if it is not a number
    steep: bool = False  # whether the figures need a logarithmic scale as well
    drawn: int = 1
    most_rounds: int = 100
    write: Callable = count

    def chosen(self, quick):
        """The points to measure."""
        return self.quick_points if quick and self.quick_points else self.points


def every():
    """All series in order."""
    return [*_counts(), *_pieces(), *_bytes()]


def _counts():
    return [
        Series(
            "idle", "Idle connections",
            "1 KiB file on 64 busy connections, while other connections are idle",
            "idle connections", f"at most +{IDLE_SHARE:.0%} from none to most", "share",
            (CPU,), CPU, (0, 1_000, 10_000, 18_000), scale="linear",
        ),
        Series(
            "cached", "Files in the cache",
            "1 KiB files requested at random on 64 connections, all of them in the cache",
            "files", f"at most +{CACHED_US} µs from fewest to most", "absolute",
            (CPU,), CPU, (10, 100, 1_000, 10_000, 100_000),
        ),
        Series(
            "wakeups", "Wakeups of the event loop",
            "64 connections with 1,000 requests per second in total; and 1,000 idle connections. A "
            "wakeup is a voluntary context switch of the server",
            "", f"at most {WAKES_PER_REQUEST} per request, none while idle", "wakes",
            (WAKES,), WAKES, (PACED, AT_REST), scale="names", most_rounds=2,
            lines=("switches", "epoll_wait"),
        ),
    ]


def _pieces():
    return [
        Series(
            "pipeline", "Depth of a pipeline",
            "1 KiB file on 8 connections; the depth is the number of requests in one segment",
            "depth", "no increase per request with the depth", "falling",
            (CPU,), CPU, tuple(1 << power for power in range(9)),
        ),
        Series(
            "ranges", "Ranges of a request",
            "Ranges of one byte, 100 bytes apart, of a 10 KiB file on 64 connections. The line "
            "starts at two ranges, because a single range is not sent as multipart",
            "ranges", "linear from 2 on", "multipart",
            (CPU,), CPU, (1, 2, 3, 4, 6, 8, 12, 16), (1, 2, 4, 8, 16), each="range",
            scale="linear",
        ),
        Series(
            "drip", "Bytes of a head that arrives byte by byte",
            "Heads on 32 connections. The next byte is sent once the server sleeps, so that each "
            "receive gets one byte",
            "bytes of the head", "linear", "linear",
            (BYTE, HEAD), HEAD, (100, 200, 400, 800, 1_600, 3_200), each="byte",
        ),
        Series(
            "listing", "Entries of a folder",
            "The first listing of a folder by a newly started server",
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
            "One file on 16 connections. The client's CPU time is wrk's user and system time; on "
            "loopback the kernel charges a part of TCP's work to the receiver",
            "size", "none; the crossing of the two lines is reported", "crossing",
            (CPU, BOTH), CPU, sizes, lines=("memory", "sendfile"), steep=True, drawn=2, write=size,
        ),
    ]
