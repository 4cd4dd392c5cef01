"""Tests for :mod:`revproxy.dataplane.http1.heads`."""

from __future__ import annotations

from httptools import HttpParserError, HttpRequestParser
from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.http1.heads import SHORTEST_LINE, Head, linesOf, listMembers, refusal
from revproxy.errors import BadRequest, BadResponse


class Plain(Head):
    """A head of no kind."""

    def __init__(self) -> None:
        self.fields = []
        self.noted = None


class HeadTests(SynchronousTestCase):
    """What both kinds of heads do with fields."""

    def test_fields(self) -> None:
        """Fields of the message stay, in order and as they were written; those of the connection are noted, joined."""
        head = Plain()
        for name, value in (
            (b"Accept", b"a"),
            (b"Connection", b"x "),
            (b"X-Some", b"b"),
            (b"connection", b"y"),
            (b"Content-Length", b"3"),
        ):
            head.on_header(name, value)
        self.assertEqual(
            head.fields,
            [(b"accept", b"Accept", b"a"), (b"x-some", b"X-Some", b"b"), (b"content-length", b"Content-Length", b"3")],
        )
        self.assertEqual(head.noted, {b"connection": b"x,y", b"content-length": b"3"})

    def test_twice(self) -> None:
        """What decides where a body ends, or whom it is for, is said once."""
        for name in (b"Content-Length", b"Host", b"Expect"):
            head = Plain()
            head.on_header(name, b"1")
            with self.assertRaises(BadRequest):
                head.on_header(name.lower(), b"1")

    def test_refusal(self) -> None:
        """What was raised while a head was read is the reason; else the parser's own words are."""
        for data, expected in (
            (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "more than one Host field"),
            (b"GET / HTTP/1.1\r\nHo st: a\r\n\r\n", "Invalid"),
        ):
            try:
                HttpRequestParser(Plain()).feed_data(data)
            except HttpParserError as error:
                for kind in (BadRequest, BadResponse):
                    reason = refusal(error, kind)
                    self.assertIsInstance(reason, kind)
                    self.assertIn(expected, str(reason))
            else:
                self.fail(f"{data!r} was read")


class ListTests(SynchronousTestCase):
    """`listMembers` and `linesOf`."""

    def test_members(self) -> None:
        """In lower case, each once, without blanks and empty ones; long lists, too."""
        self.assertEqual(listMembers(b"Close, TE ,\tclose,,"), {b"close", b"te"})
        self.assertEqual(listMembers(b", ".join([b"A%d" % n for n in range(100)])), {b"a%d" % n for n in range(100)})
        self.assertEqual(listMembers(b" ,"), frozenset())

    def test_lines(self) -> None:
        """Each field is a line, and none is shorter than the shortest."""
        head = b"GET / HTTP/1.1\r\n" + b"a:\r\n" * 3 + b"\r\n"
        self.assertEqual(linesOf(head), 3)
        self.assertEqual(len(b"a:\r\n"), SHORTEST_LINE)
