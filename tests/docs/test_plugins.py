"""
What docs/plugins.md, docs/resources.md and docs/builtin.md say of plugins holds.
"""

import io
import re
import unittest
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from twisted.internet.defer import succeed
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase

import revproxy.plugins
from revproxy.config.configfile import parseConfig
from revproxy.config.manifest import effectiveConfig, manifestFromMapping
from revproxy.control.catalogreader import readCatalog
from revproxy.control.planning.selection import select
from revproxy.interfaces import IMiddlewareFactory
from revproxy.testing import EdgeDouble
from revproxy.worker.lifecycle.dropins import DropInFactories
from tests.plugins.folders import problemsOf

DOCS = Path(__file__).parents[2] / "docs"
PAGE = "".join((DOCS / name).read_text(encoding="utf-8") for name in ("plugins.md", "resources.md"))
BUILT_IN_PAGE = (DOCS / "builtin.md").read_text(encoding="utf-8")
BUILT_IN = {factory.manifest["name"]: factory for factory in getPlugins(IMiddlewareFactory, revproxy.plugins)}


def section(name: str) -> str:
    """What the page says about a middleware that comes along."""
    return BUILT_IN_PAGE.partition(f"({name})=\n")[2].partition("\n(")[0]


def blocks(language: str, text: str = PAGE) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def settings(value: Any, name: str) -> list[Any]:
    """What a piece of revproxy.yaml says for a plugin, wherever it says it."""
    if not isinstance(value, dict):
        return [found for one in value for found in settings(one, name)] if isinstance(value, list) else []
    return [one for key, one in value.items() if key == name] + [
        found for key, one in value.items() if key != name for found in settings(one, name)
    ]


class BuiltInTests(SynchronousTestCase):
    """
    The middleware that come along.
    """

    def test_allOptions(self) -> None:
        """
        Every option of every middleware is in its table, and nothing else is.
        """
        for name, factory in BUILT_IN.items():
            tabled = re.findall(r"^\| (`.*?) \|", section(name), re.MULTILINE)
            options = [option for cell in tabled for option in re.findall("`(.*?)`", cell)]
            self.assertEqual(sorted(options), sorted(factory.manifest["config_schema"]["properties"]), name)

    def test_priorities(self) -> None:
        """
        They run in the order of the table.
        """
        table = re.findall(r"^\| ([0-9]+) \| \[([a-z-]+)\]", BUILT_IN_PAGE, re.MULTILINE)
        actual = sorted((factory.manifest["priority"], name) for name, factory in BUILT_IN.items())
        self.assertEqual([(int(priority), name) for priority, name in table], actual)

    def test_examples(self) -> None:
        """
        Every example is taken by the schema, and by the plugin itself.
        """
        for name, factory in BUILT_IN.items():
            manifest = manifestFromMapping(factory.manifest, name)
            found = [
                one for block in blocks("yaml", section(name)) for one in settings(YAML(typ="safe").load(block), name)
            ]
            self.assertTrue(found, name)
            for config in found:
                self.assertEqual(problemsOf(manifest, config), [], name)
                factory.create({**effectiveConfig(manifest), **config})

    def test_wholeConfigurations(self) -> None:
        """
        Each example is a piece of a configuration that selects what it names.
        """
        for name in BUILT_IN:
            for block in blocks("yaml", section(name)):
                text = "listeners: [{endpoint: tcp:0}]\nupstreams: {app: {targets: [http://127.0.0.1:1]}}\n" + block
                if "routes:" not in block:
                    text += "routes: [{upstream: app}]\n"
                config = parseConfig(text, "builtin.md", Path("."))
                selected = select(readCatalog(None, DropInFactories().told), config)
                self.assertIn(name, [one.manifest.name for one in selected])


class CodeTests(SynchronousTestCase):
    """
    The pieces of Python on the pages.
    """

    def test_testsPass(self) -> None:
        """
        They run, and the tests among them pass with the plugin that is shown.
        """
        names: dict[str, Any] = {"__name__": "page"}
        for block in blocks("python"):
            exec(compile(block, "plugins.md", "exec"), names)
        for case, count in (("TenantTests", 2), ("BlocklistTests", 1)):
            tests = unittest.defaultTestLoader.loadTestsFromTestCase(names[case])
            result = unittest.TextTestRunner(io.StringIO()).run(tests)
            self.assertEqual((result.testsRun, result.failures, result.errors), (count, [], []))

    def test_words(self) -> None:
        """
        The plugin that reads bodies refuses what it says, and what is too long.
        """
        names: dict[str, Any] = {"__name__": "page"}
        exec(next(block for block in blocks("python") if "class Words" in block), names)
        edge = EdgeDouble(names["Words"]())
        for body, status in (([b"fine"], 200), ([b"forbid", b"den"], 422), ([b"x" * 65537], 413)):
            self.assertEqual(edge.request("POST", "/", body=body).status, status)

    def test_countdown(self) -> None:
        """
        The plugin that answers piece by piece does.
        """
        names: dict[str, Any] = {"__name__": "page"}
        exec(next(block for block in blocks("python") if "class Countdown" in block), names)
        plugin = names["Countdown"]()
        plugin.tick = lambda: succeed(None)
        self.assertEqual(EdgeDouble(plugin).get().body, b"3\n2\n1\n")

    def test_uploadScan(self) -> None:
        """
        The plugin that scans uploads refuses those with a virus, and lets others through as they are.
        """

        class Scanner:
            async def finds(self, data: bytes, last: bool) -> bool:
                return b"virus" in data

        names: dict[str, Any] = {"__name__": "page", "Scanner": Scanner}
        exec(next(block for block in blocks("python") if "class UploadScan" in block), names)
        edge = EdgeDouble(names["UploadScan"]())
        clean, sick = (edge.request("POST", "/", body=[b"a", second]) for second in (b"b", b"virus"))
        self.assertEqual((clean.status, clean.received), (200, b"ab"))
        self.assertEqual((sick.status, sick.body, sick.forwarded), (422, b"This file has a virus.\n", None))
        self.assertEqual(edge.get("/").status, 200)
