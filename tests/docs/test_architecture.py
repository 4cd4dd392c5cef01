"""
docs/architecture.md knows every room.
"""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parents[2]


class RoomsTests(SynchronousTestCase):
    """
    The table of files.
    """

    def test_everyFile(self) -> None:
        """
        Each module has a place in the table, and each place has its module.
        """
        text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
        told: set[str] = set()
        for cell in re.findall(r"^\| (`[^|]+\.py`) \|", text, re.MULTILINE):
            room = ""
            for path in re.findall(r"`([^`]+)`", cell):
                room = path.rpartition("/")[0] or room
                told.add(f"{room}/{path.rpartition('/')[2]}".lstrip("/"))
        package = ROOT / "revproxy"
        files = {str(path.relative_to(package)) for path in package.rglob("*.py") if path.name != "__init__.py"}
        self.assertEqual(told, {name for name in files if not name.startswith(("demo/", "plugins/"))})
