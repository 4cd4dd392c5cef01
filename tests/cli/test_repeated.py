"""Tests for :mod:`revproxy.cli.repeated`."""

from __future__ import annotations

import sys
from io import StringIO

import click
from twisted.trial.unittest import SynchronousTestCase

from revproxy.cli.repeated import INTERVAL, repeat


class Screen(StringIO):
    """Standard output that is a terminal, or is none."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


class RepeatTests(SynchronousTestCase):
    """``revproxy plugins --watch``."""

    def setUp(self) -> None:
        self.shown = 0
        self.waited: list[float] = []

    def show(self) -> None:
        self.shown += 1
        if self.shown == 2:
            raise click.ClickException("no edge")
        click.echo(f"a\nb{self.shown}")

    def sleep(self, seconds: float) -> None:
        """Ctrl-C the third time."""
        self.waited.append(seconds)
        if len(self.waited) == 3:
            raise KeyboardInterrupt

    def test_terminal(self) -> None:
        """Each time stands in the place of the one before; an edge that is away is waited for."""
        self.patch(sys, "stdout", screen := Screen(True))
        repeat(self.show, self.sleep)
        frames = screen.getvalue().split("\x1b[H")
        self.assertEqual(frames, ["", *(f"{text}\x1b[J" for text in (
            "a\x1b[K\nb1\x1b[K\n", "no edge\x1b[K\n", "a\x1b[K\nb3\x1b[K\n"))])
        self.assertEqual(self.waited, [INTERVAL] * 3)

    def test_file(self) -> None:
        """Elsewhere one follows the other, without a terminal's controls, and a failure is the end."""
        self.patch(sys, "stdout", screen := Screen(False))
        self.assertRaises(click.ClickException, repeat, self.show, self.sleep)
        self.assertEqual(screen.getvalue(), "a\nb1\n")
