"""Real files, watched by a thread: what is told, and that it goes on being told."""

from __future__ import annotations

import errno
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase
from watchdog.observers.inotify_c import inotify_rm_watch

from revproxy.control.watch import filemonitor
from revproxy.control.watch.filemonitor import FileMonitor
from revproxy.control.watch.fingerprint import Root, nothing
from revproxy.control.watch.inotify import MOVED_FROM, OVERFLOW, FolderWatches, Told

PATIENCE = 60.0


def exhausted(told: Told) -> FolderWatches:
    """No inotify."""
    raise OSError(errno.EMFILE, "inotify instance limit reached")


class MonitorCase(SynchronousTestCase):
    """A folder, and what was told of it."""

    def setUp(self) -> None:
        self.base = Path(self.mktemp()).absolute()
        self.folder = self.base / "plugins"
        self.folder.mkdir(parents=True)
        self.told: list[str] = []
        self.writing: list[str] = []
        self.errors: list[str] = []

    def until(self, fact: Callable[[], Any], what: str = "") -> None:
        ends = time.monotonic() + PATIENCE
        while not fact():
            if time.monotonic() > ends:
                self.fail(f"{what} {self.told} {self.errors}")
            time.sleep(0.002)

    def monitor(self, *paths: Path, skip: Callable[[str], bool] = nothing, **more: Any) -> FileMonitor:
        """A monitor that is watching."""
        monitor = FileMonitor(self.told.append, error=self.errors.append, **more)
        for path in paths:
            monitor.add(Root(str(path), skip))
        self.addCleanup(monitor.close)
        monitor.check()
        return monitor

    def expect(self, path: Path) -> None:
        """The path is told within some time. Then what was told is forgotten."""
        self.until(lambda: str(path) in self.told, f"not told of {path}:")
        self.calm()

    def expect_later(self, path: Path) -> None:
        """A change is told, sooner or later: the folder may not be watched this very moment."""
        self.until(lambda: (path.touch(), str(path) in self.told)[1])
        self.told.clear()

    def calm(self) -> None:
        """Wait until what was done so far is told: a mark is set, and seen."""
        mark = self.folder / f"mark{time.monotonic_ns()}"
        if self.folder.is_dir():
            mark.touch()
            self.until(lambda: str(mark) in self.told)
            self.told.clear()
            mark.unlink()
            self.until(lambda: str(mark) in self.told)
        self.told.clear()


