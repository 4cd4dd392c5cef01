"""What of a plugin's folder is no part of the plugin."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.bundles.bundle import BundleReader, readBundle
from revproxy.bundles.folderreader import MAX_TEST_BYTES
from revproxy.bundles.ignorerules import (
    LONGEST,
    MAX_FILE,
    MAX_LINES,
    MAX_PATH,
    IgnoreRules,
    Part,
    isPassing,
)
from revproxy.config.problems import ConfigErrors
from tests.bundles.test_bundle import BundleTestCase


class UsualTests(SynchronousTestCase):
    """Where there is no .pluginignore."""

    def partOf(self, path: str, isFolder: bool = False) -> Part:
        return IgnoreRules().forWalk()(path, isFolder)

    def test_plugin(self) -> None:
        """Code and data are part of it, also those that only look like documents or tests."""
        for path in ("plugin.py", "plugin.json", ".pluginignore", "page.md", "words.txt", "inner/README.md",
                     "latest.py", "contest.py", "notes.txt", "README.html", "NEWS.json", "tests", "docs", "a/x.py",
                     "vendor/aiohttp/test_utils.py", "vendor/README.md"):
            self.assertEqual(self.partOf(path), Part.PLUGIN, path)
        for path in ("inner", "inner/docs", "vendor", "vendor/jinja2/tests", "vendor/docs"):
            self.assertEqual(self.partOf(path, True), Part.PLUGIN, path)

    def test_documents(self) -> None:
        """Documents at the top have well-known names."""
        for path in ("README", "README.md", "NOTES.md", "notes.md", "CHANGELOG.rst", "LICENSE", "LICENSE.txt", "TODO"):
            self.assertEqual(self.partOf(path), Part.NOTHING, path)
        self.assertEqual(self.partOf("docs", True), Part.NOTHING)

    def test_tests(self) -> None:
        """Tests are told from what nobody wants."""
        for path in ("test_plugin.py", "plugin_test.py", "conftest.py", "inner/test_x.py"):
            self.assertEqual(self.partOf(path), Part.TEST, path)
        self.assertEqual(self.partOf("tests", True), Part.TEST)

    def test_leftBehind(self) -> None:
        """What tools leave behind, anywhere, vendored or not."""
        for name in (".git", ".hidden", ".plugin.py.swp", ".#plugin.py", "__pycache__", "x.pyc", "plugin.py~", "4913",
                     "#plugin.py#", "x.orig", "x.rej", "x.bak", "x.tmp", "x.old", "x.save", "plugin.py___jb_tmp___",
                     ".pluginignore.swp", ".pytest_cache", ".mypy_cache", ".DS_Store", ".venv"):
            self.assertTrue(isPassing(name), name)
            for path in (name, f"inner/{name}", f"vendor/{name}"):
                self.assertEqual((self.partOf(path), self.partOf(path, True)), (Part.NOTHING,) * 2, path)

    def test_reason(self) -> None:
        """Whoever misses a file is told why, and what to do."""
        rules = IgnoreRules(b"\n*.csv\n", "p/.pluginignore")
        self.assertEqual(rules.reason("plugin.py"), "")
        self.assertEqual(rules.reason("inner/a.csv"), '"inner/a.csv" is passed over by p/.pluginignore:2: *.csv')
        self.assertEqual(
            rules.reason("tests/inner/helper.py"),
            '"tests" is passed over as a test; to have it, put the line !/tests/ into .pluginignore',
        )
        self.assertEqual(
            rules.reason("README.md"),
            '"README.md" is passed over as documentation; to have it, put the line !/README.md into .pluginignore',
        )
        self.assertIn("never part of a plugin", rules.reason("__pycache__/x.py"))


class PatternTests(SynchronousTestCase):
    """The lines of .pluginignore."""

    def partOf(self, text: str, path: str, isFolder: bool = False) -> Part:
        return IgnoreRules(text.encode()).forWalk()(path, isFolder)

    def refused(self, data: bytes) -> list[str]:
        error = self.assertRaises(ConfigErrors, IgnoreRules, data, "p/.pluginignore")
        return str(error).splitlines()

    def test_asInGit(self) -> None:
        """Patterns mean what they mean in .gitignore."""
        text = "# comment\n\n*.csv\r\n/top.txt\nbuild/\n!keep.csv\na/**/b\n\\#x\n"
        for path, part in (
            ("x.csv", Part.NOTHING), ("in/x.csv", Part.NOTHING), ("keep.csv", Part.PLUGIN), ("top.txt", Part.NOTHING),
            ("in/top.txt", Part.PLUGIN), ("build", Part.PLUGIN), ("a/x/y/b", Part.NOTHING), ("#x", Part.NOTHING),
        ):
            self.assertEqual(self.partOf(text, path), part, path)
        self.assertEqual(self.partOf(text, "in/build", True), Part.NOTHING)

    def test_takenBack(self) -> None:
        """What is passed over without it is taken back by a line with an exclamation mark."""
        text = "!/README.md\n!/tests/\n!test_data.py\n!docs\n"
        for path, isFolder in (("README.md", False), ("tests", True), ("tests/x.py", False), ("test_data.py", False),
                               ("docs", True)):
            self.assertEqual(self.partOf(text, path, isFolder), Part.PLUGIN, path)
        self.assertEqual(self.partOf(text, "test_other.py"), Part.TEST)

    def test_testsNamed(self) -> None:
        """Tests that a line names are passed over altogether."""
        self.assertEqual(self.partOf("tests/\n", "tests", True), Part.NOTHING)

    def test_never(self) -> None:
        """What the plugin is made of cannot be passed over, and what tools leave behind cannot be taken back."""
        for path in ("plugin.py", "plugin.json", ".pluginignore"):
            self.assertEqual(self.partOf("*\n", path), Part.PLUGIN)
        self.assertEqual(self.partOf("!*\n!**\n", ".git", True), Part.NOTHING)
        self.assertEqual(self.refused(b"a\n!.well-known/\n!*.pyc\n"), [
            'p/.pluginignore:2:1: ".well-known" is hidden, or left behind by a tool: that is never part of a plugin',
            'p/.pluginignore:3:1: "*.pyc" is hidden, or left behind by a tool: that is never part of a plugin',
        ])

    def test_refused(self) -> None:
        """Lines that will not do are refused, all of them, each with its number."""
        lines = [b"ok", b"*a*a*a*a", b"x" * 201, b"a[", b"!", b"/", b"a/**b**", b"**/*/*/**/", b"a[[:digit:]]"]
        found = self.refused(b"\n".join(lines))
        self.assertEqual([line.split(":")[1] for line in found], ["2", "3", "4", "5", "6", "7", "8", "9"])
        self.assertEqual(found[0], 'p/.pluginignore:2:1: "*a*a*a*a" has more than 3 stars; write several lines')
        self.assertEqual(self.refused(b"a\n\xff\n"), ["p/.pluginignore:2:1: is not UTF-8"])
        self.assertEqual(self.refused(b"x\n" * (MAX_LINES + 1)), [
            f"p/.pluginignore:{MAX_LINES + 1}:1: there are more than {MAX_LINES} lines"])

    def test_hostile(self) -> None:
        """The worst pattern that is taken, on the worst path, holds nothing up."""
        for pattern in ("*a*a*b", "**/a/**/a/**/b", "*[ab]*[ab]*c", "*?*?*b", "**a*b", "**?b*c", "?*?*?*[!a]"):
            for path in ("a" * MAX_PATH, "a/" * (MAX_PATH // 2) + "a", ("a" * 15 + "/") * 15 + "a" * 15):
                began = time.process_time()
                self.partOf(pattern, path)
                self.assertLess(time.process_time() - began, 0.2, (pattern, path[:20]))

    def test_longPath(self) -> None:
        """A path that no pattern may be compared with is refused; without patterns it is not."""
        path = "a" * (MAX_PATH + 1)
        self.assertIn("more than 255 characters", str(self.assertRaises(ConfigErrors, self.partOf, "x", path)))
        self.assertEqual(self.partOf("", path), Part.PLUGIN)

    def test_time(self) -> None:
        """All comparisons of a walk together have their time, too; the next walk has its own."""
        now = iter(range(1000))
        rules = IgnoreRules(b"x", "p/.pluginignore", lambda: next(now) * LONGEST / 2)
        walk = rules.forWalk()
        walk("a", False)
        walk("b", False)
        error = self.assertRaises(ConfigErrors, walk, "c", False)
        self.assertIn("p/.pluginignore: comparing it with the folder takes more than 2 s", str(error))
        self.assertEqual(rules.forWalk()("d", False), Part.PLUGIN)


class FolderTests(BundleTestCase):
    """A folder with such things in it."""

    def setUp(self) -> None:
        super().setUp()
        self.before = readBundle(self.folder)

    def test_noDifference(self) -> None:
        """Notes, tests and what editors leave make no other version of a plugin."""
        for path in ("NOTES.md", "README.md", "docs/a/b.md", "test_plugin.py", "conftest.py", "tests/data.json",
                     ".gitignore", ".git/config", "plugin.py~"):
            self.write(path, "x")
        self.assertEqual(readBundle(self.folder), self.before)

    def test_itself(self) -> None:
        """A .pluginignore counts, and so does what it takes back."""
        self.write(".pluginignore", "*.csv\n")
        first = readBundle(self.folder)
        self.assertNotEqual(first.digest, self.before.digest)
        self.write("a.csv", "x")
        self.assertEqual(readBundle(self.folder), first)
        self.write(".pluginignore", "")
        self.assertIn("a.csv", readBundle(self.folder).files)

    def test_neverRead(self) -> None:
        """What is passed over is not opened: it may be anything."""
        self.write(".pluginignore", "big/\n*.sock\n")
        first = readBundle(self.folder)
        (self.folder / "README.md").symlink_to("nowhere")
        (self.folder / "big").mkdir()
        os.mkfifo(self.folder / "big" / "pipe")
        os.mkfifo(self.folder / "x.sock")
        os.mkfifo(self.folder / "NOTES.md")
        (self.folder / "docs").mkdir()
        (self.folder / "docs" / "loop").symlink_to("loop")
        opened: list[object] = []
        real = os.open

        def recording(path: object, *args: object, **options: object) -> int:
            opened.append(path)
            return real(path, *args, **options)  # type: ignore[arg-type]

        self.patch(os, "open", recording)
        self.assertEqual(readBundle(self.folder), first)
        self.assertEqual({"README.md", "big", "x.sock", "NOTES.md", "docs"} & set(opened), set())

    def test_tests(self) -> None:
        """Tests come along, and are no part of it."""
        self.write("test_plugin.py", "t")
        self.write("tests/inner/data.json", "d")
        self.write("tests/__pycache__/x.pyc", "junk")
        bundle = readBundle(self.folder)
        self.assertEqual(bundle, self.before)
        self.assertEqual(bundle.tests, {"test_plugin.py": b"t", "tests/inner/data.json": b"d"})
        self.write(".pluginignore", "tests/\n")
        self.assertEqual(list(readBundle(self.folder).tests), ["test_plugin.py"])

    def test_testsUnreadable(self) -> None:
        """Tests that cannot be had make no difference; half of them are none."""
        def tooMuch() -> None:
            self.write("tests/large.bin", "x" * (MAX_TEST_BYTES + 1))

        def tooMany() -> None:
            for number in range(201):
                self.write(f"tests/{number}.txt", "")

        def linked() -> None:
            self.write("tests/x.py", "")
            (self.folder / "tests" / "link").symlink_to("loop")

        def replaced() -> None:
            (self.folder / "tests").symlink_to("/etc")

        self.write("test_plugin.py", "t")
        for change in (tooMuch, tooMany, linked):
            change()
            bundle = readBundle(self.folder)
            self.assertEqual((bundle, bundle.tests), (self.before, {}))
            for path in sorted((self.folder / "tests").iterdir()):
                path.unlink()
        (self.folder / "tests").rmdir()
        replaced()
        self.assertIn("tests: is a symbolic link", self.refused())

    def test_testDenied(self) -> None:
        """A test that may not be read is no reason to refuse, nor to read again and again."""
        self.write("test_plugin.py", "t")
        real, opened = os.open, []

        def denied(path: str, *args: object, **options: object) -> int:
            opened.append(path)
            if path == "test_plugin.py":
                raise PermissionError(13, "Permission denied")
            return real(path, *args, **options)  # type: ignore[arg-type]

        self.patch(os, "open", denied)
        bundle = readBundle(self.folder)
        self.assertEqual((bundle, bundle.tests), (self.before, {}))
        self.assertEqual(opened.count("plugin.py"), 1)

    def test_large(self) -> None:
        """A .pluginignore that is too large, or no file, is refused by its name."""
        place = self.folder / ".pluginignore"
        self.write(".pluginignore", "#" * (MAX_FILE + 1))
        self.assertEqual(self.refused(), f"{place}: cannot be read: it has more than 16384 bytes, the most it may have")
        place.unlink()
        place.symlink_to("plugin.py")
        self.assertIn(f"{place}: cannot be read: it is a symbolic link", self.refused())


class ReaderTests(BundleTestCase):
    """`BundleReader`."""

    def setUp(self) -> None:
        super().setUp()
        self.reader = BundleReader(lambda: time.time() + 60)

    def after(self, change: Callable[[], object]) -> tuple[bool, bool]:
        """Whether a change gives another bundle, and another digest."""
        before = self.reader.read(self.folder)
        change()
        bundle = self.reader.read(self.folder)
        return bundle is not before, bundle.digest != before.digest

    def test_rules(self) -> None:
        """Other rules are noticed, and what they take back."""
        self.write("a.csv", "x")
        self.assertEqual(self.after(lambda: self.write(".pluginignore", "*.csv")), (True, True))
        self.assertEqual(self.after(lambda: self.write("b.csv", "x")), (False, False))
        self.assertEqual(self.after(lambda: self.write(".pluginignore", "a.csv")), (True, True))
        self.assertEqual(self.after(Path(self.folder / ".pluginignore").unlink), (True, True))

    def test_tests(self) -> None:
        """Other tests are another bundle with the same digest."""
        self.assertEqual(self.after(lambda: self.write("test_a.py", "1")), (True, False))
        self.assertEqual(self.after(lambda: self.write("test_a.py", "22")), (True, False))
        self.assertEqual(self.reader.read(self.folder).tests, {"test_a.py": b"22"})
        self.assertEqual(self.after(lambda: self.write("README.md", "x")), (False, False))
