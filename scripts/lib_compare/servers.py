"""Starts and stops servers.

A Recipe describes how to start a server; Running is a running server. The recipes of tenkay and the
floor are here, those of the peers in `peers`.
"""

import json
import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from lib_compare import machine
from lib_compare.machine import Failure

REPOSITORY = Path(__file__).resolve().parents[2]

# Timeouts for listening after the start, and for the exit after SIGTERM.
START_SECONDS, STOP_SECONDS = 30.0, 5.0

# The features of scenarios over TLS, and the key that each of them has.
KEYS = {"tls": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "tls-rsa": ["rsa:2048"]}

# What a server can be configured for; see Scenario.needs.
FEATURES = frozenset({"sidecars", "rules", "log", "h2c", "workers", *KEYS})

# Rules for fields in scenarios with rules; the last one is for the path of the scenario.
RULES = 200


@dataclass(frozen=True)
class Place:
    """Parameters of a server: served folder, own folder, port, the scenario's path and needs."""

    root: str
    home: str
    port: str
    path: str = "/1k.html"
    needs: frozenset = frozenset()

    @property
    def workers(self):
        """The number of worker processes or threads."""
        return 2 if "workers" in self.needs else 1

    @property
    def scheme(self):
        """https or http."""
        return "https" if self.needs & KEYS.keys() else "http"

    def rules(self):
        """Path and value of each rule for fields."""
        if "rules" not in self.needs:
            return []
        others = [(f"/folder-{number}/page.html", str(number)) for number in range(RULES - 1)]
        return [*others, (self.path, "last")]

    def certificate(self):
        """The paths of the certificate and the key of a scenario over TLS, else None. openssl makes
        them at their first use."""
        kinds = self.needs & KEYS.keys()
        if not kinds:
            return None
        (kind,) = kinds
        cert, key = (Path(self.home).parent / f"{kind}.{end}" for end in ("pem", "key"))
        if not cert.exists():
            command = ["openssl", "req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=localhost",
                       "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-newkey",
                       *KEYS[kind], "-keyout", key, "-out", cert]
            subprocess.run(command, check=True, capture_output=True)
        return str(cert), str(key)

    def keys(self):
        """The same as arguments of tenkay and of its floor."""
        certificate = self.certificate()
        return ["--cert", certificate[0], "--key", certificate[1]] if certificate else []


@dataclass(frozen=True)
class Recipe:
    """How to start a server. `files` are its configuration: name in its own folder -> text."""

    name: str
    title: str
    kind: str  # "ours", "floor" or "peer"
    version: str
    command: Callable[[Place], list]
    files: Callable[[Place], dict] = lambda place: {}
    features: frozenset = FEATURES

    def settings(self, place):
        """The settings for the report, with placeholders instead of paths."""
        program, *arguments = self.command(place)
        text = "$ " + " ".join([Path(program).name, *arguments])
        for name, content in self.files(place).items():
            text += f"\n\n# {name}\n{content.strip()}"
        for path, name in ((place.home, "HOME"), (place.root, "ROOT"),
                           (str(Path(place.home).parent), "KEYS"), (place.port, "PORT")):
            text = text.replace(path, name)
        lines = text.splitlines()  # of the many rules, the first and the last
        return "\n".join(lines if len(lines) < 150 else [*lines[:60], "...", *lines[-40:]])


class Running:
    """A running server. As a context manager it stops the server on exit."""

    def __init__(self, recipe, root, home, cores, scenario=None, extra=()):
        self.recipe = recipe
        self.address = ("127.0.0.1", free_port())
        more = (scenario.path, scenario.needs) if scenario else ()
        self.place = Place(str(root), str(home), str(self.address[1]), *more)
        home.mkdir(mode=0o755)
        for name, text in recipe.files(self.place).items():
            (home / name).write_text(text)
        self.log = home / "output.log"
        command = recipe.command(self.place) + list(extra)
        started = time.perf_counter()
        with self.log.open("wb") as log:
            # A new session: Ctrl-C reaches only this script, which then stops the server.
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=home,
                start_new_session=True, preexec_fn=lambda: os.sched_setaffinity(0, cores),
            )
        try:
            self._wait_until_it_listens()
        except BaseException:
            self.stop()
            raise
        self.listen_seconds = time.perf_counter() - started

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def _wait_until_it_listens(self):
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            self.require_alive()
            with socket.socket() as probe:
                if probe.connect_ex(self.address) == 0:
                    return
            time.sleep(0.0002)
        raise Failure(f"{self.recipe.name} did not listen within {START_SECONDS:.0f} s: "
                      f"{self.output_tail()}")

    def url(self, path):
        """The URL of a path."""
        return "%s://%s:%d%s" % (self.place.scheme, *self.address, path)

    def output_tail(self):
        """The end of the server's output."""
        return self.log.read_text(errors="replace").strip()[-400:] or "it printed nothing"

    def require_alive(self):
        """Raises Failure if the server has exited."""
        if self.process.poll() is not None:
            raise Failure(f"{self.recipe.name} exited: {self.output_tail()}")

    def pids(self):
        """The IDs of the server's process and its descendants."""
        return machine.tree(self.process.pid)

    def stop(self):
        """Sends SIGTERM; after STOP_SECONDS kills the server's process group."""
        if self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def free_port():
    """A free port on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def program(path, *target):
    """The absolute path of a program given on the command line; for None, builds this target of the
    package with the release profile and returns the path of the executable."""
    if path is not None:
        if not os.access(path, os.X_OK):
            raise Failure(f"{path} is not an executable file")
        return str(Path(path).resolve())
    if machine.find("cargo") is None:
        raise Failure(machine.missing("cargo"))
    command = ["cargo", "build", "--release", *target, "--message-format=json-render-diagnostics"]
    done = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise Failure(f"cargo build --release {' '.join(target)} failed; see its output above")
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    return [one["executable"] for one in messages if one.get("executable")][-1]


def tenkay(path, arguments=(), workers=0, name="tenkay"):
    """The recipe of tenkay, with `arguments` appended. `workers`: 0 for a process without a
    supervisor, unless the scenario has workers."""
    def command(place):
        # The peers send files as they are, or with the coding of a sidecar file.
        line = [path, place.root, "--no-compress", "--limit", "requests_per_connection=1000000000"]
        line += ["--listen", f"{place.scheme}://127.0.0.1:{place.port}", *place.keys()]
        line += ["--config", f"{place.home}/rules.toml"] if place.rules() else []
        line += ["--access-log", f"{place.home}/access.log"] if "log" in place.needs else []
        line += ["--h2c"] if "h2c" in place.needs else []
        count = workers or (place.workers if place.workers > 1 else 0)
        line += ["--workers", str(count)] if count else []
        return [*line, *arguments]

    def files(place):
        rule = '[[headers]]\nfor = "{}"\nvalues = {{ X-Rule = "{}" }}\n'
        text = "".join(rule.format(*pair) for pair in place.rules())
        return {"rules.toml": text} if text else {}

    return Recipe(name, "tenkay", "ours", machine.first_line(path, "--version"), command, files)


def floor(path, tls_path):
    """The recipe of the floor, which is another program in scenarios with TLS; `bench` adds the
    arguments that describe its constant response."""
    def command(place):
        program = tls_path if place.scheme == "https" else path
        return [program, "--listen", f"127.0.0.1:{place.port}", *place.keys()]

    return Recipe("floor", "floor: parses nothing", "floor", "", command)
