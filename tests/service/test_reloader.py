"""Which of the two processes does what. Both together: tests/integration/test_reload.py."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hupper
from hupper.interfaces import IFileMonitor
from twisted.python.usage import Options as TwistedOptions
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from revproxy.service.reloader import ModuleMonitor, superviseUnlessSupervised
from revproxy.tap import Options

PATIENCE = 60.0

PARENT = """
import hupper, sys
def instead(worker, **settings):
    sys.exit(7 if "twisted.internet.reactor" in sys.modules else 0)
hupper.start_reloader = instead
from twisted.scripts.twistd import run
run()
"""


class SuperviseTests(SynchronousTestCase):
    """`superviseUnlessSupervised`."""

    def test_supervised(self) -> None:
        """In the edge it returns."""
        self.patch(hupper, "is_active", lambda: True)
        self.patch(hupper, "start_reloader", lambda *args, **settings: self.fail("a third process"))
        superviseUnlessSupervised()

    def supervise(self, status: int) -> tuple[object, dict[str, Any]]:
        """:return: the status of the process that watches, and what hupper was given."""
        given: dict[str, Any] = {}

        def start(worker: str, **settings: Any) -> None:
            given.update(settings, worker=worker)
            raise SystemExit(status)

        self.patch(hupper, "start_reloader", start)
        end = self.assertRaises(SystemExit, superviseUnlessSupervised)
        return end.code, given

    def test_status(self) -> None:
        """The status is the edge's; one that was ended before it could listen was ended all the same."""
        statuses = [self.supervise(status)[0] for status in (0, 1, -signal.SIGTERM, -signal.SIGINT, -signal.SIGSEGV)]
        self.assertEqual(statuses, [0, 1, 0, 0, -signal.SIGSEGV])

    def test_given(self) -> None:
        """hupper is given our monitor, a function it can import, and time to finish."""
        _, given = self.supervise(0)
        self.assertEqual(given["worker"], "revproxy.service.reloader.main")
        monitor = given["monitor_factory"](lambda path: None, interval=1, logger=None)
        self.assertIsInstance(monitor, ModuleMonitor)
        self.assertGreater(given["shutdown_interval"], 1)

    def test_noReactor(self) -> None:
        """The process that watches installs no reactor."""
        command = [sys.executable, "-c", PARENT, "-n", "revproxy", "--reload", "--listen", "tcp:1", "--upstream", "http://a"]
        root = Path(__file__).parents[2]
        self.assertEqual(subprocess.run(command, cwd=root, timeout=120, capture_output=True).returncode, 0)


class ModuleMonitorTests(SynchronousTestCase):
    """`ModuleMonitor`."""

    def setUp(self) -> None:
        self.base = Path(self.mktemp()).absolute()
        self.base.mkdir()
        self.file = self.base / "module.py"
        self.file.write_text("1")
        self.told: list[str] = []
        self.errors: list[str] = []
        self.error = self.errors.append  # of hupper's logger

    def until(self, fact: Callable[[], Any]) -> None:
        ends = time.monotonic() + PATIENCE
        while not fact():
            self.assertLess(time.monotonic(), ends, f"{self.told} {self.errors}")
            time.sleep(0.002)

    def monitor(self, rescan: float = 3600.0, **more: Any) -> ModuleMonitor:
        """Knows the file, and has not begun."""
        monitor = ModuleMonitor(self.told.append, self, rescan, **more)
        monitor.add_path(str(self.file))
        self.addCleanup(monitor.join)
        self.addCleanup(monitor.stop)
        return monitor

    def begin(self, monitor: ModuleMonitor) -> None:
        """Have the file watched."""
        monitor.start()
        self.until(lambda: monitor._events.isTold)
        monitor._events.check()

    def test_interface(self) -> None:
        """It is what hupper takes."""
        self.assertIsInstance(ModuleMonitor(self.told.append), IFileMonitor)

    def test_changedBeforeItIsWatched(self) -> None:
        """A change between a file's being added and its being watched is told."""
        monitor = self.monitor()
        self.file.write_text("changed")
        monitor.start()
        self.until(lambda: self.told == [str(self.file)])

    def test_toldOnce(self) -> None:
        """What an event told is not found again by comparing."""
        monitor = self.monitor()
        self.begin(monitor)
        older = self.base / "older"
        older.write_text("2")
        older.rename(self.file)
        self.until(lambda: self.told)
        monitor._compare()
        self.assertEqual(self.told, [str(self.file)])

    def test_addedLater(self) -> None:
        """A file that is added while it runs is watched at once."""
        monitor = self.monitor()
        self.begin(monitor)
        other = self.base / "sub" / "other.py"
        other.parent.mkdir()
        other.write_text("1")
        monitor.add_path(str(other))
        self.until(lambda: str(other.parent) in monitor._events._awaited)
        other.write_text("2")
        self.until(lambda: str(other) in self.told)

    def test_withoutEvents(self) -> None:
        """Without inotify, an older file, a deletion and a new file are told all the same."""

        def exhausted(told: object) -> Any:
            raise OSError(errno.EMFILE, "inotify instance limit reached")

        self.monitor(0.02, openWatches=exhausted).start()
        older = self.base / "older"
        older.write_text("2")
        os.utime(older, (1, 1))
        for act in (lambda: older.rename(self.file), self.file.unlink, self.file.touch):
            act()
            self.until(lambda: self.told)
            self.told.clear()
        self.assertEqual(len(self.errors), 1)

    def test_callbackRaises(self) -> None:
        """An error of the callback is said, and the next change is told."""
        monitor = self.monitor(0.02)

        def fail(path: str) -> None:
            self.told.append(path)
            raise ValueError(path)

        monitor._callback = fail
        self.file.write_text("22")
        monitor.start()
        self.until(lambda: len(self.errors) == 1)
        self.file.write_text("333")
        self.until(lambda: len(self.errors) > 1)
        self.assertIn("ValueError", self.errors[0])

    def test_ends(self) -> None:
        """After the end nothing is told, and no thread is left."""
        before = {*threading.enumerate()}
        monitor = self.monitor()
        self.begin(monitor)
        monitor.stop()
        monitor.join()
        self.file.write_text("2")
        self.assertEqual({*threading.enumerate()} - before, set())
        self.assertEqual(self.told, [])


class OptionTests(SynchronousTestCase):
    """``--reload``."""

    def test_foreground(self) -> None:
        """It needs twistd -n, and says so; nothing is started."""
        self.patch(hupper, "start_reloader", lambda *args, **settings: self.fail("started"))
        daemon: dict[str, int] = {"nodaemon": 0}
        for parent in (None, daemon):
            options = Options()
            options.parent = parent
            arguments = ["--reload", "--listen", "tcp:1", "--upstream", "http://a"]
            error = self.assertRaises(UsageError, options.parseOptions, arguments)
            self.assertIn("twistd -n revproxy --reload", str(error))
        self.assertIsNone(TwistedOptions.parent)

    def test_wrongAnyway(self) -> None:
        """Options that do not go together are refused before there is a second process."""
        self.patch(hupper, "start_reloader", lambda *args, **settings: self.fail("started"))
        options = Options()
        options.parent = {"nodaemon": 1}
        self.assertRaises(UsageError, options.parseOptions, ["--reload"])
