"""Libraries that a plugin brings along."""

from __future__ import annotations

import builtins
import gc
import importlib
import json
import pickle
import sys
import traceback
from importlib.metadata import distribution
from pathlib import Path
from threading import Thread
from typing import Any

from revproxy.bundles.bundle import makeBundle
from revproxy.loading.contract import PluginError
from revproxy.loading.loader import LoadedBundle, loadBundle, unload
from revproxy.loading.vendorednames import vendoredNames
from revproxy.worker.guard.culprits import Culprits
from revproxy.worker.lifecycle.unloadproof import forgetCaches
from tests.loading.test_loader import PLACE, LoaderTestCase, manifest

MOON = {
    "vendor/moon/__init__.py": """
        from dataclasses import dataclass
        from typing import get_type_hints, overload
        import moon.crater
        from . import crater as relative
        from moon.crater import DEPTH
        __version__ = "1.5"
        @dataclass
        class Phase:
            name: "str"
        @overload
        def f(a: int) -> int: ...
        @overload
        def f(a: str) -> str: ...
        def f(a): return a
        def lazily():
            import moon.sea as sea
            from tide import HIGH
            return sea.NAME, HIGH
        def hints():
            return get_type_hints(Phase)
        def made():
            space = {}
            exec("from moon.crater import DEPTH\\nimport tide", space)
            return space["DEPTH"], space["tide"].HIGH
        def boom():
            return 1 / 0
        """,
    "vendor/moon/crater.py": "DEPTH = 7\n",
    "vendor/moon/sea.py": "NAME = 'tranquility'\n",
    "vendor/moon/data/map.txt": "here be dust",
    "vendor/tide.py": "HIGH = 3\n",
    "vendor/stars/north/polaris.py": "import tide\nSEEN = tide.HIGH\n",
    "vendor/Moon_Lib-1.5.dist-info/METADATA": "Metadata-Version: 2.1\nName: moon-lib\nVersion: 1.5\n",
    "vendor/bin/moon": "#!python",
}


def dedented(text: str) -> bytes:
    return "\n".join(line.removeprefix("        ") for line in text.split("\n")).encode()


def filesOf(name: str) -> dict[str, bytes]:
    """What is installed of a distribution here, as pip puts it into ``vendor/``."""
    found = distribution(name)
    return {
        f"vendor/{path}": Path(str(found.locate_file(path))).read_bytes()
        for path in found.files or ()
        if path.suffix != ".so" and "__pycache__" not in path.parts and ".." not in path.parts
    }


class VendoringCase(LoaderTestCase):
    """Bundles with a ``vendor/``."""

    def vendored(self, main: str, files: dict[str, Any] | None = None, **more: Any) -> LoadedBundle:
        """The bundle of a plugin.py, loaded."""
        files = MOON if files is None else files
        contents = {path: dedented(text) if isinstance(text, str) else text for path, text in files.items()}
        loaded = loadBundle(makeBundle("p", {**contents, "plugin.py": main.encode()}, PLACE), manifest(**more))
        self.addCleanup(unload, loaded)
        return loaded

    def assertGone(self, loaded: list[LoadedBundle]) -> None:
        """Nothing of these is in memory; the list is emptied."""
        marks = [each.sentinel for each in loaded]
        packages = [each.package for each in loaded]
        for each in loaded:
            unload(each)
        del each
        self._cleanups.clear()
        loaded.clear()
        forgetCaches()
        gc.collect()
        self.assertEqual([mark() for mark in marks], [None] * len(marks))
        self.assertEqual([name for name in sys.modules if name.startswith(tuple(packages))], [])


