"""
What docs/tutorial.md and README.md tell people to type works as they say.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import types
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.configfile import parseConfig
from revproxy.control.catalogreader import readPlugin
from revproxy.plan.catalog import CatalogEntry
from revproxy.testing import EdgeDouble
from tests.docs.pagecase import ROOT, PageCase
from tests.docs.walkthrough import Command, File, perform, steps
from tests.harness import PATIENCE, freePort


def module(name: str, source: str) -> types.ModuleType:
    """
    A module out of its text.
    """
    made = types.ModuleType(name)
    made.__dict__["__builtins__"] = __builtins__
    exec(compile(source, f"<{name}>", "exec"), made.__dict__)
    return made


class TutorialTests(PageCase):
    """
    The page, from its first command to its last.
    """

    def setUp(self) -> None:
        super().setUp()
        self.page = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
        shutil.copytree(ROOT / "plugins", self.folder / "plugins", ignore=shutil.ignore_patterns("__pycache__"))

    def makeRun(self) -> None:
        """
        What ``make run`` does when everything is installed: an origin, and ``twistd revproxy`` before it.
        """
        ports = ["--http", str(self.port), "--https", str(freePort()), "--origin", "0", "--admin", str(freePort())]
        log = self.folder / "demo.log"
        with log.open("wb") as file:
            demo = subprocess.Popen(
                [sys.executable, "-m", "revproxy.demo.run", *ports], cwd=self.folder, env=self.environment,
                stdout=file, stderr=file,
            )  # fmt: skip
        self.addCleanup(demo.wait, PATIENCE)
        self.addCleanup(demo.terminate)
        self.until(lambda: "The edge runs." in log.read_text() or demo.poll() is not None)
        self.assertIsNone(demo.poll(), log.read_text())

    def type(self, command: Command) -> None:
        """As :meth:`PageCase.type`, at the edge's own port."""
        super().type(replace(command, line=command.line.replace(":8080", f":{self.port}")))

    def test_isExecuted(self) -> None:
        """
        Each file is written, each command typed; each prints what the page says, and the edge is never restarted.
        """
        first, second, *rest = steps(self.page)
        self.assertEqual(first, Command("make run", ()))
        self.assertIn("export PATH=", second.line if isinstance(second, Command) else "")
        self.makeRun()
        lock = self.folder / "var" / "lock"
        process = lock.read_text()
        for step in rest:
            if isinstance(step, Command):
                self.type(step)
            else:
                perform(step, self.folder, self.environment)
        self.assertGreater(len(rest), 20)
        self.assertEqual(lock.read_text(), process)

    def test_configuration(self) -> None:
        """
        The piece of revproxy.yaml is valid where there are a listener and an upstream.
        """
        piece = re.search(r"```yaml\n((?s:.+?))```", self.page)
        assert piece is not None
        rest = "listeners: [{endpoint: 'tcp:8080'}]\nupstreams: {app: {targets: ['http://127.0.0.1:9000']}}\n"
        config = parseConfig(rest + piece[1], "tutorial", ROOT)
        self.assertEqual([dict(route.plugins) for route in config.routes], [{}, {"greeting": False}])

    def test_schema(self) -> None:
        """
        With the schema of the configuration, too, the folder is a valid plugin.
        """
        schema = re.search(r'```json\n("config_schema"(?s:.+?))```', self.page)
        assert schema is not None
        for step in steps(self.page):
            if isinstance(step, File):
                perform(step, self.folder, {})
        manifest = self.folder / "plugins" / "greeting" / "plugin.json"
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | json.loads("{" + schema[1] + "}")))
        found = readPlugin(manifest.parent)
        self.assertIsInstance(found, CatalogEntry, found)


class WalkthroughTests(SynchronousTestCase):
    """
    How a page is read.
    """

    def test_patterns(self) -> None:
        """
        What may differ may; what may not is noticed.
        """
        page = "```console\n$ revproxy plugins\na  1.0  running  -  4  0.1\na: 1.0 (d5b9473ec2f5) failed\n```\n"
        (command,) = steps(page)
        assert isinstance(command, Command)
        shown = "name\na 1.0   running -   17   0.002\na: 1.0 (000000000000) failed\n"
        self.assertTrue(command.isShownBy(shown))
        for text, other in (("running", "off"), ("failed", "ran"), ("000000000000", "2.0"), ("a 1.0", "b 1.0")):
            self.assertFalse(command.isShownBy(shown.replace(text, other)), other)


class ReadmeTests(SynchronousTestCase):
    """
    The same for the first page people see.
    """

    def block(self, language: str) -> Any:
        """
        The first block in a language.
        """
        text = (ROOT / "README.md").read_text(encoding="utf-8")
        found = re.search(rf"```{language}\n((?s:.+?))```", text)
        assert found is not None, language
        return found[1]

    def test_plugin(self) -> None:
        """
        The plugin has ten lines, is valid, and does what is said.
        """
        source = self.block("python")
        self.assertLessEqual(len(source.strip().splitlines()), 10)
        folder = Path(self.mktemp()) / json.loads(self.block("json"))["name"]
        folder.mkdir(parents=True)
        (folder / "plugin.json").write_text(self.block("json"))
        (folder / "plugin.py").write_text(source)
        self.assertIsInstance(readPlugin(folder), CatalogEntry, readPlugin(folder))
        edge = EdgeDouble(module("plugin", source).PluginMain({}))
        self.assertEqual(edge.get("/", {"User-Agent": "BadBot/1.0"}).status, 403)
        self.assertEqual(edge.get("/").status, 200)

    def test_configuration(self) -> None:
        """
        The example of revproxy.yaml is valid.
        """
        self.assertEqual(len(parseConfig(self.block("yaml"), "README", ROOT).routes), 2)
