"""The kinds of conversations, one function each, and their relative frequencies."""

import socket

from lib_soak import content
from lib_soak.answers import Reader
from lib_soak.client import reset
from lib_soak.judge import Violation, group


def small_files(client):
    """Several requests on one connection."""
    with client.connect() as sock:
        answers = Reader(sock)
        for _ in range(client.chance.randint(1, 12)):
            if not client.ask(sock, answers, client.pick(client.small)):
                return


def large_file(client):
    """A download at full speed."""
    with client.connect() as sock:
        client.ask(sock, Reader(sock), client.pick(client.large))


def single_range(client):
    """One range: inside the file, to its end, a suffix, or beyond the end."""
    name = client.pick()
    least, most = content.LARGE if content.is_large(name) else content.SMALL
    first = client.chance.randrange(most)
    text = client.chance.choice([f"{first}-{first + least}", f"{first}-", f"-{first + 1}", "0-0"])
    with client.connect() as sock:
        client.ask(sock, Reader(sock), name, (206, 416), Range=f"bytes={text}")


def several_ranges(client):
    """A multipart response."""
    name = client.pick()
    step = content.size(name, 0) // 8
    starts = sorted(client.chance.sample(range(8), client.chance.randint(2, 5)))
    ranges = ",".join(f"{start * step}-{start * step + step // 2}" for start in starts)
    with client.connect() as sock:
        client.ask(sock, Reader(sock), name, (200, 206, 416), Range=f"bytes={ranges}")


def conditional(client):
    """A request, followed by conditional requests with the ETag of the first response."""
    name = client.pick()
    with client.connect() as sock:
        answers = Reader(sock)
        answer = client.ask(sock, answers, name)
        if not answer or answer.status != 200:
            return
        tag = answer.fields.get(b"etag", b"")
        if not tag:
            raise Violation(f"{name}: no ETag")
        again = client.ask(sock, answers, name, (200, 304), If_None_Match=tag.decode())
        if again and again.status == 304 and opaque(again.fields.get(b"etag", b"")) != opaque(tag):
            raise Violation(f"{name}: 304 with another ETag")
        if not again or not client.ask(sock, answers, name, (200, 412), If_Match=tag.decode()):
            return
        fields = {"If_Range": tag.decode(), "Range": "bytes=64-191"}
        # A file that is being rewritten may be empty: then no range is satisfiable.
        usual = (200, 206, 416) if group(name) == "written" else (200, 206)
        again = client.ask(sock, answers, name, usual, **fields)
        if again and again.status == 206 and tag.startswith(b"W/"):
            raise Violation(f"{name}: If-Range with a weak ETag got 206 instead of 200")
        if again and again.status == 206 and group(name) != "written":
            if answer.body[64:192] != again.body:
                raise Violation(f"{name}: If-Range got 206 with bytes of another version")


def opaque(tag):
    """The opaque part of an ETag, for weak comparison: an ETag is weak while its file is young."""
    return tag.removeprefix(b"W/")


def heads(client):
    """A HEAD, whose response has no body, followed by a GET."""
    name = client.pick()
    with client.connect() as sock:
        answers = Reader(sock)
        sock.sendall(client.request(name, "HEAD"))
        usual = {200, 403, 404, 500, 503}
        client.other(answers, usual, to_head=True)
        client.ask(sock, answers, client.pick())


def pipelined(client):
    """Pipelined requests; the responses must arrive in order."""
    names = [client.pick() for _ in range(client.chance.randint(2, 16))]
    oldest = [client.place.versions.oldest(name) for name in names]
    with client.connect() as sock:
        answers = Reader(sock)
        sock.sendall(b"".join(client.request(name) for name in names))
        for name, first in zip(names, oldest):
            if client.take(answers, name, first) is None:
                return


def one_shot(client):
    """A request with `Connection: close`; the server must close."""
    with client.connect() as sock:
        answers = Reader(sock)
        answer = client.ask(sock, answers, client.pick(), Connection="close")
        if answer:
            if not answer.closes:
                raise Violation("no `Connection: close` in the response to a request with it")
            answers.expect_end()


def half_closed(client):
    """Requests followed at once by a half-close; all must be answered."""
    names = [client.pick() for _ in range(client.chance.randint(1, 4))]
    oldest = [client.place.versions.oldest(name) for name in names]
    with client.connect() as sock:
        answers = Reader(sock)
        sock.sendall(b"".join(client.request(name) for name in names))
        sock.shutdown(socket.SHUT_WR)
        for name, first in zip(names, oldest):
            if client.take(answers, name, first) is None:
                return
        answers.expect_end()


