"""The clients: wrk, h2load, curl, the load of TLS handshakes, and a pool of idle connections.

A figure of wrk comes from its `done` hook as one line of JSON, not from its text output. A script
that defines only `done` adds no cost per request.
"""

import json
import math
import os
import re
import selectors
import socket
import subprocess
import time
from typing import NamedTuple

from lib_compare import machine

# A run that exceeds its duration by this is killed.
GRACE_SECONDS = 15

# Connections of a pool that are opened, or used, at the same time: fewer than any backlog.
AT_ONCE = 256
# A response that takes longer than this counts as missing.
TIMEOUT_SECONDS = 10.0

# Connections that h2load opens at a time in a paced load, and requests that it pipelines at most on
# one: several become due while the server stalls.
PACED_AT_ONCE, PACED_DEPTH = 5, 64

MARK = "wrk-result "
DONE = """
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\\nMARK{"requests":%d,"microseconds":%d,"bytes":%d,"connect":%d,"read":%d,' ..
    '"write":%d,"status":%d,"timeout":%d}\\n',
    summary.requests, summary.duration, summary.bytes, e.connect, e.read, e.write,
    e.status, e.timeout))
end
""".replace("MARK", MARK)

# The same request DEPTH times in one write; wrk counts each response.
PIPELINE = """
local block
function init(args)
  block = string.rep(wrk.format(), DEPTH)
end
function request()
  return block
end
"""

# COUNT paths made from PATTERN, requested in a random order that is the same in every run.
RANDOM = """
local requests = {}
function init(args)
  math.randomseed(10000)
  for i = 1, COUNT do
    requests[i] = wrk.format(nil, string.format("PATTERN", i - 1))
  end
end
function request()
  return requests[math.random(COUNT)]
end
"""

# Waits for a millisecond before each request.
PACE = """
function delay()
  return 1
end
"""


class LoadError(Exception):
    """A load did not run as intended, or a response was wrong; the text says why."""


class Result(NamedTuple):
    """The result of one load, without latencies: a closed loop hides stalls."""

    requests: int
    seconds: float
    bytes: int


def run(command, seconds):
    """The output of a load that takes this long. It runs on this process's core."""
    name = os.path.basename(command[0])
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=seconds + GRACE_SECONDS,
                              check=False)
    except subprocess.TimeoutExpired as error:
        raise LoadError(f"{name} did not exit within {seconds + GRACE_SECONDS:.0f} s") from error
    if done.returncode != 0:
        raise LoadError(f"{name} failed: {done.stdout.strip()[-300:]!r}")
    return done.stdout


def script(pipeline=1, many=None, paced=False):
    """The Lua text for a pipeline of this depth, or for `many` = (pattern, count) paths."""
    if many is not None:
        return RANDOM.replace("COUNT", str(many[1])).replace("PATTERN", many[0]) + DONE
    return (PIPELINE.replace("DEPTH", str(pipeline)) if pipeline > 1 else "") + (
        PACE if paced else "") + DONE


def wrk_command(url, script_path, connections, seconds, headers):
    """The command line: one thread, and a timeout long enough for ten thousand connections."""
    line = ["wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds}s", "--timeout", "10s"]
    for name, value in headers.items():
        line += ["-H", f"{name}: {value}"]
    return line + ["-s", str(script_path), url]


def wrk(output, partly=False):
    """Parses the Result from wrk's output. LoadError if it has none, reports an error, or has no
    completed request (with `partly`: no received byte)."""
    found = [line for line in output.splitlines() if line.startswith(MARK)]
    if not found:
        raise LoadError(f"wrk printed no result: {output.strip()[-300:]!r}")
    raw = json.loads(found[0][len(MARK) :])
    errors = {name: raw[name] for name in ("connect", "read", "write", "status", "timeout")
              if raw[name]}
    if errors:
        raise LoadError(f"wrk reported errors: {errors}")
    if raw["requests"] == 0 and not (partly and raw["bytes"] > 0):
        raise LoadError("wrk completed no request")
    return Result(raw["requests"], raw["microseconds"] / 1e6, raw["bytes"])


def h2load_command(url, connections, streams, headers, *options):
    """The command line: one thread, with this many streams on each connection. The options say how
    long it takes; without others it is a closed loop over HTTP/2."""
    line = [machine.find("h2load") or "h2load", "-t", "1", "-c", str(connections),
            "-m", str(streams), *options]
    for name, value in headers.items():
        line += ["-H", f"{name}: {value}"]
    return [*line, url]


