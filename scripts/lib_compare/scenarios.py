"""The table of scenarios and the measured quantities. Pure data.

A scenario compares servers. There are eleven kinds:
    load       wrk at full speed; the figure is the server's CPU time per request
    h2         h2load at full speed over HTTP/2; the same figure
    workers    wrk on both cores, with a pause before each request; the same figure
    handshake  TLS connections with one request each, one after the other; the same figure
    tail       requests at a fixed rate (h2load); the figure is a percentile of the latency
    fair       the latency beside a greedy client, as a multiple of the latency without one
    slow-log   the latency beside an access log that is not read, as a multiple of the latency beside
               one that is written
    idle       many idle connections; the figure is their memory
    start      the time from start to listening
    supervisor memory of tenkay's supervisor, reloads, and how workers share connections
    growth     a series: the cost of one server as one quantity grows, with a rule that bounds it
"""

from dataclasses import dataclass, field
from typing import Callable, NamedTuple, Optional

from lib_compare import folder
from lib_compare.servers import RULES

BROWSER = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.0.0 Safari/537.36",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,"
    "image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7",
    "Accept-Language": "en-GB,en-US;q=0.9,en;q=0.8",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Connection": "keep-alive",
    "Cache-Control": "max-age=0",
    "Upgrade-Insecure-Requests": "1",
    "sec-ch-ua": '"Chromium";v="131", "Not_A Brand";v="24"',
    "sec-ch-ua-mobile": "?0",
    "sec-ch-ua-platform": '"Linux"',
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "none",
    "Sec-Fetch-User": "?1",
}


class Metric(NamedTuple):
    """A quantity: its key in a sample, its name, its column heading, its unit, and the function
    that formats its number. For all ranked quantities, smaller is better."""

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
    return f"{value:,.{2 if size < 10 else 1 if size < 100 else 0}f}"


def whole(value):
    """No digits after the point."""
    return f"{value:,.0f}"


def mebibytes(value):
    """Bytes as MiB."""
    return f"{value / 2**20:,.1f}"


CPU = Metric("cpu_us", "server CPU per request", "CPU µs/req", "µs", plain)
BOTH = Metric("both_us", "CPU of server + client per request", "both µs/req", "µs", plain)
RATE = Metric("rate", "requests per second", "req/s", "/s", whole)
P50 = Metric("p50_us", "median latency", "p50 µs", "µs", whole)
P99 = Metric("p99_us", "p99 latency", "p99 µs", "µs", whole)
P999 = Metric("p999_us", "p99.9 latency", "p99.9 µs", "µs", whole)
MAX = Metric("max_us", "maximum latency", "max µs", "µs", whole)
WAITED = Metric("waited", "time waiting for its core", "waited %", "%", lambda x: f"{x * 100:.1f}")
RESIDENT = Metric("resident", "resident memory", "RSS MiB", "MiB", mebibytes)
PROPORTIONAL = Metric("proportional", "proportional memory", "PSS MiB", "MiB", mebibytes)
ANONYMOUS = Metric("anonymous", "memory that is not of a file", "own MiB", "MiB", mebibytes)
IDLE = Metric("idle_bytes", "user memory per idle connection", "B/connection", "B", whole)
SHARE = Metric("worst", "p99.9 beside a greedy client / without one", "× quiet", "", plain)
QUIET = Metric("quiet_us", "p99.9 without a greedy client", "quiet µs", "µs", whole)
DOWNLOAD = Metric("download_us", "p99.9 beside a download", "download µs", "µs", whole)
PIPELINE = Metric("pipeline_us", "p99.9 beside endless pipelining", "pipelining µs", "µs", whole)
LOGGED = Metric("worst", "p99.9 with a log that is not read, or a full disk / with one that is",
                "× quiet", "", plain)
READ = Metric("quiet_us", "p99.9 with a log that is written", "written µs", "µs", whole)
SLEEPING = Metric("sleeping_us", "p99.9 with a FIFO that nobody reads", "FIFO µs", "µs", whole)
FULL = Metric("full_us", "p99.9 with a full disk", "full disk µs", "µs", whole)
MOVED = Metric("moved", "throughput of the download", "download MiB/s", "MiB/s", mebibytes)
LISTENS = Metric("listen_ms", "time from start to listening", "listens ms", "ms", plain)
RELOAD = Metric("reload_ms", "time of a reload", "reload ms", "ms", whole)
UNEVEN = Metric("share", "connections of the busier worker", "share %", "%",
                lambda x: f"{x * 100:.1f}")
