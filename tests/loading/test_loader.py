"""Loading: which code runs, under which name, and how it fails."""

from __future__ import annotations

import gc
import linecache
import logging
import sys
import textwrap
import traceback
import weakref
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.bundles.bundle import Bundle, makeBundle
from revproxy.config.manifest import Manifest, manifestFromMapping
from revproxy.dropin import DropIn
from revproxy.interfaces import IMiddleware
from revproxy.loading.bundlefinder import ROOT, SENTINEL
from revproxy.loading.contract import PluginError
from revproxy.loading.loader import LoadedBundle, instantiate, instantiateFactory, loadBundle, unload

GOOD = """\
from zope.interface import implementer
from revproxy.interfaces import IMiddleware

@implementer(IMiddleware)
class Middleware:
    name = "p"
    def __init__(self, config):
        self.config = config
    def handle(self, context):
        return True

def PluginMain(config):
    return Middleware(config)
"""
PLACE = Path("/nowhere/plugins/p")


def bundle(main: str = GOOD, **others: str) -> Bundle:
    """A bundle of plugin.py and other files; ``_`` in their names is ``/``."""
    files = {"plugin.json": b"{}", "plugin.py": textwrap.dedent(main).encode()}
    files |= {name.replace("_", "/") + ".py": textwrap.dedent(text).encode() for name, text in others.items()}
    return makeBundle("p", files, PLACE)


def manifest(**more: Any) -> Manifest:
    """A manifest of the plugin ``p-q``."""
    return manifestFromMapping({"name": "p-q", "version": "1", **more}, "p/plugin.json")


class LoaderTestCase(SynchronousTestCase):
    """Leaves no module behind."""

    def load(self, main: str = GOOD, **others: str) -> LoadedBundle:
        """Load, and unload at the end of the test."""
        module = loadBundle(bundle(main, **others), manifest())
        self.addCleanup(unload, module)
        return module

    def refused(self, main: str, config: dict[str, Any] | None = None, **others: str) -> PluginError:
        """The error with which a plugin.py is refused, at import or when it is made."""
        with self.assertRaises(PluginError) as caught:
            instantiate(self.load(main, **others), manifest(), config or {})
        return caught.exception


class ImportTests(LoaderTestCase):
    """`loadBundle` and `unload`."""

    def test_ownNames(self) -> None:
        """Each load is a package of its own, also of the same bytes."""
        one, two = self.load(), self.load()
        self.assertRegex(one.package, rf"^{ROOT}\.p_q_{one.bundle.digest[:12]}_\d+$")
        self.assertNotEqual(one.package, two.package)
        self.assertIsNot(one.main, two.main)
        self.assertIs(sys.modules[f"{one.package}.plugin"], one.main)

    def test_unload(self) -> None:
        """Nothing is left: neither modules nor lines, and the module is freed."""
        module = loadBundle(bundle("from . import a\nclass C: pass\n", a="A = 1"), manifest())
        package, filename = module.package, module.main.__file__
        gone = weakref.ref(module.main.C)
        self.assertIn(filename, linecache.cache)
        unload(module)
        self.assertEqual([name for name in sys.modules if name.startswith(package)], [])
        self.assertNotIn(filename, linecache.cache)
        self.assertFalse(hasattr(sys.modules[ROOT], package.partition(".")[2]))
        del module
        gc.collect()
        self.assertIsNone(gone())

    def test_unloadKeepsOthers(self) -> None:
        """Another load of the same bytes keeps its lines and its modules."""
        one, two = loadBundle(bundle(), manifest()), self.load()
        unload(one)
        unload(one)
        self.assertIn(two.main.__file__, linecache.cache)
        self.assertIn(two.package, sys.modules)