def paced_command(url, connections, rate, seconds, log, headers):
    """An open loop over HTTP/1.1: requests are due at a fixed rate, evenly spread over the
    connections. It does not wait for responses, so a stall delays every request due during it."""
    each = rate / connections
    spread_ms = math.ceil(1000 / each / math.ceil(connections / PACED_AT_ONCE))
    requests = max(round(each * seconds), 1) * connections
    return h2load_command(
        url, connections, PACED_DEPTH, headers, "--h1", "--rps", f"{each:g}", "-n", str(requests),
        "-r", str(PACED_AT_ONCE), f"--rate-period={max(spread_ms, 1)}ms", f"--log-file={log}",
    )


def h2load(output, size):
    """Parses the Result from h2load's output. LoadError if a request failed, or if the bodies did
    not have `size` bytes each."""
    seconds = re.search(r"finished in ([\d.]+)(m?s|us), ", output)
    counts = re.search(r"requests: .* (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, "
                       r"(\d+) timeout", output)
    data = re.search(r"traffic: \S+ \((\d+)\) total, .*, \S+ \((\d+)\) data", output)
    codes = re.search(r"status codes: (\d+) 2xx, (.*)", output)
    if not (seconds and counts and data and codes):
        raise LoadError(f"h2load printed no result: {output.strip()[-300:]!r}")
    done, succeeded = int(counts[1]), int(counts[2])
    if done == 0 or succeeded != done or re.search(r"[1-9]\d* [345]xx", codes[2]):
        raise LoadError(f"h2load: {counts[0]}; {codes[0]}")
    # At its end, incomplete responses may have sent a part of their bytes.
    if not done * size <= int(data[2]) <= (done + 10_000) * size:
        raise LoadError(f"h2load: {data[2]} bytes in {done} bodies of {size} bytes")
    scale = {"s": 1, "ms": 1e-3, "us": 1e-6}[seconds[2]]
    return Result(done, float(seconds[1]) * scale, int(data[1]))


def latencies(log):
    """The latencies in microseconds in h2load's log, sorted. LoadError if a request failed."""
    rows = [line.split() for line in log.read_text().splitlines()]
    if not rows or any(status != "200" for _, status, _ in rows):
        raise LoadError("h2load: some requests of the paced load failed")
    return sorted(int(latency) for _, _, latency in rows)


def percentile(ordered, percent):
    """The smallest value with at least `percent` of the sorted list at or below it."""
    rank = math.ceil(len(ordered) * percent / 100)
    return ordered[min(max(rank, 1), len(ordered)) - 1]


def handshakes(program, address, path, resumes, seconds):
    """Makes one connection after the other, each with one request, with examples/tls_load.rs;
    returns (connections, seconds). rustls is the client, with TLS 1.3."""
    command = [program, "--connect", "%s:%d" % address, "--path", path, "--seconds", str(seconds)]
    result = json.loads(run(command + (["--resume"] if resumes else []), seconds))
    connections, resumed = result["connections"], result["resumed"]
    # Only the first one has no session to resume.
    if connections == 0 or resumed != (connections - 1 if resumes else 0):
        raise LoadError(f"{connections} connections, {resumed} of them resumed")
    return connections, result["seconds"]


class Head(NamedTuple):
    """A response: its status, its fields by lower-case name, and the bytes of head and body."""

    status: int
    fields: dict
    length: int
    body_length: int


def curl(urls, headers, protocol, home):
    """Requests these URLs with curl, on one connection if possible; returns the Heads, the files
    with the bodies, and the number of connections."""
    bodies = [home / f"body-{number}" for number in range(len(urls))]
    dump = home / "heads"
    line = ["curl", "-sk", f"--{protocol}", "-D", str(dump), "-w", "%{num_connects}\\n"]
    for name, value in {"Accept": "", "User-Agent": "", **headers}.items():
        line += ["-H", f"{name}: {value}" if value else f"{name}:"]
    for url, body in zip(urls, bodies):
        line += ["-o", str(body), url]
    connects = run(line, TIMEOUT_SECONDS).split()
    texts = dump.read_bytes().split(b"\r\n\r\n")[:-1]
    heads = [parse_head(text + b"\r\n\r\n") for text in texts]
    heads = [head for head in heads if head.status >= 200]
    if len(heads) != len(urls):
        raise LoadError(f"{len(heads)} responses to {len(urls)} requests")
    sizes = [body.stat().st_size if body.exists() else 0 for body in bodies]
    heads = [head._replace(body_length=size) for head, size in zip(heads, sizes)]
    return heads, bodies, sum(map(int, connects))


