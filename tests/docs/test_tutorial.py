"""
What docs/tutorial.md and README.md tell people to type works as they say.
"""

from __future__ import annotations

import json
import re
import sys
import types
import unittest
from pathlib import Path
from textwrap import indent
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.catalog import CatalogEntry, readPlugin
from revproxy.control.config import parseConfig
from revproxy.testing import EdgeDouble

ROOT = Path(__file__).parents[2]


def module(name: str, source: str) -> types.ModuleType:
    """
    A module out of its text.
    """
    made = types.ModuleType(name)
    made.__dict__["__builtins__"] = __builtins__
    exec(compile(source, f"<{name}>", "exec"), made.__dict__)
    return made


class TutorialTests(SynchronousTestCase):
    """
    The blocks of the page, by caption.
    """

    def setUp(self) -> None:
        text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
        pattern = r"```\{code-block\} \w+\n:caption: (?:plugins/greeting/)?(.+)\n((?s:.+?))```"
        self.blocks = dict(re.findall(pattern, text))
        self.text = text

    def refusing(self) -> str:
        """
        The plugin after its handle was replaced.
        """
        replacement = indent(self.blocks["the new handle"], "    ")
        source = self.blocks["plugin.py"]
        changed, count = re.subn(r"    def handle\((?s:.+?)\n\n", lambda match: replacement + "\n", source, count=1)
        self.assertEqual(count, 1)
        return changed

    def test_first(self) -> None:
        """
        The plugin as it is first written greets, and lets every request pass.
        """
        config = json.loads(self.blocks["plugin.json"])["config"]
        answer = EdgeDouble(module("plugin", self.blocks["plugin.py"]).PluginMain(config)).get("/")
        self.assertEqual((answer.status, answer.headers.get("X-Greeting")), (200, "hello"))
        self.assertIn("X-Greeting: hello", self.text)

    def test_accepted(self) -> None:
        """
        The folder is a valid plugin, with the schema of the configuration, too.
        """
        schema = re.search(r'```json\n("config_schema"(?s:.+?))```', self.text)
        assert schema is not None
        manifest = json.loads(self.blocks["plugin.json"]) | json.loads("{" + schema[1] + "}")
        folder = Path(self.mktemp()) / "greeting"
        folder.mkdir(parents=True)
        (folder / "plugin.json").write_text(json.dumps(manifest))
        (folder / "plugin.py").write_text(self.refusing())
        self.assertIsInstance(readPlugin(folder), CatalogEntry, readPlugin(folder))

    def test_tests(self) -> None:
        """
        The tests at the end pass, and do not pass with the first version.
        """
        self.assertTrue(self.run_(self.refusing()).wasSuccessful())
        self.assertFalse(self.run_(self.blocks["plugin.py"]).wasSuccessful())

    def run_(self, source: str) -> unittest.TestResult:
        """
        The tutorial's tests on a plugin.
        """
        self.patch(sys, "modules", {**sys.modules, "plugin": module("plugin", source)})
        tests = module("test_plugin", self.blocks["test_plugin.py"]).GreetingTests
        suite = unittest.defaultTestLoader.loadTestsFromTestCase(tests)
        self.assertEqual(suite.countTestCases(), 2)
        result = unittest.TestResult()
        suite.run(result)
        return result

    def test_configuration(self) -> None:
        """
        The piece of revproxy.yaml is valid where there are a listener and an upstream.
        """
        piece = re.search(r"```yaml\n((?s:.+?))```", self.text)
        assert piece is not None
        rest = "listeners: [{endpoint: 'tcp:8080'}]\nupstreams: {app: {targets: ['http://127.0.0.1:9000']}}\n"
        config = parseConfig(rest + piece[1], "tutorial", ROOT)
        self.assertEqual([dict(route.plugins) for route in config.routes], [{}, {"greeting": False}])


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