class ImportTests(VendoringCase):
    """``import`` by absolute names."""

    def test_plugin(self) -> None:
        """The plugin imports modules, packages, what is in them, and folders without __init__.py."""
        main = self.vendored(
            "import moon, moon.sea, tide\nfrom moon import crater, DEPTH\nimport moon.crater as c\n"
            "from stars.north import polaris\nimport stars.north.polaris\nfrom moon import *\n"
        ).main
        self.assertEqual((main.moon.__version__, main.moon.sea.NAME, main.tide.HIGH, main.DEPTH, main.polaris.SEEN,
                          main.stars.north.polaris.SEEN, main.lazily()),
                         ("1.5", "tranquility", 3, 7, 3, 3, ("tranquility", 3)))
        self.assertIs(main.crater, main.c)

    def test_library(self) -> None:
        """A library finds itself and others: at its top, later, in any thread, and in code that it makes."""
        loaded = self.vendored("import moon\n")
        moon = loaded.main.moon
        self.assertEqual((moon.lazily(), moon.made(), moon.hints()), (("tranquility", 3), (7, 3), {"name": str}))
        self.assertIs(moon.relative, moon.crater)
        self.assertEqual(pickle.loads(pickle.dumps(moon.Phase("new"))), moon.Phase("new"))
        found: list[object] = []
        threads = [Thread(target=lambda: found.append(moon.lazily())) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(found, [("tranquility", 3)] * 8)

    def test_nobodyElse(self) -> None:
        """Nobody else can import it, and what it is called in ``sys.modules`` is its own."""
        loaded = self.vendored("import moon\n")
        self.assertEqual(loaded.main.moon.__name__, f"{loaded.package}.vendor.moon")
        self.assertNotIn("moon", sys.modules)
        self.assertRaises(ImportError, importlib.import_module, "moon")
        error = self.assertRaises(PluginError, self.vendored, "import moon\n", {})
        self.assertIn("no module named moon", str(error))

    def test_byText(self) -> None:
        """Functions that take names as text look there first, and know all else as usual."""
        main = self.vendored(
            "import importlib, importlib.util, importlib.metadata as md, importlib.resources, pkgutil\n"
            "from importlib import import_module\n"
            "from importlib.metadata import version, PackageNotFoundError, distribution\n"
            "A = import_module('moon.crater'), importlib.import_module('json'), __import__('moon.sea').sea\n"
            "find = importlib.util.find_spec\nB = find('moon').name, find('nowhere'), find('re')\n"
            "C = version('moon.lib'), md.version('moon-lib'), md.metadata('MOON_LIB')['Name'], version('packaging')\n"
            "D = importlib.resources.files('moon') / 'data' / 'map.txt', pkgutil.get_data('moon', 'data/map.txt')\n"
            "E = importlib.reload, importlib.util.spec_from_loader\n"
            "F = import_module('.crater', 'moon'), distribution('moon-lib').locate_file('moon/sea.py').read_bytes()\n"
            "try: version('nothing-of-that-name')\n"
            "except PackageNotFoundError: G = True\n"
            "H = pkgutil.resolve_name('moon.crater:DEPTH'), pkgutil.resolve_name('moon.sea.NAME')\n"
            "I = importlib.__import__('moon.sea').sea.NAME, importlib.__import__('json')\n"
        ).main
        self.assertEqual((main.A[0].DEPTH, main.A[1], main.A[2].NAME), (7, sys.modules["json"], "tranquility"))
        self.assertTrue(main.B[0].endswith(".vendor.moon"))
        self.assertEqual((main.B[1], main.B[2].name), (None, "re"))
        self.assertEqual(main.C, ("1.5", "1.5", "moon-lib", importlib.metadata.version("packaging")))
        self.assertEqual((main.D[0].read_text(), main.D[1]), ("here be dust", b"here be dust"))
        self.assertEqual(main.E, (importlib.reload, importlib.util.spec_from_loader))
        self.assertEqual((main.F[0].DEPTH, main.F[1], main.G), (7, b"NAME = 'tranquility'\n", True))
        self.assertEqual((main.H, main.I), ((7, "tranquility"), ("tranquility", json)))

    def test_entryPoints(self) -> None:
        """Those of vendored distributions are found beside those of the environment, and load what is vendored."""
        files = {**MOON, "vendor/Moon_Lib-1.5.dist-info/entry_points.txt":
                 "[console_scripts]\nmoon = moon:lazily\n[moon.seas]\nsea = moon.sea\nother = json:loads\n"}
        main = self.vendored("from importlib.metadata import entry_points\n"
                             "A = {each.name: each.load() for each in entry_points(group='moon.seas')}\n"
                             "B = {each.name for each in entry_points(group='console_scripts')}\n"
                             "(C,) = entry_points(group='console_scripts', name='moon')\n"
                             "D = len(list(entry_points()))\n", files).main
        self.assertEqual((main.A["sea"].NAME, main.A["other"]), ("tranquility", json.loads))
        self.assertTrue({"moon", "revproxy"} <= main.B)
        self.assertEqual(main.C.load()(), ("tranquility", 3))
        self.assertTrue(main.D)

    def test_names(self) -> None:
        """Modules, packages and folders; neither what else pip installs nor what is no name."""
        self.assertEqual(vendoredNames(makeBundle("p", dict.fromkeys(MOON, b""))), {"moon", "tide", "stars"})

    def test_reserved(self) -> None:
        """What the edge is made of cannot be there twice."""
        error = self.assertRaises(PluginError, self.vendored, "", {"vendor/zope/interface/__init__.py": b""})
        self.assertEqual((error.where, error.message), (
            f"{PLACE}/vendor/zope", "zope is what the edge itself is made of, and cannot be there twice; delete it "
            "from vendor/ (pip install --no-deps installs a library alone)"))

    def test_shared(self) -> None:
        """What changes `typing` for everybody is the environment's, whatever is vendored."""
        main = self.vendored("import typing_extensions as it\n", {
            "vendor/typing_extensions.py": "1 / 0\n",
            "vendor/typing_extensions-99.dist-info/METADATA": "Name: typing_extensions\nVersion: 99\n"}).main
        self.assertIs(main.it, sys.modules["typing_extensions"])

    def test_without(self) -> None:
        """A plugin without a vendor/ has the builtins that everybody has."""
        loaded = self.vendored("def f(): pass\n", {})
        self.assertIs(loaded.main.f.__builtins__, vars(builtins))


class TwiceTests(VendoringCase):
    """Two plugins with a library each, and what is left of them."""

    def test_twoVersions(self) -> None:
        """Two versions of one library work at once; both are unloaded with their plugins."""
        other = {**MOON, "vendor/moon/crater.py": "DEPTH = 99\n"}
        loaded = [self.vendored("from moon import made, f\n"), self.vendored("from moon import made, f\n", other)]
        self.assertEqual([each.main.made()[0] for each in loaded], [7, 99])
        self.assertGone(loaded)

    def test_realOnes(self) -> None:
        """PyJWT in two versions at once, also beside that of the environment; nothing of them stays."""
        code = ("import jwt\nfrom importlib.metadata import version\nfrom jwt.algorithms import HMACAlgorithm\n"
                "def work():\n"
                "    token = jwt.encode({'sub': 'a'}, 'k' * 40, algorithm='HS256')\n"
                "    return jwt.__version__, version('pyjwt'), jwt.decode(token, 'k' * 40, algorithms=['HS256'])\n")
        new = filesOf("pyjwt")
        number = importlib.metadata.version("pyjwt")
        old = {path.replace(number, "2.8.0"): content.replace(number.encode(), b"2.8.0")
               for path, content in new.items()}
        jwt = importlib.import_module("jwt")
        loaded = [self.vendored(code, new), self.vendored(code, old)]
        self.assertEqual([each.main.work() for each in loaded],
                         [(number, number, {"sub": "a"}), ("2.8.0", "2.8.0", {"sub": "a"})])
        self.assertIsNot(loaded[0].main.jwt, jwt)
        self.assertIs(sys.modules["jwt"], jwt)
        self.assertGone(loaded)

    def test_jinja(self) -> None:
        """Jinja2, which makes code; MarkupSafe without its machine code; templates among the plugin's files."""
        code = ("from importlib.resources import files\nfrom jinja2 import Environment, FunctionLoader\n"
                "from markupsafe import escape\n"
                "def load(name):\n    return (files(__package__) / 'templates' / name).read_text()\n"
                "pages = Environment(loader=FunctionLoader(load), autoescape=True)\n"
                "def work():\n    return pages.get_template('page.html').render(who='<you>')\n")
        files = {**filesOf("jinja2"), **filesOf("markupsafe"),
                 "templates/page.html": b"{% extends 'base.html' %}{% block a %}hello {{ who }}{% endblock %}",
                 "templates/base.html": b"<p>{% block a %}{% endblock %}</p>"}
        loaded = [self.vendored(code, files)]
        self.assertEqual(loaded[0].main.work(), "<p>hello &lt;you&gt;</p>")
        self.assertTrue(loaded[0].main.escape("").__class__.__module__.startswith(loaded[0].package))
        self.assertGone(loaded)

    def test_traces(self) -> None:
        """What a library has put into the interpreter under its own names is taken out again."""
        library = """
            import sys
            class Finder:
                def find_spec(self, name, path=None, target=None): return None
            sys.meta_path.append(Finder())
            sys.modules["moonshine.alias"] = sys.modules[__name__]
            import copyreg
            copyreg.pickle(Finder, lambda finder: (Finder, ()))
            """
        before = list(sys.meta_path)
        loaded = [self.vendored("import odd\n", {"vendor/odd.py": "\n".join(
            line.strip() if "find_spec" not in line else "    " + line.strip() for line in library.split("\n")
        )})]
        self.assertIn("moonshine.alias", sys.modules)
        self.assertGone(loaded)
        self.assertNotIn("moonshine.alias", sys.modules)
        self.assertEqual(sys.meta_path, before)


class BlameTests(VendoringCase):
    """Whose code it is."""

    def test_tracebacks(self) -> None:
        """Its lines are shown; a failure in it is told with the line of the plugin's own that led there."""
        loaded = self.vendored("import moon\ndef go():\n    moon.boom()\n")
        try:
            loaded.main.go()
        except ZeroDivisionError:
            self.assertIn("/vendor/moon/__init__.py@", traceback.format_exc())
            self.assertIn("return 1 / 0", traceback.format_exc())
        error = self.assertRaises(PluginError, self.vendored, "import moon\nmoon.boom()\n")
        self.assertEqual(error.where, f"{PLACE}/plugin.py:2")

    def test_culprit(self) -> None:
        """Its modules are the plugin's to whoever looks for who holds the event loop."""
        loaded = self.vendored("import moon\n")
        culprits = Culprits()

        class Version:
            module = loaded

        version: Any = Version()
        culprits.loading(version)
        culprits.loading(None)
        self.assertIs(culprits.versionOf(loaded.main.moon.__name__), version)
