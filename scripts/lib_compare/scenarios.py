"""The table of scenarios. Pure data.

There are six kinds:
    load   wrk at full speed; the figure is the server's CPU time per request
    handshake
           TLS connections with one request each, one after the other; the same figure
    tail   an open loop at a fixed rate; the figure is a percentile of the latency
    idle   many idle connections; the figure is their memory
    start  the time from start to listening
    fair   the latency beside a greedy client, as a multiple of the latency without one
"""

from dataclasses import dataclass, field
from typing import Optional

from lib_compare import folder, metrics

# Rules in the scenario with rules; the last one is for the requested file.
RULES = 200

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


@dataclass(frozen=True)
class Goal:
    """A goal of tenkay: at most `limit` times the floor or the best peer, or at most `limit` in the
    unit of the metric."""

    against: str  # "floor", "peer" or "value"
    limit: float


@dataclass(frozen=True)
class Scenario:
    """One row of the comparison."""

    name: str
    title: str
    kind: str
    path: str = "/1k.html"
    size: int = 1024
    connections: int = 64
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
    # What the servers must be configured for: "sidecars", "rules", "log", "tls" (P-256), "tls-rsa"
    # (RSA-2048), or nothing in particular.
    feature: str = ""
    # The file with the expected body, if it is not the one at the path.
    body_path: str = ""
    # A field that the response must have.
    field: str = ""
    # Whether a quick run includes it: False where another scenario shows much the same.
    quick: bool = True
    goal: Optional[Goal] = None

    @property
    def metrics(self):
        """The metrics of a sample; the first one is ranked."""
        if self.kind == "load":
            return (metrics.CPU, metrics.BOTH, metrics.RATE, metrics.RESIDENT, metrics.WAITED)
        if self.kind == "handshake":
            return (metrics.CPU, metrics.RATE, metrics.RESIDENT, metrics.WAITED)
        if self.kind == "tail":
            return (metrics.P99, metrics.P50, metrics.P999, metrics.MAX, metrics.CPU)
        if self.kind == "fair":
            return (metrics.SHARE, metrics.QUIET, metrics.DOWNLOAD, metrics.PIPELINE, metrics.MOVED)
        if self.kind == "idle":
            return (metrics.IDLE, metrics.PROPORTIONAL, metrics.RESIDENT)
        return (metrics.LISTENS, metrics.RESIDENT, metrics.PROPORTIONAL)


def rules():
    """Path and value of each rule for fields; the last path is that of the requested file."""
    others = [(f"/folder-{number}/page.html", str(number)) for number in range(RULES - 1)]
    return [*others, ("/1k.html", "last")]


def scenarios(connections):
    """All scenarios in order; `connections` is the number in the scenarios with many."""
    return [*_small(connections), *_large(), *_secure(), *_latency(), *_resources(connections)]