BYTE = Metric("byte_ns", "server CPU per byte of the head", "CPU ns/byte", "ns", whole)
HEAD = Metric("head_us", "server CPU per head", "CPU µs/head", "µs", whole)
ENTRY = Metric("entry_us", "server CPU per entry", "CPU µs/entry", "µs", plain)
LISTING = Metric("listing_us", "server CPU per listing", "CPU µs/listing", "µs", whole)

# The metrics of each kind; the first one is ranked.
METRICS = {
    **dict.fromkeys(("load", "h2", "workers", "handshake"), (CPU, BOTH, RATE, RESIDENT, WAITED)),
    "tail": (P99, P50, P999, MAX, CPU),
    "fair": (SHARE, QUIET, DOWNLOAD, PIPELINE, MOVED),
    "slow-log": (LOGGED, READ, SLEEPING, FULL),
    "idle": (IDLE, PROPORTIONAL, RESIDENT, CPU, P50, P99, P999, MAX),
    "start": (LISTENS, RESIDENT, PROPORTIONAL, ANONYMOUS),
    "supervisor": (RELOAD, RESIDENT, PROPORTIONAL, ANONYMOUS, UNEVEN),
}

# A step from x to k·x multiplies a linear cost by k and a quadratic cost by k². The bound is k to
# the power of this, which allows for noise.
LINEAR = 1.1


class Goal(NamedTuple):
    """A goal of tenkay: at most `limit` times the floor or the best peer, or at most `limit` in the
    unit of the metric. For a series: the rule in `judge`, and its limit."""

    against: str  # "floor", "peer", "value"; "share", "absolute", "falling", "linear", "none"
    limit: float


@dataclass(frozen=True)
class Scenario:
    """One row of the comparison, or a series."""

    name: str
    group: str
    title: str
    kind: str = "load"
    goal: Optional[Goal] = None
    path: str = "/1k.html"
    size: int = 1024
    connections: int = 64
    streams: int = 1  # of HTTP/2
    headers: dict = field(default_factory=dict)
    status: int = 200
    pipeline: int = 1
    many: bool = False
    close: bool = False
    rate: int = 0
    # Whether to count requests by their bytes: with large files a run ends within responses.
    by_bytes: bool = False
    # Factor on the duration of a run: opening many connections takes a part of it.
    longer: int = 1
    # False where a real server can cost less than the floor: the floor copies (sendfile avoids the
    # copy) and accepts a connection before its request has arrived (TCP_DEFER_ACCEPT does not).
    floor: bool = True
    # Whether each connection resumes the session of the last one.
    resumes: bool = False
    # What the servers must be configured for: see servers.FEATURES.
    needs: frozenset = frozenset()
    # The file with the expected body, if it is not the one at the path.
    body_path: str = ""
    # A field that the response must have.
    field: str = ""
    # Of a series: the metrics (the first ones are drawn, one chart each), the points of each line,
    # and how the axis is named and scaled.
    series_metrics: tuple = (CPU,)
    points: tuple = ()
    lines: tuple = ("server",)
    axis: str = ""
    log: bool = True
    steep: bool = False  # whether the figures need a logarithmic scale as well
    each: str = ""  # the unit of the quantity, where the rule fits a line

    @property
    def metrics(self):
        """The metrics of a sample; the first one is ranked."""
        return METRICS.get(self.kind, self.series_metrics)

    @property
    def protocol(self):
        """The protocol as an option of curl."""
        if "h2c" in self.needs:
            return "http2-prior-knowledge"
        return "http2" if self.kind == "h2" else "http1.1"

    @property
    def scheme(self):
        """https or http."""
        return "https" if self.needs & {"tls", "tls-rsa"} else "http"


HUNDRED = {"path": "/100k.bin", "size": 100 << 10}
MEGA = {"path": "/1m.bin", "size": 1 << 20, "connections": 16}
TEN_MEGA = {"path": "/10m.bin", "size": 10 << 20, "connections": 8, "by_bytes": True}
HUGE = {"path": folder.HUGE_PATH, "size": folder.HUGE_BYTES, "by_bytes": True}
TLS, H2C = frozenset({"tls"}), frozenset({"h2c"})


def scenarios(connections):
    """All scenarios in order; `connections` is the number in the scenarios with many."""
    return [*_small(connections), *_large(), *_everything_on(), *_https(), *_http2(), *_workers(),
            *_latency(), *_resources(connections), *_growth()]


def groups(connections=1):
    """The names of the groups, in order."""
    return list(dict.fromkeys(one.group for one in scenarios(connections)))


