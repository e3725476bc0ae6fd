"""The part of HTTP/1.1 that a load generator needs: request bytes, response head parser."""

from typing import NamedTuple


class Head(NamedTuple):
    """A response head: its status, its fields by lower-case name, and its length in bytes."""

    status: int
    fields: dict
    length: int

    @property
    def body_length(self):
        """Bytes of the body after the head. KeyError without Content-Length."""
        if self.status == 304 or self.status == 204:
            return 0
        return int(self.fields["content-length"])


def request(path, host, headers=None):
    """A GET of `path` with the fields of the mapping `headers` after Host."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def parse_head(data):
    """The Head at the start of `data`, or None while it is incomplete. ValueError: not HTTP/1."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    first, *lines = bytes(data[:end]).decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    if not version.startswith("HTTP/1."):
        raise ValueError(f"not a status line: {first[:60]!r}")
    fields = {}
    for line in lines:
        name, _, value = line.partition(":")
        fields[name.strip().lower()] = value.strip()
    return Head(int(rest[:3]), fields, end + 4)
