"""Locked processes that are killed, many of them."""

from __future__ import annotations

from tests.isolation.process.stage import ProcessesTestCase
from tests.isolation.process.test_processes import killManyTimes


class KilledTests(ProcessesTestCase):
    """As root, and as anybody."""

    def test_aThousandTimes(self) -> None:
        """After 1,000 kill -9: no zombie, and no descriptor more than after the first."""
        killManyTimes(self, 1000)

    test_aThousandTimes.timeout = 1800  # type: ignore[attr-defined]
