"""Tests for :mod:`revproxy.cli.loadedplugin`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.cli.templates import writePlugin
from revproxy.testing import EdgeDouble, LoadedPlugin, PluginRefused, loadPlugin


class LoadPluginTests(SynchronousTestCase):
    """A folder, loaded as the edge does."""

    def setUp(self) -> None:
        self.folder = writePlugin(Path(self.mktemp()).absolute(), "hello")

    def load(self) -> LoadedPlugin:
        plugin = loadPlugin(self.folder)
        self.addCleanup(plugin.unload)
        return plugin

    def write(self, text: str) -> None:
        (self.folder / "plugin.py").write_text(text)

    def refused(self) -> str:
        return str(self.assertRaises(PluginRefused, self.load))

    def test_made(self) -> None:
        """The plugin with its own configuration, and with another over that."""
        plugin = self.load()
        self.assertEqual(str(plugin.manifest), "hello 0.1.0")
        self.assertEqual(EdgeDouble(plugin.make()).get().headers.get("X-Plugin"), "hello")
        answer = EdgeDouble(plugin.make({"value": "x"})).get()
        self.assertEqual(answer.headers.get("X-Plugin"), "x")

    def test_requests(self) -> None:
        """What plugin.json refers to has to be given: a test has no revproxy.yaml that grants it."""
        path = self.folder / "plugin.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "config": {"header": "X", "value": {"$env": "A"}}}))
        plugin = self.load()
        self.assertIn("asks for the environment's A", str(self.assertRaises(PluginRefused, plugin.make)))
        self.assertEqual(EdgeDouble(plugin.make({"value": "x"})).get().headers.get("X"), "x")

    def test_everyTimeAnew(self) -> None:
        """Two loads share nothing, and one that was unloaded is gone from the interpreter."""
        first, second = self.load(), self.load()
        self.assertIsNot(first.module.Middleware, second.module.Middleware)
        name = first.module.__name__
        self.assertIn(name, sys.modules)
        first.unload()
        self.assertNotIn(name, sys.modules)

    def test_relativeImports(self) -> None:
        """Its own modules and files are found as in the edge."""
        (self.folder / "words.py").write_text("import pkgutil\nTEXT = pkgutil.get_data(__name__, 'text.txt')\n")
        (self.folder / "text.txt").write_text("hi")
        self.write("from . import words\nfrom .words import TEXT\n")
        self.assertEqual(self.load().module.TEXT, b"hi")

    def test_refusedConfiguration(self) -> None:
        """By the schema, naming the value."""
        plugin = self.load()
        error = self.assertRaises(PluginRefused, plugin.make, {"header": "not a name"})
        self.assertIn("$.header", str(error))

    def test_refusedCode(self) -> None:
        """A mistake is told with its file and line, as the edge tells it."""
        for text, told in (
            ("x = (\n", "plugin.py:1:5: SyntaxError: '(' was never closed"),
            ("1 / 0\n", "plugin.py:1: importing it raised ZeroDivisionError"),
            ("import words_of_mine\n", "-m pip install words-of-mine"),
            ("import jwt_is_no_module.x\n", "plugin.py:1: no module named jwt_is_no_module; if it is that of a"),
            ("import helper\n", "a file of the plugin itself is imported as: from . import helper"),
        ):
            (self.folder / "helper.py").touch()
            self.write(text)
            self.assertIn(told, self.refused())

    def test_refusedObject(self) -> None:
        """What PluginMain makes is looked at as well; the traceback is there."""
        for text, told in (
            ("def PluginMain(config): return object()\n", "does not provide IMiddleware"),
            ("def PluginMain(config): return config['none']\n", "plugin.py:1: PluginMain raised KeyError: 'none'"),
            ("", "there is no PluginMain"),
        ):
            self.write(text)
            self.assertIn(told, str(self.assertRaises(PluginRefused, self.load().make)))

    def test_validateConfig(self) -> None:
        """What the plugin itself does not take is told as the edge tells it."""
        self.write(
            "from zope.interface import implementer\n"
            "from revproxy.interfaces import IConfigurable, IMiddleware\n"
            "@implementer(IMiddleware, IConfigurable)\n"
            "class PluginMain:\n"
            "    name = 'hello'\n"
            "    def __init__(self, config): pass\n"
            "    def handle(self, context): return True\n"
            "    def validateConfig(self, config): raise ValueError('no such day')\n"
            "    def updateConfig(self, config): pass\n"
        )
        error = self.assertRaises(PluginRefused, self.load().make)
        self.assertEqual(str(error), "validateConfig refused the configuration: no such day")

    def test_refusedFolder(self) -> None:
        """A manifest that will not do, and none."""
        manifest = json.loads((self.folder / "plugin.json").read_text())
        (self.folder / "plugin.json").write_text(json.dumps({**manifest, "version": "x", "colour": "red"}))
        problems = self.assertRaises(PluginRefused, self.load).problems
        self.assertTrue(all("plugin.json:1:" in problem for problem in problems), problems)
        (self.folder / "plugin.json").unlink()
        self.assertIn("there is no plugin.json", self.refused())
        error = self.assertRaises(PluginRefused, loadPlugin, "plugins/nowhere")
        self.assertIn("beside plugin.py write loadPlugin(Path(__file__).parent)", str(error))
