"""The server under test: starts and stops it, and reads its resources from /proc."""

import os
import pwd
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from lib_compare import machine, servers

STOP_SECONDS = 40.0
QUIET_SECONDS = 30.0


class Resources(NamedTuple):
    """The server's sockets, other descriptors, threads, and bytes of memory."""

    sockets: int
    others: int
    threads: int
    memory: int


class Server(servers.Running):
    """A running tenkay."""

    def __init__(self, program, root, home, arguments):
        # Root can read files without permissions, so the server must run as another user.
        if os.geteuid() == 0 and any(one.pw_name == "nobody" for one in pwd.getpwall()):
            arguments = [*arguments, "--user", "nobody"]
        super().__init__(servers.tenkay(program, arguments), root, home, None)

    def resources(self):
        """The current Resources."""
        pid, sockets, others = self.process.pid, 0, 0
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            try:
                is_socket = os.readlink(entry).startswith("socket:")
            except OSError:
                continue
            sockets, others = sockets + is_socket, others + (not is_socket)
        memory = machine.memory([pid]).resident
        return Resources(sockets, others, machine.threads([pid]), memory)

    def round_trip(self):
        """The duration in seconds of a small request on a new connection."""
        began = time.monotonic()
        with socket.create_connection(self.address, timeout=QUIET_SECONDS) as sock:
            sock.sendall(b"GET /still-small-0 HTTP/1.1\r\nHost: soak\r\nConnection: close\r\n\r\n")
            data = b""
            while piece := sock.recv(65_536):
                data += piece
        if not data or data.startswith(b"HTTP/1.1 503 "):
            raise ConnectionResetError("closed without a response, or answered 503")
        if not data.startswith(b"HTTP/1.1 200 "):
            raise OSError(f"unexpected response: {data[:80]!r}")
        return time.monotonic() - began

    def wait_until_quiet(self, start, files):
        """Waits until the server has no more descriptors than at its start, plus `files` cached
        ones. Returns None, or after QUIET_SECONDS the excess as text."""
        until = time.monotonic() + QUIET_SECONDS
        while True:
            now = self.resources()
            if now.sockets <= start.sockets and now.others <= start.others + files:
                return None
            if time.monotonic() > until:
                return (f"{now.sockets} sockets and {now.others} other descriptors, expected "
                        f"at most {start.sockets} and {start.others + files}")
            time.sleep(0.05)

    def end(self):
        """Sends SIGTERM; returns the exit status, or None if the server is still running after
        STOP_SECONDS."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            return None
