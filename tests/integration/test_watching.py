"""Real files, changed in the ways that editors, copies and deployments do: one call for each."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from revproxy.bundles.ignorerules import isPassing
from revproxy.control.watch.filemonitor import FileMonitor
from revproxy.control.watch.fingerprint import Fingerprint, Root, fingerprintOf
from revproxy.control.watch.watcher import Watcher
from tests.repetition import longerAnew

PATIENCE = 60.0
QUIET = 0.5
"""Seconds beyond the settling in which a second call would come: a look from outside is among them."""

settling = longerAnew(0.2, 0.6, 1.8)
"""What changes files is in competition for the processor with other tests."""


class WatchingCase(TestCase):
    """
    A folder of plugins, a configuration, a watcher of both.

    :ivar settle: seconds.
    """

    timeout = 600
    settle = 0.2
    rescan = 0.25
    monitorFactory: Callable[..., Any] = FileMonitor

    async def begin(self, *paths: Path | Root) -> None:
        """Have it watched."""
        self.watcher = Watcher(
            reactor,
            paths or (self.plugins, self.yaml),
            lambda: self.calls.append(fingerprintOf([self.plugins])),
            settle=self.settle,
            rescan=self.rescan,
            monitorFactory=self.monitorFactory,
        )
        await self.watcher.start()
        self.addCleanup(self.watcher.stop)

    def setUp(self) -> None:
        self.base = Path(self.mktemp()).absolute()
        self.plugins = self.base / "plugins"
        self.one = self.plugins / "one"
        self.one.mkdir(parents=True)
        self.file = self.one / "plugin.py"
        self.file.write_text("1")
        (self.one / "plugin.json").write_text("{}")
        self.yaml = self.base / "revproxy.yaml"
        self.yaml.write_text("1")
        self.calls: list[object] = []

    async def again(self) -> None:
        """Another folder, and nobody who watches the one before."""
        await self.watcher.stop()
        self.setUp()

    def onThread(self, act: Callable[[], object]) -> Deferred[Any]:
        return deferToThread(act)

    async def once(self, act: Callable[[], object], times: int = 1) -> None:
        """Do something in a thread: one call comes, when it is over, and no other."""
        await self.onThread(act)
        over = fingerprintOf([self.plugins])
        ends = time.monotonic() + PATIENCE
        while not self.calls and time.monotonic() < ends:
            await deferLater(reactor, 0.02)
        await deferLater(reactor, self.settle + QUIET)
        self.assertEqual(len(self.calls), times)
        if times:
            self.assertEqual(self.calls[-1], over, "the call came before all was over")
        self.calls.clear()

    async def never(self, act: Callable[[], object]) -> None:
        """Do something in a thread of which no call comes."""
        await self.onThread(act)
        await deferLater(reactor, self.settle + QUIET)
        self.assertEqual(self.calls, [])


class ChangeTests(WatchingCase):
    """What has to be noticed in any way."""

    @settling
    async def test_basics(self) -> None:
        """A file is created, changed, touched, renamed, deleted; the configuration is written."""
        await self.begin()
        other = self.one / "other.py"
        await self.once(lambda: other.write_text("1"))
        await self.once(lambda: other.write_text("2"))
        await self.once(other.touch)
        await self.once(lambda: other.rename(self.one / "another.py"))
        await self.once((self.one / "another.py").unlink)
        await self.once(lambda: self.yaml.write_text("2"))

    @settling
    async def test_copies(self) -> None:
        """A slow copy of two hundred files, rsync, and a folder that is moved in whole."""
        await self.begin()

        def copy() -> None:
            folder = self.plugins / "two" / "lib"
            folder.mkdir(parents=True)
            for i in range(200):
                (folder / f"m{i}.py").write_text("x" * 1000)
                time.sleep(0.002)

        def rsync() -> None:
            for i in range(200):
                temporary = self.plugins / "two" / "lib" / f".m{i}.py.Xa3f9Q"
                temporary.write_text("y" * 1000)
                temporary.rename(temporary.parent / f"m{i}.py")

        def move() -> None:
            shutil.copytree(self.plugins / "two", self.base / "three")
            (self.base / "three").rename(self.plugins / "three")

        for act in (copy, rsync, move):
            await self.once(act)

    @settling
    async def test_checkout(self) -> None:
        """git: many files unlinked and created, folders emptied and removed."""
        folder = self.plugins / "two" / "lib"
        folder.mkdir(parents=True)
        for i in range(50):
            (folder / f"m{i}.py").write_text("1")
        await self.begin()

        def checkout() -> None:
            for i in range(50):
                (folder / f"m{i}.py").unlink()
                if i % 2:
                    (folder / f"m{i}.py").write_text("22")
            shutil.rmtree(self.one)
            self.one.mkdir()
            self.file.write_text("22")

        await self.once(checkout)

    @settling
    async def test_links(self) -> None:
        """A plugin that is a link, exchanged; and what the link's link leads to, exchanged."""
        for version in ("v1", "v2", "v3"):
            shutil.copytree(self.one, self.base / version)
            (self.base / version / "plugin.py").write_text(version)
        current = self.base / "current"
        current.symlink_to("v1")
        (self.plugins / "linked").symlink_to(current)
        (self.plugins / "direct").symlink_to(self.base / "v1")
        await self.begin()

        def swap(link: Path, target: str) -> None:
            new = link.with_name("new.tmp")
            new.symlink_to(target)
            new.rename(link)

        await self.once(lambda: swap(self.plugins / "direct", "../v2"))
        await self.once(lambda: (self.base / "v2" / "plugin.py").write_text("changed"))
        await self.once(lambda: swap(current, "v3"))
        await self.once(lambda: (self.base / "v3" / "plugin.py").write_text("changed"))

    @settling
    async def test_deletedAndMadeAnew(self) -> None:
        """The folder of plugins is deleted, and comes back; then all in one go."""
        await self.begin()

        def make() -> None:
            self.one.mkdir(parents=True)
            self.file.write_text("2")

        await self.once(lambda: shutil.rmtree(self.plugins))
        await self.once(make)
        await self.once(lambda: (shutil.rmtree(self.plugins), make()))
        await self.once(lambda: self.file.write_text("3"))