class FolderTests(MonitorCase):
    """A folder and all below."""

    def test_created(self) -> None:
        """A new file, a changed one, one renamed, one removed."""
        self.monitor(self.folder)
        path, other = self.folder / "a", self.folder / "b"
        path.write_text("1")
        self.expect(path)
        path.write_text("2")
        self.expect(path)
        path.rename(other)
        self.until(lambda: {str(path), str(other)} <= set(self.told))
        self.calm()
        other.unlink()
        self.expect(other)

    def test_reading(self) -> None:
        """Reading and listing is not told."""
        path = self.folder / "a"
        path.write_text("1")
        self.monitor(self.folder)
        path.read_text()
        os.listdir(self.folder)
        (self.folder / "b").touch()
        self.until(lambda: str(self.folder / "b") in self.told)
        self.assertNotIn(str(path), self.told)
        self.assertNotIn(str(self.folder), self.told)

    def test_newFolders(self) -> None:
        """Files written in the moment their folders are made are told, and so are later ones."""
        self.monitor(self.folder)
        deep = self.folder / "a" / "b" / "c"
        deep.mkdir(parents=True)
        (deep / "x").write_text("1")
        self.expect(deep / "x")
        (deep / "x").write_text("2")
        self.expect(deep / "x")

    def test_manyNewFolders(self) -> None:
        """However the making of folders and their being watched interleave, each file is told."""
        self.monitor(self.folder)
        paths = {self.folder / f"p{i}" / "lib" / "x.py" for i in range(60)}
        for path in paths:
            path.parent.mkdir(parents=True)
            path.write_text("1")
        self.until(lambda: {str(path) for path in paths} <= set(self.told))

    def test_manyComeAndGo(self) -> None:
        """What a folder's coming and going costs does not depend on how many others there are."""
        monitor = self.monitor(self.folder)
        for number in range(3000):
            (self.folder / str(number) / "in").mkdir(parents=True)
        self.calm()

        class Counted(dict[str, int]):
            walks = 0

            def __iter__(self) -> Iterator[str]:
                Counted.walks += 1
                return super().__iter__()

        monitor._trees = Counted(monitor._trees)
        self.assertEqual(len(monitor._trees), 6001)
        away = self.base / "away"
        for number in range(100):
            (self.folder / str(number)).rename(away)
            self.calm()
            shutil.rmtree(away)
            (self.folder / f"new{number}").mkdir()
        self.calm()
        self.assertEqual(Counted.walks, 0)
        self.assertEqual(len(monitor._trees), 5901)
        watches = monitor._watches
        assert watches is not None
        self.assertEqual(len(watches._watches), 5902, "the folder above is watched, too")

    def test_madeAnew(self) -> None:
        """A watched folder that is deleted and made anew goes on being watched, many times."""
        self.monitor(self.folder)
        for _ in range(5):
            shutil.rmtree(self.folder)
            self.until(lambda: str(self.folder) in self.told)
            self.told.clear()
            self.folder.mkdir()
            (self.folder / "sub").mkdir()
            self.until(lambda: str(self.folder) in self.told)
            self.expect_later(self.folder / "sub" / "x")

    def test_subfolderMadeAnew(self) -> None:
        """The same for a folder below, in one go."""
        sub = self.folder / "a"
        sub.mkdir()
        self.monitor(self.folder)
        for _ in range(20):
            shutil.rmtree(sub)
            sub.mkdir()
            (sub / "x").touch()
        self.expect(sub / "x")
        (sub / "x").write_text("2")
        self.expect(sub / "x")

    def test_notThereYet(self) -> None:
        """A folder is told when it comes into being, with folders above it."""
        folder = self.base / "later" / "deeper" / "plugins"
        self.monitor(folder, self.folder)
        folder.mkdir(parents=True)
        self.until(lambda: str(folder) in self.told)
        self.expect_later(folder / "x")

    def test_comesMeanwhile(self) -> None:
        """So is one that comes while it is seen that the first folder on the way to it has come."""
        folder = self.base / "later" / "deeper" / "plugins"
        self.monitor(folder)
        look = filemonitor.statOf

        def statOf(path: str) -> Any:
            found = look(path)
            if path == str(folder) and found is None:
                folder.mkdir(parents=True, exist_ok=True)
            return found

        self.patch(filemonitor, "statOf", statOf)
        (self.base / "later").mkdir()
        self.until(lambda: str(folder) in self.told)

    def test_madeAnewOnTheWay(self) -> None:
        """So is one that is there when it is seen that a folder on the way to it was made anew."""
        later = self.base / "later"
        later.mkdir()
        folder = later / "deeper" / "plugins"
        monitor = self.monitor(folder)
        with monitor._lock:  # nothing is understood meanwhile
            later.rmdir()
            folder.mkdir(parents=True)
        self.until(lambda: str(folder) in self.told)

    def test_movedAwayAndBack(self) -> None:
        """A folder that was moved out of the tree is not told of; back, it is."""
        sub, away = self.folder / "a", self.base / "away"
        sub.mkdir()
        self.monitor(self.folder)
        sub.rename(away)
        self.expect(sub)
        (away / "x").touch()
        (self.folder / "y").touch()
        self.until(lambda: str(self.folder / "y") in self.told)
        self.assertEqual(set(self.told), {str(self.folder / "y")})
        away.rename(sub)
        self.until(lambda: {str(sub), str(sub / "x")} <= set(self.told))
        self.calm()
        (sub / "x").write_text("2")
        self.expect(sub / "x")

    def test_renamedWithin(self) -> None:
        """Files in a folder that was renamed are told by their new names."""
        (self.folder / "a" / "lib").mkdir(parents=True)
        self.monitor(self.folder)
        (self.folder / "a").rename(self.folder / "b")
        self.expect(self.folder / "b")
        (self.folder / "b" / "lib" / "x").touch()
        self.expect(self.folder / "b" / "lib" / "x")

    def test_skipped(self) -> None:
        """Names that are passed over are told neither now nor below; a folder renamed from one is told."""
        (self.folder / ".git" / "objects").mkdir(parents=True)
        monitor = self.monitor(self.folder, skip=lambda name: name.startswith("."))
        (self.folder / ".git" / "objects" / "x").touch()
        (self.folder / ".new").mkdir()
        (self.folder / ".new" / "plugin.py").touch()
        (self.folder / ".link").symlink_to(".new")
        monitor.check()
        (self.folder / "a").touch()
        self.until(lambda: str(self.folder / "a") in self.told)
        self.assertEqual(set(self.told), {str(self.folder / "a")})
        (self.folder / ".new").rename(self.folder / "new")
        self.expect(self.folder / "new" / "plugin.py")