def parse_head(data):
    """The Head at the start of `data`, with its Content-Length; None while it is incomplete."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    first, *lines = bytes(data[:end]).decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    if not version.startswith("HTTP/"):
        raise LoadError(f"not a status line: {first[:60]!r}")
    pairs = [line.partition(":") for line in lines]
    fields = {name.strip().lower(): value.strip() for name, _, value in pairs}
    status = int(rest[:3])
    length = 0 if status in (204, 304) else int(fields.get("content-length", 0))
    return Head(status, fields, end + 4, length)


def request(path, host="127.0.0.1", headers=None):
    """A GET of `path` with the fields of the mapping `headers` after Host."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class Pool:
    """Many keep-alive connections over HTTP/1.1 that all send the same request."""

    def __init__(self, address, path, count):
        self.address, self.request = address, request(path)
        self.sockets, self.reply_bytes = [], 0
        try:
            self._open(count)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Resets every connection, so that no port stays in TIME_WAIT."""
        for sock in self.sockets:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            sock.close()

    def _open(self, count):
        """Opens `count` connections with one answered request on each. LoadError if one fails."""
        for start in range(0, count, AT_ONCE):
            fresh = [connect(self.address) for _ in range(min(AT_ONCE, count - start))]
            self.sockets += fresh
            answered = self._ask(fresh)
            if answered < len(fresh):
                raise LoadError(f"{len(fresh) - answered} of {len(fresh)} connections after the "
                                f"first {start} got no response")

    def ask(self):
        """Sends another request on every connection; returns the number of complete responses."""
        groups = range(0, len(self.sockets), AT_ONCE)
        return sum(self._ask(self.sockets[start : start + AT_ONCE]) for start in groups)

    def _ask(self, sockets):
        answered, end = 0, time.monotonic() + TIMEOUT_SECONDS
        with selectors.DefaultSelector() as selector:
            for sock in sockets:
                sock.sendall(self.request)
                selector.register(sock, selectors.EVENT_READ, bytearray())
            while selector.get_map() and time.monotonic() < end:
                for key, _ in selector.select(0.1):
                    done = self._receive(key.fileobj, key.data)
                    if done is not None:
                        answered += done
                        selector.unregister(key.fileobj)
        return answered

    def _receive(self, sock, data):
        """True: the response is complete. False: it failed. None: it is still incomplete."""
        try:
            piece = sock.recv(65536)
        except BlockingIOError:
            return None
        except OSError:
            return False
        data += piece
        head = parse_head(data)
        if piece and (head is None or len(data) < head.length + head.body_length):
            return None
        self.reply_bytes = len(data)
        return bool(piece) and head.status in (200, 304)


def connect(address):
    """A connected, non-blocking socket with TCP_NODELAY."""
    sock = socket.create_connection(address, timeout=TIMEOUT_SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setblocking(False)
    return sock


def fetch(address, paths, headers=None):
    """Requests these paths in one write; returns the Heads and the bodies."""
    found, data = [], bytearray()
    with socket.create_connection(address, timeout=TIMEOUT_SECONDS) as sock:
        sock.sendall(b"".join(request(path, headers=headers) for path in paths))
        while len(found) < len(paths):
            head = parse_head(data)
            if head is None or len(data) < head.length + head.body_length:
                piece = sock.recv(1 << 18)
                if not piece:
                    raise LoadError(f"{paths[0]}: the connection was closed within a response")
                data += piece
                continue
            found.append((head, bytes(data[head.length : head.length + head.body_length])))
            del data[: head.length + head.body_length]
    return found


class Greedy:
    """A context manager: a client that loads the server endlessly, with the lowest scheduling
    priority (SCHED_IDLE), because it may share the core of the load that is measured."""

    def __init__(self, url, script_path, seconds):
        command = wrk_command(url, script_path, 1, math.ceil(seconds), {})
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            preexec_fn=lambda: os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0)),
        )
        self.bytes_per_second = 0

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            output, _ = self.process.communicate(timeout=GRACE_SECONDS)
            if kind is None:
                result = wrk(output, partly=True)
                self.bytes_per_second = result.bytes / result.seconds
        finally:
            self.process.kill()  # no effect after its exit
