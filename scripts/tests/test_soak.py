"""Tests of the soak test: the faults that it must detect, and the responses that it must accept."""

import socket
import time
import unittest
from unittest import mock

from lib_compare.http1 import Answer, Ended, Malformed
from lib_soak import answers, files, kinds
from lib_soak.answers import Reader, Violation
from lib_soak.files import content, fault

FIELDS = b"Date: now\r\nX-Content-Type-Options: nosniff\r\n"
SMALL = "moved-small-1"
LARGE = "moved-large-1"


def answer(body, status=200, length=None, **fields):
    """A response with this body and with `length` as its Content-Length."""
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    named["content-length"] = str(len(body) if length is None else length)
    return Answer(status, named, 0, body)


def head(status, *lines):
    """The bytes of a response head."""
    return b"\r\n".join([b"HTTP/1.1 " + status, FIELDS[:-2], *lines]) + b"\r\n\r\n"


class Content(unittest.TestCase):
    def test_the_lines_of_a_version_name_it(self):
        for name in files.NAMES:
            data = content(name, 7)
            self.assertEqual(len(data), files.size(name, 7))
            self.assertEqual(files.version_of(data[1:]), 7, name)
            first = data[: files.LINE]
            self.assertTrue(len(first) == files.LINE and first.endswith(b"\n"), first)
            self.assertEqual("-large-" in name, len(data) > 65_536)

    def test_bytes_of_a_version_have_no_fault_at_any_offset(self):
        data = content(LARGE, 3)
        for at, end in ((0, len(data)), (0, 0), (1, 700), (64, 128), (100, 101), (5_000, 9_000)):
            self.assertIsNone(fault(LARGE, data[at:end], at, range(1, 4)), (at, end))

    def test_mixed_shifted_padded_and_outdated_bytes_are_detected(self):
        old, new = content(LARGE, 3), content(LARGE, 4)
        both = range(3, 5)
        for wrong, what in (
            (old[:6_400] + new[6_400:9_600], "mixed with [4]"),
            (old[:6_400] + b"\0" * 64, "mixed with something else"),
            (old[64:6_400], "mixed"),
            (b"\0" * 6_400, "not a line"),
            (b"\0" * 10, "match no version"),
        ):
            self.assertIn(what, fault(LARGE, wrong, 0, both) or "no fault")
        self.assertIn("not among 4 to 4", fault(LARGE, old, 0, range(4, 5)))
        other = content("moved-large-2", 3)
        self.assertIn("mixed", fault(LARGE, other[:6_400], 0, both))


class Judge(unittest.TestCase):
    def judge(self, name, *args, usual=(200, 206), scarce=False, versions=range(3)):
        """Whether this is a violation."""
        try:
            answers.judge(name, answer(*args[:2], **(args[2] if len(args) > 2 else {})), versions,
                        set(usual), scarce)
        except Violation:
            return True
        return False

    def test_only_complete_versions_pass(self):
        data = content(SMALL, 2)
        self.assertFalse(self.judge(SMALL, data, 200))
        self.assertTrue(self.judge(SMALL, data, 200, {}, versions=range(2)))
        self.assertTrue(self.judge(SMALL, data[:128], 200), "a complete line, but not all lines")
        self.assertTrue(self.judge(SMALL, b"", 200), "an empty file")

    def test_the_start_of_a_file_rewritten_in_place_passes(self):
        name = "written-small-1"
        self.assertFalse(self.judge(name, b"", 200))
        self.assertFalse(self.judge(name, content(name, 1)[:64], 200))
        self.assertTrue(self.judge(name, content(name, 1) + b"\0", 200))

    def test_each_class_allows_the_failures_that_it_can_cause(self):
        for name, status in (("coming-small-1", 404), ("closed-small-1", 403)):
            self.assertFalse(self.judge(name, b"", status))
            self.assertTrue(self.judge(SMALL, b"", status))
        self.assertTrue(self.judge(SMALL, b"", 503))
        self.assertFalse(self.judge(SMALL, b"", 503, {}, scarce=True))

    def test_a_range_is_checked_for_its_offset_and_the_complete_length(self):
        data = content(LARGE, 1)
        field = f"bytes 100-999/{len(data)}"
        self.assertFalse(self.judge(LARGE, data[100:1000], 206, {"content_range": field}))
        self.assertTrue(self.judge(LARGE, data[101:1001], 206, {"content_range": field}))
        wrong = f"bytes 100-999/{len(data) + 1}"
        self.assertTrue(self.judge(LARGE, data[100:1000], 206, {"content_range": wrong}))