class AnyOrderTests(MonitorCase):
    """Whatever is done, in whatever order."""

    def test_nothingIsForgotten(self) -> None:
        """After any number of folders made, moved, linked and removed, each that is left is watched."""
        random = Random(self.seed)
        names = [f"n{i}" for i in range(5)]
        outside = self.base / "outside"
        outside.mkdir()

        def place() -> Path:
            below = random.choices(names, k=random.choice([1, 1, 2, 3]))
            return random.choice([self.folder, self.folder, outside]).joinpath(*below)

        def act() -> None:
            one, other = place(), place()
            match random.randrange(7):
                case 0 | 1:
                    one.mkdir(parents=True)
                case 2:
                    (one / "f").write_text("1")
                case 3:
                    one.unlink() if one.is_symlink() else shutil.rmtree(one)
                case 4 | 5:
                    one.rename(other)
                case 6:
                    (self.folder / random.choice(names)).symlink_to(other)

        self.watching = self.monitor(self.folder)
        for round in range(30):
            for _ in range(random.randrange(1, 40)):
                try:
                    act()
                except OSError:
                    pass
            # The kernel is silent about what a link's target becomes: there a look must help.
            self.watching.check()
            for folder in self.folders():
                mark = folder / f"mark{round}"
                mark.touch()
                self.until(lambda mark=mark: str(mark) in self.told, f"{mark}, seed {self.seed}, round {round}")
                mark.unlink()
            self.told.clear()

    seed = 1

    def folders(self) -> list[Path]:
        """All that are to be watched."""
        found = [self.folder]
        for child in self.folder.iterdir():
            if child.is_dir():
                found += [Path(path) for path, _, _ in os.walk(child)]
        return found


class LinkTests(MonitorCase):
    """Symbolic links."""

    def test_rootIsALink(self) -> None:
        """A link to a folder is watched like it, and told when it is made to lead elsewhere."""
        link = self.base / "current"
        for name in ("v1", "v2"):
            (self.base / name).mkdir()
        link.symlink_to("v1")
        self.monitor(link, self.folder)
        (self.base / "v1" / "x").touch()
        self.expect(link / "x")
        (self.base / "new").symlink_to("v2")
        (self.base / "new").rename(link)
        self.expect(link)
        (self.base / "v2" / "x").touch()
        self.expect(link / "x")
        (self.base / "v1" / "x").write_text("1")
        self.calm()

    def test_linkedPlugin(self) -> None:
        """A link directly in the folder is followed, also when it is exchanged."""
        for name in ("v1", "v2"):
            (self.base / name / "lib").mkdir(parents=True)
        link = self.folder / "p"
        link.symlink_to(self.base / "v1")
        self.monitor(self.folder)
        (self.base / "v1" / "lib" / "x").touch()
        self.expect(link / "lib" / "x")
        (self.folder / "new").symlink_to(self.base / "v2")
        (self.folder / "new").rename(link)
        self.expect(link)
        (self.base / "v2" / "lib" / "x").touch()
        self.expect(link / "lib" / "x")

    def test_linkOnTheWay(self) -> None:
        """What a link's link leads to differs in the fingerprint, for there is no event; it is watched from then on."""
        for name in ("v1", "v2"):
            (self.base / name).mkdir()
        current = self.base / "current"
        current.symlink_to("v1")
        link = self.folder / "p"
        link.symlink_to(current)
        monitor = self.monitor(self.folder)
        before = monitor.check()
        current.unlink()
        current.symlink_to("v2")
        self.assertNotEqual(monitor.check()[str(link)], before[str(link)])
        (self.base / "v2" / "x").touch()
        self.expect(link / "x")

    def test_circle(self) -> None:
        """Links that lead back are no harm."""
        (self.folder / "p").mkdir()
        (self.folder / "p" / "self").symlink_to(".")
        (self.folder / "all").symlink_to(".")
        self.monitor(self.folder)
        (self.folder / "p" / "x").touch()
        self.until(lambda: {str(self.folder / "p" / "x"), str(self.folder / "all" / "p" / "x")} <= set(self.told))

    def test_danglingLink(self) -> None:
        """A link that leads nowhere is followed once there is something."""
        (self.folder / "p").symlink_to(self.base / "later")
        monitor = self.monitor(self.folder)
        before = monitor.check()
        (self.base / "later").mkdir()
        self.assertNotEqual(monitor.check(), before)
        (self.base / "later" / "x").touch()
        self.expect(self.folder / "p" / "x")


