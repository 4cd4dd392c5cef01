"""Folders by path, over watches by number."""

from __future__ import annotations

import errno
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.watch.inotify import CREATE, GONE, ISDIR, FolderWatches

PATIENCE = 60.0


class FolderWatchesTests(SynchronousTestCase):
    """`FolderWatches`."""

    def setUp(self) -> None:
        self.base = Path(self.mktemp()).absolute()
        self.folder = self.base / "a"
        self.folder.mkdir(parents=True)
        self.events: list[tuple[str, int]] = []
        self.watches = FolderWatches(self.told)
        self.addCleanup(self.watches.join)
        self.addCleanup(self.watches.close)

    def told(self, folder: str, name: str, mask: int) -> None:
        self.events.append((folder if mask & GONE else f"{folder}/{name}", mask))

    def ensure(self, path: Path) -> bool:
        return self.watches.ensure(str(path))

    def await_(self, *expected: tuple[Path, int]) -> None:
        """Exactly these events, apart from the closing of files."""
        ends = time.monotonic() + PATIENCE
        wanted = [(str(path), mask) for path, mask in expected]
        while (found := [event for event in self.events if event[1] & (CREATE | GONE)]) != wanted:
            if time.monotonic() > ends:
                self.fail(f"{found}")
            time.sleep(0.005)
        self.events.clear()

    def test_folder(self) -> None:
        """What happens in it is told, what is below is not; its end is told."""
        self.assertTrue(self.ensure(self.folder))
        (self.folder / "b").mkdir()
        (self.folder / "b" / "x").touch()
        (self.folder / "y").touch()
        self.await_((self.folder / "b", CREATE | ISDIR), (self.folder / "y", CREATE))
        (self.folder / "y").unlink()
        (self.folder / "b" / "x").unlink()
        (self.folder / "b").rmdir()
        self.folder.rmdir()
        self.await_((self.folder, GONE))
        self.assertNotIn(str(self.folder), self.watches._watches)

    def test_twoPaths(self) -> None:
        """Of a folder with two paths everything is told once for each, and for the one that is left."""
        link = self.base / "link"
        link.symlink_to("a")
        for path in (self.folder, link, self.folder):
            self.assertTrue(self.ensure(path))
        (self.folder / "x").touch()
        self.await_((self.folder / "x", CREATE), (link / "x", CREATE))
        self.watches.drop(str(self.folder))
        (self.folder / "y").touch()
        self.await_((link / "y", CREATE))
        self.watches.drop(str(link))
        self.assertEqual(self.watches._descriptor._watch_for_wd, {}, "the kernel's watch is left")

    def test_anotherFolder(self) -> None:
        """A path that leads to another folder than it did is watched there."""
        self.ensure(self.folder)
        self.folder.rename(self.base / "b")
        self.folder.mkdir()
        self.assertTrue(self.ensure(self.folder))
        (self.base / "b" / "x").touch()
        (self.folder / "y").touch()
        self.await_((self.folder / "y", CREATE))

    def test_notAFolder(self) -> None:
        """Files, and what is not there, are not watched."""
        (self.folder / "x").touch()
        for path in (self.folder / "x", self.folder / "absent", Path("/dev/null/x")):
            self.assertFalse(self.ensure(path))

    def test_whatIsOneFoldersFault(self) -> None:
        """A folder that the kernel will not watch is not watched; that there is no watch left concerns all."""
        add = self.watches._descriptor.add_callback
        for number, isRaised in ((errno.EACCES, False), (errno.EIO, False), (errno.ENOSPC, True), (errno.ENOMEM, True)):

            def fail(path: bytes, *more: object, number: int = number) -> int:
                raise OSError(number, "no")

            self.watches._descriptor.add_callback = fail
            if isRaised:
                self.assertRaises(OSError, self.ensure, self.folder)
            else:
                self.assertFalse(self.ensure(self.folder))
        self.watches._descriptor.add_callback = add
        self.assertTrue(self.ensure(self.folder))

    def test_walks(self) -> None:
        """What a walk does not ensure is dropped at its end; another that has begun meanwhile makes no difference."""
        other = self.base / "b"
        other.mkdir()
        for path in (self.folder, other):
            self.ensure(path)
        first = self.watches.beginWalk()
        second = self.watches.beginWalk()
        self.ensure(self.folder)
        self.assertEqual(self.watches.endWalk(first), [str(other)])
        self.assertEqual(self.watches.endWalk(second), [])
        self.assertEqual(list(self.watches._watches), [str(self.folder)])
