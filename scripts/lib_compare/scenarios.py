"""The table of scenarios and the measured quantities. Pure data.

A scenario compares servers. A new row needs no code if its kind exists. There are eleven kinds:
    load       wrk at full speed; the figure is the server's CPU time per request
    h2         h2load at full speed over HTTP/2; the same figure
    workers    wrk on both cores, with a pause before each request; the same figure
    handshake  TLS connections with one request each, one after the other; the same figure
    tail       requests at a fixed rate (h2load); the figure is a percentile of the latency
    fair       the latency beside a greedy client, as a multiple of the latency without one
    slow-log   the latency with an access log that is not read, as a multiple of that with one that
               is written
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
    """A quantity: its key in a sample, its name, its column heading, its unit, the function that
    formats its number, and whether smaller (1) or larger (-1) is better."""

    key: str
    label: str
    head: str
    unit: str
    write: Callable[[float], str]
    sign: int = 1

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
RATE = Metric("rate", "requests per second", "req/s", "/s", whole, -1)
P50 = Metric("p50_us", "median latency", "p50 µs", "µs", whole)
P99 = Metric("p99_us", "p99 latency", "p99 µs", "µs", whole)
P999 = Metric("p999_us", "p99.9 latency", "p99.9 µs", "µs", whole)
MAX = Metric("max_us", "maximum latency", "max µs", "µs", whole)
WAITED = Metric("waited", "time waiting for its core", "waited %", "%", lambda x: f"{x * 100:.1f}")
RESIDENT = Metric("resident", "resident memory", "RSS MiB", "MiB", mebibytes)
PROPORTIONAL = Metric("proportional", "proportional memory", "PSS MiB", "MiB", mebibytes)
ANONYMOUS = Metric("anonymous", "memory that is not of a file", "own MiB", "MiB", mebibytes)
IDLE = Metric("idle_bytes", "user memory per idle connection", "B/connection", "B", whole)
WORST = Metric("worst", "p99.9 in the worst case / in the quiet case", "× quiet", "", plain)
QUIET = Metric("quiet_us", "p99.9 in the quiet case", "quiet µs", "µs", whole)
DOWNLOAD = Metric("download_us", "p99.9 beside a download", "download µs", "µs", whole)
PIPELINE = Metric("pipeline_us", "p99.9 beside endless pipelining", "pipelining µs", "µs", whole)
SLEEPING = Metric("sleeping_us", "p99.9 with a FIFO that nobody reads", "FIFO µs", "µs", whole)
FULL = Metric("full_us", "p99.9 with a full disk", "full disk µs", "µs", whole)
LISTENS = Metric("listen_ms", "time from start to listening", "listens ms", "ms", plain)
RELOAD = Metric("reload_ms", "time of a reload", "reload ms", "ms", whole)
UNEVEN = Metric("share", "connections of the busier worker", "share %", "%",
                lambda x: f"{x * 100:.1f}")
HEAD = Metric("head_us", "server CPU per head", "CPU µs/head", "µs", whole)
LISTING = Metric("listing_us", "server CPU per listing", "CPU µs/listing", "µs", whole)

# The metrics of each kind; the first one is ranked.
METRICS = {
    **dict.fromkeys(("load", "h2", "workers", "handshake"), (CPU, BOTH, RATE, RESIDENT, WAITED)),
    "tail": (P99, P50, P999, MAX, CPU),
    "fair": (WORST, QUIET, DOWNLOAD, PIPELINE),
    "slow-log": (WORST, QUIET, SLEEPING, FULL),
    "idle": (IDLE, PROPORTIONAL, RESIDENT),
    "start": (LISTENS, RESIDENT, PROPORTIONAL, ANONYMOUS),
    "supervisor": (RELOAD, RESIDENT, PROPORTIONAL, ANONYMOUS, UNEVEN),
}

# A step from x to k·x multiplies a linear cost by k and a quadratic cost by k². The bound is k to
# the power of this, which allows for noise.
LINEAR = 1.1


class Goal(NamedTuple):
    """A goal of tenkay: at most `limit` times the floor or the best peer, or at most `limit` in the
    unit of the metric. For a series: the rule in `judge`, and its limit."""

    against: str  # "floor", "peer", "value"; "share", "absolute", "falling", "linear"
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
    # Of a series: the metrics, one chart each, the points of each line, and the name of the axis.
    series_metrics: tuple = (CPU,)
    points: tuple = ()
    lines: tuple = ("server",)
    axis: str = ""
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


HUNDRED = {"path": "/100k.bin", "size": 100 << 10}
MEGA = {"path": "/1m.bin", "size": 1 << 20, "connections": 16}
TEN_MEGA = {"path": "/10m.bin", "size": 10 << 20, "connections": 8, "by_bytes": True}
HUGE = {"path": folder.HUGE_PATH, "size": folder.HUGE_BYTES, "by_bytes": True}
TLS, H2C = frozenset({"tls"}), frozenset({"h2c"})


FEWER = 2000  # connections where each costs the client much


def _rows(group, kind, floor, rows):
    """Rows of (name, title, goal, other arguments)."""
    return [Scenario(name, group, title, **{"kind": kind, "goal": goal, "floor": floor, **more})
            for name, title, goal, more in rows]


def _series(rows):
    """Rows of (name, title, goal, axis, points, other arguments)."""
    return [Scenario(name, "growth", title, "growth", goal, axis=axis, points=points, **more)
            for name, title, goal, axis, points, more in rows]


MANY_FILES = {"many": True, "size": sum(folder.many_sizes()) // folder.MANY}
CLOSE = {"close": True, "headers": {"Connection": "close"}}
# Texts with a sidecar file; the body is that of the sidecar.
TEXT, SMALL_TEXT = (
    {"path": path, "size": len(folder.TEXTS[path][1]), "body_path": f"{path}.gz",
     "field": "content-encoding", "headers": BROWSER} for path in folder.TEXTS)
SHAKE = {"kind": "handshake", **CLOSE, "connections": 1}
PROCESSES = {"needs": frozenset({"workers"})}

SCENARIOS = [
    # Loads dominated by the work per request. The one with many connections runs longer, because
    # opening them takes time.
    *_rows("small", "load", True, [
        ("1k", "1 KiB file, keep-alive", Goal("floor", 1.05), {}),
        ("browser", "1 KiB file, with a browser's header fields", Goal("floor", 1.07),
         {"headers": BROWSER}),
        ("10k", "10 KiB file", Goal("floor", 1.06), {"path": "/10k.html", "size": 10 << 10}),
        ("many", f"{folder.MANY:,} files of 1 to 5 KiB at random", Goal("floor", 1.08),
         MANY_FILES),
        ("304", "304 Not Modified", Goal("floor", 1.05), {"status": 304}),
        ("pipeline", "16 requests pipelined", Goal("value", 0.85), {"pipeline": 16}),
        ("close", "one request per connection", Goal("peer", 0.95), {**CLOSE, "floor": False}),
        ("busy", "10,000 busy connections", Goal("floor", 1.1),
         {"connections": 10_000, "longer": 3}),
    ]),
    # Loads dominated by the bytes sent.
    *_rows("large", "load", False, [
        ("100k", "100 KiB file", Goal("peer", 0.95), HUNDRED),
        ("1m", "1 MiB file", Goal("peer", 1.05), MEGA),
        ("10m", "10 MiB file", Goal("peer", 1.05), TEN_MEGA),
        ("1g", "1 GiB file", Goal("peer", 1.05), {**HUGE, "connections": 4}),
        ("1g-one", "1 GiB file, one connection", Goal("peer", 1.05),
         {**HUGE, "connections": 1}),
    ]),
    # What an operator switches on, one thing at a time and together.
    *_rows("on", "load", True, [
        ("log", "1 KiB file, with a buffered access log", Goal("floor", 1.1),
         {"needs": frozenset({"log"})}),
        ("rules", f"1 KiB file, {RULES} rules for fields", Goal("peer", 0.95),
         {"needs": frozenset({"rules"}), "field": "x-rule"}),
        ("sidecar", "sidecar file of 2.6 KiB, with a browser's header fields", Goal("peer", 0.95),
         {**TEXT, "needs": frozenset({"sidecars"})}),
        ("all-on", f"log, {RULES} rules, and a sidecar file of 1 KiB for a browser",
         Goal("floor", 1.1), {**SMALL_TEXT, "needs": frozenset({"log", "rules", "sidecars"})}),
    ]),
    # Requests on open connections, and handshakes with one request each.
    *_rows("https", "load", False, [
        ("https-1k", "HTTPS, 1 KiB file, keep-alive", Goal("floor", 1.1),
         {"needs": TLS, "floor": True}),
        ("https-100k", "HTTPS, 100 KiB file", Goal("peer", 0.6),
         {"needs": TLS, "floor": True, "connections": 32, **HUNDRED}),
        ("https-10m", "HTTPS, 10 MiB file", Goal("peer", 0.6),
         {"needs": TLS, "floor": True, **TEN_MEGA}),
        ("https-p256", "HTTPS, full handshake and one request, P-256", Goal("peer", 0.75),
         {"needs": TLS, **SHAKE}),
        ("https-rsa", "HTTPS, full handshake and one request, RSA-2048", Goal("peer", 0.75),
         {"needs": frozenset({"tls-rsa"}), **SHAKE}),
        ("https-resume", "HTTPS, resumed handshake and one request", Goal("peer", 0.75),
         {"needs": TLS, "resumes": True, **SHAKE}),
    ]),
    *_rows("http2", "h2", False, [
        (f"{prefix}{name}", f"{title}, {load}", goal, {"needs": needs, **more})
        for prefix, title, needs in (("h2", "HTTP/2 over TLS", TLS),
                                     ("h2c", "HTTP/2 without TLS", H2C))
        for name, load, goal, more in (
            ("-100", "1 KiB, 10 connections of 100 streams", Goal("peer", 0.6),
             {"connections": 10, "streams": 100}),
            ("-1", "1 KiB, 64 connections of 1 stream", Goal("peer", 0.75), {}),
            ("-100k", "100 KiB, 10 connections of 10 streams", Goal("peer", 0.7),
             {**HUNDRED, "connections": 10, "streams": 10}),
        )
    ]),
    # What a supervisor and a second worker cost.
    *_rows("workers", "load", False, [
        ("worker", "1 KiB file, a process against one worker under a supervisor", None,
         {}),
        ("two-workers", "1 KiB file, two workers on two cores, paced requests",
         Goal("peer", 0.95), {"kind": "workers", **PROCESSES, "connections": 128}),
        ("supervisor", "Two workers: reload, memory of the supervisor, 10,000 connections", None,
         {"kind": "supervisor", **PROCESSES, "connections": 10_000}),
    ]),
    # Fixed rates, far below the capacity of any server.
    *_rows("latency", "tail", True, [
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
    ]),
    # Memory per idle connection; start-up time and memory.
    *_rows("resources", "idle", False, [
        ("c10k", "10,000 idle connections", Goal("value", 160), {"connections": 10_000}),
        ("idle-https", f"{FEWER:,} idle HTTPS connections", Goal("value", 5120),
         {"connections": FEWER, "needs": TLS}),
        ("idle-h2", f"{FEWER:,} idle HTTP/2 connections over TLS", Goal("value", 6144),
         {"connections": FEWER, "needs": TLS, "streams": 100}),
        ("start", "Start-up", None, {"kind": "start"}),
    ]),
    # One quantity grows, all others stay constant.
    *_series([
        ("grow-idle", "1 KiB file on 64 connections, while others are idle", Goal("share", 0.03),
         "idle connections", (0, 1_000, 10_000, 18_000), {}),
        ("grow-cached", "1 KiB files at random, all of them in the cache", Goal("absolute", 0.3),
         "files", (10, 100, 1_000, 10_000, 100_000), {}),
        ("grow-pipeline", "1 KiB file on 8 connections, requests pipelined", Goal("falling", 0.02),
         "requests in one segment", tuple(1 << power for power in range(9)), {"connections": 8}),
        ("grow-ranges", "Ranges of one byte of a 10 KiB file, sent as multipart",
         Goal("linear", LINEAR), "ranges", (2, 3, 4, 6, 8, 12, 16),
         {"each": "range", "path": "/10k.html", "size": 10 << 10}),
        ("grow-drip", "A head that arrives byte by byte", Goal("linear", LINEAR),
         "bytes of the head", (100, 200, 400, 800, 1_600, 3_200),
         {"connections": 32, "series_metrics": (HEAD,), "each": "byte"}),
        ("grow-listing", "The first listing of a folder", Goal("linear", LINEAR), "entries",
         (10, 100, 1_000, 10_000, 100_000),
         {"series_metrics": (LISTING,), "each": "entry"}),
        ("grow-size", "A file from memory, and by sendfile", None, "bytes",
         tuple(size << 10 for size in (1, 8, 32, 64, 100, 256, 1024)),
         {"connections": 16, "series_metrics": (CPU, BOTH), "lines": ("memory", "sendfile")}),
    ]),
]

GROUPS = list(dict.fromkeys(one.group for one in SCENARIOS))
