"""Tests for :mod:`revproxy.cli.duration`."""

from __future__ import annotations

import click
from twisted.trial.unittest import SynchronousTestCase

from revproxy.cli.duration import Duration


class DurationTests(SynchronousTestCase):
    """Options that take a duration."""

    def test_taken(self) -> None:
        """Numbers and units, as in revproxy.yaml."""
        for text, seconds in (("90", 90), ("1.5", 1.5), ("90s", 90), ("500ms", 0.5), ("2m", 120)):
            self.assertEqual(Duration().convert(text, None, None), seconds)

    def test_refused(self) -> None:
        """What is none says how to write one."""
        for text in ("30 s", "-5", "nan", "inf", "x", ""):
            error = self.assertRaises(click.BadParameter, Duration().convert, text, None, None)
            self.assertIn("500ms, 30s, 5m, 1h, 7d", str(error))
        for text in ("0", "0s"):
            error = self.assertRaises(click.BadParameter, Duration().convert, text, None, None)
            self.assertIn("no time at all", str(error))
