"""Bundles: which bytes are a plugin."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.bundle import makeBundle, readBundle
from revproxy.control.problems import ConfigErrors


class BundleTestCase(SynchronousTestCase):
    """A small plugin's folder."""

    def setUp(self) -> None:
        self.root = Path(self.mktemp()).absolute()
        self.folder = self.root / "demo"
        self.write("plugin.json", "{}")
        self.write("plugin.py", "x = 1\n")

    def write(self, path: str, text: str) -> None:
        """A file below the folder."""
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(text)

    def refused(self, **options: int) -> str:
        """The message with which the folder is refused."""
        return str(self.assertRaises(ConfigErrors, readBundle, self.folder, **options))


class ReadTests(BundleTestCase):
    """`readBundle`."""

    def test_files(self) -> None:
        """All files, those of folders below included, by path."""
        self.write("inner/data.txt", "d")
        bundle = readBundle(self.folder)
        self.assertEqual(bundle.name, "demo")
        self.assertEqual(bundle.files, {"inner/data.txt": b"d", "plugin.json": b"{}", "plugin.py": b"x = 1\n"})
        self.assertEqual(list(bundle.files), sorted(bundle.files))

    def test_passing(self) -> None:
        """Byte code, hidden files and what editors leave are no part of it."""
        before = readBundle(self.folder)
        for path in ("__pycache__/plugin.cpython-311.pyc", "plugin.pyc", ".hidden", ".git/config", "plugin.py~",
                     ".plugin.py.swp", "_trial_temp.lock", "4913", "#plugin.py#", "plugin.py.tmp"):
            self.write(path, "junk")
        self.assertEqual(readBundle(self.folder), before)

    def test_digest(self) -> None:
        """The digest depends on paths and contents and on nothing else."""
        bundle = readBundle(self.folder)
        self.assertEqual(len(bundle.digest), 64)
        self.assertEqual(makeBundle("other", dict(reversed(bundle.files.items()))).digest, bundle.digest)
        digests = {makeBundle("x", files).digest for files in (
            {"a": b"bc"}, {"ab": b"c"}, {"a": b"b", "c": b""}, {"a": b"", "bc": b""}, {})}
        self.assertEqual(len(digests), 5)

    def test_linkedFolder(self) -> None:
        """The folder itself may be a link, as deployments switch versions."""
        link = self.root / "current"
        link.symlink_to(self.folder)
        self.assertEqual(readBundle(link).digest, readBundle(self.folder).digest)
        self.assertEqual(readBundle(link).name, "current")

    def test_linkInside(self) -> None:
        """A link inside is refused, whatever it points to, by name."""
        for name, target in (("a.py", "/etc/passwd"), ("b", "/etc"), ("c.py", "plugin.py"), ("d", "nowhere")):
            link = self.folder / name
            link.symlink_to(target)
            self.assertEqual(self.refused(),
                             f"{link}: is a symbolic link; a plugin consists of plain files, copy it")
            link.unlink()

    def test_specialFile(self) -> None:
        """A pipe is refused, and nobody waits for its other end."""
        os.mkfifo(self.folder / "pipe")
        self.assertEqual(self.refused(), f"{self.folder / 'pipe'}: is neither a file nor a folder")

    def test_required(self) -> None:
        """plugin.py and plugin.json must be there."""
        for name in ("plugin.py", "plugin.json"):
            (self.folder / name).rename(self.folder / "away")
            self.assertEqual(self.refused(), f"{self.folder / name}: there is no {name}; a plugin's folder needs one")
            (self.folder / "away").rename(self.folder / name)

    def test_absent(self) -> None:
        """A folder that is not there, or is a file."""
        error = self.assertRaises(ConfigErrors, readBundle, self.root / "none")
        self.assertEqual(str(error), f"{self.root / 'none'}: cannot be read: No such file or directory")
        self.assertRaises(ConfigErrors, readBundle, self.folder / "plugin.py")

    def test_limits(self) -> None:
        """Bytes of all files together, their number, and the depth of folders are bounded."""
        self.assertEqual(len(readBundle(self.folder, maxBytes=8, maxFiles=2).files), 2)
        self.assertEqual(self.refused(maxBytes=7), f"{self.folder / 'plugin.py'}: the plugin has more than 7 bytes")
        self.assertEqual(self.refused(maxFiles=1), f"{self.folder / 'plugin.py'}: the plugin has more than 1 files")
        self.write("/".join("d" * 20) + "/x.py", "")
        self.assertIn("folders are nested too deeply", self.refused())

    def test_noDescriptorsLeft(self) -> None:
        """Every descriptor is closed, also after a refusal."""
        before = len(os.listdir("/proc/self/fd"))
        readBundle(self.folder)
        self.refused(maxBytes=1)
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    if not os.path.isdir("/proc/self/fd"):
        test_noDescriptorsLeft.skip = "no /proc here"  # type: ignore[attr-defined]