def _rows(group, kind, floor, rows):
    """Rows of (name, title, goal, other arguments)."""
    return [Scenario(name, group, title, **{"kind": kind, "goal": goal, "floor": floor, **more})
            for name, title, goal, more in rows]


def _small(connections):
    """Loads dominated by the work per request. The one with many connections runs longer, because
    opening them takes time."""
    many = {"many": True, "size": sum(folder.many_sizes()) // folder.MANY}
    close = {"close": True, "headers": {"Connection": "close"}, "floor": False}
    return _rows("small", "load", True, [
        ("1k", "1 KiB file, keep-alive", Goal("floor", 1.05), {}),
        ("browser", "1 KiB file, with a browser's header fields", Goal("floor", 1.07),
         {"headers": BROWSER}),
        ("10k", "10 KiB file", Goal("floor", 1.06), {"path": "/10k.html", "size": 10 << 10}),
        ("many", f"{folder.MANY:,} files of 1 to 5 KiB at random", Goal("floor", 1.08), many),
        ("304", "304 Not Modified", Goal("floor", 1.05), {"status": 304}),
        ("pipeline", "16 requests pipelined", Goal("value", 0.85), {"pipeline": 16}),
        ("close", "one request per connection", Goal("peer", 0.95), close),
        ("busy", f"{connections:,} busy connections", Goal("floor", 1.1),
         {"connections": connections, "longer": 1 + connections // 5000}),
    ])


def _large():
    """Loads dominated by the bytes sent."""
    return _rows("large", "load", False, [
        ("100k", "100 KiB file", Goal("peer", 0.95), HUNDRED),
        ("1m", "1 MiB file", Goal("peer", 1.05), MEGA),
        ("10m", "10 MiB file", Goal("peer", 1.05), TEN_MEGA),
        ("1g", "1 GiB file", Goal("peer", 1.05), {**HUGE, "connections": 4}),
        ("1g-one", "1 GiB file, one connection", Goal("peer", 1.05),
         {**HUGE, "connections": 1}),
    ])


def _everything_on():
    """What an operator switches on, one thing at a time and together."""
    text, small = ({"path": path, "size": len(folder.TEXTS[path][1]), "body_path": f"{path}.gz",
                    "field": "content-encoding", "headers": BROWSER} for path in folder.TEXTS)
    return _rows("on", "load", True, [
        ("log", "1 KiB file, with a buffered access log", Goal("floor", 1.1),
         {"needs": frozenset({"log"})}),
        ("rules", f"1 KiB file, {RULES} rules for fields", Goal("peer", 0.95),
         {"needs": frozenset({"rules"}), "field": "x-rule"}),
        ("sidecar", "sidecar file of 2.6 KiB, with a browser's header fields", Goal("peer", 0.95),
         {**text, "needs": frozenset({"sidecars"})}),
        ("all-on", f"log, {RULES} rules, and a sidecar file of 1 KiB for a browser",
         Goal("floor", 1.1), {**small, "needs": frozenset({"log", "rules", "sidecars"})}),
    ])


def _https():
    """HTTPS: requests on open connections, and handshakes with one request each."""
    shake = {"kind": "handshake", "close": True, "headers": {"Connection": "close"},
             "connections": 1}
    return _rows("https", "load", False, [
        ("https-1k", "HTTPS, 1 KiB file, keep-alive", Goal("floor", 1.1),
         {"needs": TLS, "floor": True}),
        ("https-100k", "HTTPS, 100 KiB file", Goal("peer", 0.6),
         {"needs": TLS, "floor": True, "connections": 32, **HUNDRED}),
        ("https-10m", "HTTPS, 10 MiB file", Goal("peer", 0.6),
         {"needs": TLS, "floor": True, **TEN_MEGA}),
        ("https-p256", "HTTPS, full handshake and one request, P-256", Goal("peer", 0.75),
         {"needs": TLS, **shake}),
        ("https-rsa", "HTTPS, full handshake and one request, RSA-2048", Goal("peer", 0.75),
         {"needs": frozenset({"tls-rsa"}), **shake}),
        ("https-resume", "HTTPS, resumed handshake and one request", Goal("peer", 0.75),
         {"needs": TLS, "resumes": True, **shake}),
    ])


def _http2():
    """HTTP/2 over TLS and without (prior knowledge)."""
    rows, wires = [], (("h2", "HTTP/2 over TLS", TLS), ("h2c", "HTTP/2 without TLS", H2C))
    for prefix, title, needs in wires:
        rows += [
            (f"{prefix}-100", f"{title}, 1 KiB, 10 connections of 100 streams", Goal("peer", 0.6),
             {"needs": needs, "connections": 10, "streams": 100}),
            (f"{prefix}-1", f"{title}, 1 KiB, 64 connections of 1 stream", Goal("peer", 0.75),
             {"needs": needs}),
            (f"{prefix}-100k", f"{title}, 100 KiB, 10 connections of 10 streams",
             Goal("peer", 0.7), {"needs": needs, **HUNDRED, "connections": 10, "streams": 10}),
        ]
    return _rows("http2", "h2", False, rows)


def _workers():
    """Processes: what a supervisor and a second worker cost."""
    return _rows("workers", "load", False, [
        ("worker", "1 KiB file, a process against one worker under a supervisor", None,
         {}),
        ("two-workers", "1 KiB file, two workers on two cores, paced requests",
         Goal("peer", 0.95),
         {"kind": "workers", "needs": frozenset({"workers"}), "connections": 128}),
        ("supervisor", "Two workers: reload, memory of the supervisor, 10,000 connections", None,
         {"kind": "supervisor", "needs": frozenset({"workers"})}),
    ])


def _latency():
    """Fixed rates, far below the capacity of any server."""
    return _rows("latency", "tail", True, [
        ("tail-1k", "Latency, 1 KiB file at 5,000 requests per second", None,
         {"rate": 5000, "connections": 250}),
        ("tail-100k", "Latency, 100 KiB file at 1,000 requests per second", None,
         {"rate": 1000, "floor": False, **HUNDRED, "connections": 50}),
        ("tail-1m", "Latency, 1 MiB file at 200 requests per second", None,
         {"rate": 200, "floor": False, **MEGA, "connections": 10}),
        ("fair", "Latency, 1 KiB file, beside one greedy client", Goal("value", 2.0),
         {"kind": "fair", "rate": 2000, "connections": 50, "floor": False}),
        ("slow-log", "Latency, 1 KiB file, beside an access log that is not read, or a full disk",
         Goal("value", 2.0),
         {"kind": "slow-log", "rate": 5000, "connections": 50, "floor": False}),
    ])


def _resources(connections):
    """Memory per idle connection; start-up time and memory."""
    fewer = min(connections, 2000)
    return _rows("resources", "idle", False, [
        ("c10k", f"{connections:,} connections, idle but for 5,000 requests per second on 100",
         Goal("value", 160), {"connections": connections, "rate": 5000}),
        ("idle-https", f"{fewer:,} idle HTTPS connections", Goal("value", 5120),
         {"connections": fewer, "needs": TLS}),
        ("idle-h2", f"{fewer:,} idle HTTP/2 connections over TLS", Goal("value", 6144),
         {"connections": fewer, "needs": TLS, "streams": 100}),
        ("start", "Start-up", None, {"kind": "start"}),
    ])


def _growth():
    """Series: one quantity grows, all others stay constant."""
    kib = tuple(size << 10 for size in (1, 4, 16, 64, 128, 256, 512, 1024))
    return [Scenario(name, "growth", title, "growth", Goal(rule, limit), axis=axis, points=points,
                     **more) for name, title, rule, limit, axis, points, more in [
        ("grow-idle", "1 KiB file on 64 connections, while others are idle", "share", 0.03,
         "idle connections", (0, 1_000, 10_000, 18_000), {"log": False}),
        ("grow-cached", "1 KiB files at random, all of them in the cache", "absolute", 0.3,
         "files", (10, 100, 1_000, 10_000, 100_000), {}),
        ("grow-pipeline", "1 KiB file on 8 connections, requests pipelined", "falling", 0.02,
         "requests in one segment", tuple(1 << power for power in range(9)), {"connections": 8}),
        ("grow-ranges", "Ranges of one byte of a 10 KiB file (one is not sent as multipart)",
         "linear", LINEAR, "ranges", (1, 2, 3, 4, 6, 8, 12, 16),
         {"log": False, "each": "range", "path": "/10k.html", "size": 10 << 10}),
        ("grow-drip", "A head that arrives byte by byte", "linear", LINEAR, "bytes of the head",
         (100, 200, 400, 800, 1_600, 3_200),
         {"connections": 32, "series_metrics": (HEAD, BYTE), "each": "byte"}),
        ("grow-listing", "The first listing of a folder", "linear", LINEAR, "entries",
         (10, 100, 1_000, 10_000, 100_000),
         {"series_metrics": (LISTING, ENTRY), "each": "entry", "steep": True}),
        ("grow-size", "A file from memory, and by sendfile", "none", 0, "bytes", kib,
         {"connections": 16, "series_metrics": (CPU, BOTH), "steep": True,
          "lines": ("memory", "sendfile")}),
    ]]
