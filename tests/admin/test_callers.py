"""Who gives way at a door that is full."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.admin.callers import NEW, Callers
from revproxy.admin.problem import Problem


class CallerDouble:
    """One connection."""

    def __init__(self, callers: Callers, isKnown: bool = False) -> None:
        self.isExtra = False
        self.isKnown = isKnown
        self.isAnswering = False
        self.refused: Problem | None = None
        self._callers = callers

    def refuse(self, problem: Problem, lingers: bool = True) -> None:
        self.refused = problem
        self.end()

    def end(self) -> None:
        self._callers.leaving(self)

    def dismiss(self) -> None:
        self.end()


class GivingWayTests(SynchronousTestCase):
    """Two places, which are taken by connections that ask nothing now."""

    def newcomer(self, areKnown: bool) -> bool:
        """Whether one that has not got to ask anything yet keeps its place when another comes."""
        callers = Callers(Clock(), False, 2, areKnown)
        for _ in range(2):
            idle = CallerDouble(callers, isKnown=True)
            callers.connected(idle)
            callers.answered(idle)
        newcomer = CallerDouble(callers)
        callers.connected(newcomer)
        callers.connected(CallerDouble(callers))
        return newcomer.refused is None

    def test_strangers(self) -> None:
        """A stranger gives way to the next before those who have shown who they are."""
        self.assertFalse(self.newcomer(areKnown=False))

    def test_noStrangers(self) -> None:
        """At the control socket nobody is one: who has asked nothing for longest goes, not who comes with a rescue."""
        self.assertTrue(self.newcomer(areKnown=True))

    def test_newcomers(self) -> None:
        """Who has just come may be about to rescue: the next one has a place for a rescue, and nobody gives way."""
        clock = Clock()
        callers = Callers(clock, True, 2, areKnown=True)
        newcomer, other, late = (CallerDouble(callers) for _ in range(3))
        for each in (newcomer, other, late):
            callers.connected(each)
        self.assertEqual((newcomer.refused, other.refused, late.isExtra), (None, None, True))
        clock.advance(NEW)
        callers.connected(CallerDouble(callers))
        self.assertEqual([each.refused is None for each in (newcomer, other)], [False, True])
