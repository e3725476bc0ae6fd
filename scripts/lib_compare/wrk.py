"""wrk: its Lua scripts, its command line, and the parser of its output.

The figures come from wrk's `done` hook as one line of JSON, not from its text output. A script that
defines only `done` adds no cost per request.
"""

import json
from typing import NamedTuple

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


class LoadError(Exception):
    """The load did not run as intended; the text says why."""


class Result(NamedTuple):
    """The result of one run of wrk, without its latencies: a closed loop hides stalls."""

    requests: int
    seconds: float
    bytes: int
    errors: dict

    @property
    def rate(self):
        """Requests per second."""
        return self.requests / self.seconds


def script(pipeline=1, pattern=None, count=0):
    """The Lua text for a pipeline of this depth, or for `count` paths made from `pattern`."""
    if pattern is not None:
        return RANDOM.replace("COUNT", str(count)).replace("PATTERN", pattern) + DONE
    if pipeline > 1:
        return PIPELINE.replace("DEPTH", str(pipeline)) + DONE
    return DONE


def command(url, script_path, connections, seconds, headers):
    """The command line: one thread, and a timeout long enough for ten thousand connections."""
    line = ["wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds}s", "--timeout", "10s"]
    for name, value in headers.items():
        line += ["-H", f"{name}: {value}"]
    return line + ["-s", str(script_path), url]


def parse(output):
    """Parses the Result from wrk's output. ValueError if it has none."""
    for line in output.splitlines():
        if line.startswith(MARK):
            raw = json.loads(line[len(MARK) :])
            names = ("connect", "read", "write", "status", "timeout")
            return Result(
                requests=raw["requests"],
                seconds=raw["microseconds"] / 1e6,
                bytes=raw["bytes"],
                errors={name: raw[name] for name in names if raw[name]},
            )
    raise ValueError(f"wrk printed no result: {output.strip()[-300:]!r}")


def checked(output, partly=False):
    """Parses the Result from wrk's output. LoadError if it has none, reports an error, or has no
    completed request (with `partly`: no received byte)."""
    try:
        result = parse(output)
    except ValueError as error:
        raise LoadError(str(error)) from error
    if result.errors:
        raise LoadError(f"wrk reported errors: {result.errors}")
    if result.requests == 0 and not (partly and result.bytes > 0):
        raise LoadError("wrk completed no request")
    return result
