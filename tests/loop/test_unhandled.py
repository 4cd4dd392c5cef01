"""Tests for :mod:`revproxy.loop.unhandled`."""

from __future__ import annotations

import gc
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from revproxy.loop.unhandled import HeardDeferred


class HeardTests(SynchronousTestCase):
    """`HeardDeferred`."""

    def setUp(self) -> None:
        self.heard: list[Failure] = []

    def failing(self, *, tells: bool = True) -> HeardDeferred:
        """One that has failed."""
        waiting = HeardDeferred()
        if tells:
            waiting.onUnhandled = self.heard.append
        waiting.errback(ValueError("x"))
        return waiting

    def test_unhandled(self) -> None:
        """A failure that nobody handles is told when it is let go of, and not logged as well."""
        waiting = self.failing()
        self.assertEqual(self.heard, [])
        del waiting
        gc.collect()
        self.assertEqual([failure.type for failure in self.heard], [ValueError])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_handled(self) -> None:
        """What was handled, awaited or handed on is nobody else's business."""

        async def awaits() -> None:
            with self.assertRaises(ValueError):
                await self.failing()

        self.failing().addErrback(lambda failure: None)
        self.successResultOf(Deferred.fromCoroutine(awaits()))
        self.failureResultOf(succeed(None).addCallback(lambda _: self.failing()), ValueError)
        gc.collect()
        self.assertEqual((self.heard, self.flushLoggedErrors()), ([], []))

    def test_later(self) -> None:
        """What a callback raises counts as well."""
        waiting: Any = HeardDeferred()
        waiting.onUnhandled = self.heard.append
        waiting.addCallback(lambda _: 1 // 0)
        waiting.callback(None)
        del waiting
        gc.collect()
        self.assertEqual([failure.type for failure in self.heard], [ZeroDivisionError])

    def test_cancelled(self) -> None:
        """What was cancelled is no failure."""
        waiting: Any = HeardDeferred()
        waiting.onUnhandled = self.heard.append
        waiting.cancel()
        del waiting
        gc.collect()
        self.assertEqual((self.heard, self.flushLoggedErrors()), ([], []))

    def test_nobodyToTell(self) -> None:
        """Then Twisted logs it, as always."""
        waiting = self.failing(tells=False)
        del waiting
        gc.collect()
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