class EventTests(WatchingCase):
    """What only the kernel can tell, or need not be tried without it."""

    @settling
    async def test_editors(self) -> None:
        """vim's way of saving, and that of those who write another file and rename it."""
        await self.begin()

        def vim() -> None:
            (self.one / "4913").touch()
            (self.one / "4913").unlink()
            self.file.rename(self.one / "plugin.py~")
            self.file.write_text("2")
            (self.one / "plugin.py~").unlink()

        def temporary() -> None:
            new = self.one / "plugin.py.tmp"
            new.write_text("3")
            new.rename(self.file)

        def configuration() -> None:
            new = self.base / ".revproxy.yaml.swp"
            new.write_text("3")
            new.rename(self.yaml)

        for save in (vim, temporary, configuration):
            await self.once(save)

    @settling
    async def test_oneLargeFile(self) -> None:
        """A file that is written with pauses is complete when it is closed."""
        await self.begin()

        def write() -> None:
            with self.file.open("w", buffering=1) as file:
                for _ in range(3):
                    file.write("x\n")
                    time.sleep(self.settle * 1.5)

        await self.once(write)

    @settling
    async def test_notThereYet(self) -> None:
        """A folder of plugins that comes to be."""
        shutil.rmtree(self.plugins)
        await self.begin()
        await self.once(lambda: (self.one.mkdir(parents=True), self.file.write_text("1")))

    @settling
    async def test_passing(self) -> None:
        """Byte code, hidden files and swap files are no reason to call; neither is reading."""
        await self.begin()

        def act() -> None:
            (self.one / "__pycache__").mkdir()
            (self.one / "__pycache__" / "plugin.pyc").write_text("x")
            (self.one / ".plugin.py.swp").write_text("x")
            (self.plugins / ".git").mkdir()
            (self.plugins / ".git" / "index").write_text("x")
            self.file.read_text()
            os.listdir(self.one)

        await self.never(act)

    @settling
    async def test_stopped(self) -> None:
        """After the end nothing is called."""
        await self.begin()
        await self.onThread(lambda: self.file.write_text("2"))
        await self.watcher.stop()
        await deferLater(reactor, self.settle + QUIET)
        self.assertEqual(self.calls, [])


