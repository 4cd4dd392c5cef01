"""
docs/conformance.md counts what is there.
"""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.behaviour.faultyanswers import BEHAVIOURS
from tests.behaviour.transcripts import TRANSCRIPTS

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"


class CountsTests(SynchronousTestCase):
    """
    Its numbers.
    """

    def setUp(self) -> None:
        self.text = PAGE.read_text(encoding="utf-8")

    def told(self, pattern: str) -> list[str]:
        """
        What the page says, at each place.
        """
        return re.findall(pattern, self.text)

    def test_requests(self) -> None:
        """
        As many transcripts as there are, wherever they are counted.
        """
        counts = self.told(r"(\d+) requests \(`transcripts\.py`\)") + self.told(r"Transcripts\*\*: of (\d+)")
        self.assertEqual(counts, [str(len(TRANSCRIPTS))] * 2)

    def test_answers(self) -> None:
        """
        As many faulty answers as there are.
        """
        counts = self.told(r"(\d+) faulty and odd answers") + self.told(r"(\d+) behaviours, read by h11")
        counts += self.told(r"\| contained, of (\d+) \| \*\*(?:\d+)\*\*")
        self.assertEqual(counts, [str(len(BEHAVIOURS))] * 3)

    def test_files(self) -> None:
        """
        Each suite has one row, and is there.
        """
        files = self.told(r"(?m)^\| `(tests/[^`]+)` \|")
        self.assertEqual(sorted(files), sorted(set(files)))
        self.assertEqual([name for name in files if not (PAGE.parents[1] / name).exists()], [])