def _small(connections):
    """Loads dominated by the work per request. The one with many connections runs longer, because
    opening them takes time."""
    ten = {"path": "/10k.html", "size": 10 << 10}
    many = {"many": True, "size": sum(folder.many_sizes()) // folder.MANY}
    close = {"close": True, "headers": {"Connection": "close"}, "floor": False}
    busy = {"connections": connections, "longer": 1 + connections // 5000}
    return [
        _load("1k", "1 KiB file, keep-alive", Goal("floor", 1.05)),
        _load("browser", "1 KiB file, a browser's header fields", Goal("floor", 1.07),
              headers=BROWSER, quick=False),
        _load("10k", "10 KiB file", Goal("floor", 1.06), **ten),
        _load("many", f"{folder.MANY:,} files of 1 to 5 KiB at random", Goal("floor", 1.08),
              **many),
        _load("sidecar", "text with a sidecar file, a browser's header fields",
              Goal("peer", 0.95), path=folder.TEXT_PATH, size=len(folder.SIDECAR),
              body_path=f"{folder.TEXT_PATH}.gz", feature="sidecars", field="content-encoding",
              headers=BROWSER),
        _load("rules", f"1 KiB file, {RULES} rules for fields", Goal("peer", 0.95),
              feature="rules", field="x-rule"),
        _load("log", "1 KiB file, with a buffered access log", Goal("floor", 1.1), feature="log"),
        _load("304", "304 Not Modified", Goal("floor", 1.05), status=304),
        _load("pipeline", "1 KiB file, 16 requests pipelined", Goal("value", 0.85), pipeline=16),
        _load("close", "1 KiB file, one request per connection", Goal("peer", 0.95), **close),
        _load("busy", f"1 KiB file, {connections:,} busy connections", Goal("floor", 1.1), **busy),
    ]


def _large():
    """Loads dominated by the bytes sent."""
    return [
        _load("100k", "100 KiB file", Goal("peer", 0.95), **HUNDRED),
        _load("1m", "1 MiB file", Goal("peer", 1.0), **MEGA, connections=16),
        _load("10m", "10 MiB file", Goal("peer", 1.0), path="/10m.bin", size=10 << 20,
              floor=False, connections=8, quick=False, by_bytes=True),
        _load("1g", "1 GiB file", Goal("peer", 1.0), path=folder.HUGE_PATH,
              size=folder.HUGE_BYTES, floor=False, connections=4, quick=False, by_bytes=True),
    ]


def _secure():
    """HTTPS: requests on open connections, and handshakes with one request each."""
    shake = {"kind": "handshake", "close": True, "headers": {"Connection": "close"},
             "connections": 1, "floor": False, "goal": Goal("peer", 0.75)}
    large = {"path": "/10m.bin", "size": 10 << 20, "connections": 8, "by_bytes": True}
    return [
        _load("https-1k", "HTTPS, 1 KiB file, keep-alive", Goal("floor", 1.1), feature="tls"),
        _load("https-100k", "HTTPS, 100 KiB file", Goal("peer", 0.6), path="/100k.bin",
              size=100 << 10, connections=32, feature="tls"),
        _load("https-10m", "HTTPS, 10 MiB file", Goal("peer", 0.6), feature="tls", quick=False,
              **large),
        Scenario("https-p256", "HTTPS, one request per full handshake, P-256", feature="tls",
                 **shake),
        Scenario("https-rsa", "HTTPS, one request per full handshake, RSA-2048",
                 feature="tls-rsa", quick=False, **shake),
        Scenario("https-resume", "HTTPS, one request per resumed handshake", feature="tls",
                 resumes=True, quick=False, **shake),
    ]


def _latency():
    """Open loops, at rates far below the capacity of any server."""
    return [
        Scenario("tail-1k", "Latency, 1 KiB file at 5,000 requests per second", "tail",
                 rate=5000, connections=256),
        Scenario("tail-100k", "Latency, 100 KiB file at 1,000 requests per second", "tail",
                 rate=1000, quick=False, **HUNDRED),
        Scenario("tail-1m", "Latency, 1 MiB file at 200 requests per second", "tail",
                 rate=200, quick=False, **MEGA),
        Scenario("fair", "Latency, 1 KiB file, beside one greedy client", "fair", rate=2000,
                 quick=False, floor=False, goal=Goal("value", 2.0)),
    ]


def _resources(connections):
    """Memory per idle connection; start-up time and memory."""
    return [
        Scenario("idle", f"{connections:,} idle keep-alive connections", "idle",
                 connections=connections, floor=False, goal=Goal("value", 160)),
        Scenario("start", "Start-up", "start", connections=1, floor=False),
    ]


def _load(name, title, goal, **more):
    return Scenario(name, title, "load", goal=goal, **more)


HUNDRED = {"path": "/100k.bin", "size": 100 << 10, "floor": False}
MEGA = {"path": "/1m.bin", "size": 1 << 20, "floor": False}
