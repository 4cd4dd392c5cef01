"""Tests for :mod:`revproxy.dataplane.upstream.patience`."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from revproxy.body import Body
from revproxy.dataplane.upstream.patience import AWAITED, Patience
from revproxy.errors import BodyTooLarge, ClientGone
from revproxy.loop.deadlines import Deadlines
from revproxy.testing import SourceDouble


class PatienceTests(SynchronousTestCase):
    """A body whose length nobody knows."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.source = SourceDouble()

    def wait(self, limit: int = 10) -> Deferred[bytes]:
        body: Body = self.source.body
        reading = body.read(limit)
        return reading.addBoth(Patience(body, reading, Deadlines(self.clock, 0.25)).over)

    def test_whole(self) -> None:
        """It is whole in time: on it goes, and no deadline is watched any more."""
        waiting = self.wait()
        self.source.feed(b"abc")
        self.assertNoResult(waiting)
        self.source.finish()
        self.assertEqual(self.successResultOf(waiting), b"")
        self.clock.advance(1)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.source.body.take(), b"abc")

    def test_late(self) -> None:
        """Not longer than that; what is here by then is not lost."""
        waiting = self.wait()
        self.source.feed(b"abc")
        self.clock.pump([0.25] * int(AWAITED / 0.25 - 1))
        self.assertNoResult(waiting)
        self.clock.pump([0.25])
        self.assertEqual(self.successResultOf(waiting), b"")
        self.source.finish()
        self.assertEqual(self.source.body.take(), b"abc")

    def test_large(self) -> None:
        """Nor for more than so many bytes."""
        waiting = self.wait(2)
        self.source.feed(b"abc")
        self.assertEqual(self.successResultOf(waiting), b"")

    def test_failed(self) -> None:
        """What breaks it off is passed on: the client's going, and the limit of all bodies, too."""
        for error in (ClientGone("x"), BodyTooLarge("limits.max_body_bytes")):
            self.source = SourceDouble()
            waiting = self.wait()
            self.source.fail(error)
            self.assertIs(self.failureResultOf(waiting, type(error)).value, error)

    def test_cancelled(self) -> None:
        """Cancelled by somebody else, it is."""
        body: Body = self.source.body
        reading = body.read(10)
        reading.addBoth(Patience(body, reading, Deadlines(self.clock, 0.25)).over)
        reading.cancel()
        failure: Failure = self.failureResultOf(reading)
        self.assertTrue(failure.check(CancelledError))