class Answers(unittest.TestCase):
    def feed(self, data):
        """A Reader of these bytes, followed by the end of the connection."""
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        with theirs:
            theirs.sendall(data)
        return Reader(ours)

    def test_responses_are_read_one_after_the_other(self):
        reader = self.feed(head(b"200 OK", b"Content-Length: 2") + b"ab" + head(b"304 x"))
        self.assertEqual(reader.answer().body, b"ab")
        self.assertEqual(reader.answer().status, 304)
        reader.expect_end()

    def test_a_response_to_head_has_no_body(self):
        reader = self.feed(head(b"200 OK", b"Content-Length: 2"))
        self.assertEqual(reader.answer(to_head=True).length, 2)
        reader.expect_end()

    def test_an_incomplete_response_is_kept(self):
        reader = self.feed(head(b"200 OK", b"Content-Length: 5") + b"ab")
        with self.assertRaises(Ended) as caught:
            reader.answer()
        self.assertEqual(caught.exception.answer.body, b"ab")

    def test_invalid_responses_are_malformed(self):
        for wrong in (
            b"HTTP/1.0 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nDate: x\r\nX-Content-Type-Options : nosniff\r\n\r\n",
            head(b"200 OK"),
            head(b"200 OK", b"Content-Length: +1"),
            head(b"200 OK", b"Content-Length: 0", b"Content-Length: 0"),
            head(b"200 OK", b"Transfer-Encoding: chunked", b"Content-Length: 0"),
            head(b"304 Not Modified", b"Content-Length: 0"),
            head(b"200 OK", b"a: b\rc", b"Content-Length: 0"),
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        ):
            with self.assertRaises(Malformed, msg=wrong):
                self.feed(wrong).answer()

    def test_a_multipart_body_is_parsed(self):
        part = b"\r\n--xy\r\nContent-Type: a/b\r\nContent-Range: bytes %s/9\r\n\r\n%s"
        whole = part % (b"0-1", b"ab") + part % (b"4-5", b"\r\n") + b"\r\n--xy--\r\n"
        media_type = "multipart/byteranges; boundary=xy"
        found = answers.parts(answer(whole, 206, content_type=media_type))
        self.assertEqual(found, [(b"ab", 0, 9), (b"\r\n", 4, 9)])
        for wrong in (whole[2:], whole[:-2], part % (b"0-1", b"abc") + b"\r\n--xy--\r\n"):
            with self.assertRaises(Violation, msg=wrong):
                answers.parts(answer(wrong, 206, content_type=media_type))


class Kinds(unittest.TestCase):
    def test_every_kind_of_conversation_has_a_weight(self):
        public = {
            value for name, value in vars(kinds).items()
            if callable(value) and getattr(value, "__module__", "") == kinds.__name__
        }
        self.assertEqual(public, set(kinds.WEIGHTS))


class Versions(unittest.TestCase):
    def test_a_change_must_be_visible_only_after_a_delay(self):
        versions = files.Versions()
        self.assertEqual((versions.oldest(SMALL), versions.newest(SMALL)), (0, 0))
        self.assertEqual(versions.begin(SMALL), 1)
        self.assertEqual((versions.oldest(SMALL), versions.newest(SMALL)), (0, 1))
        versions.end(SMALL)
        self.assertEqual(versions.oldest(SMALL), 0, "it may not have been revalidated yet")
        with mock.patch.object(files.time, "monotonic", lambda: time.time() + 1e9):
            self.assertEqual(versions.oldest(SMALL), 1, "it must have been revalidated by now")
            versions.begin(SMALL)
        self.assertEqual(versions.oldest(SMALL), 1, "a long-replaced version may not reappear")


if __name__ == "__main__":
    unittest.main()
