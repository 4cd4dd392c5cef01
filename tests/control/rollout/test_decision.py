"""
What is done next.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.rolloutpolicy import OnInconclusive, Step, Until
from revproxy.control.rollout.decision import decide
from revproxy.control.rollout.verdict import Verdict, VerdictKind

SHADOW = Step("shadow", 0.2, Until(30), atMost=60.0)
CANARY = Step("canary", 0.05, Until(fault=0.01), atLeast=10.0, atMost=60.0)
TIMED = Step("canary", 0.5, atLeast=10.0, atMost=60.0)


class DecisionTests(SynchronousTestCase):
    """
    By a verdict and the time.
    """

    def what(
        self,
        kind: VerdictKind,
        elapsed: float = 30.0,
        step: Step = CANARY,
        family: str = "",
        held: bool = False,
        suspicious: bool = False,
        over: OnInconclusive = "hold",
    ) -> Any:
        """In a word."""
        return decide(step, Verdict(kind, "so", family), elapsed, held, suspicious, over).what

    def test_worse(self) -> None:
        """
        What is worse goes back at once, in any step, held or not.
        """
        for step in (SHADOW, CANARY):
            for held in (False, True):
                self.assertEqual(self.what("regression", 0.0, step, "faults", held), "roll-back")

    def test_differs(self) -> None:
        """
        What is different only is for somebody to look at.
        """
        for family in ("content", "pair-time"):
            self.assertEqual(self.what("regression", 0.0, SHADOW, family), "hold")
            self.assertEqual(self.what("regression", 0.0, CANARY, family, True), "stay")

    def test_well(self) -> None:
        """
        It goes on by evidence, and not before its time.
        """
        self.assertEqual(self.what("no-regression", 9.0), "stay")
        self.assertEqual(self.what("no-regression", 10.0), "next")
        self.assertEqual(self.what("no-regression", 10.0, held=True), "stay")
        self.assertEqual(self.what("undecided", 10.0), "stay")

    def test_time(self) -> None:
        """
        Where only time ends a step, it does if there were requests, and nothing speaks against it.
        """
        self.assertEqual(self.what("undecided", 10.0, TIMED), "next")
        self.assertEqual(decide(TIMED, Verdict("undecided", "so"), 10.0, False, False, "hold").reason,
                         "it has lasted 10 s, and nothing speaks against it")  # fmt: skip
        self.assertEqual(self.what("undecided", 10.0, TIMED, suspicious=True), "stay")
        self.assertEqual(self.what("no-traffic", 10.0, TIMED), "stay")

    def test_silence(self) -> None:
        """
        Neither silence nor a broken measurement is ever a success.
        """
        for step in (SHADOW, CANARY, TIMED):
            for over in ("hold", "promote", "roll_back"):
                for elapsed in (0.0, 10.0, 1e9):
                    for kind in ("no-traffic", "broken-measurement"):
                        self.assertNotEqual(self.what(kind, elapsed, step, over=over), "next")  # type: ignore[arg-type]
        self.assertEqual(self.what("broken-measurement", 0.0), "hold")

    def test_overtime(self) -> None:
        """
        When its time is over, what was said before is done.
        """
        ways: list[tuple[OnInconclusive, str]] = [
            ("hold", "inconclusive"), ("promote", "next"), ("roll_back", "roll-back"),
        ]  # fmt: skip
        for over, what in ways:
            self.assertEqual(self.what("undecided", 60.0, over=over), what)
            self.assertEqual(self.what("undecided", 59.0, over=over), "stay")
        self.assertEqual(self.what("no-traffic", 60.0, over="promote"), "inconclusive")
        self.assertEqual(self.what("undecided", 60.0, suspicious=True, over="promote"), "inconclusive")
        self.assertEqual(self.what("no-traffic", 60.0, over="roll_back"), "roll-back")
        endless = Step("shadow", 0.2, Until(30))
        self.assertEqual(self.what("undecided", 1e9, endless), "stay")
