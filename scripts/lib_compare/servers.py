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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Optional

from lib_compare import machine, procfs, scenarios, tls

REPOSITORY = Path(__file__).resolve().parents[2]

# Timeouts for listening after the start, and for the exit after SIGTERM.
START_SECONDS = 15.0
STOP_SECONDS = 5.0


class ServerError(Exception):
    """A server could not be built or started; the text says why."""


@dataclass(frozen=True)
class Place:
    """Parameters of a server: served folder, own folder, port, limit on open files, and what it
    must be configured for (see scenarios.Scenario)."""

    root: str
    home: str
    port: str
    open_files: str
    feature: str = ""


@dataclass(frozen=True)
class Recipe:
    """How to start a server. `files` are its configuration: name in its own folder -> text."""

    name: str
    title: str
    kind: str  # "ours", "floor" or "peer"
    version: str
    command: Callable[[Place], list]
    files: Callable[[Place], dict] = lambda place: {}
    environment: dict = field(default_factory=dict)
    most_connections: Optional[int] = None
    # What it can be configured for.
    features: tuple = ()

    def settings(self):
        """The settings for the report, with placeholders instead of paths."""
        place = Place("ROOT", "HOME", "PORT", "LIMIT")
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        program, *arguments = self.command(place)
        parts = ["$ " + " ".join([*variables, Path(program).name, *arguments])]
        parts += [f"# {name}\n{text}" for name, text in self.files(place).items()]
        return "\n\n".join(part.strip() for part in parts)


class Running:
    """A running server. As a context manager it stops the server on exit."""

    def __init__(self, recipe, root, home, core, extra=(), feature=""):
        self.recipe = recipe
        self.address = ("127.0.0.1", free_port())
        open_files = machine.open_files()
        place = Place(str(root), str(home), str(self.address[1]), str(open_files), feature)
        home.mkdir(mode=0o755)
        for name, text in recipe.files(place).items():
            (home / name).write_text(text)
        self.log = home / "output.log"
        self.listen_seconds = 0.0
        started = time.perf_counter()
        with self.log.open("wb") as log:
            # A new session: Ctrl-C reaches only this script, which then stops the server.
            self.process = subprocess.Popen(
                recipe.command(place) + list(extra),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=home,
                env={**os.environ, **recipe.environment},
                start_new_session=True,
                preexec_fn=lambda: machine.pin(core),
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
            if self.process.poll() is not None:
                raise ServerError(f"{self.recipe.name} exited at once: {self.output_tail()}")
            with socket.socket() as probe:
                if probe.connect_ex(self.address) == 0:
                    return
            time.sleep(0.0002)
        raise ServerError(
            f"{self.recipe.name} did not listen within {START_SECONDS:.0f} s: {self.output_tail()}"
        )

    def output_tail(self):
        """The end of the server's output."""
        return self.log.read_text(errors="replace").strip()[-400:] or "it printed nothing"

    def require_alive(self):
        """Raises ServerError if the server has exited."""
        if self.process.poll() is not None:
            raise ServerError(f"{self.recipe.name} exited: {self.output_tail()}")

    def pids(self):
        """The IDs of the server's process and its descendants."""
        return procfs.tree(self.process.pid)

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


def program(path):
    """The absolute path of a program given on the command line, or None."""
    if path is None:
        return None
    if not os.access(path, os.X_OK):
        raise ServerError(f"{path} is not an executable file")
    return str(Path(path).resolve())


def cargo_build(*target):
    """Builds a target of this package with the release profile; returns the executable's path."""
    cargo = machine.find("cargo")
    if cargo is None:
        raise ServerError(f"cargo is not installed ({machine.hint('cargo')})")
    command = [cargo, "build", "--release", *target, "--message-format=json-render-diagnostics"]
    done = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise ServerError(f"cargo build --release {' '.join(target)} failed; see its output above")
    for line in reversed(done.stdout.splitlines()):
        program = json.loads(line).get("executable")
        if program:
            return program
    raise ServerError(f"cargo build --release {' '.join(target)} built no executable")


def tenkay(program, arguments):
    """The recipe of tenkay, with `arguments` appended."""
    def command(place):
        rules = ["--config", f"{place.home}/rules.toml"] if place.feature == "rules" else []
        listen = ["--listen", f"127.0.0.1:{place.port}"]
        log = ["--access-log", f"{place.home}/access.log"] if place.feature == "log" else []
        if tls.is_secure(place.feature):
            cert, key = tls.files(place)
            listen = ["--listen", f"https://127.0.0.1:{place.port}", "--cert", cert, "--key", key]
        # The peers send files as they are, or with the coding of a sidecar file.
        return [program, place.root, *listen, "--no-compress", *rules, *log, *arguments]

    def files(place):
        if place.feature != "rules":
            return {}
        rule = '[[headers]]\nfor = "{}"\nvalues = {{ X-Rule = "{}" }}\n'
        return {"rules.toml": "".join(rule.format(*pair) for pair in scenarios.rules())}

    version = machine.first_line([program, "--version"])
    features = ("sidecars", "rules", "log", *tls.KEYS)
    return Recipe("tenkay", "tenkay", "ours", version, command, files, features=features)


def floor(program, tls_program):
    """The recipe of the floor, which is another program in scenarios with TLS; Running adds the
    arguments that describe its constant response."""
    def command(place):
        listen = ["--listen", f"127.0.0.1:{place.port}"]
        if tls.is_secure(place.feature):
            cert, key = tls.files(place)
            return [tls_program, *listen, "--cert", cert, "--key", key]
        return [program, *listen]

    features = ("sidecars", "rules", "log", *tls.KEYS)
    return Recipe("floor", "floor: parses nothing", "floor", "", command, features=features)