def chunked_body(client):
    """A GET with a chunked body, which the server must absorb."""
    name = client.pick(client.small)
    oldest = client.place.versions.oldest(name)
    head = client.request(name, Transfer_Encoding="chunked")
    pieces = [client.chance.randbytes(client.chance.randint(1, 4000)) for _ in range(8)]
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    with client.connect() as sock:
        answers = Reader(sock)
        sock.sendall(head + body)
        if client.take(answers, name, oldest):
            client.ask(sock, answers, client.pick(client.small))


def too_much_body(client):
    """A body over the limit."""
    with client.connect() as sock:
        sock.sendall(client.request(client.pick(), Content_Length=100_000_000))
        client.other(Reader(sock), {413, 403, 404, 500, 503})


def slow_reader(client):
    """Reads a large file slowly, but fast enough not to be cut off."""
    name = client.pick(client.large)
    oldest = client.place.versions.oldest(name)
    with client.connect(receive_buffer=65_536) as sock:
        sock.sendall(client.request(name))
        answers = Reader(sock, lambda: client.wait(0.0, 0.01))
        client.take(answers, name, oldest)


def stalled_reader(client):
    """Reads nothing for longer than write_timeout_ms."""
    name = client.pick(client.large)
    oldest = client.place.versions.oldest(name)
    with client.connect(receive_buffer=4_096) as sock:
        sock.sendall(client.request(name))
        client.wait(6.5, 7.5)
        client.take(Reader(sock), name, oldest, may_end=True)


def slow_writer(client):
    """A head in pieces, complete before its timeout."""
    name = client.pick(client.small)
    oldest = client.place.versions.oldest(name)
    head = client.request(name, X_Padding="x" * client.chance.randint(0, 2000))
    with client.connect() as sock:
        while head:
            length = client.chance.randint(1, 400)
            sock.sendall(head[:length])
            head = head[length:]
            client.wait(0.0, 0.02)
        client.take(Reader(sock), name, oldest)


def endless_writer(client):
    """A head without an end; the server must answer 408, or 503 if it needs the buffer."""
    with client.connect() as sock:
        sock.sendall(client.request(client.pick())[:-4])
        client.other(Reader(sock), {408, 503} if client.place.scarce else {408})


def vanishing(client):
    """Sends requests, reads a part of the responses, and resets the connection."""
    requests = b"".join(client.request(client.pick()) for _ in range(client.chance.randint(1, 4)))
    with client.connect(receive_buffer=client.chance.choice([None, 4_096])) as sock:
        sock.sendall(requests[: client.chance.randint(0, len(requests))])
        sock.settimeout(0.05)
        try:
            for _ in range(client.chance.choice([0, 1, 5, 40])):
                sock.recv(client.chance.randint(1, 10_000))
        except (TimeoutError, ConnectionError):
            pass  # no more data
        reset(sock)


def garbage(client):
    """Random bytes: the response must be an error, and the server must close."""
    noise = client.chance.randbytes(client.chance.randint(1, 3000))
    first = client.chance.choice([b"", b"GET ", b"GET / HTTP/1.1\r\n", b"\r\n\r\n"])
    with client.connect() as sock:
        sock.sendall(first + noise + b"\r\n\r\n")
        answers = Reader(sock)
        answer = client.other(answers, {400, 408, 414, 431, 501, 505})
        if not answer.closes:
            raise Violation(f"{answer.status} to garbage without `Connection: close`")


def oversized_head(client):
    """A target, a field, or a number of fields over the limit."""
    choice = client.chance.randrange(3)
    with client.connect() as sock:
        if choice == 0:
            sock.sendall(client.request("x" * 9_000))
            client.other(Reader(sock), {414})
        elif choice == 1:
            sock.sendall(client.request("x", X_Long="x" * 17_000))
            client.other(Reader(sock), {431})
        else:
            sock.sendall(client.request("x", **{f"X_{number}": "x" for number in range(101)}))
            client.other(Reader(sock), {431})


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
    with client.connect() as sock:
        answers = Reader(sock)
        for _ in range(4):
            path, method, usual = client.chance.choice(rows)
            sock.sendall(client.request(path, method))
            scarce = {503} if client.place.scarce else set()
            if client.other(answers, usual | scarce).closes:
                return


def idle(client):
    """One request, then an idle connection; the server may close it, but may not send a byte."""
    with client.connect() as sock:
        answers = Reader(sock)
        client.ask(sock, answers, client.pick(client.small))
        sock.settimeout(client.chance.uniform(0.2, 4.0))
        try:
            answers.expect_end()
        except TimeoutError:
            pass


WEIGHTS = {
    small_files: 12, large_file: 6, single_range: 6, several_ranges: 6, conditional: 8, heads: 4,
    pipelined: 8, one_shot: 8, half_closed: 4, chunked_body: 3, too_much_body: 1, slow_reader: 3,
    stalled_reader: 1, slow_writer: 2, endless_writer: 1, vanishing: 10, garbage: 4,
    oversized_head: 3, no_files: 6, idle: 3,
}
