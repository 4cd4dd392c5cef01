"""Machine code among the files of a plugin."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.bundles.bundle import readBundle
from revproxy.bundles.nativecode import nativeProblems
from revproxy.config.problems import ConfigErrors


class NativeCodeTests(SynchronousTestCase):
    """Files that an interpreter loads by their path."""

    def test_which(self) -> None:
        """By the ends of their names, wherever they are."""
        native = ["a.so", "b/c.cpython-311-x86_64-linux-gnu.so", "libx.so.1.2", "d.pyd", "e.dylib", "f.dll"]
        others = ["so", "a.so.py", "a.sol", "so/b.py", "c.soup", "plugin.py"]
        found = [problem.source for problem in nativeProblems(Path("/p"), [*native, *others])]
        self.assertEqual(found, [f"/p/{path}" for path in native])

    def test_refused(self) -> None:
        """Such a folder is refused with the reason and a way out; what is passed over does not count."""
        folder = Path(self.mktemp()).absolute() / "p"
        (folder / "vendor" / "safe").mkdir(parents=True)
        (folder / "plugin.json").write_text("{}")
        (folder / "plugin.py").write_text("")
        (folder / "fast.so").write_bytes(b"\x7fELF")
        (folder / "vendor" / "safe" / "_speed.so").write_bytes(b"\x7fELF")
        own, vendored = self.assertRaises(ConfigErrors, readBundle, folder).problems
        self.assertEqual(own.source, str(folder / "fast.so"))
        self.assertIn("is machine code, which cannot be loaded from the bytes that were checked", own.message)
        self.assertIn("name it under dependencies", own.message)
        self.assertIn("if safe works without it, put the line vendor/safe/_speed.so into .pluginignore",
                      vendored.message)
        (folder / ".pluginignore").write_text("vendor/safe/_speed.so\n/fast.so\n")
        self.assertEqual(sorted(readBundle(folder).files), [".pluginignore", "plugin.json", "plugin.py"])
