"""
Each plugin of the cookbook is taken by the edge, and passes the test that is shown with it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.docs.walkthrough import File, perform, steps

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "cookbook.md").read_text(encoding="utf-8")


class CookbookTests(SynchronousTestCase):
    """
    docs/cookbook.md.
    """

    def setUp(self) -> None:
        self.root = Path(self.mktemp()).absolute()
        self.root.mkdir(parents=True)
        for step in steps(PAGE):
            assert isinstance(step, File), step
            perform(step, self.root, {})
        self.plugins = sorted((self.root / "plugins").iterdir())

    def test_everyOne(self) -> None:
        """
        ``revproxy test-plugin`` says so, of each.
        """
        self.assertGreater(len(self.plugins), 8)
        running = {
            plugin.name: subprocess.Popen(
                [sys.executable, "-m", "revproxy.cli", "test-plugin", str(plugin)],
                cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )
            for plugin in self.plugins
        }  # fmt: skip
        for name, command in running.items():
            printed, _ = command.communicate(timeout=120)
            self.assertEqual(command.returncode, 0, f"{name}: {printed}")
            self.assertRegex(printed, r"PASSED \(successes=\d+\)", name)
