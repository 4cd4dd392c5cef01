"""Tests for :mod:`revproxy.casefolding`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.casefolding import folded


class FoldedTests(SynchronousTestCase):
    """Names in any case."""

    def test_examples(self) -> None:
        """ASCII and beyond; what is no UTF-8 stays."""
        for name, expected in (
            (b"aBc", b"abc"),
            ("\xc4".encode(), "\xe4".encode()),
            ("\u212a".encode(), b"k"),
            (b"\xffA", b"\xffa"),
        ):
            self.assertEqual(folded(name), expected)
