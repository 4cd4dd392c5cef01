"""
Folders that something is written in.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.admin.doctor.places import folder, placeChecks
from revproxy.config.configfile import parseConfig


class FolderTests(SynchronousTestCase):
    """
    One folder.
    """

    def setUp(self) -> None:
        self.path = Path(self.mktemp()).absolute()
        self.path.mkdir()

    def room(self, free: int, files: int = 100_000) -> None:
        """The disk has so much left."""
        made: Any = SimpleNamespace(f_bavail=free, f_frsize=1, f_files=200_000, f_favail=files)
        self.patch(os, "statvfs", lambda path: made)

    def test_room(self) -> None:
        """
        Enough, little, and none; nothing is left behind.
        """
        for free, files, state in ((1 << 30, 5000, "ok"), (100 << 20, 5000, "warning"), (1 << 20, 5000, "failing"),
                                   (1 << 30, 10, "failing")):  # fmt: skip
            self.room(free, files)
            self.assertEqual(folder("state", self.path).state, state)
        self.assertEqual(list(self.path.iterdir()), [])

    def test_notThere(self) -> None:
        """
        What cannot be written in is named, and why.
        """
        check = folder("log", self.path / "none")
        self.assertEqual((check.name, check.state), ("log", "failing"))
        self.assertIn("nothing can be written: No such file or directory", check.text)

    def test_all(self) -> None:
        """
        The state folder, that of the access log, and who may write.
        """
        (self.path / "var").mkdir(mode=0o700)
        text = "listeners: [{endpoint: 'tcp:1'}]\nroutes: [{respond: {}}]\nlogging: {access: access.log}\n"
        names = [check.name for check in placeChecks(parseConfig(text, "r.yaml", self.path))]
        self.assertEqual(names[:2], ["state", "log"])
        self.assertIn("custody", names)