class ImportErrorTests(LoaderTestCase):
    """Plugins that cannot be imported."""

    def test_syntax(self) -> None:
        """A syntax error stands at its file, line and column; so in modules of the plugin's own."""
        self.assertEqual(str(self.refused("x = 1\ny = = 2\n")),
                         f"{PLACE}/plugin.py:2:5: SyntaxError: invalid syntax (plugin p-q)")
        self.assertTrue(self.refused("from . import a\n", a="\n\nif:\n").where.startswith(f"{PLACE}/a.py:3:"))
        self.assertTrue(self.refused("x = '\0'").where.startswith(f"{PLACE}/plugin.py:1:"))

    def test_syntaxElsewhere(self) -> None:
        """A syntax error of what the plugin compiles itself stands where it does so."""
        self.assertEqual(self.refused("\neval('=')\n").where, f"{PLACE}/plugin.py:2")

    def test_notText(self) -> None:
        """Bytes that are no text are a syntax error of their file."""
        error = self.assertRaises(PluginError, loadBundle, makeBundle("p", {"plugin.py": b"\xff"}, PLACE), manifest())
        self.assertIn(f"{PLACE}/plugin.py:1:1: SyntaxError: cannot be decoded", str(error))

    def test_raises(self) -> None:
        """An exception is chained and stands at the plugin's innermost line."""
        error = self.refused("import json\n\ndef f():\n    json.loads('')\n\nf()\n")
        self.assertEqual(error.where, f"{PLACE}/plugin.py:4")
        self.assertIn("importing it raised JSONDecodeError: Expecting value", error.message)
        self.assertIsInstance(error.__cause__, ValueError)

    def test_exit(self) -> None:
        """SystemExit at import is an error like any other, and so is what looks like somebody's Ctrl-C."""
        self.assertIn("importing it raised SystemExit: 3", str(self.refused("raise SystemExit(3)")))
        self.assertIn("importing it raised KeyboardInterrupt", str(self.refused("raise KeyboardInterrupt")))

    def test_sibling(self) -> None:
        """An absolute import of a file of its own says how it is written."""
        error = self.refused("import helper\n", helper="")
        self.assertEqual(str(error), f"{PLACE}/plugin.py:1: no module named helper; a file of the plugin itself is "
                         "imported as: from . import helper (plugin p-q)")

    def test_siblingByPath(self) -> None:
        """A file of its own, imported as a module of everybody's, would never be replaced: refused, each time."""
        root = Path(self.mktemp()).absolute()
        folder = root / "somewhere" / "p"
        folder.mkdir(parents=True)
        (folder / "words.py").write_text("")
        self.addCleanup(sys.path.remove, str(root))
        sys.path.append(str(root))
        own = makeBundle("p", {"plugin.json": b"{}", "plugin.py": b"import somewhere.p.words", "words.py": b""}, folder)
        for _ in range(2):
            error = self.assertRaises(PluginError, loadBundle, own, manifest())
            self.assertEqual(error.message, "somewhere.p.words is a file of the plugin itself, and would stay as it is "
                             "when the plugin is replaced; import it as: from . import words")
            self.assertNotIn("somewhere.p.words", sys.modules)

    def test_passedOver(self) -> None:
        """A module whose file is no part of a plugin by its name: why, and what to do."""
        for code in ("from . import test_data\n", "from .test_data import x\n", "import test_data\n"):
            error = self.refused(code)
            self.assertIn('if it is in the plugin\'s folder: "test_data.py" is passed over as a test; to have it, put '
                          "the line !/test_data.py into .pluginignore", str(error))
        self.assertNotIn("folder", str(self.refused("from . import data\n")))

    def test_dataPassedOver(self) -> None:
        """The same for a file that is read."""
        error = self.refused("import pkgutil\npkgutil.get_data(__name__, 'README.md')\n")
        self.assertIn('"README.md" is passed over as documentation', str(error))

    def test_absentModule(self) -> None:
        """Any other absent module is named."""
        self.assertIn("-m pip install nothing-of-this-name", str(self.refused("import nothing_of_this_name\n")))

    def test_nothingLeft(self) -> None:
        """A failed import leaves no module."""
        before = set(sys.modules)
        self.refused("from . import a\nraise ValueError\n", a="")
        self.assertEqual({name for name in set(sys.modules) - before if name.startswith(f"{ROOT}.")}, set())


class InstantiateTests(LoaderTestCase):
    """`instantiate`."""

    def test_sound(self) -> None:
        """The entry point is given a copy of the configuration of its own."""
        config = {"a": {"b": 1}}
        made = instantiate(self.load(), manifest(), config)
        self.assertTrue(IMiddleware.providedBy(made))
        made.config["a"]["b"] = 2
        self.assertEqual(config, {"a": {"b": 1}})

    def test_entryPoint(self) -> None:
        """Another name, also of a class, will do; a missing or uncallable one will not."""
        made = instantiate(self.load(), manifest(entry_point="Middleware"), {})
        self.assertEqual(made.name, "p")
        self.assertIn("there is no PluginMain, the entry_point of plugin.json", str(self.refused("")))
        self.assertIn("PluginMain is no function or class", str(self.refused("PluginMain = 5")))

    def test_raises(self) -> None:
        """An exception of the entry point stands at the plugin's line."""
        error = self.refused("def PluginMain(config):\n    return config['rate']\n")
        self.assertEqual(str(error), f"{PLACE}/plugin.py:2: PluginMain raised KeyError: 'rate' (plugin p-q)")
        self.assertIn("PluginMain raised SystemExit", str(self.refused("def PluginMain(config): raise SystemExit\n")))
        own = self.refused("def PluginMain(config): raise TypeError('no')\n")
        self.assertIn("PluginMain raised TypeError: no", str(own))
        self.assertIn("plugin.py: PluginMain is given the configuration and nothing else, and does not take that: "
                      "PluginMain() takes 0 positional", str(self.refused("def PluginMain(): pass\n")))

    def test_dropIn(self) -> None:
        """Drop-ins are made and verified alike; errors name their module."""
        good = manifestFromMapping({"name": "p", "version": "1"}, "some.module")
        error = self.assertRaises(PluginError, instantiateFactory, DropIn({}, lambda config: None), good, {})
        self.assertEqual(str(error), "some.module: create returned nothing; "
                         "return an object that provides IMiddleware (plugin p)")
        error = self.assertRaises(PluginError, instantiateFactory, DropIn({}, lambda config: config["x"]), good, {})
        self.assertEqual(str(error), "some.module: create raised KeyError: 'x' (plugin p)")


