"""
Each plugin of the cookbook is taken by the edge, and passes the test that is shown with it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib.metadata import distribution
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
            if isinstance(step, File):
                perform(step, self.root, {})
            else:
                self.vendor(step.line)
        self.plugins = sorted((self.root / "plugins").iterdir())

    def vendor(self, line: str) -> None:
        """
        What ``pip install --target`` does, without the network: these are installed for the tests.
        """
        found = re.fullmatch(r'pip install .*--target (\S+) "jinja2>=3.1,<4"', line)
        assert found is not None, line
        folder = self.root / found[1]
        for name in ("jinja2", "markupsafe"):
            installed = distribution(name)
            for path in installed.files or ():
                if ".." not in path.parts and "__pycache__" not in path.parts:
                    (folder / path).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(str(path.locate()), folder / path)

    def test_everyOne(self) -> None:
        """
        ``revproxy test-plugin`` says so, of each.
        """
        self.assertGreater(len(self.plugins), 10)
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
