"""Tests for :mod:`revproxy.dataplane.leaves.conditional`; how files answer by it is tested with them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.context import Request
from revproxy.dataplane.leaves.conditional import evaluate, wantedRange
from revproxy.testing import makeContext

TIME = 1_700_000_000
DATE = "Tue, 14 Nov 2023 22:13:20 GMT"


class EvaluateTests(SynchronousTestCase):
    """The conditions of a request (RFC 9110 §13)."""

    def test_order(self) -> None:
        """If-Match before If-Unmodified-Since before If-None-Match (RFC 9110 §13.2.2)."""
        tag = b'"t"'
        for fields, status in (
            ({"If-Match": '"t"', "If-Unmodified-Since": "Mon, 13 Nov 2023 00:00:00 GMT"}, 0),
            ({"If-Match": '"x"', "If-None-Match": '"t"'}, 412),
            ({"If-Match": '"t"', "If-None-Match": '"t"'}, 304),
            ({}, 0),
        ):
            headers = makeContext(headers=fields).request.headers
            self.assertEqual(evaluate(headers, tag, TIME), status, fields)

    def test_lists(self) -> None:
        """One of several tags will do, over several fields; weak ones only for If-None-Match (RFC 9110 §13.1.2)."""
        for fields, status in (
            ([("If-Match", '"a", "t"')], 0),
            ([("If-Match", '"a"'), ("If-Match", '"t"')], 0),
            ([("If-Match", "*")], 0),
            ([("If-Match", 'W/"t"')], 412),
            ([("If-None-Match", '"a" ,\tW/"t"')], 304),
            ([("If-None-Match", "*")], 304),
            ([("If-None-Match", '"tt"')], 0),
        ):
            headers = makeContext(headers=fields).request.headers
            self.assertEqual(evaluate(headers, b'"t"', TIME), status, fields)

    def test_dates(self) -> None:
        """To the second; what is no date counts as absent."""
        for name, value, modified, status in (
            ("If-Modified-Since", DATE, TIME, 304),
            ("If-Modified-Since", DATE, TIME + 1, 0),
            ("If-Modified-Since", DATE[:-4], TIME, 304),
            ("If-Modified-Since", "yesterday", TIME, 0),
            ("If-Modified-Since", "Tue, 14 Nov 999999 22:13:20 GMT", TIME, 0),
            ("If-Unmodified-Since", DATE, TIME, 0),
            ("If-Unmodified-Since", DATE, TIME + 1, 412),
            ("If-Unmodified-Since", "", TIME + 1, 0),
        ):
            headers = makeContext(headers={name: value}).request.headers
            self.assertEqual(evaluate(headers, b'"t"', modified), status, (name, value))


class WantedRangeTests(SynchronousTestCase):
    """The part of a file that a request is for (RFC 9110 §14)."""

    def test_examples(self) -> None:
        """From the start, from the end, and what is no range."""
        for value, expected in (
            ("bytes=0-0", (0, 1)),
            ("bytes=2-", (2, 10)),
            ("bytes=-3", (7, 10)),
            ("bytes=-30", (0, 10)),
            ("Bytes= 0-99", (0, 10)),
            ("bytes=10-", None),
            ("bytes=-0", None),
            ("bytes=3-2", (0, 10)),
            ("bytes=0-1,3-4", (0, 10)),
            ("lines=0-1", (0, 10)),
            ("bytes=" + "9" * 19 + "-", (0, 10)),
        ):
            request = makeContext(headers={"Range": value}).request
            self.assertEqual(wantedRange(request, b'"t"', b"date", 10), expected, value)

    def test_condition(self) -> None:
        """If-Range wants the very tag, or the very date."""
        for condition, expected in (('"t"', (0, 1)), ("date", (0, 1)), ('W/"t"', (0, 10)), ("other", (0, 10))):
            request = makeContext(headers={"Range": "bytes=0-0", "If-Range": condition}).request
            self.assertEqual(wantedRange(request, b'"t"', b"date", 10), expected, condition)

    def test_methods(self) -> None:
        """Only GET has ranges (RFC 9110 §14.2)."""
        request = makeContext("HEAD", headers={"Range": "bytes=0-0"}).request
        self.assertEqual(wantedRange(request, b'"t"', b"date", 10), (0, 10))

    @given(st.text("bytes=0123456789-, x", max_size=16), st.integers(0, 20))
    def test_anything(self, value: str, size: int) -> None:
        """Whatever the value, the part is inside of the file and not empty unless the file is."""
        request: Request = makeContext(headers={"Range": value}).request
        span = wantedRange(request, b'"t"', b"date", size)
        if span is not None:
            self.assertTrue(0 <= span[0] <= span[1] <= size)
            self.assertTrue(span[1] > span[0] or size == 0)
