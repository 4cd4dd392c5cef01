"""What the configuration file and the folders hold."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.configfile import loadConfig
from revproxy.control.snapshot import SnapshotReader

TEXT = "listeners: [{endpoint: 'tcp:1'}]\nroutes: [{respond: {}}]\nplugins: {directory: plugins}\n"


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
