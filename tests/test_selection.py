"""Tests for :mod:`tests.selection`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.selection import SLOW, isBelow, modules, quick, thorough, usual


class SelectionTests(SynchronousTestCase):
    """Every module is in one run, and in no other."""

    def test_whole(self) -> None:
        """``make test`` and ``make test-all`` together have all of them, each once."""
        both = usual() + thorough()
        self.assertEqual(sorted(both), modules())
        self.assertIn(__name__, quick())
        self.assertTrue(thorough())

    def test_quick(self) -> None:
        """A part of the usual ones, and its last; nothing that is slow."""
        self.assertEqual(usual()[-len(quick()) :], quick())
        self.assertEqual([module for module in quick() if isBelow(module, *SLOW)], [])

    def test_slowExists(self) -> None:
        """What is named slow is there."""
        self.assertEqual([name for name in SLOW if not any(isBelow(module, name) for module in modules())], [])

    def test_isBelow(self) -> None:
        """Names are compared part by part."""
        self.assertTrue(isBelow("tests.a.test_b", "tests.a"))
        self.assertTrue(isBelow("tests.a", "tests.b", "tests.a"))
        self.assertFalse(isBelow("tests.ab", "tests.a"))
