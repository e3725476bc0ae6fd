"""The measured quantities and their number formats. For all ranked quantities, smaller is
better."""

from typing import Callable, NamedTuple


class Metric(NamedTuple):
    """A quantity: its key in a sample, its name, its column heading, its unit, and the function
    that formats its number."""

    key: str
    label: str
    head: str
    unit: str
    write: Callable[[float], str]

    def text(self, value):
        """The number with its unit."""
        return f"{self.write(value)} {self.unit}".strip()


def plain(value):
    """Three significant digits, or all digits before the point, with thousands separators: 0.85,
    9.46, 28.9, 2,091."""
    size = abs(value)
    digits = 2 if size < 10 else 1 if size < 100 else 0
    return f"{value:,.{digits}f}"


def whole(value):
    """No digits after the point."""
    return f"{value:,.0f}"


def percent(value):
    """A share as a percentage."""
    return f"{value * 100:.1f}"


def mebibytes(value):
    """Bytes as MiB."""
    return f"{value / 2**20:,.1f}"


CPU = Metric("cpu_us", "server CPU per request", "CPU µs/req", "µs", plain)
BOTH = Metric("both_us", "CPU of server + client per request", "both µs/req", "µs", plain)
WALL = Metric("wall_us", "time per request", "µs/req", "µs", plain)
RATE = Metric("rate", "requests per second", "req/s", "/s", whole)
P50 = Metric("p50_us", "median latency", "p50 µs", "µs", whole)
P99 = Metric("p99_us", "p99 latency", "p99 µs", "µs", whole)
P999 = Metric("p999_us", "p99.9 latency", "p99.9 µs", "µs", whole)
MAX = Metric("max_us", "maximum latency", "max µs", "µs", whole)
WAITED = Metric("waited", "time waiting for its core", "waited %", "%", percent)
RESIDENT = Metric("resident", "resident memory", "RSS MiB", "MiB", mebibytes)
PROPORTIONAL = Metric("proportional", "proportional memory", "PSS MiB", "MiB", mebibytes)
IDLE = Metric("idle_bytes", "user memory per idle connection", "B/connection", "B", whole)
SHARE = Metric("worst", "p99.9 beside a greedy client / without one", "× quiet", "", plain)
QUIET = Metric("quiet_us", "p99.9 without a greedy client", "quiet µs", "µs", whole)
DOWNLOAD = Metric("download_us", "p99.9 beside a download", "download µs", "µs", whole)
PIPELINE = Metric("pipeline_us", "p99.9 beside endless pipelining", "pipelining µs", "µs", whole)
MOVED = Metric("moved", "throughput of the download", "download MiB/s", "MiB/s", mebibytes)
LISTENS = Metric("listen_ms", "time from start to listening", "listens ms", "ms", plain)
