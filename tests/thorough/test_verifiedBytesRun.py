"""The bytes that were verified are the bytes that run: three thousand loads while somebody exchanges files."""

from __future__ import annotations

from tests.behaviour.test_verifiedBytesRun import SwappedCase


class SwappedTests(SwappedCase):
    """As in a hundred."""

    def test_verified(self) -> None:
        """Not one foreign byte; and the attacker was at work: it was refused for several reasons."""
        seen = self.verified(3000)
        self.assertGreaterEqual(len(seen["refused"]), 3, seen)

    test_verified.timeout = 1800  # type: ignore[attr-defined]

    def test_byPath(self) -> None:
        """With files that are read again after they were verified, foreign code runs."""
        self.assertGreater(self.loaded(3000, "path", 600)["ran"], 0)

    test_byPath.timeout = 1800  # type: ignore[attr-defined]