class FileTests(MonitorCase):
    """Single files."""

    def setUp(self) -> None:
        super().setUp()
        self.file = self.base / "revproxy.yaml"
        self.file.write_text("1")

    def test_alone(self) -> None:
        """Its neighbours are not told."""
        self.monitor(self.file)
        (self.base / "other").write_text("1")
        self.file.write_text("2")
        self.until(lambda: self.told)
        self.assertEqual(set(self.told), {str(self.file)})

    def test_renamedOver(self) -> None:
        """A file that an editor replaces is told, each time."""
        self.monitor(self.file, self.folder)
        for text in "abc":
            new = self.base / "new"
            new.write_text(text)
            new.rename(self.file)
            self.expect(self.file)

    def test_deletedAndBack(self) -> None:
        """So is one that is gone and comes again, with its folder."""
        file = self.base / "sub" / "file"
        file.parent.mkdir()
        file.write_text("1")
        monitor = self.monitor(file, self.folder)
        shutil.rmtree(file.parent)
        self.expect(file)
        monitor.check()
        file.parent.mkdir()
        file.write_text("2")
        self.expect_later(file)

    def test_addedLater(self) -> None:
        """Files may be added while it runs."""
        monitor = self.monitor(self.folder)
        monitor.add(Root(str(self.file)))
        monitor.check()
        self.file.write_text("2")
        self.expect(self.file)


