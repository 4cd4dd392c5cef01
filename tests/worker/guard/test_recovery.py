"""The way back of a version that was taken out, without any requests: probes begin, and are told how they went."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.worker.guard.recovery import COOLDOWN, LONGEST, PROBES, Probe, Recovery, RecoveryState

COOLING, HALF_OPEN, RESTORED = RecoveryState


class RecoveryTests(SynchronousTestCase):
    """`Recovery`."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.begin()

    def begin(self, **limits: Any) -> None:
        """Take a version out of service."""
        self.events: list[tuple[str, str]] = []
        self.restored = 0

        def back() -> None:
            self.restored += 1

        self.recovery = Recovery(
            "moody", self.clock.seconds, onEvent=lambda *event: self.events.append(event), onRestored=back, **limits
        )

    def probe(self) -> Probe:
        """A request that is let through."""
        self.assertTrue(self.recovery.admits())
        return self.recovery.begin()

    def cool(self) -> None:
        """Let the cooldown pass."""
        self.clock.advance(self.recovery.cooldown)

    def test_cooling(self) -> None:
        """It is left alone for the cooldown, whoever asks; nothing is told until a request comes afterwards."""
        self.clock.advance(COOLDOWN - 0.001)
        self.assertFalse(self.recovery.admits())
        self.clock.advance(0.001)
        self.assertEqual((self.recovery.state, self.events), (COOLING, []))
        self.assertTrue(self.recovery.admits())
        self.assertEqual(self.recovery.state, HALF_OPEN)
        self.assertEqual(self.events, [("half-open", "moody is probed with one request at a time")])

    def test_toldOnce(self) -> None:
        """That it is half-open is told once, however many ask before one begins."""
        self.cool()
        for _ in range(3):
            self.assertTrue(self.recovery.admits())
        self.assertEqual(len(self.events), 1)

    def test_oneAtATime(self) -> None:
        """While a probe is under way there is no other; when it is over, whatever came of it, there is."""
        self.cool()
        for end in (self.recovery.over, self.recovery.succeeded):
            probe = self.probe()
            self.assertFalse(self.recovery.admits())
            end(probe)
            self.assertTrue(self.recovery.admits())

    def test_restored(self) -> None:
        """Enough in a row restore it, which is told once; then everything goes through, and nothing counts."""
        self.cool()
        for _ in range(PROBES):
            self.assertEqual(self.restored, 0)
            self.recovery.succeeded(self.probe())
        self.assertEqual((self.recovery.state, self.restored), (RESTORED, 1))
        self.assertEqual(self.events[1:], [
            ("probe-well", "moody: probe 1 of 3 is well"),
            ("probe-well", "moody: probe 2 of 3 is well"),
            ("probe-well", "moody: probe 3 of 3 is well"),
            ("restored", "moody is back in service after 3 probes"),
        ])
        first, second = self.probe(), self.probe()
        self.recovery.failed(first, "late")
        self.recovery.succeeded(second)
        self.assertEqual((self.recovery.state, self.restored, len(self.events)), (RESTORED, 1, 5))

    def test_failed(self) -> None:
        """A failure starts the row anew and doubles the cooldown, up to the longest."""
        self.begin(longest=30, probes=2)
        for seconds in (20, 30, 30):
            self.cool()
            self.recovery.succeeded(self.probe())
            self.recovery.failed(self.probe(), "no")
            self.assertEqual((self.recovery.state, self.recovery.cooldown), (COOLING, seconds))
            self.assertEqual(self.events[-1], ("probe-failed", f"moody: a probe failed (no); the next in {seconds} s"))
            self.assertFalse(self.recovery.admits())
        self.cool()
        self.recovery.succeeded(self.probe())
        self.assertEqual(self.restored, 0)
        self.recovery.succeeded(self.probe())
        self.assertEqual(self.restored, 1)

    def test_saysNothing(self) -> None:
        """A probe that is over without an answer is neither well nor failed, whatever it answers later."""
        self.cool()
        probe = self.probe()
        self.recovery.over(probe)
        self.recovery.succeeded(probe)
        self.assertEqual((self.recovery.state, len(self.events)), (HALF_OPEN, 1))

    def test_failsAfterAll(self) -> None:
        """One that was well and fails later has failed: what was gained with it is lost."""
        self.cool()
        probe = self.probe()
        self.recovery.succeeded(probe)
        self.recovery.failed(probe, "when told of the end")
        self.assertEqual([kind for kind, _ in self.events], ["half-open", "probe-well", "probe-failed"])
        self.assertEqual(self.recovery.state, COOLING)

    def test_failsOnce(self) -> None:
        """A probe that fails again has failed once."""
        self.cool()
        probe = self.probe()
        self.recovery.failed(probe, "no")
        self.recovery.failed(probe, "no, again")
        self.recovery.succeeded(probe)
        self.assertEqual((len(self.events), self.recovery.cooldown), (2, 2 * COOLDOWN))

    def test_lateFailure(self) -> None:
        """An earlier probe that fails beside a later one cools it down; the later one is still the only one."""
        self.cool()
        earlier = self.probe()
        self.recovery.over(earlier)
        later = self.probe()
        self.recovery.failed(earlier, "late")
        self.cool()
        self.assertFalse(self.recovery.admits())
        self.recovery.over(later)
        self.assertTrue(self.recovery.admits())
        self.assertEqual([kind for kind, _ in self.events], ["half-open", "probe-failed", "half-open"])

    def test_neverOver(self) -> None:
        """A probe that is not over for too long has failed; that is noticed when the next asks."""
        self.cool()
        self.probe()
        self.clock.advance(LONGEST - 0.001)
        self.assertFalse(self.recovery.admits())
        self.assertEqual(len(self.events), 1)
        self.clock.advance(0.001)
        self.assertFalse(self.recovery.admits())
        self.assertIn("(it was not over after 300 s)", self.events[-1][1])
        self.cool()
        self.assertTrue(self.recovery.admits())
