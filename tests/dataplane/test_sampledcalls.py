"""Tests for :mod:`revproxy.dataplane.sampledcalls`, and the rules of chains once more, with everything noted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.chain import Chain
from revproxy.dataplane.counters import SAMPLE
from revproxy.dataplane.link import Link
from revproxy.dataplane.sampledcalls import oneIn
from revproxy.loop.deadlines import Deadlines
from revproxy.testing import makeContext
from tests.dataplane import test_chain
from tests.dataplane.doubles import makeLink
from tests.dataplane.test_chain import Responder, Trace, coroutine, fired, sync


class _Explains:
    """Has the chains of a suite explain every request."""

    explains = 1

    def enter(self, *links: Link) -> Any:
        self.chain = Chain(links, explains=self.explains)
        return self.outcome(lambda: self.chain.enter(self.context))  # type: ignore[attr-defined]


class SyncTests(_Explains, test_chain.SyncTests):
    """All rules hold where each request is in the sample."""

    how = staticmethod(sync)


class CoroutineTests(_Explains, test_chain.CoroutineTests):
    """Also for coroutines."""

    how = staticmethod(coroutine)


class FiredTests(_Explains, test_chain.FiredTests):
    """Also for Deferreds."""

    how = staticmethod(fired)


class OthersTests(_Explains, test_chain.CoroutineTests):
    """And where none is."""

    how = staticmethod(coroutine)
    explains = 0


class OneInTests(SynchronousTestCase):
    """Which requests are in the sample."""

    def test_share(self) -> None:
        """One in so many, the same distance apart, and not the first; the others are given what they would be."""
        for count in (2, 3, 7, 100):
            give: Callable[[], Any] = oneIn(count, iter(range(10_000)).__next__, "this")
            given = [give() for _ in range(1000)]
            at = [index for index, each in enumerate(given) if each == "this"]
            self.assertEqual(at, list(range(count // 2, 1000, count)))
            rest = [each for each in given if each != "this"]
            self.assertEqual(rest, list(range(len(rest))))

    def test_allAndNone(self) -> None:
        """All of them, or none."""
        give = oneIn(1, lambda: "other", "this")
        self.assertEqual([give(), give()], ["this", "this"])
        give = oneIn(0, lambda: "other", "this")
        self.assertEqual([give(), give()], ["other", "other"])


class CountingTests(SynchronousTestCase):
    """What is counted stays what it was."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.deadlines = Deadlines(self.clock, 0.5)

    def slowly(self, context: Any) -> bool:
        self.clock.advance(0.001)
        return True

    def test_selfTime(self) -> None:
        """Calls of the sample are in the self time, once: the sum stays as near to the truth as it was."""
        link = makeLink(Responder(Trace(), sync, "a", self.slowly), self.deadlines)
        chain = Chain([link], explains=10)
        for _ in range(SAMPLE * 100):
            self.assertIs(chain.enter(makeContext()), True)
        self.assertEqual(link.counters.calls, SAMPLE * 100)
        self.assertAlmostEqual(link.counters.seconds, SAMPLE * 100 * 0.001, delta=0.05 * SAMPLE * 100 * 0.001)

    def test_nothingKept(self) -> None:
        """Requests that are not in the sample have their fields as they came, and no story."""
        link = makeLink(Responder(Trace(), sync, "a"), self.deadlines)
        chain = Chain([link], explains=0)
        context = makeContext(headers=[("X-A", "1")])
        chain.enter(context)
        self.assertEqual(context._before, context._request._headers.fields)
        self.assertIsNot(context._before, context._request._headers.fields)
        self.assertIsNone(context._story)

    def test_off(self) -> None:
        """Nothing is kept where nothing is to be explained."""
        link = makeLink(Responder(Trace(), sync, "a"), self.deadlines)
        chain = Chain([link])
        context = makeContext()
        chain.enter(context)
        self.assertIsNone(context._before)
        self.assertIsNone(context._story)