def _exhausted(told: object) -> Any:
    raise OSError(errno.ENOSPC, "inotify watch limit reached")


def _polling(*args: Any, **more: Any) -> FileMonitor:
    return FileMonitor(*args, openWatches=_exhausted, **more)


class PollingTests(ChangeTests):
    """The same with a monitor that has no inotify."""

    monitorFactory = staticmethod(_polling)


class _Deaf:
    """A monitor on a network folder: nothing is told."""

    def __init__(self, callback: object, **more: object) -> None:
        self.roots: list[Root] = []

    def add(self, root: Root) -> None:
        self.roots.append(root)

    def check(self) -> Fingerprint:
        return fingerprintOf(self.roots)

    def close(self) -> None:
        pass


class LookingTests(WatchingCase):
    """Nothing but looks from outside."""

    monitorFactory = _Deaf

    @settling
    async def test_found(self) -> None:
        """Changes of every kind are found."""
        await self.begin()
        older = self.base / "older"
        older.write_text("2")
        os.utime(older, (1, 1))
        await self.once(lambda: older.rename(self.file))
        await self.once(lambda: self.yaml.write_text("2"))
        await self.once(lambda: shutil.rmtree(self.plugins))


class CertificateTests(WatchingCase):
    """Folders of certificates beside a folder of plugins."""

    def setUp(self) -> None:
        super().setUp()
        self.certificates = self.base / "certs"
        for version in ("..1", "..2", "..3"):
            (self.certificates / version).mkdir(parents=True)
            (self.certificates / version / "tls.crt").write_text("PEM")
        (self.certificates / "..data").symlink_to("..1")
        (self.certificates / "tls.crt").symlink_to("..data/tls.crt")
        self.single = self.base / "live" / "fullchain.pem"
        (self.base / "archive").mkdir()
        self.single.parent.mkdir()
        for number in (1, 2):
            (self.base / "archive" / f"fullchain{number}.pem").write_text("PEM")
        self.single.symlink_to("../archive/fullchain1.pem")

    def swap(self, link: Path, target: str) -> None:
        new = link.with_name("..tmp")
        new.symlink_to(target)
        new.rename(link)

    @settling
    async def test_renewed(self) -> None:
        """Kubernetes exchanges its hidden link, certbot the visible one; a file is renewed behind a link."""
        await self.begin(self.plugins, Root(str(self.certificates), isPassing, 0), self.single)
        await self.once(lambda: self.swap(self.certificates / "..data", "..2"))
        await self.once(lambda: self.swap(self.single, "../archive/fullchain2.pem"))
        await self.once(lambda: (self.base / "archive" / "fullchain1.pem").replace(self.single.resolve()))
        await self.once(lambda: self.file.write_text("2"))

    @settling
    async def test_paths(self) -> None:
        """Folders are added and taken away while it runs."""
        await self.begin(self.plugins)
        await self.never(lambda: self.swap(self.single, "../archive/fullchain2.pem"))
        await self.watcher.watch([self.plugins, self.certificates, self.single])
        await self.once(lambda: self.swap(self.single, "../archive/fullchain1.pem"))
        await self.once(lambda: self.swap(self.certificates / "..data", "..3"))
        await self.watcher.watch([self.plugins, self.single])
        await self.never(lambda: self.swap(self.certificates / "..data", "..1"))
        await self.once(lambda: self.file.write_text("2"))

    @settling
    async def test_notToBeSeen(self) -> None:
        """Folders that cannot be listed, or are no folders, keep nothing else from being noticed."""
        (self.base / "loop").symlink_to("loop")
        bad = (self.base / "loop" / "x", self.yaml / "x", self.base / "absent" / "x")
        await self.begin(*bad, self.plugins, self.single)
        await self.once(lambda: self.file.write_text("2"))
        await self.once(lambda: self.swap(self.single, "../archive/fullchain2.pem"))
        await self.once(lambda: ((self.base / "absent").mkdir(), (self.base / "absent" / "x").touch()))
