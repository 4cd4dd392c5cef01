"""The admin API is as it describes itself, however it is asked; a few examples of each."""

from __future__ import annotations

from tests.apifuzz import FuzzCase


class ApiFuzzTests(FuzzCase):
    """Quickly; `tests.thorough.test_apiFuzz` takes its time."""

    def test_fewExamples(self) -> None:
        """No failure is found."""
        self.fuzz(3)