class UnloadTests(SynchronousTestCase):
    """What `unload` leaves, which is nothing."""

    def sentinelOf(self, main: str, **others: str) -> weakref.ref[Any]:
        """The sentinel of a plugin that was loaded, made, and unloaded again."""
        module = loadBundle(bundle(main, **others), manifest())
        instantiate(module, manifest(), {})
        sentinel = module.sentinel
        self.assertIsNotNone(sentinel())
        unload(module)
        return sentinel

    def test_sentinel(self) -> None:
        """All modules of a load have the same sentinel, another load has another; the finder lets go of it."""
        one = loadBundle(bundle("from . import a\n", a="A = 1"), manifest())
        two = loadBundle(bundle("from . import a\n", a="A = 1"), manifest())
        marks = [vars(module)[SENTINEL] for module in (one.main, one.main.a, sys.modules[one.package])]
        self.assertEqual({id(mark) for mark in marks}, {id(one.sentinel())})
        self.assertIsNot(one.sentinel(), two.sentinel())
        gone = one.sentinel
        kept = one.main.a.__dict__
        for module in (one, two):
            unload(module)
        del one, two, module, marks
        gc.collect()
        self.assertIsNotNone(gone(), "globals that are kept keep it")
        del kept
        gc.collect()
        self.assertIsNone(gone())

    def test_loggers(self) -> None:
        """Loggers by the modules' names are forgotten, with their handlers."""
        text = "import logging\nlogging.getLogger(__name__).addHandler(logging.Handler())\n" + GOOD
        before = set(logging.root.manager.loggerDict)
        gone = self.sentinelOf(text)
        gc.collect()
        self.assertIsNone(gone())
        self.assertEqual({name for name in set(logging.root.manager.loggerDict) - before if "." in name}, set())
        root = logging.root.manager.loggerDict[ROOT]
        assert isinstance(root, logging.PlaceHolder)
        self.assertEqual(list(root.loggerMap), [])

    def test_lateLines(self) -> None:
        """Lines that a traceback reads after the unload go with the next one."""
        module = loadBundle(bundle("def f():\n    1 / 0\n" + GOOD), manifest())
        late = module.main.f
        unload(module)
        try:
            late()
        except ZeroDivisionError:
            traceback.format_exc()
        unload(loadBundle(bundle(), manifest()))
        self.assertEqual([name for name in linecache.cache if str(PLACE) in name], [])

    def test_errorKept(self) -> None:
        """The texts of an error keep nothing; the traceback is among them."""
        kept: list[str] = []
        gone: list[weakref.ref[Any]] = []

        def fails() -> None:
            module = loadBundle(bundle("def PluginMain(config):\n    raise ValueError('no')\n"), manifest())
            gone.append(module.sentinel)
            try:
                instantiate(module, manifest(), {})
            except PluginError as error:
                kept.extend([error.where, error.message, error.details])
            finally:
                unload(module)

        fails()
        gc.collect()
        self.assertIsNone(gone[0]())
        self.assertIn("    raise ValueError('no')\n", kept[2])

    def test_hundreds(self) -> None:
        """Loading and unloading the same plugin again and again does not add up."""

        def objects() -> int:
            gc.collect()
            return len(gc.get_objects())

        text = "from typing import List, Optional\nimport logging\nlog = logging.getLogger(__name__)\n" + GOOD
        gone = [self.sentinelOf(text, a="A = 1") for _ in range(5)]
        before, lines = objects(), len(linecache.cache)
        gone += [self.sentinelOf(text, a="A = 1") for _ in range(300)]
        after = objects() - 300  # the weak references
        self.assertEqual([one for one in gone if one() is not None], [])
        self.assertLess(after - before, 100)
        self.assertEqual(len(linecache.cache), lines)
