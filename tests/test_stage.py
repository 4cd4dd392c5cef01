"""Tests for :mod:`tests.stage`."""

from __future__ import annotations

import sys

from twisted.trial.unittest import SynchronousTestCase

from tests.stage import stage


class StageTests(SynchronousTestCase):
    """One command."""

    def setUp(self) -> None:
        self.shown: list[str] = []

    def run_(self, script: str, interval: float = 60.0) -> int:
        return stage("types", [sys.executable, "-c", script], interval, self.shown.append)

    def test_passed(self) -> None:
        """What runs, and how long it took."""
        self.assertEqual(self.run_("pass"), 0)
        self.assertEqual(self.shown[0], f"== types: {sys.executable} -c pass")
        self.assertRegex(self.shown[1], r"^== types: passed in \d+ s$")

    def test_failed(self) -> None:
        """Its status is the command's."""
        self.assertEqual(self.run_("raise SystemExit(3)"), 3)
        self.assertIn("failed in", self.shown[-1])

    def test_long(self) -> None:
        """While it says nothing, that it still runs. An interpreter takes longer to start than this interval."""
        self.assertEqual(self.run_("pass", 0.001), 0)
        self.assertRegex(self.shown[1], r"^== types: 0 s$")
