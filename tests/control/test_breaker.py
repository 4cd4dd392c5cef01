"""
When a version has failed often enough.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.settings import QuarantineConfig
from revproxy.control.breaker import Breaker


class BreakerTests(SynchronousTestCase):
    """Told of failures, asked for nothing else."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.calls = 0
        self.reasons: list[str] = []
        self.breaker = Breaker(lambda: self.calls, self.clock.seconds, self.reasons.append)

    def call(self, *outcomes: bool) -> None:
        """Calls that succeed or fail."""
        for well in outcomes:
            self.calls += 1
            if not well:
                self.breaker.failed()

    def test_allFail(self) -> None:
        """Of nothing but failures, the fifth trips it."""
        self.call(*[False] * 4)
        self.assertEqual(self.reasons, [])
        self.call(False)
        self.assertEqual(self.reasons, ["5 of 5 calls failed within 30 s"])

    def test_half(self) -> None:
        """Half of the calls failing is enough; what was well before the first failure does not help."""
        self.call(*[True] * 1000)
        self.call(*[False, True] * 4)
        self.assertEqual(self.reasons, [])
        self.call(False)
        self.assertEqual(self.reasons, ["5 of 9 calls failed within 30 s"])

    def test_few(self) -> None:
        """A version that fails now and then among many calls stays, however often that is."""
        for _ in range(100):
            self.call(False, True, True)
            self.clock.advance(0.1)
        self.assertEqual(self.reasons, [])

    def test_slowly(self) -> None:
        """Failures that are too far apart never come together."""
        for _ in range(50):
            self.call(False)
            self.clock.advance(8)
        self.assertEqual(self.reasons, [])

    def test_slides(self) -> None:
        """What was well long ago does not cover what fails now."""
        self.call(False, *[True] * 100)
        self.clock.advance(20)
        self.call(*[False] * 5)
        self.assertEqual(self.reasons, [])
        self.clock.advance(11.5)
        self.call(False)
        self.assertEqual(self.reasons, ["6 of 6 calls failed within 30 s"])

    def test_once(self) -> None:
        """It trips once, until it is reset; then it begins anew."""
        self.call(*[False] * 20)
        self.assertEqual(len(self.reasons), 1)
        self.breaker.stalled()
        self.breaker.stalled()
        self.breaker.stalled()
        self.assertEqual(len(self.reasons), 1)
        self.breaker.reset()
        self.call(*[False] * 4)
        self.assertEqual(len(self.reasons), 1)
        self.call(False)
        self.assertEqual(len(self.reasons), 2)

    def test_underWay(self) -> None:
        """Many calls that began before any failed, and fail one after another, trip it when half have."""
        self.calls = 8
        self.call(True)
        for _ in range(5):
            self.breaker.failed()
        self.assertEqual(self.reasons, ["5 of 5 calls failed within 30 s"])

    def test_stalls(self) -> None:
        """The third call that held the reactor trips it, among however many that did not."""
        for _ in range(3):
            self.assertEqual(self.reasons, [])
            self.call(*[True] * 1000)
            self.clock.advance(10)
            self.breaker.stalled()
        self.assertEqual(self.reasons, ["3 calls held the reactor too long within 30 s"])

    def test_rareStalls(self) -> None:
        """Stalls that are too far apart do not; nor are they failures."""
        for _ in range(20):
            self.calls += 1
            self.clock.advance(16)
            self.breaker.stalled()
        self.call(*[False] * 4)
        self.assertEqual(self.reasons, [])

    def test_limits(self) -> None:
        """The limits can be chosen, and be others at any time."""
        self.call(False, True, False)
        self.breaker.limits = QuarantineConfig(failures=2, share=1.0, window=2.0)
        self.call(False)
        self.assertEqual(self.reasons, [])
        self.clock.advance(3.5)
        self.call(False, False)
        self.assertEqual(self.reasons, ["2 of 2 calls failed within 2 s"])
        self.breaker.reset()
        for _ in range(3):
            self.breaker.stalled()
        self.assertEqual(self.reasons[1:], ["3 calls held the reactor too long within 2 s"])

    def test_otherReasons(self) -> None:
        """What somebody else found trips it, once."""
        self.breaker.trip("it takes all the time there is")
        self.breaker.trip("it takes all the time there is")
        self.call(*[False] * 5)
        self.assertEqual(self.reasons, ["it takes all the time there is"])

    def test_many(self) -> None:
        """Many that failed are told of at once."""
        self.calls = 1_000_000
        self.breaker.failed(4)
        self.assertEqual(self.reasons, [])
        self.calls += 10_000
        self.breaker.failed(10_000)
        self.assertEqual(self.reasons, ["10004 of 10004 calls failed within 30 s"])

    def test_memory(self) -> None:
        """There are no more records than seconds in the window, whatever happens."""
        for _ in range(10_000):
            self.call(False, True, True, True)
            self.clock.advance(0.03)
        self.assertLessEqual(len(self.breaker._seconds), 32)
        self.assertEqual(self.reasons, [])
