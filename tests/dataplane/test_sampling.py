"""
Which requests are timed.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from revproxy.context import Context
from revproxy.dataplane.chain import Chain
from revproxy.dataplane.counters import LONG, SAMPLE
from revproxy.dataplane.sampling import ATTENTION
from revproxy.interfaces import IMiddleware
from revproxy.loop.deadlines import Deadlines
from revproxy.testing import makeContext
from tests.dataplane.doubles import makeLink


@implementer(IMiddleware)
class Busy:
    """Holds the loop for as long as it is told."""

    name = "busy"

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.takes = 0.0

    def handle(self, context: Context) -> bool:
        self.clock.advance(self.takes)
        return True


class LongCallTests(SynchronousTestCase):
    """
    Calls that hold the loop.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.plugin = Busy(self.clock)
        link = makeLink(self.plugin, Deadlines(self.clock, 0.5))
        self.counters = link.counters
        self.chain = Chain([link])
        self.context: Any = makeContext()

    def calls(self, count: int, takes: float) -> tuple[int, float]:
        """
        :returns: how many of them were found to be long, and how long these took.
        """
        calls, seconds = self.counters.longCalls, self.counters.longSeconds
        self.plugin.takes = takes
        for _ in range(count):
            self.chain.enter(self.context)
        return self.counters.longCalls - calls, self.counters.longSeconds - seconds

    def test_quick(self) -> None:
        """
        Quick ones are none.
        """
        self.assertEqual(self.calls(100 * SAMPLE, LONG / 2), (0, 0.0))

    def test_allAfterOne(self) -> None:
        """
        The first is found in the first sample, and counts once; all that follow are found.
        """
        self.assertEqual(self.calls(SAMPLE, 0.5), (1, 0.5))
        self.assertEqual(self.calls(3 * SAMPLE, 0.5), (3 * SAMPLE, 1.5 * SAMPLE))

    def test_fewAmongMany(self) -> None:
        """
        Once one was found, each is found that comes among a thousand quick ones; and then it is sampled again.
        """
        self.calls(SAMPLE, 0.5)
        for _ in range(5):
            self.calls(ATTENTION * SAMPLE - SAMPLE, 0.0)
            self.assertEqual(self.calls(1, 0.5), (1, 0.5))
        self.calls(ATTENTION * SAMPLE + SAMPLE, 0.0)
        self.assertIn(self.calls(SAMPLE, 0.5)[0], range(1, SAMPLE))

    def test_selfTime(self) -> None:
        """
        Self time is right, however closely it is looked.
        """
        self.calls(20 * SAMPLE, 0.5)
        self.assertEqual(self.counters.seconds, 10.0 * SAMPLE)
