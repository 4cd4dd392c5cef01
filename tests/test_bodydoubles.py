"""Tests for :mod:`revproxy.bodydoubles`."""

from __future__ import annotations

from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from revproxy import testing
from revproxy.body import HIGH_WATER, Body, IBodySink, IBodySource
from revproxy.bodydoubles import SinkDouble, SourceDouble
from revproxy.headers import Headers


class SourceDoubleTests(SynchronousTestCase):
    """A source that can wait."""

    def test_waits(self) -> None:
        """It gives no piece while it is paused, and goes on when it may."""
        source = SourceDouble([b"x" * HIGH_WATER, b"y"])
        source.begin()
        self.assertEqual((source.calls, list(source.pending)), (["pause"], [b"y"]))
        sink = SinkDouble(source.body)
        self.assertEqual((sink.data[-1:], sink.finished), (b"y", True))

    def test_stops(self) -> None:
        """It gives nothing more when it is stopped, not even the end."""
        source = SourceDouble([b"x"])
        sink = SinkDouble(source.body)
        source.body.stopProducing()
        source.begin()
        self.assertEqual((sink.data, sink.ended), (b"", False))

    def test_provides(self) -> None:
        """They are what bodies want at their ends, and known where plugins' authors look for doubles."""
        self.assertTrue(verifyObject(IBodySource, SourceDouble()))
        self.assertTrue(verifyObject(IBodySink, SinkDouble()))
        self.assertEqual((testing.SourceDouble, testing.SinkDouble), (SourceDouble, SinkDouble))


class SinkDoubleTests(SynchronousTestCase):
    """A sink that knows what it may get."""

    def test_whole(self) -> None:
        """It keeps what comes, piece by piece, with the trailers at the end."""
        source = SourceDouble([b"a", b"b"], trailers=Headers.of({"X-Sum": "1"}))
        sink = SinkDouble(source.body)
        source.begin()
        self.assertEqual((sink.pieces, sink.data, sink.finished), ([b"a", b"b"], b"ab", True))
        assert source.body.trailers is not None
        self.assertEqual(source.body.trailers.get("x-sum"), "1")

    def test_fails(self) -> None:
        """It keeps why a body broke off, too."""
        source, error = SourceDouble(), OSError()
        sink = SinkDouble(source.body)
        source.fail(error)
        assert sink.failure is not None
        self.assertEqual((sink.failure.value, sink.ended, sink.finished), (error, True, False))

    def test_insists(self) -> None:
        """What no body may do fails the test: an empty piece, anything after the end, two ends."""
        sink = SinkDouble()
        self.assertRaises(AssertionError, sink.bodyData, b"")
        SinkDouble(Body.of(b"x"))
        sink.bodyFinished()
        self.assertRaises(AssertionError, sink.bodyData, b"x")
        self.assertRaises(AssertionError, sink.bodyFinished)
        self.assertRaises(AssertionError, sink.bodyFailed, Failure(OSError()))
