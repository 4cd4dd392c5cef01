"""``make demo-rollout``: five versions take their steps on this machine, and the right one serves in the end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.demo.rolloutversions import CANDIDATES


class DemoTests(SynchronousTestCase):
    """The demonstration, as people see it."""

    def test_rightOneServes(self) -> None:
        """It ends with 0: four were taken back or held, and visitors met no more than they may."""
        page = Path(self.mktemp()).absolute() / "page.html"
        done = subprocess.run(
            [sys.executable, "-m", "revproxy.demo.rollout", "--page", str(page)],
            capture_output=True, text=True, timeout=1800,
        )  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(done.stdout.count("as it should be"), len(CANDIDATES))
        self.assertIn("2.0.0 serves now", done.stdout)
        self.assertIn("<h2>2.0.0", page.read_text(encoding="utf-8"))
