"""The clients: wrk, h2load, curl, the load of TLS handshakes, and a pool of idle connections.

A figure of wrk comes from its `done` hook, not from its text output. A script that defines only
`done` adds no cost per request.
"""

import json
import math
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

from lib_compare import http1
from lib_compare.http1 import Answer, Reader
from lib_compare.machine import Failure

# A run that exceeds its duration by this is killed.
GRACE_SECONDS = 15

# Connections of a pool that are opened, or used, at the same time: fewer than any backlog.
AT_ONCE = 256
# A response that takes longer than this counts as missing.
TIMEOUT_SECONDS = 30.0

# Connections that h2load opens at a time in a paced load, and requests that it pipelines at most on
# one: several become due while the server stalls.
PACED_AT_ONCE, PACED_DEPTH = 5, 64

DONE = """
function done(summary)
  local e = summary.errors
  local errors = e.connect + e.read + e.write + e.status + e.timeout
  io.write(string.format("\\nwrk-result %d %d %d %d\\n", summary.requests, summary.duration,
    summary.bytes, errors))
end
"""

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


class Result(NamedTuple):
    """The result of one load, without latencies: a closed loop hides stalls."""

    requests: int
    seconds: float
    bytes: int


def run(command, seconds):
    """The output of a load that takes this long. It runs on this process's core."""
    name = Path(command[0]).name
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=seconds + GRACE_SECONDS,
                              check=False)
    except subprocess.TimeoutExpired as error:
        raise Failure(f"{name} did not exit within {seconds + GRACE_SECONDS:.0f} s") from error
    if done.returncode != 0:
        raise Failure(f"{name} failed: {done.stdout.strip()[-300:]!r}")
    return done.stdout


def script(pipeline=1, many=None, paced=False):
    """The Lua text for a pipeline of this depth, or for `many` = (pattern, count) paths."""
    text = PACE if paced else ""
    if many is not None:
        text += RANDOM.replace("COUNT", str(many[1])).replace("PATTERN", many[0])
    elif pipeline > 1:
        text += PIPELINE.replace("DEPTH", str(pipeline))
    return text + DONE


def fields_of(headers):
    """These fields as options of wrk, h2load and curl."""
    return [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]


def wrk_command(url, script_path, connections, seconds, headers):
    """The command line: one thread, and a timeout long enough for ten thousand connections."""
    return ["wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds}s", "--timeout", "10s",
            *fields_of(headers), "-s", str(script_path), url]


def wrk(output, partly=False):
    """Parses the Result from wrk's output. Failure if it has none, reports an error, or has no
    completed request (with `partly`: no received byte)."""
    found = re.search(r"^wrk-result (\d+) (\d+) (\d+) (\d+)$", output, re.MULTILINE)
    if not found or int(found[4]):
        raise Failure(f"wrk failed, or reported errors: {output.strip()[-300:]!r}")
    requests, microseconds, received, _ = map(int, found.groups())
    if requests == 0 and not (partly and received > 0):
        raise Failure("wrk completed no request")
    return Result(requests, microseconds / 1e6, received)


def h2load_command(url, connections, streams, headers, *options):
    """The command line: one thread, with this many streams on each connection. The options say how
    long it takes; without others it is a closed loop over HTTP/2."""
    return ["h2load", "-t", "1", "-c", str(connections), "-m", str(streams), *options,
            *fields_of(headers), url]


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
    """Parses the Result from h2load's output. Failure if a request failed, or if the bodies did
    not have `size` bytes each."""
    seconds = re.search(r"finished in ([\d.]+)(m?s|us), ", output)
    counts = re.search(r"requests: .* (\d+) done, (\d+) succeeded, .* timeout", output)
    data = re.search(r"traffic: \S+ \((\d+)\) total, .*, \S+ \((\d+)\) data", output)
    codes = re.search(r"status codes: (\d+) 2xx, (.*)", output)
    if not (seconds and counts and data and codes):
        raise Failure(f"h2load printed no result: {output.strip()[-300:]!r}")
    done, succeeded = int(counts[1]), int(counts[2])
    if done == 0 or succeeded != done or re.search(r"[1-9]\d* [345]xx", codes[2]):
        raise Failure(f"h2load: {counts[0]}; {codes[0]}")
    # At its end, incomplete responses may have sent a part of their bytes.
    if not done * size <= int(data[2]) <= (done + 10_000) * size:
        raise Failure(f"h2load: {data[2]} bytes in {done} bodies of {size} bytes")
    scale = {"s": 1, "ms": 1e-3, "us": 1e-6}[seconds[2]]
    return Result(done, float(seconds[1]) * scale, int(data[1]))


