"""The kinds of conversations, one function each, and their relative frequencies."""

import socket

from lib_compare import http1
from lib_soak import files
from lib_soak.answers import Violation


def small_files(client):
    """Several requests on one connection."""
    with client.connect() as peer:
        for _ in range(client.chance.randint(1, 12)):
            if not peer.ask(client.pick(client.small)):
                return


def large_file(client):
    """A download at full speed."""
    with client.connect() as peer:
        peer.ask(client.pick(client.large))


def single_range(client):
    """One range: inside the file, to its end, a suffix, or beyond the end."""
    name = client.pick()
    least, most = files.sizes(name)
    first = client.chance.randrange(most)
    text = client.chance.choice([f"{first}-{first + least}", f"{first}-", f"-{first + 1}", "0-0"])
    with client.connect() as peer:
        peer.ask(name, (206, 416), Range=f"bytes={text}")


def several_ranges(client):
    """A multipart response."""
    name = client.pick()
    step = files.size(name, 0) // 8
    starts = sorted(client.chance.sample(range(8), client.chance.randint(2, 5)))
    ranges = ",".join(f"{start * step}-{start * step + step // 2}" for start in starts)
    with client.connect() as peer:
        peer.ask(name, (200, 206, 416), Range=f"bytes={ranges}")


def conditional(client):
    """A request, followed by conditional requests with the ETag of the first response."""
    name = client.pick()
    with client.connect() as peer:
        answer = peer.ask(name)
        if not answer or answer.status != 200:
            return
        tag = answer.fields.get("etag", "")
        if not tag:
            raise Violation(f"{name}: no ETag")
        again = peer.ask(name, (200, 304), If_None_Match=tag)
        # An ETag is weak while its file is young: the opaque parts are compared.
        if again and again.status == 304 and (
                again.fields.get("etag", "").removeprefix("W/") != tag.removeprefix("W/")):
            raise Violation(f"{name}: 304 with another ETag")
        if not again or not peer.ask(name, (200, 412), If_Match=tag):
            return
        # A file that is being rewritten may be empty: then no range is satisfiable.
        written = files.group(name) == "written"
        usual = (200, 206, 416) if written else (200, 206)
        again = peer.ask(name, usual, If_Range=tag, Range="bytes=64-191")
        if again and again.status == 206 and tag.startswith("W/"):
            raise Violation(f"{name}: If-Range with a weak ETag got 206 instead of 200")
        if again and again.status == 206 and not written and answer.body[64:192] != again.body:
            raise Violation(f"{name}: If-Range got 206 with bytes of another version")


def heads(client):
    """A HEAD, whose response has no body, followed by a GET."""
    with client.connect() as peer:
        peer.sock.sendall(client.request(client.pick(), "HEAD"))
        peer.other({200, 403, 404, 500, 503}, to_head=True)
        peer.ask(client.pick())


def pipelined(client):
    """Pipelined requests; the responses must arrive in order."""
    with client.connect() as peer:
        names = [client.pick() for _ in range(client.chance.randint(2, 16))]
        peer.take_all(peer.send_all(names))


def one_shot(client):
    """A request with `Connection: close`; the server must close."""
    with client.connect() as peer:
        answer = peer.ask(client.pick(), Connection="close")
        if answer:
            if not answer.closes:
                raise Violation("no `Connection: close` in the response to a request with it")
            peer.reader.expect_end()


def half_closed(client):
    """Requests followed at once by a half-close; all must be answered."""
    with client.connect() as peer:
        sent = peer.send_all([client.pick() for _ in range(client.chance.randint(1, 4))])
        peer.sock.shutdown(socket.SHUT_WR)
        if peer.take_all(sent):
            peer.reader.expect_end()


def chunked_body(client):
    """A GET with a chunked body, which the server must absorb."""
    pieces = [client.chance.randbytes(client.chance.randint(1, 4000)) for _ in range(8)]
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    with client.connect() as peer:
        sent = peer.send(client.pick(client.small), body, Transfer_Encoding="chunked")
        if peer.take(*sent):
            peer.ask(client.pick(client.small))


def too_much_body(client):
    """A body over the limit."""
    with client.connect() as peer:
        peer.send(client.pick(), Content_Length=100_000_000)
        peer.other({413, 403, 404, 500, 503})


def slow_reader(client):
    """Reads a large file slowly, but fast enough not to be cut off."""
    with client.connect(receive_buffer=65_536, pause=lambda: client.wait(0.0, 0.01)) as peer:
        peer.ask(client.pick(client.large))