class RootTests(MonitorCase):
    """Several files and folders, of several kinds."""

    def watched(self, monitor: FileMonitor) -> set[str]:
        """The folders that are watched."""
        watches = monitor._watches
        assert watches is not None
        return set(watches._watches)

    def test_flat(self) -> None:
        """Of a folder without depth, what is directly in it is told, under any name; what is below is not watched."""
        flat = self.base / "certs"
        (flat / "sub").mkdir(parents=True)
        (flat / "all").symlink_to("/")
        monitor = self.monitor(self.folder)
        monitor.add(Root(str(flat), depth=0))
        monitor.check()
        (flat / "sub" / "x").touch()
        (flat / "later").mkdir()
        (flat / "..data").symlink_to("sub")
        self.until(lambda: str(flat / "..data") in self.told)
        self.assertEqual(set(self.told), {str(flat / "later"), str(flat / "..data")})
        self.assertEqual(self.watched(monitor), {str(path) for path in (self.base, self.folder, flat)})

    def test_thousands(self) -> None:
        """Thousands of files are watched through the few folders that they are in."""
        folders = [self.base / f"c{number}" for number in range(5)]
        for folder in folders:
            folder.mkdir()
        files = [folder / f"{number}.pem" for folder in folders for number in range(600)]
        for file in files:
            file.touch()
        monitor = self.monitor(*files)
        self.assertEqual(self.watched(monitor), {str(folder) for folder in folders})
        for file in files[::600]:
            file.write_text("1")
        self.until(lambda: {str(file) for file in files[::600]} <= set(self.told))
        self.assertEqual(len(monitor.check()), 3000)

    def test_badOnes(self) -> None:
        """Whatever is the matter with some, the others are watched; and they, once they may be."""
        (self.base / "loop").symlink_to("loop")
        (self.base / "file").touch()
        bad = [self.base / name for name in ("loop", "loop/x", "file/x", "x" * 300, "broken", "broken/sub")]
        isBroken = True

        class Failing(FolderWatches):
            def __init__(self, told: Told) -> None:
                super().__init__(told)
                self.add = self._descriptor.add_callback
                self._descriptor.add_callback = self.addUnlessBroken

            def addUnlessBroken(self, path: bytes, *more: object) -> Any:
                if isBroken and b"broken" in path:
                    raise OSError(errno.EIO, "Input/output error")
                return self.add(path, *more)

        (self.base / "broken" / "sub").mkdir(parents=True)
        monitor = self.monitor(*bad, self.folder, openWatches=Failing)
        self.assertTrue(monitor.isTold)
        (self.folder / "x").touch()
        self.expect(self.folder / "x")
        isBroken = False
        monitor.check()
        (self.base / "broken" / "sub" / "x").touch()
        self.expect(self.base / "broken" / "sub" / "x")
        self.assertEqual(self.errors, [])

    def test_folderAboveExchanged(self) -> None:
        """A folder further above is renamed, and another put there: the next check tells it apart and watches it."""
        above = self.base / "above"
        for name in ("above", "other"):
            (self.base / name / "plugins").mkdir(parents=True)
        monitor = self.monitor(above / "plugins", self.folder)
        before = monitor.check()
        above.rename(self.base / "former")
        (self.base / "other").rename(above)
        self.assertNotEqual(monitor.check(), before)
        (above / "plugins" / "x").touch()
        self.expect(above / "plugins" / "x")

    def test_movedAway(self) -> None:
        """What is below a folder that was moved away is not watched after the next check."""
        (self.folder / "a" / "b").mkdir(parents=True)
        monitor = self.monitor(self.folder)
        (self.folder / "a").rename(self.base / "a")
        self.expect(self.folder / "a")
        monitor.check()
        self.assertEqual(self.watched(monitor), {str(self.base), str(self.folder)})


class WritingTests(MonitorCase):
    """Files that are not complete."""

    def setUp(self) -> None:
        super().setUp()
        self.order: list[str] = []
        self.path = self.folder / "a"
        self.watching = self.monitor(self.folder, writing=lambda path: self.order.append(f"{Path(path).name}+"))
        self.watching._callback = lambda path: (self.order.append(Path(path).name), self.told.append(path))

    def test_written(self) -> None:
        """A file that is open is told to be written; the callback comes with its being closed."""
        with self.path.open("w") as file:
            self.until(lambda: self.order == ["a+"])
            file.write("x")
            file.flush()
            self.until(lambda: self.order == ["a+", "a+"])
        self.until(lambda: self.order[2:] == ["a"])

    def test_neverClosed(self) -> None:
        """A file that was renamed or linked to its place is complete."""
        outside = self.base / "outside"
        outside.write_text("1")
        empty = self.base / "empty"
        empty.touch()
        os.link(outside, self.path)
        empty.rename(self.folder / "b")
        self.until(lambda: "b" in self.order)
        self.assertEqual(self.order, ["a", "b"])

    def test_filesFoundInANewFolder(self) -> None:
        """Of those nobody knows whether they will be closed; they are taken as complete."""
        moved = self.base / "moved"
        moved.mkdir()
        (moved / "__init__.py").touch()
        moved.rename(self.folder / "moved")
        self.until(lambda: "__init__.py" in self.order)
        self.assertNotIn("__init__.py+", self.order)


