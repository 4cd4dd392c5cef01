"""Tests for `tests.repetition`."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import FailTest, SynchronousTestCase

from tests.repetition import longer, longerAnew


class Case:
    """Passes with so much time."""

    settle = 0.0

    def __init__(self, enough: float) -> None:
        self.enough = enough
        self.tried: list[float] = []
        self.anew = 0

    def attempt(self) -> None:
        self.tried.append(self.settle)
        if self.settle < self.enough:
            raise FailTest("not yet")

    async def again(self) -> None:
        self.anew += 1

    @longer(1, 2, 3)
    def test_sync(self) -> None:
        self.attempt()

    @longerAnew(1, 2, 3)
    async def test_async(self) -> None:
        self.attempt()


class LongerTests(SynchronousTestCase):
    """Both kinds."""

    def test_passes(self) -> None:
        """With the first time that is enough; with more it is not tried."""
        case = Case(2)
        case.test_sync()
        self.assertEqual(case.tried, [1, 2])
        case = Case(2)
        self.successResultOf(Deferred.fromCoroutine(case.test_async()))  # type: ignore[arg-type]
        self.assertEqual((case.tried, case.anew), ([1, 2], 1))

    def test_fails(self) -> None:
        """What fails with every time has failed."""
        case = Case(4)
        self.assertRaises(FailTest, case.test_sync)
        self.assertEqual(case.tried, [1, 2, 3])
        case = Case(4)
        self.failureResultOf(Deferred.fromCoroutine(case.test_async()), FailTest)  # type: ignore[arg-type]
        self.assertEqual((case.tried, case.anew), ([1, 2, 3], 2))
