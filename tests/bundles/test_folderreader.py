"""A folder walked by descriptor; how it is refused is in test_bundle."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.bundles.folderreader import FolderReader, Vanished, fingerprintTime, openFolder
from revproxy.bundles.ignorerules import allButPassing
from revproxy.config.problems import ConfigErrors


class FolderCase(SynchronousTestCase):
    """A folder with two files, one of them in a folder."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        (self.folder / "inner").mkdir(parents=True)
        (self.folder / "a.txt").write_text("a")
        (self.folder / "inner" / "b.txt").write_text("bb")
        self.descriptor = openFolder(self.folder)
        self.addCleanup(os.close, self.descriptor)

    def reader(self, maxBytes: int = 100, maxFiles: int = 10, maxDepth: int = 3) -> FolderReader:
        return FolderReader(maxBytes, maxFiles, maxDepth, allButPassing)


class OpenTests(FolderCase):
    """`openFolder`."""

    def test_absent(self) -> None:
        """What is not there has vanished; what is no folder is refused otherwise."""
        self.assertRaises(Vanished, openFolder, self.folder / "none")
        error = self.assertRaises(ConfigErrors, openFolder, self.folder / "a.txt")
        self.assertNotIsInstance(error, Vanished)

    def test_link(self) -> None:
        """A link to a folder is followed."""
        link = self.folder / "link"
        link.symlink_to("inner")
        descriptor = openFolder(link)
        self.addCleanup(os.close, descriptor)
        self.assertEqual(os.listdir(descriptor), ["b.txt"])


class MountedTests(SynchronousTestCase):
    """A volume that Kubernetes has mounted: a ConfigMap, a Secret, a projected one."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        self.outside = self.folder.parent / "..outside"
        self.publish("1")
        for name in ("plugin.json", "plugin.py", "inner"):
            (self.folder / name).symlink_to(f"..data/{name}")

    def publish(self, version: str) -> None:
        """As the kubelet does."""
        place = self.folder / f"..2026_{version}"
        (place / "inner").mkdir(parents=True)
        (place / "plugin.json").write_text("{}")
        (place / "plugin.py").write_text(version)
        (place / "inner" / "a").write_text(version)
        self.point(place.name)

    def point(self, target: str) -> None:
        (self.folder / "..data_tmp").symlink_to(target)
        (self.folder / "..data_tmp").rename(self.folder / "..data")

    def read(self) -> dict[str, bytes]:
        descriptor = openFolder(self.folder)
        try:
            return FolderReader(100, 10, 3, allButPassing).read(descriptor, self.folder)
        finally:
            os.close(descriptor)

    def test_read(self) -> None:
        """All files are of one version, those in folders too; a new one comes with the link."""
        self.assertEqual(self.read(), {"plugin.json": b"{}", "plugin.py": b"1", "inner/a": b"1"})
        descriptor = openFolder(self.folder)
        self.addCleanup(os.close, descriptor)
        self.publish("2")
        self.assertEqual(FolderReader(100, 10, 3, allButPassing).read(descriptor, self.folder)["plugin.py"], b"1")
        self.assertEqual(self.read()["plugin.py"], b"2")

    def test_vanished(self) -> None:
        """The folder that the link names is not there any more."""
        self.point("..gone")
        self.assertRaises(Vanished, openFolder, self.folder)

    def test_out(self) -> None:
        """What leads anywhere else is a link like any other, and refused."""
        self.outside.mkdir()
        (self.outside / "plugin.json").write_text("{}")
        (self.folder / "..link").symlink_to(self.outside)
        for target in ("../..outside", str(self.outside), "..", "."):
            self.point(target)
            self.assertIn("is a symbolic link", str(self.assertRaises(ConfigErrors, self.read)))
        self.point("..link")
        self.assertRaises(ConfigErrors, self.read)
        self.point("..2026_1")
        (self.folder / "..2026_1" / "secret").symlink_to("/etc/passwd")
        self.assertIn("is a symbolic link", str(self.assertRaises(ConfigErrors, self.read)))


class WalkTests(FolderCase):
    """`FolderReader`."""

    def test_read(self) -> None:
        """All files by their paths, but those that are passed over; and a fingerprint of all that was passed."""
        (self.folder / ".git").mkdir()
        reader = self.reader()
        self.assertEqual(reader.read(self.descriptor, self.folder), {"a.txt": b"a", "inner/b.txt": b"bb"})
        kinds = {path: known[0] for path, known in reader.fingerprint.items()}
        self.assertEqual(
            kinds, {"": stat.S_IFDIR, "a.txt": stat.S_IFREG, "inner/": stat.S_IFDIR, "inner/b.txt": stat.S_IFREG}
        )

    def test_measure(self) -> None:
        """The fingerprint is the same without reading, and differs as soon as a file does."""
        reader = self.reader()
        reader.read(self.descriptor, self.folder)
        self.assertEqual(self.reader().measure(self.descriptor, self.folder), reader.fingerprint)
        for change in (lambda path: path.write_text("ccc"), lambda path: os.utime(path, (1, 1)), Path.unlink):
            before = self.reader().measure(self.descriptor, self.folder)
            change(self.folder / "inner" / "b.txt")
            self.assertNotEqual(self.reader().measure(self.descriptor, self.folder), before)

    def test_moved(self) -> None:
        """Once it is open, the folder is the same wherever it is moved to."""
        self.folder.rename(self.folder.with_name("away"))
        self.assertEqual(len(self.reader().read(self.descriptor, self.folder)), 2)

    def test_time(self) -> None:
        """The age of a fingerprint is that of its youngest file, not of its folders."""
        fingerprint = self.reader().measure(self.descriptor, self.folder)
        youngest = max((self.folder / path).stat().st_ctime for path in ("a.txt", "inner/b.txt"))
        self.assertAlmostEqual(fingerprintTime(fingerprint), youngest, places=3)
        self.assertEqual(fingerprintTime({"": fingerprint[""]}), 0)

    def test_limits(self) -> None:
        """Where a limit is passed, the message names the place."""
        for reader, message in (
            (
                self.reader(maxBytes=2),
                f"{self.folder}/inner/b.txt: the plugin has more than the 2 bytes of plugins.max_bytes",
            ),
            (self.reader(maxFiles=1), f"{self.folder}/inner/b.txt: the plugin has more than 1 files"),
            (self.reader(maxDepth=0), f"{self.folder}/inner: folders are nested too deeply"),
        ):
            error = self.assertRaises(ConfigErrors, reader.read, self.descriptor, self.folder)
            self.assertEqual(str(error), message)