class ExhaustedTests(MonitorCase):
    """Without inotify, and with too little of it."""

    def test_unavailable(self) -> None:
        """Everything differs in the fingerprint all the same; that there is no inotify is said once."""
        path, deep = self.folder / "a", self.folder / "s" / "x"
        path.write_text("1")
        monitor = self.monitor(self.folder, openWatches=exhausted)
        found = monitor.check()
        self.assertFalse(monitor.isTold)
        deep.parent.mkdir()
        deep.touch()
        path.unlink()
        self.assertEqual(monitor.check().keys() ^ found.keys(), {str(path), str(deep.parent), str(deep)})
        self.assertEqual((len(self.errors), self.told), (1, []))

    def test_noThread(self) -> None:
        """No thread can be started to read events: it is the same."""

        def broken(told: Told) -> FolderWatches:
            raise RuntimeError("can't start new thread")

        monitor = self.monitor(self.folder, openWatches=broken)
        self.assertFalse(monitor.isTold)
        self.assertEqual(list(monitor.check()), [str(self.folder)])
        self.assertEqual(len(self.errors), 1)

    def test_limit(self) -> None:
        """When there is no watch left for one of many folders, there are events for none."""
        for i in range(10):
            (self.folder / f"p{i}").mkdir()
        monitor = self.monitor(self.folder, openWatches=Few)
        self.assertFalse(monitor.isTold)
        (self.folder / "p9" / "x").touch()
        self.assertIn(str(self.folder / "p9" / "x"), monitor.check())

    def test_limitReachedLater(self) -> None:
        """The same when the folders come later."""
        monitor = self.monitor(self.folder, openWatches=Few)
        self.assertTrue(monitor.isTold)
        for i in range(10):
            (self.folder / f"p{i}").mkdir()
        self.until(lambda: not monitor.isTold)
        self.assertEqual(len(monitor.check()), 11)

    def test_comesBack(self) -> None:
        """inotify is tried again after a while; what is in between is said once."""
        self.patch(__import__("revproxy.control.watch.filemonitor", fromlist=["_AGAIN"]), "_AGAIN", 0.0)
        tries: list[Any] = [exhausted, exhausted, FolderWatches]
        monitor = self.monitor(self.folder, openWatches=lambda told: tries.pop(0)(told))
        monitor.check()
        self.assertFalse(monitor.isTold)
        monitor.check()
        self.assertTrue(monitor.isTold)
        self.assertEqual(len(self.errors), 2)
        (self.folder / "x").touch()
        self.expect(self.folder / "x")

    def test_triedInVain(self) -> None:
        """While it goes on to be too little, nothing is said."""
        self.patch(__import__("revproxy.control.watch.filemonitor", fromlist=["_AGAIN"]), "_AGAIN", 0.0)
        for i in range(10):
            (self.folder / f"p{i}").mkdir()
        monitor = self.monitor(self.folder, openWatches=Few)
        for _ in range(3):
            monitor.check()
        self.assertEqual(len(self.errors), 1)


class Few(FolderWatches):
    """Of watches there are five."""

    count = 0

    def _add(self, path: str, known: tuple[int, ...]) -> Any:
        self.count += 1
        if self.count > 5:
            raise OSError(errno.ENOSPC, "inotify watch limit reached")
        return super()._add(path, known)


