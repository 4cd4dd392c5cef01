"""What the configuration file and the folders hold."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.configfile import loadConfig
from revproxy.control.snapshot import SnapshotReader

TEXT = "listeners: [{endpoint: 'tcp:1'}]\nroutes: [{respond: {}}]\nplugins: {directory: plugins}\n"


class ReferredFilesTests(SynchronousTestCase):
    """A configuration with values that stand in files of their own."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        (self.folder / "plugins").mkdir(parents=True)
        self.key = self.folder / "key"
        self.key.write_text("Hooloovoo-1\n")
        path = self.folder / "r.yaml"
        path.write_text(TEXT.replace("plugins}", "plugins, config: {x: {key: {$file: key}}, y: {a: 1}}}"))
        self.config = loadConfig(path)
        self.reader = SnapshotReader(path, self.config)

    def test_unchanged(self) -> None:
        """As long as they have the same in them, the configuration is the same object."""
        self.assertIs(self.reader.read(self.config).config, self.config)
        self.key.write_text("Hooloovoo-1")
        self.assertIs(self.reader.read(self.config).config, self.config)

    def test_changed(self) -> None:
        """A file that has something else in it is a change of the configuration, and is one only once."""
        self.key.write_text("Hooloovoo-2")
        config = self.reader.read(self.config).config
        self.assertEqual(config.plugins.config, {"x": {"key": "Hooloovoo-2"}, "y": {"a": 1}})
        self.assertIs(self.reader.read(config).config, config)

    def test_link(self) -> None:
        """Also one that is a link to a link which leads elsewhere now, as in mounted ConfigMaps."""
        for number in ("1", "2"):
            (self.folder / f"..{number}").mkdir()
            (self.folder / f"..{number}" / "key").write_text(f"Hooloovoo-{number}")
        self.key.unlink()
        self.key.symlink_to("..data/key")
        (self.folder / "..data").symlink_to("..1")
        self.assertIs(self.reader.read(self.config).config, self.config)
        (self.folder / "new").symlink_to("..2")
        (self.folder / "new").rename(self.folder / "..data")
        config = self.reader.read(self.config).config
        self.assertEqual(config.plugins.config["x"], {"key": "Hooloovoo-2"})

    def test_gone(self) -> None:
        """One that is gone is an error; what runs runs on, and a file that comes back ends it."""
        self.key.unlink()
        snapshot = self.reader.read(self.config)
        self.assertIs(snapshot.config, self.config)
        self.assertIn("r.yaml:3:44: $.plugins.config.x.key: the file key cannot be read: No such file or directory",
                      str(snapshot.configErrors))
        self.key.write_text("Hooloovoo-1")
        snapshot = self.reader.read(self.config)
        self.assertEqual((snapshot.config, snapshot.configErrors), (self.config, None))


class ElsewhereTests(SynchronousTestCase):
    """A process that changes its working directory after it was given a relative path."""

    def setUp(self) -> None:
        before = os.getcwd()
        self.folder = Path(self.mktemp()).absolute()
        (self.folder / "plugins").mkdir(parents=True)
        (self.folder / "r.yaml").write_text(TEXT)
        os.chdir(self.folder)
        self.addCleanup(os.chdir, before)
        self.config = loadConfig(Path("r.yaml"))
        self.reader = SnapshotReader(Path("r.yaml"), self.config)
        os.chdir("/")

    def test_same(self) -> None:
        """The files are where they were."""
        snapshot = self.reader.read(self.config)
        self.assertEqual((snapshot.config, snapshot.configErrors, snapshot.catalogErrors), (self.config, None, None))

    def test_changed(self) -> None:
        """What the file names is beside it."""
        (self.folder / "r.yaml").write_text(TEXT + "state: here\n")
        self.assertEqual(self.reader.read(self.config).config.state, self.folder / "here")

    def test_messages(self) -> None:
        """The path is called what it was called."""
        (self.folder / "r.yaml").write_text(TEXT + "rotes: []\n")
        self.assertTrue(str(self.reader.read(self.config).configErrors).startswith("r.yaml:4:1: "))
        (self.folder / "r.yaml").unlink()
        said = str(self.reader.read(self.config).configErrors)
        self.assertEqual(said, "r.yaml: cannot be read: No such file or directory")
