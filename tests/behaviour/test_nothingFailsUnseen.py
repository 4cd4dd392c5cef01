"""Every failure of a plugin's code, in a request or outside of one, is counted for its version, named and judged."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from tests.behaviour.test_failuresStayApart import FailingCase
from tests.control.commands import commanded

TIMER = """
    def attach(self, host):
        host.callEvery(1, self.tick)
    def tick(self):
        raise ArithmeticError("tick")
"""
LATER = """
    def attach(self, host):
        self.host = host
    def start(self):
        self.host.callLater(1, self.host.callFromThread, self.tick)
    def tick(self):
        raise ArithmeticError("tick")
"""


class OutsideRequestsTests(FailingCase):
    """Timers, and what threads hand over."""

    def versions(self, body: str) -> None:
        """The first version is well, the second is not."""
        self.begin()
        self.bench.stamp("b", "2", body=body, interfaces=", IHosted", version="2.0")
        self.bench.apply()

    def test_counted(self) -> None:
        """What they raise is an error of the version, and of no other."""
        self.versions(LATER)
        self.bench.wait(1)
        self.assertEqual([self.counters(name).errors for name in "abc"], [0, 1, 0])
        self.forgive(1)

    def test_quarantined(self) -> None:
        """A version whose timer alone fails, again and again, is taken out, and the one before it runs."""
        self.versions(TIMER)
        self.bench.wait(6)
        self.bench.settle()
        self.ask("/1")
        self.assertEqual(self.stage.marks("/1", "in")["b"], "1")
        event = next(event for event in reversed(self.bench.events.latest(100)) if event.kind == "quarantined")
        self.assertIn("5 of 5 calls failed within 30 s; back to 1.0.0", event.text)
        self.flushLoggedErrors(ArithmeticError)

    def test_busy(self) -> None:
        """The failures count beside its calls: few among many that are well do not take it out."""
        self.versions(TIMER)
        for second in range(6):
            for number in range(4):
                self.ask(f"/{second}/{number}")
            self.bench.wait(1)
        self.assertEqual(self.stage.marks("/5/3", "in")["b"], "2")
        self.flushLoggedErrors(ArithmeticError)


class LastFailureTests(FailingCase):
    """What failed last is shown, with its traceback, under the version that failed."""

    def shown(self) -> dict[str, Any]:
        """As `revproxy plugins b --json` has it."""
        asked = Deferred.fromCoroutine(commanded(self.bench.control, "plugins", name="b"))
        (plugin,) = self.successResultOf(asked)
        return plugin  # type: ignore[no-any-return]

    def test_atWork(self) -> None:
        """The failure of a version that runs; it is no refusal."""
        self.begin()
        self.assertIsNone(self.shown()["last_failure"])
        self.failing["b"] = "in"
        self.ask("/bad/1")
        self.forgive(1)
        shown = self.shown()
        self.assertIsNone(shown["failure"])
        failure = shown["last_failure"]
        self.assertEqual((failure["message"], failure["function"]), ("ArithmeticError: in of b", "Stamp.handle"))
        self.assertRegex(failure["where"], r"^plugin\.py:\d+$")
        self.assertIn("ArithmeticError", failure["traceback"])
        self.assertEqual(shown["versions"][0]["last_failure"], failure)

    def test_afterQuarantine(self) -> None:
        """What was taken out keeps it; what runs in its place has none."""
        self.begin()
        self.bench.stamp("b", "2", version="2.0")
        self.bench.apply()
        self.trip("b")
        shown = self.shown()
        self.assertEqual(shown["version"], "1.0.0")
        self.assertIsNone(shown["last_failure"])
        failures = {version["version"]: version["last_failure"] for version in shown["versions"]}
        self.assertIsNone(failures["1.0.0"])
        self.assertIn("ArithmeticError", failures["2.0"]["message"])