class TroubleTests(MonitorCase):
    """What must not end the watching."""

    def watches(self, monitor: FileMonitor) -> FolderWatches:
        watches = monitor._watches
        if watches is None:
            raise SkipTest("no inotify here")
        return watches

    def test_overflow(self) -> None:
        """When the kernel dropped events, all folders are told, once, and the next check has them watched anew."""
        (self.folder / "a").mkdir()
        monitor = self.monitor(self.folder)
        before = self.watches(monitor)
        for folder in (self.folder, self.folder / "a", self.base):
            before._told(str(folder), "", OVERFLOW)
        self.assertEqual(self.told, [str(self.folder)])
        monitor.check()
        self.assertIsNot(self.watches(monitor), before)
        before.join()
        (self.folder / "a" / "x").touch()
        self.expect(self.folder / "a" / "x")

    def test_watchEnds(self) -> None:
        """When the kernel ends a watch, the folder is told and watched anew, though it looks as before."""
        monitor = self.monitor(self.folder)
        watches = self.watches(monitor)
        inotify_rm_watch(watches._descriptor._inotify_fd, watches._watches[str(self.folder)].number)
        self.until(lambda: str(self.folder) in self.told)
        (self.folder / "x").touch()
        self.expect(self.folder / "x")

    def test_readerDies(self) -> None:
        """A thread of events that has ended is replaced."""
        monitor = self.monitor(self.folder)
        before = self.watches(monitor)
        before._descriptor.stop()
        before.join()
        monitor.check()
        self.assertEqual(len(self.errors), 1)
        (self.folder / "x").touch()
        self.expect(self.folder / "x")

    def test_unforeseen(self) -> None:
        """An error with an event is said, and everything may have changed."""
        monitor = self.monitor(self.folder)

        def fail(*args: object) -> None:
            raise ZeroDivisionError("never thought of")

        patched = self.patch(monitor, "_happened", fail)
        (self.folder / "x").touch()
        self.until(lambda: any("never thought of" in said for said in self.errors))
        self.until(lambda: str(self.folder) in self.told)
        patched.restore()
        monitor.check()
        (self.folder / "y").touch()
        self.expect(self.folder / "y")

    def test_callbackRaises(self) -> None:
        """An error of the callback is said, and the next event is told."""
        monitor = self.monitor(self.folder)

        def fail(path: str) -> None:
            self.told.append(path)
            raise ValueError(path)

        self.patch(monitor, "_callback", fail)
        (self.folder / "x").touch()
        self.expect(self.folder / "x")
        (self.folder / "y").touch()
        self.expect(self.folder / "y")
        self.assertIn("ValueError", self.errors[0])

    def test_staleEvents(self) -> None:
        """Events of a monitor that has ended are dropped, and its threads are gone."""
        monitor = self.monitor(self.folder)
        watches = self.watches(monitor)
        monitor.close()
        self.assertFalse(watches.alive)
        watches._told(str(self.folder), "x", MOVED_FROM)
        monitor.check()
        self.assertFalse(monitor.isTold)
        self.assertEqual(self.told, [])

    def test_unreadable(self) -> None:
        """A folder that may not be listed is no reason to poll, and no reason to stop."""

        class Forbidding(FolderWatches):
            def __init__(self, told: Told) -> None:
                super().__init__(told)
                add = self._descriptor.add_callback
                # watchdog's answer where the kernel's is EACCES
                self._descriptor.add_callback = lambda path, *more: -1 if b"secret" in path else add(path, *more)

        for name in ("secret", "open"):
            (self.folder / name).mkdir()
        monitor = self.monitor(self.folder, openWatches=Forbidding)
        (self.folder / "open" / "x").touch()
        self.expect(self.folder / "open" / "x")
        (self.folder / "secret2").mkdir()
        self.expect(self.folder / "secret2")
        self.assertTrue(monitor.isTold)

    def test_unreadableItself(self) -> None:
        """
        The folder that is asked for may not be listed any more: told once, and no difference with each check, or else
        nothing would settle; when it may be again that is told, and it is watched.
        """
        may = True

        class Forbidding(FolderWatches):
            def __init__(self, told: Told) -> None:
                super().__init__(told)
                add = self._descriptor.add_callback
                here = os.fsencode(str(folder))
                self._descriptor.add_callback = lambda path, *more: add(path, *more) if may or path != here else -1

        folder = self.folder
        monitor = self.monitor(self.folder, openWatches=Forbidding)
        may = False
        self.folder.chmod(0o500)
        monitor.check()
        self.until(lambda: str(self.folder) in self.told)
        self.told.clear()
        self.assertEqual(monitor.check(), monitor.check())
        self.assertEqual(self.told, [])
        may = True
        self.folder.chmod(0o700)
        monitor.check()
        self.until(lambda: str(self.folder) in self.told)
        self.calm()

    def test_noThreadsLeft(self) -> None:
        """Starting and ending many times leaves no thread and no descriptor."""
        # Others may end meanwhile, and theirs be closed.
        before = {*threading.enumerate()}
        descriptors = len(os.listdir("/proc/self/fd"))
        for _ in range(20):
            monitor = FileMonitor(self.told.append)
            monitor.add(Root(str(self.folder)))
            monitor.check()
            monitor.close()
        self.assertEqual({*threading.enumerate()} - before, set())
        self.assertLessEqual(len(os.listdir("/proc/self/fd")), descriptors)
