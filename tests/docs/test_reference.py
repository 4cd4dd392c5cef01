"""
docs/reference.md is what docs/reference.py makes of the schemas.
"""

from __future__ import annotations

import runpy
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

DOCS = Path(__file__).parents[2] / "docs"


class ReferenceTests(SynchronousTestCase):
    """
    The page that is read, not only built.
    """

    def test_current(self) -> None:
        """
        A key of a schema that is not on the page yet makes this fail; `python docs/reference.py` writes it anew.
        """
        written = runpy.run_path(str(DOCS / "reference.py"))["render"]()
        self.assertIn("`listeners[].tls.certificates`", written)
        self.assertEqual((DOCS / "reference.md").read_text(encoding="utf-8"), written, "run python docs/reference.py")
