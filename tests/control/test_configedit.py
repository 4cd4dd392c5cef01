"""Writing revproxy.yaml for somebody, and losing nothing of anybody."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.configfile import configFromOptions
from revproxy.control import configedit
from revproxy.control.changes import ChangeRefused
from revproxy.control.configedit import ConfigEdit, whyUnwritable

CONFIG = configFromOptions(["tcp:0"], "http://127.0.0.1:1")


class ConfigEditTests(SynchronousTestCase):
    """`ConfigEdit`."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.path = self.folder / "revproxy.yaml"
        self.path.write_text("old\n")

    def edit(self, text: str = "new\n", before: bytes = b"old\n") -> ConfigEdit:
        """From old to new."""
        return ConfigEdit(self.path, before, text, CONFIG)

    def refused(self, edit: ConfigEdit) -> tuple[str, str]:
        """Stage and text of a refusal; nothing is left behind."""
        names = sorted(os.listdir(self.folder))
        with self.assertRaises(ChangeRefused) as caught:
            edit.write()
        self.assertEqual(sorted(os.listdir(self.folder)), names)
        [refusal] = caught.exception.refusals
        return refusal.stage, refusal.message

    def test_written(self) -> None:
        """Mode and owner stay, and nothing else is left; and so when it is undone."""
        os.chmod(self.path, 0o640)
        if os.geteuid() == 0:
            os.chown(self.path, 1234, 2345)
        before = self.path.stat()
        edit = self.edit("ä: new\n")
        edit.write()
        after = self.path.stat()
        self.assertEqual(self.path.read_text(), "ä: new\n")
        self.assertEqual((after.st_mode, after.st_uid, after.st_gid), (before.st_mode, before.st_uid, before.st_gid))
        edit.undo()
        self.assertEqual((self.path.read_text(), os.listdir(self.folder)), ("old\n", ["revproxy.yaml"]))

    def test_changed(self) -> None:
        """What somebody else has written is not replaced, nor put back over."""
        self.path.write_text("theirs\n")
        self.assertEqual(self.refused(self.edit())[0], "changed")
        self.path.write_text("old\n")
        edit = self.edit()
        edit.write()
        self.path.write_text("theirs\n")
        edit.undo()
        self.assertEqual(self.path.read_text(), "theirs\n")

    def test_racing(self) -> None:
        """A save in the last moment stays, by whatever way the editor writes, with an exchange or without one."""
        for exchanges in (True, False):
            for saves in (self.path.write_text, self._renamed):
                self.path.write_text("old\n")
                real, saved = configedit._exchanged, []

                def exchanged(one: Path, other: Path, saves: Any = saves, real: Any = real, saved: Any = saved,
                              exchanges: bool = exchanges) -> bool:  # fmt: skip
                    if not saved:
                        saves("theirs\n")
                        saved.append(True)
                    return bool(real(one, other)) if exchanges else False

                self.patch(configedit, "_exchanged", exchanged)
                with self.assertRaises(ChangeRefused):
                    self.edit().write()
                self.patch(configedit, "_exchanged", real)
                self.assertEqual((self.path.read_text(), os.listdir(self.folder)), ("theirs\n", ["revproxy.yaml"]))

    def _renamed(self, text: str) -> None:
        new = self.folder / "editor"
        new.write_text(text)
        os.replace(new, self.path)

    def test_racingForReal(self) -> None:
        """Of two who edit at once, each sees the whole of one of the texts, and at the end the last that was done."""
        for number in range(30):
            self.path.write_text("old\n")
            done: list[str] = []

            def save(name: str, done: list[str] = done) -> None:
                try:
                    self.edit(f"{name}\n").write()
                except ChangeRefused:
                    return
                done.append(name)

            threads = [threading.Thread(target=save, args=(name,)) for name in ("a", "b")]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual((len(done), self.path.read_text()), (1, f"{done[0]}\n"), str(number))

    def test_links(self) -> None:
        """What a link leads to is written and the link stays; a ConfigMap and a second name are refused."""
        real = self.folder / "real"
        self.path.rename(real)
        self.path.symlink_to(real)
        self.edit().write()
        self.assertTrue(self.path.is_symlink())
        self.assertEqual(real.read_text(), "new\n")
        real.write_text("old\n")
        os.link(real, self.folder / "second")
        self.assertIn("hard link", self.refused(self.edit())[1])
        self.assertIn("hard link", whyUnwritable(self.path))
        self.path.unlink()
        mounted = self.folder / "..2026"
        mounted.mkdir()
        (mounted / "revproxy.yaml").write_text("old\n")
        (self.folder / "..data").symlink_to("..2026")
        self.path.symlink_to("..data/revproxy.yaml")
        self.assertIn("ConfigMap", self.refused(self.edit())[1])
        self.assertIn("ConfigMap", whyUnwritable(self.path))

    def test_noFile(self) -> None:
        """A pipe, a folder, or nothing is refused, and waited for by nobody."""
        self.path.unlink()
        self.assertEqual(self.refused(self.edit())[0], "unwritable")
        os.mkfifo(self.path)
        self.assertIn("no plain file", self.refused(self.edit())[1])
        self.path.unlink()
        self.path.mkdir()
        self.assertEqual(self.refused(self.edit())[0], "unwritable")

    def test_givenUp(self) -> None:
        """After somebody has given it up nothing is written any more."""
        edit = self.edit()
        edit.giveUp()
        self.assertEqual(self.refused(edit)[0], "unwritable")
        self.assertEqual(self.path.read_text(), "old\n")

    def test_diskFull(self) -> None:
        """The old text stays whole."""

        def full(descriptor: int, data: Any) -> int:
            raise OSError(28, "No space left on device")

        self.patch(configedit.os, "write", full)
        self.assertIn("No space left", self.refused(self.edit())[1])
        self.assertEqual(self.path.read_text(), "old\n")
