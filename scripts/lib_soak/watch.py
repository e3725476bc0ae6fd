"""The server under test: its start, what the kernel says of it, its end."""

import os
import pwd
import re
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from lib_compare import procfs

START_SECONDS = 15.0
STOP_SECONDS = 40.0
QUIET_SECONDS = 30.0


class Resources(NamedTuple):
    """What the server has: sockets, other descriptors, threads, bytes of memory."""

    sockets: int
    others: int
    threads: int
    memory: int


class Server:
    """A tenkay from its start to its end. Use it in a `with`: leaving ends it."""

    def __init__(self, program, root, log, arguments):
        command = [program, str(root), "--listen", "127.0.0.1:0", *arguments]
        # Root may read everything, so a file without permissions would be as good as any other.
        if os.geteuid() == 0 and any(one.pw_name == "nobody" for one in pwd.getpwall()):
            command += ["--user", "nobody"]
        self.log = Path(log)
        with self.log.open("wb") as errors:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors
            )
        greeting = self.process.stdout.readline().decode()
        found = re.search(r"http://127\.0\.0\.1:(\d+)", greeting)
        if not found:
            self.kill()
            raise OSError(f"the server did not start: {self.log.read_text()}")
        self.address = ("127.0.0.1", int(found[1]))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def kill(self):
        """Ends it at once, if it has not ended."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def resources(self):
        """What it has now."""
        pid, sockets, others = self.process.pid, 0, 0
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            try:
                is_socket = os.readlink(entry).startswith("socket:")
            except OSError:
                continue
            sockets, others = sockets + is_socket, others + (not is_socket)
        memory = procfs.memory([pid]).resident
        return Resources(sockets, others, procfs.threads([pid]), memory)

    def round_trip(self):
        """Seconds that a small request on a connection of its own takes."""
        began = time.monotonic()
        with socket.create_connection(self.address, timeout=QUIET_SECONDS) as sock:
            sock.sendall(b"GET /still-small-0 HTTP/1.1\r\nHost: soak\r\nConnection: close\r\n\r\n")
            data = b""
            while piece := sock.recv(65_536):
                data += piece
        if not data:
            raise ConnectionResetError("closed without an answer")
        if not data.startswith(b"HTTP/1.1 200 "):
            raise OSError(f"a plain request got {data[:80]!r}")
        return time.monotonic() - began

    def wait_until_quiet(self, start, files):
        """Waits until it has no more than at its start, and `files` that it keeps open; what is
        too much, as text; None: nothing."""
        until = time.monotonic() + QUIET_SECONDS
        while True:
            now = self.resources()
            if now.sockets <= start.sockets and now.others <= start.others + files:
                return None
            if time.monotonic() > until:
                return (f"{now.sockets} sockets and {now.others} other descriptors, not "
                        f"{start.sockets} and at most {start.others + files}")
            time.sleep(0.05)

    def stop(self):
        """Asks it to end; its exit status, None: it did not."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            return None
