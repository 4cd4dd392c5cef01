"""
How long the next process of a version that has crashed has to wait.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.isolation.process.crashes import Crashes


class CrashesTests(SynchronousTestCase):
    """A clock that is advanced."""

    def setUp(self) -> None:
        """Nothing has crashed."""
        self.clock = Clock()
        self.crashes = Crashes(self.clock.seconds)

    def test_noCrash(self) -> None:
        """Who has not crashed need not wait."""
        self.assertEqual(self.crashes.waits("quota"), 0)

    def test_inARow(self) -> None:
        """At once after the first, then twice as long each time, and half a minute at most."""
        waits = []
        for _ in range(9):
            self.crashes.crashed("quota", 0.1)
            waits.append(self.crashes.waits("quota"))
        self.assertEqual(waits, [0, 1, 2, 4, 8, 16, 30, 30, 30])

    def test_manyInARow(self) -> None:
        """However many there are."""
        for _ in range(5000):
            self.crashes.crashed("quota", 0.1)
        self.assertEqual(self.crashes.waits("quota"), 30)

    def test_timePasses(self) -> None:
        """What has passed since the crash is waited already."""
        for _ in range(4):
            self.crashes.crashed("quota", 0.1)
        self.clock.advance(1.5)
        self.assertEqual(self.crashes.waits("quota"), 2.5)
        self.clock.advance(10)
        self.assertEqual(self.crashes.waits("quota"), 0)

    def test_oneThatRanWell(self) -> None:
        """After a minute without a crash, one is the first again."""
        for _ in range(4):
            self.crashes.crashed("quota", 0.1)
        self.crashes.crashed("quota", 60.0)
        self.assertEqual(self.crashes.waits("quota"), 0)
        self.crashes.crashed("quota", 59.0)
        self.assertEqual(self.crashes.waits("quota"), 1)

    def test_othersAreOthers(self) -> None:
        """A version waits for its own crashes alone."""
        for _ in range(4):
            self.crashes.crashed("quota", 0.1)
        self.assertEqual(self.crashes.waits("auth"), 0)

    def test_bounded(self) -> None:
        """Of very many versions, those are forgotten whose last crash is longest ago."""
        self.crashes.crashed("first", 0.1)
        self.crashes.crashed("second", 0.1)
        self.crashes.crashed("first", 0.1)
        for number in range(999):
            self.crashes.crashed(str(number), 0.1)
        self.assertEqual(self.crashes.waits("first"), 1)
        self.crashes.crashed("second", 0.1)
        self.assertEqual(self.crashes.waits("second"), 0)
