"""One client: runs conversations, checks the responses, and counts."""

import random
import time
from collections import Counter

from lib_compare import http1
from lib_compare.http1 import Ended, Malformed
from lib_soak import files, kinds
from lib_soak.answers import CUT_OFF, Reader, Violation, judge, judge_cut_off

# The timeout of every socket call, under any load.
TIMEOUT_SECONDS = 30.0
# Most violations kept per client, so that a broken server does not exhaust memory.
VIOLATIONS_MOST = 50


class Client:
    """What all kinds of conversations share: the server's address, the versions of its files,
    whether its resources are scarce, the random choices, and the counts and violations."""

    large = [name for name in files.NAMES if "-large-" in name]
    small = [name for name in files.NAMES if "-small-" in name]

    def __init__(self, address, versions, scarce, seed):
        self.address, self.versions, self.scarce = address, versions, scarce
        self.chance = random.Random(seed)
        self.counts, self.violations = Counter(), []

    def run_until(self, stop):
        """Runs conversations until the event `stop` is set."""
        chosen, weights = list(kinds.WEIGHTS), list(kinds.WEIGHTS.values())
        while not stop.is_set() and len(self.violations) < VIOLATIONS_MOST:
            self.run(*self.chance.choices(chosen, weights))

    def run(self, kind):
        """Runs one conversation of a kind and records violations."""
        self.counts["conversations", kind.__name__] += 1
        try:
            kind(self)
        except Malformed as fault:
            self.record(kind, f"{fault}")
        except Ended as end:
            self._ended_early(kind, f"{end}")
        except TimeoutError:
            self.record(kind, f"timeout: no progress for {TIMEOUT_SECONDS:.0f} s")
        except OSError as error:  # a reset, or a consequence of one
            self._ended_early(kind, type(error).__name__)

    def _ended_early(self, kind, text):
        """Without free slots or pages, the server may close a connection at any time."""
        self.counts["ends", "early, by " + text.partition(",")[0]] += 1
        if not self.scarce:
            self.record(kind, f"the connection ended early, by {text}")

    def record(self, kind, text):
        """Records a violation."""
        self.violations.append(f"{kind.__name__}: {text}")

    def connect(self, **more):
        """Opens a connection; a context manager."""
        return Connection(self, **more)

    def request(self, path, method="GET", **fields):
        """Counts a request and returns its bytes. Underscores in field names become hyphens."""
        self.counts["requests", method] += 1
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        return http1.request(f"/{path}", headers, method, "soak")

    def pick(self, names=files.NAMES):
        """A random one of these names."""
        return self.chance.choice(names)

    def wait(self, least, most):
        """Sleeps for a random time."""
        time.sleep(self.chance.uniform(least, most))


class Connection:
    """A connection of a client."""

    def __init__(self, client, receive_buffer=None, pause=lambda: None):
        self.client, self.versions = client, client.versions
        self.sock = http1.connect(client.address, TIMEOUT_SECONDS, receive_buffer)
        self.reader = Reader(self.sock, pause)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def ask(self, name, usual=(200,), **fields):
        """Requests a file; returns the checked response, or None if it was cut off and that is
        allowed."""
        return self.take(*self.send(name, **fields), usual)

    def send(self, name, body=b"", **fields):
        """Requests a file; returns its name and its oldest possible version."""
        oldest = self.versions.oldest(name)
        self.sock.sendall(self.client.request(name, **fields) + body)
        return name, oldest

    def send_all(self, names):
        """The same for several files in one write; returns a list."""
        sent = [(name, self.versions.oldest(name)) for name in names]
        self.sock.sendall(b"".join(map(self.client.request, names)))
        return sent

    def take(self, name, oldest, usual=(200,), may_end=False):
        """The next response, to a request for this file; otherwise like `ask`."""
        try:
            answer = self.reader.answer()
        except Ended as end:
            if end.answer:
                judge_cut_off(name, end.answer, self._versions(name, oldest))
            if not (may_end or end.answer and files.group(name) in CUT_OFF):
                where = "within the body" if end.answer else "before the head"
                raise Ended(f"{end} {where}, of {name}") from None
            self.client.counts["ends", "cut off (allowed)"] += 1
            return None
        self.client.counts["statuses", answer.status] += 1
        versions = self._versions(name, oldest)
        judge(name, answer, versions, set(usual), self.client.scarce)
        return answer

    def _versions(self, name, oldest):
        return range(oldest, self.versions.newest(name) + 1)

    def take_all(self, sent):
        """The responses to requests for these files. Returns whether all of them were complete."""
        return all(self.take(*one) for one in sent)

    def other(self, usual, to_head=False):
        """The next response, to a request that is not for a file."""
        answer = self.reader.answer(to_head)
        self.client.counts["statuses", answer.status] += 1
        if answer.status not in usual:
            raise Violation(f"status {answer.status} instead of {sorted(usual)}")
        return answer
