"""Streams, swaps and time in many more orders than `make test` has time for."""

from __future__ import annotations

from typing import Any

from hypothesis import given

from tests.behaviour import test_streamsSurviveSwaps as streams


class InterleavingTests(streams.InterleavingTests):
    """In sixty."""

    @streams.examples(60)
    @given(actions=streams.ACTIONS)
    def test_anyOrder(self, actions: list[tuple[str, Any]]) -> None:
        """As there."""
        self.play(actions)

    test_anyOrder.timeout = 1800  # type: ignore[attr-defined]
