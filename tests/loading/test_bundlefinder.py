"""Where the interpreter finds the modules of a bundle, and what it runs."""

from __future__ import annotations

import importlib
import linecache
import pkgutil
import traceback
from pathlib import Path

from twisted.python.failure import Failure

from revproxy.bundles.bundle import makeBundle, readBundle
from revproxy.loading.bundlefinder import ROOT, compileFile, finder
from revproxy.loading.loader import (
    loadBundle,
    unload,
)
from tests.loading.test_loader import PLACE, LoaderTestCase, manifest


class FinderTests(LoaderTestCase):
    """Modules of plugins that were loaded."""

    def test_modulesOfItsOwn(self) -> None:
        """Files and folders of the plugin are its modules; a folder needs no __init__.py; the package's runs first."""
        files = {"plugin.py": b"from . import FIRST\nfrom .b.c import C\nfrom .d import D\n", "a.py": b"A = 1",
                 "__init__.py": b"FIRST = 0", "b/c.py": b"from ..a import A\nC = A + 1", "d/__init__.py": b"D = 3"}
        module = loadBundle(makeBundle("p", files, PLACE), manifest())
        self.addCleanup(unload, module)
        self.assertEqual((module.main.FIRST, module.main.C, module.main.D), (0, 2, 3))

    def test_lateImport(self) -> None:
        """A module of its own can be imported later, when a function runs."""
        module = self.load("def late():\n    from .a import A\n    return A\n", a="A = 5")
        self.assertEqual(module.main.late(), 5)

    def test_compiledBefore(self) -> None:
        """What was compiled before is what runs, for late imports too; its lines are shown, and it is forgotten."""
        late = b"def late():\n    from .a import boom\n    return boom\n"
        files = {"plugin.py": late, "a.py": b"def boom():\n    1 / 0\n"}
        seen = makeBundle("p", files, PLACE)
        codes = {path: code for path in files if (code := compileFile(seen, path)) is not None}
        module = loadBundle(seen, manifest(), codes)
        boom = module.main.late()
        self.assertIn(boom.__code__, codes["a.py"].co_consts)
        try:
            boom()
        except ZeroDivisionError:
            shown = f'File "{PLACE}/a.py@{seen.digest[:12]}", line 2, in boom\n    1 / 0\n'
            self.assertIn(shown, traceback.format_exc())
        unload(module)
        self.assertNotIn(module.package, finder.codes)

    def test_compileNothing(self) -> None:
        """What cannot be compiled is left to the import."""
        files = {"a.py": b"A = = 1", "b.py": b"\xff", "c.py": b"\0", "d.py": b"(" * 100_000}
        seen = makeBundle("p", files, PLACE)
        self.assertEqual([compileFile(seen, path) for path in files], [None] * 4)

    def test_bytesNotFiles(self) -> None:
        """What the folder has become since, and byte code in it, do not matter."""
        folder = Path(self.mktemp()) / "p"
        folder.mkdir(parents=True)
        (folder / "plugin.json").write_text("{}")
        (folder / "plugin.py").write_text("from .a import A\n")
        (folder / "a.py").write_text("A = 'seen'\n")
        seen = readBundle(folder)
        (folder / "a.py").write_text("A = 'swapped'\n")
        module = loadBundle(seen, manifest())
        self.addCleanup(unload, module)
        self.assertEqual(module.main.A, "seen")

    def test_data(self) -> None:
        """Other files of the bundle are read through pkgutil, from the same bytes."""
        files = {"plugin.py": b"", "data/x.txt": b"text"}
        module = loadBundle(makeBundle("p", files, PLACE), manifest())
        self.addCleanup(unload, module)
        self.assertEqual(pkgutil.get_data(f"{module.package}.plugin", "data/x.txt"), b"text")
        self.assertRaises(OSError, pkgutil.get_data, f"{module.package}.plugin", "../../etc/passwd")

    def test_tracebackShowsLines(self) -> None:
        """Tracebacks, Twisted's too, show the lines that ran and the file they came from."""
        module = self.load("def boom():\n    raise ValueError('x')  # here\n")
        try:
            module.main.boom()
        except ValueError:
            text, failure = traceback.format_exc(), Failure()
        self.assertIn(f'File "{PLACE}/plugin.py@', text)
        self.assertIn("raise ValueError('x')  # here", text)
        linecache.checkcache()
        self.assertIn("raise ValueError('x')  # here", failure.getTraceback())

    def test_encoding(self) -> None:
        """A coding line is obeyed."""
        files = {"plugin.py": "# -*- coding: latin-1 -*-\nA = 'é'\n".encode("latin-1")}
        module = loadBundle(makeBundle("p", files, PLACE), manifest())
        self.addCleanup(unload, module)
        self.assertEqual(module.main.A, "é")

    def test_futureIsNotInherited(self) -> None:
        """The loader's own ``from __future__`` does not reach plugins."""
        module = self.load("def f(x: int) -> int: ...\n")
        self.assertIs(module.main.f.__annotations__["x"], int)

    def test_otherNames(self) -> None:
        """The finder leaves all other names, and unknown packages, alone."""
        self.load()
        self.assertRaises(ModuleNotFoundError, importlib.import_module, f"{ROOT}.nobody.plugin")
        self.assertRaises(ModuleNotFoundError, importlib.import_module, "revproxy_nothing")
