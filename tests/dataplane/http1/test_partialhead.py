"""Tests for :mod:`revproxy.dataplane.http1.partialhead`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.http.limits import Limits
from revproxy.dataplane.http1.partialhead import EMPTY_LINES, checkPartialHead, emptyLines
from revproxy.errors import BadRequest, EdgeError, HeadersTooLarge, NotSupported, TargetTooLong

LIMITS = Limits(maxHeaderBytes=500, maxTargetBytes=100)


class EmptyLinesTests(SynchronousTestCase):
    """Before a request."""

    def test_some(self) -> None:
        """They are counted up to what follows them, a lone CR included."""
        self.assertEqual(emptyLines(b"\r\n\r\nGET", 0), 2)
        self.assertEqual(emptyLines(b"\r\n" * EMPTY_LINES + b"\r", 0), EMPTY_LINES)
        self.assertEqual(emptyLines(b"G\r\n", 4), 0)

    def test_tooMany(self) -> None:
        """Those that came before count, too."""
        self.assertEqual(emptyLines(b"\r\n", EMPTY_LINES - 1), 1)
        with self.assertRaises(BadRequest):
            emptyLines(b"\r\n", EMPTY_LINES)


class CheckPartialHeadTests(SynchronousTestCase):
    """What can become no head."""

    def test_refused(self) -> None:
        """Each with its own error, as soon as it shows."""
        for data, error in (
            (b"\x16\x03\x01", BadRequest),
            (b"(", BadRequest),
            (b" GET /", BadRequest),
            (b"G" * 33, NotSupported),
            (b"GET /" + b"a" * 170, TargetTooLong),
            (b"GET / HTTP/1.1\r\nA: " + b"b" * 490, HeadersTooLarge),
            (b"GET / HTTP/1.1\nHost", BadRequest),
            (b"GET / HTTP/1.1\r\nA: b\nHost", BadRequest),
        ):
            with self.assertRaises(error, msg=data):
                checkPartialHead(data, 0, LIMITS)

    def test_accepted(self) -> None:
        """What may go on as a head."""
        for data in (b"G", b"get /", b"G" * 32, b"GET / HTTP/1.1\r", b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n"):
            checkPartialHead(data, 0, LIMITS)

    @given(st.binary(max_size=40), st.lists(st.integers(0, 60), max_size=6))
    def test_inPieces(self, rest: bytes, cuts: list[int]) -> None:
        """What is refused when it is looked at as a whole is refused in pieces, and the other way round."""
        data = b"GET / HTTP/1.1\r\n" + rest
        ends = [*sorted({cut for cut in cuts if 0 < cut < len(data)}), len(data)]
        self.assertEqual(self.isRefused(data, [len(data)]), self.isRefused(data, ends))

    def isRefused(self, data: bytes, ends: list[int]) -> bool:
        scanned = 0
        for end in ends:
            try:
                checkPartialHead(data[:end], scanned, LIMITS)
            except EdgeError:
                return True
            scanned = max(1, end - 3)
        return False
