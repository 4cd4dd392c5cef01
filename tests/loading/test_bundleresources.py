"""The files of a bundle for `importlib.resources`."""

from __future__ import annotations

import importlib.resources
import pkgutil

from twisted.trial.unittest import SynchronousTestCase

from revproxy.bundles.bundle import makeBundle
from revproxy.loading.bundleresources import BundleFile
from revproxy.loading.loader import loadBundle, unload
from tests.loading.test_loader import PLACE, LoaderTestCase, manifest

FILES = {"a.txt": b"gr\xc3\xbc\xc3\x9fe\n", "deep/er/b.bin": b"\0\1", "deep/c.txt": b"c", "plugin.py": b""}


class TreeTests(SynchronousTestCase):
    """`BundleFile`."""

    def setUp(self) -> None:
        self.root = BundleFile(makeBundle("p", FILES, PLACE))

    def test_walk(self) -> None:
        """Folders list what is in them, each once; files have content."""
        self.assertEqual(sorted(each.name for each in self.root.iterdir()), ["a.txt", "deep", "plugin.py"])
        self.assertEqual(sorted(each.name for each in (self.root / "deep").iterdir()), ["c.txt", "er"])
        self.assertEqual((self.root.is_dir(), (self.root / "deep").is_dir(), (self.root / "a.txt").is_dir()),
                         (True, True, False))
        self.assertEqual(((self.root / "a.txt").is_file(), (self.root / "deep").is_file()), (True, False))
        self.assertEqual((self.root.name, str(self.root / "deep" / "c.txt")), ("p", f"{PLACE}/deep/c.txt"))

    def test_read(self) -> None:
        """As text, as bytes, and as open files."""
        text = self.root.joinpath("a.txt")
        self.assertEqual((text.read_text(), text.read_bytes()), ("grüße\n", FILES["a.txt"]))
        with text.open(encoding="utf-8") as file:
            self.assertEqual(list(file), ["grüße\n"])
        with self.root.joinpath("deep/er", "b.bin").open("rb") as file:
            self.assertEqual(file.read(), b"\0\1")

    def test_nothing(self) -> None:
        """What is not there, what is above it, and writing."""
        self.assertRaises(FileNotFoundError, (self.root / "none").read_bytes)
        self.assertRaises(NotADirectoryError, lambda: list((self.root / "a.txt").iterdir()))
        self.assertRaises(FileNotFoundError, (self.root / "../../../etc/passwd").read_bytes)
        self.assertRaises(ValueError, (self.root / "a.txt").open, "w")


class ResourceTests(LoaderTestCase):
    """What plugins write."""

    def test_plugin(self) -> None:
        """Files beside plugin.py, and those of a folder with modules in it."""
        code = ("from importlib.resources import as_file, files\nimport importlib.resources as r, pkgutil\n"
                "A = files(__package__).joinpath('a.txt').read_text()\n"
                "B = files(__package__ + '.pages').joinpath('b.txt').read_bytes()\n"
                "C = r.read_text(__package__, 'a.txt')\nD = pkgutil.get_data(__name__, 'pages/b.txt')\n"
                "with as_file(files(__package__) / 'a.txt') as path: E = path.read_text()\n")
        files = {"plugin.py": code.encode(), "a.txt": b"a", "pages/b.txt": b"b", "pages/__init__.py": b""}
        loaded = loadBundle(makeBundle("p", files, PLACE), manifest())
        self.addCleanup(unload, loaded)
        main = loaded.main
        self.assertEqual((main.A, main.B, main.C, main.D, main.E), ("a", b"b", "a", b"b", "a"))


assert importlib.resources and pkgutil
