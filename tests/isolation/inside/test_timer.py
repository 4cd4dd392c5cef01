"""A call to come, as Twisted's own."""

from __future__ import annotations

from typing import Any

from twisted.internet.base import DelayedCall
from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import IDelayedCall
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from revproxy.isolation.inside.timer import Timer


class TimerTests(SynchronousTestCase):
    """`Timer`, beside what it stands for."""

    def setUp(self) -> None:
        self.told: list[str] = []

    def made(self, kind: Any) -> Any:
        """One that is due at 10; now it is 5."""
        return kind(10.0, len, (), {}, lambda call: self.told.append("cancel"), lambda call: self.told.append("reset"),
                    lambda: 5.0)  # fmt: skip

    def test_interface(self) -> None:
        """It provides what Twisted's does."""
        verifyObject(IDelayedCall, self.made(Timer))

    def test_same(self) -> None:
        """Whatever is done with it, it says what Twisted's says."""
        for steps in (
            [("reset", 2)], [("reset", 20)], [("delay", 3)], [("delay", -3)], [("reset", 20), ("delay", -20)],
            [("delay", 5), ("reset", 1)], [("delay", 5), ("delay", -2)],
        ):  # fmt: skip
            found = []
            for kind in (DelayedCall, Timer):
                self.told = []
                call = self.made(kind)
                for name, seconds in steps:
                    getattr(call, name)(seconds)
                found.append((call.time, call.getTime(), call.active(), self.told))
            self.assertEqual(*found, steps)

    def test_late(self) -> None:
        """What was made or cancelled is so for good."""
        cancelled, called = self.made(Timer), self.made(Timer)
        cancelled.cancel()
        called.called = 1
        self.assertEqual((cancelled.active(), called.active(), self.told), (False, False, ["cancel"]))
        for call, kind in ((cancelled, AlreadyCancelled), (called, AlreadyCalled)):
            self.assertRaises(kind, call.cancel)
            self.assertRaises(kind, call.reset, 1)
            self.assertRaises(kind, call.delay, 1)

    def test_order(self) -> None:
        """They are ordered by their time, as a heap has to have them."""
        first, second = self.made(Timer), self.made(Timer)
        second.time = 11.0
        self.assertTrue(first < second <= second and first <= second and not second < first)