def stalled_reader(client):
    """Reads nothing for longer than write_timeout_ms."""
    with client.connect(receive_buffer=4_096) as peer:
        sent = peer.send(client.pick(client.large))
        client.wait(6.5, 7.5)
        peer.take(*sent, may_end=True)


def slow_writer(client):
    """A head in pieces, complete before its timeout."""
    name = client.pick(client.small)
    oldest = client.versions.oldest(name)
    head = client.request(name, X_Padding="x" * client.chance.randint(0, 2000))
    with client.connect() as peer:
        while head:
            length = client.chance.randint(1, 400)
            peer.sock.sendall(head[:length])
            head = head[length:]
            client.wait(0.0, 0.02)
        peer.take(name, oldest)


def endless_writer(client):
    """A head without an end; the server must answer 408, or 503 if it needs the buffer."""
    with client.connect() as peer:
        peer.sock.sendall(client.request(client.pick())[:-4])
        peer.other({408, 503} if client.scarce else {408})


def vanishing(client):
    """Sends requests, reads a part of the responses, and resets the connection."""
    requests = b"".join(client.request(client.pick()) for _ in range(client.chance.randint(1, 4)))
    with client.connect(receive_buffer=client.chance.choice([None, 4_096])) as peer:
        peer.sock.sendall(requests[: client.chance.randint(0, len(requests))])
        peer.sock.settimeout(0.05)
        try:
            for _ in range(client.chance.choice([0, 1, 5, 40])):
                peer.sock.recv(client.chance.randint(1, 10_000))
        except (TimeoutError, ConnectionError):
            pass  # no more data
        http1.close(peer.sock)


def garbage(client):
    """Random bytes: the response must be an error, and the server must close."""
    noise = client.chance.randbytes(client.chance.randint(1, 3000))
    first = client.chance.choice([b"", b"GET ", b"GET / HTTP/1.1\r\n", b"\r\n\r\n"])
    with client.connect() as peer:
        peer.sock.sendall(first + noise + b"\r\n\r\n")
        answer = peer.other({400, 408, 414, 431, 501, 505})
        if not answer.closes:
            raise Violation(f"{answer.status} to garbage without `Connection: close`")


def oversized_head(client):
    """A target, a field, or a number of fields over the limit."""
    path, fields, status = client.chance.choice([
        ("x" * 9_000, {}, 414), ("x", {"X_Long": "x" * 17_000}, 431),
        ("x", {f"X_{number}": "x" for number in range(101)}, 431),
    ])
    with client.connect() as peer:
        peer.sock.sendall(client.request(path, **fields))
        peer.other({status})


def no_files(client):
    """Targets that are not files: folders, listings, missing and hidden names; other methods."""
    rows = [
        ("folder", "GET", {301}), ("folder/", "GET", {200}), ("", "GET", {200}),
        ("missing", "GET", {404}), ("folder/missing/", "GET", {404}),
        (".moved-small-0.new", "GET", {404}), ("..%2f..%2fetc/passwd", "GET", {400, 404}),
        ("../../etc/passwd", "GET", {400}), ("still-small-0/", "GET", {404}),
        ("still-small-0", "POST", {405}), ("still-small-0", "OPTIONS", {204}),
        ("still-small-0", "NONSENSE", {501}),
    ]
    scarce = {503} if client.scarce else set()
    with client.connect() as peer:
        for _ in range(4):
            path, method, usual = client.chance.choice(rows)
            peer.sock.sendall(client.request(path, method))
            if peer.other(usual | scarce).closes:
                return


def idle(client):
    """One request, then an idle connection; the server may close it, but may not send a byte."""
    with client.connect() as peer:
        peer.ask(client.pick(client.small))
        peer.sock.settimeout(client.chance.uniform(0.2, 4.0))
        try:
            peer.reader.expect_end()
        except TimeoutError:
            pass


WEIGHTS = {
    small_files: 12, large_file: 6, single_range: 6, several_ranges: 6, conditional: 8, heads: 4,
    pipelined: 8, one_shot: 8, half_closed: 4, chunked_body: 3, too_much_body: 1, slow_reader: 3,
    stalled_reader: 1, slow_writer: 2, endless_writer: 1, vanishing: 10, garbage: 4,
    oversized_head: 3, no_files: 6, idle: 3,
}
