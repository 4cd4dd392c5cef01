"""The admin API is as it describes itself, however it is asked."""

from __future__ import annotations

from tests.apifuzz import FuzzCase


class ApiFuzzTests(FuzzCase):
    """Many examples, and chains of operations."""

    def test_manyExamples(self) -> None:
        """No failure is found."""
        self.fuzz(100, "examples,coverage,fuzzing,stateful")