def latencies(log):
    """The latencies in microseconds in h2load's log, sorted. Failure if a request failed."""
    rows = [line.split() for line in log.read_text().splitlines()]
    if not rows or any(status != "200" for _, status, _ in rows):
        raise Failure("h2load: some requests of the paced load failed")
    return sorted(int(latency) for _, _, latency in rows)


def percentile(ordered, percent):
    """The smallest value with at least `percent` of the sorted list at or below it."""
    rank = math.ceil(len(ordered) * percent / 100)
    return ordered[max(rank, 1) - 1]


def handshakes(program, address, path, resumes, seconds):
    """Makes one connection after the other, each with one request, with examples/tls_load.rs;
    returns (connections, seconds). rustls is the client, with TLS 1.3."""
    command = [program, "--connect", "%s:%d" % address, "--path", path, "--seconds", str(seconds)]
    result = json.loads(run(command + (["--resume"] if resumes else []), seconds))
    connections, resumed = result["connections"], result["resumed"]
    # Only the first one has no session to resume.
    if connections == 0 or resumed != (connections - 1 if resumes else 0):
        raise Failure(f"{connections} connections, {resumed} of them resumed")
    return connections, result["seconds"]


def curl(urls, headers, protocol, home):
    """Requests these URLs with curl, on one connection if possible; returns the Answers, the files
    with their bodies, and the number of connections."""
    bodies = [home / f"body-{number}" for number in range(len(urls))]
    form = "[%{http_code},%{size_header},%{num_connects},%{header_json}],"
    # "Name:" removes the field that curl would add.
    line = ["curl", "-sk", f"--{protocol}", "-w", form, "-H", "Accept:", "-H", "User-Agent:",
            *fields_of(headers)]
    for url, body in zip(urls, bodies):
        body.write_bytes(b"")
        line += ["-o", str(body), url]
    found = json.loads(f"[{run(line, TIMEOUT_SECONDS).rstrip(',')}]")
    answers = [Answer(status, {name.lower(): values[0] for name, values in fields.items()}, head)
               for status, head, _, fields in found]
    return answers, bodies, sum(connects for _, _, connects, _ in found)


def fetch(address, paths, headers=None):
    """Requests these paths over HTTP/1.1 in one write; returns the Answers."""
    with http1.connect(address, TIMEOUT_SECONDS) as sock:
        sock.sendall(b"".join(http1.request(path, headers) for path in paths))
        reader = Reader(sock)
        return [reader.answer() for _ in paths]


class Pool:
    """Many keep-alive connections over HTTP/1.1 that all send the same request. Each has had one
    response once the pool exists."""

    def __init__(self, address, text, count):
        self.text, self.readers = text, []
        try:
            while len(self.readers) < count:
                fresh = [Reader(http1.connect(address, TIMEOUT_SECONDS))
                         for _ in range(min(AT_ONCE, count - len(self.readers)))]
                self.readers += fresh
                self._ask(fresh)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self, reset=True):
        """Closes every connection."""
        for reader in self.readers:
            http1.close(reader.sock, reset)

    def ask(self):
        """Sends another request on every connection, and reads the responses."""
        for start in range(0, len(self.readers), AT_ONCE):
            self._ask(self.readers[start : start + AT_ONCE])

    def _ask(self, readers):
        for reader in readers:
            reader.sock.sendall(self.text)
        self.read(readers)

    def read(self, readers):
        """Reads a response on each of these connections. Failure if one has an error."""
        for reader in readers:
            status = reader.answer().status
            if status not in (200, 304):
                raise Failure(f"status {status}")
