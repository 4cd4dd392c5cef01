"""Tests for `revproxy.worker.rollout.pairtimes`: of equal versions, each is as often the slower."""

from __future__ import annotations

from math import exp, log
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from revproxy.plan.evidence import NEGLIGIBLE
from revproxy.worker.rollout.pairtimes import LEAST, LITTLE, ORDERED, WARMING, PairTimes


class TimesCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.times = PairTimes()

    def warm(self, seconds: float = 1.0) -> None:
        for _ in range(WARMING):
            self.times.saw(seconds, seconds, False)

    def saw(self, *pairs: tuple[float, float]) -> tuple[list[int], list[int]]:
        for running, candidate in pairs:
            self.times.saw(running, candidate, False)
        return self.times.slower, self.times.faster


class CountedTests(TimesCase):
    """Whose is the longer; by a tenth, at all, and where one is long."""

    def test_slower(self) -> None:
        """Equal times are neither's."""
        self.warm()
        slower, faster = self.saw((1.0, 1.2), (1.0, 1.05), (2.0, 1.0), (1.0, 1.0))
        self.assertEqual((slower, faster, self.times.timed), ([1, 2, 0], [1, 1, 0], 4))
        self.assertAlmostEqual(self.times.logs, log(1.2) + log(1.05) - log(2.0))

    def test_warming(self) -> None:
        """The first pairs are not counted."""
        self.assertEqual(self.saw(*[(1.0, 2.0)] * WARMING), ([0, 0, 0], [0, 0, 0]))
        self.assertEqual(self.times.timed, 0)
        self.assertEqual(self.saw((1.0, 2.0)), ([1, 1, 0], [0, 0, 0]))

    def test_letOff(self) -> None:
        """What the candidate takes longer by 20 µs, or by 2 %, does not count."""
        self.warm()
        some, more = 0.9 * NEGLIGIBLE, 1.5 * NEGLIGIBLE
        self.assertEqual(self.saw((5e-4, 5e-4 + some), (5e-4, 5e-4 + more)), ([0, 1, 0], [0, 1, 0]))
        less, enough = 1.0 + 0.9 * LITTLE, 1.0 + 1.1 * LITTLE
        self.assertEqual(self.saw((1.0, less), (1.0, enough)), ([0, 2, 0], [0, 2, 0]))

    def test_long(self) -> None:
        """Once it is known what is long, pairs with a long one count besides."""
        self.saw(*[(1.0, 1.0)] * LEAST)
        self.saw((1.0, 5.0), (1.0, 0.9))
        self.assertEqual(self.times.slower, [1, 1, 1])
        self.times.begin()
        self.assertEqual((self.times.slower, self.times.timed, self.times.logs), ([0, 0, 0], 0, 0.0))


class OrderTests(TimesCase):
    """What being the first costs is nobody's."""

    def made(self, more: float, count: int, seed: int = 1, chance: float = 0.5) -> tuple[int, int]:
        """
        Pairs of 10 µs, and 30 µs for whoever is the first.

        :param more: seconds that the candidate takes longer.
        """
        drawn = Random(seed)
        for _ in range(count):
            running, candidate = (1e-5 * exp(drawn.gauss(0, 0.1)) for _ in range(2))
            isFirst = drawn.random() < chance
            running, candidate = running + 3e-5 * (not isFirst), candidate + 3e-5 * isFirst
            self.times.saw(running, candidate + more, isFirst)
        return self.times.slower[1], self.times.faster[1]

    def test_found(self) -> None:
        """A version that is slower by less than the first pays for both is found all the same."""
        slower, faster = self.made(NEGLIGIBLE + 5e-6, 200)
        self.assertGreater(slower, 30 * faster)

    def test_equal(self) -> None:
        """Equal versions are a toss-up, but for what the candidate is let off."""
        slower, faster = self.made(NEGLIGIBLE, 2000)
        self.assertLess(abs(slower - faster), 150)
        self.setUp()
        slower, faster = self.made(0.0, 2000)
        self.assertLess(slower, 0.05 * faster)

    def test_unevenOrder(self) -> None:
        """Even where one of them happens to be the first nearly always."""
        slower, faster = self.made(NEGLIGIBLE, 2000, chance=0.9)
        self.assertLess(slower, 1.5 * faster)

    def test_changes(self) -> None:
        """What it costs is known by the last pairs."""
        self.made(NEGLIGIBLE, 100)
        for number in range(2 * ORDERED):
            self.times.saw(1e-5, 1e-5, number % 2 == 0)
        self.assertEqual(self.times._firsts.seconds, 0.0)
        self.assertEqual([len(more) for more in self.times._firsts._more], [ORDERED, ORDERED])
