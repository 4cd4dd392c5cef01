"""
Tests for `revproxy.worker.logfile`. They wait for the thread, never for time to pass.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Any

from twisted.logger import LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from revproxy.worker.logfile import LogFile

PATIENCE = 60.0
"Seconds until a test gives up on the thread."


def writingTo(descriptor: int) -> Callable[[str], FileIO]:
    """
    Opens that descriptor, whatever the path.
    """
    return lambda path: FileIO(descriptor, "wb")


class FakeDisk:
    """
    A file that takes so many bytes at a time, or none while it is broken.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.content = b""
        self.atATime = 1 << 30
        self.room = 1 << 30
        self.attempts = 0
        self.closed = False
        self.held = threading.Event()
        self.held.set()

    def write(self, data: Any) -> int:
        self.held.wait(PATIENCE)
        with self.changed:
            self.attempts += 1
            taken = bytes(data[: min(self.atATime, self.room)])
            self.content += taken
            self.room -= len(taken)
            self.changed.notify_all()
            if not taken:
                raise OSError(errno.ENOSPC, "No space left on device")
            return len(taken)

    def fileno(self) -> int:
        raise AssertionError("not asked for")

    def close(self) -> None:
        self.closed = True

    def awaitThat(self, condition: Callable[[], bool]) -> None:
        """
        Return when the condition holds; it is looked at after each attempt to write.
        """
        with self.changed:
            if not self.changed.wait_for(condition, PATIENCE):
                raise AssertionError(f"did not come: {self.attempts} attempts, content {self.content!r}")


class LogFileCase(SynchronousTestCase):
    """
    Collects what is reported, and closes every file.
    """

    def setUp(self) -> None:
        self.reports: list[LogEvent] = []
        self.reported = threading.Semaphore(0)

        def observe(event: LogEvent) -> None:
            if str(event.get("log_format")).startswith("access log"):
                self.reports.append(event)
                self.reported.release()

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)

    def started(self, path: str, **options: Any) -> LogFile:
        """
        A running log file that tries again every millisecond.
        """
        log = LogFile(path, **{"retryInterval": 0.001, **options})
        log.start()
        self.addCleanup(log.close, 0)
        return log

    def awaitReport(self) -> LogEvent:
        """
        The next report.
        """
        self.assertTrue(self.reported.acquire(timeout=PATIENCE), "nothing was reported")
        return self.reports[-1]


class RealFileTests(LogFileCase):
    """
    On a real file system.
    """

    def test_appends(self) -> None:
        """
        Closing writes everything that was taken, in order, after what the file had.
        """
        path = Path(self.mktemp())
        path.write_bytes(b"old\n")
        log = self.started(str(path))
        for number in range(100):
            log.write(b"%d\n" % number)
        self.assertTrue(log.close(PATIENCE))
        self.assertEqual(path.read_bytes(), b"old\n" + b"".join(b"%d\n" % number for number in range(100)))
        self.assertEqual(self.reports, [])

    def test_beforeStart(self) -> None:
        """
        Lines that come before the thread runs are kept.
        """
        path = Path(self.mktemp())
        log = LogFile(str(path))
        log.write(b"early\n")
        log.start()
        self.assertTrue(log.close(PATIENCE))
        self.assertEqual(path.read_bytes(), b"early\n")

    def test_cannotOpen(self) -> None:
        """
        A path that cannot be opened is refused at the start.
        """
        self.assertRaises(FileNotFoundError, LogFile("/nonexistent/folder/access.log").start)

    def test_rotation(self) -> None:
        """
        Lines from before the reopening go to the file that was renamed, later ones to a new file of the old name.
        """
        path, rotated = Path(self.mktemp()), Path(self.mktemp())
        log = self.started(str(path))
        log.write(b"one\n")
        path.rename(rotated)
        log.write(b"two\n")
        log.reopen()
        self.assertTrue(self.appears(path))
        log.write(b"three\n")
        self.assertTrue(log.close(PATIENCE))
        self.assertEqual((rotated.read_bytes(), path.read_bytes()), (b"one\ntwo\n", b"three\n"))

    def appears(self, path: Path) -> bool:
        """
        Wait for a file.
        """
        deadline = time.monotonic() + PATIENCE
        while not path.exists() and time.monotonic() < deadline:
            os.sched_yield()
        return path.exists()

    def test_fullDevice(self) -> None:
        """
        A full disk is reported once with its reason; what it never took is counted when the file is closed.
        """
        log = self.started("/dev/full")
        log.write(b"one\ntwo\n")
        self.assertIn("No space left", self.awaitReport()["error"])
        self.assertFalse(log.close(0.01))
        self.assertEqual([event.get("lost") for event in self.reports], [None, 2])

    if not os.path.exists("/dev/full"):
        test_fullDevice.skip = "no /dev/full here"  # type: ignore[attr-defined]

    def test_closedPipe(self) -> None:
        """
        A pipe whose reader is gone ends nothing.
        """
        reader, writer = os.pipe()
        os.close(reader)
        log = self.started("-", openOutput=writingTo(writer))
        log.write(b"line\n")
        self.assertIn("Broken pipe", self.awaitReport()["error"])
        self.assertFalse(log.close(0.01))

    def test_namedPipe(self) -> None:
        """
        Nobody waits for a named pipe's reader, neither at the start nor when a line is written. What fits is kept.
        """
        path = self.mktemp()
        os.mkfifo(path)
        log = self.started(path)
        self.assertIn("nobody reads this named pipe", self.awaitReport()["error"])
        log.write(b"one\n")
        with open(path, "rb") as reader:
            self.assertEqual(reader.readline(), b"one\n")
            self.assertEqual(self.awaitReport()["lost"], 0)
            log.write(b"two\n")
            self.assertTrue(log.close(PATIENCE))
            self.assertEqual(reader.read(), b"two\n")

    def test_namedPipeWithoutReader(self) -> None:
        """
        The end without one: what nobody has read is counted.
        """
        path = self.mktemp()
        os.mkfifo(path)
        log = self.started(path)
        log.write(b"one\ntwo\n")
        self.assertFalse(log.close(PATIENCE))
        self.assertEqual(self.reports[-1]["lost"], 2)

    def test_readerDies(self) -> None:
        """
        A reader that stops reading, and then dies, holds nothing up. The next one gets whole lines; of what the other
        had begun to read, the rest, if it was quick.
        """
        path = self.mktemp()
        os.mkfifo(path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        log = self.started(path)
        lines = [b"%07d\n" % number for number in range(50_000)]
        log.write(b"".join(lines))
        self.assertIn("does not read", self.awaitReport()["error"])
        os.read(reader, 5)
        os.close(reader)
        with open(path, "rb") as following:
            following.readline()
            rest = following.read(8 * 10_000).splitlines(keepends=True)
        self.assertEqual(len(rest), 10_000)
        self.assertTrue(set(rest) <= set(lines), "a line was cut")

    def test_becomesAFolder(self) -> None:
        """
        A path that has become a folder when it is opened anew: lines go on to the old file until it is none any more.
        """
        path, moved = Path(self.mktemp()), Path(self.mktemp())
        log = self.started(str(path))
        path.rename(moved)
        path.mkdir()
        log.write(b"one\n")
        log.reopen()
        self.assertIn("Is a directory", self.awaitReport()["error"])
        path.rmdir()
        self.assertTrue(self.appears(path))
        log.write(b"two\n")
        self.assertTrue(log.close(PATIENCE))
        self.assertEqual((moved.read_bytes(), path.read_bytes()), (b"one\n", b"two\n"))

    def test_stalledPipe(self) -> None:
        """
        A non-blocking pipe whose reader pauses is waited for, and gets every byte.
        """
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        os.set_blocking(writer, False)
        log = self.started("-", openOutput=writingTo(writer))
        log.write(b"x" * 200_000 + b"\n")
        self.assertIn("does not read", self.awaitReport()["error"])
        received = 0
        while received < 200_001:
            received += len(os.read(reader, 65536))
        self.assertTrue(log.close(PATIENCE))

    def test_standardOutput(self) -> None:
        """
        For ``-`` a duplicate of standard output is written and closed, never standard output itself.
        """
        reader, writer = os.pipe()
        saved = os.dup(1)
        os.dup2(writer, 1)
        try:
            log = self.started("-")
        finally:
            os.dup2(saved, 1)
            os.close(saved)
            os.close(writer)
        log.write(b"line\n")
        self.assertTrue(log.close(PATIENCE))
        with open(reader, "rb") as stream:
            self.assertEqual(stream.read(), b"line\n")
        os.fstat(1)


class FakeFileTests(LogFileCase):
    """
    On a disk that breaks when told to.
    """

    def test_recovers(self) -> None:
        """
        While the disk is full lines are kept up to the bound; when there is room again they are written, in order, and
        the number of lost ones is reported.
        """
        disk = FakeDisk()
        disk.room = 0
        log = self.started("disk", maxBacklog=8, openOutput=lambda path: disk)
        log.write(b"one\n")
        self.awaitReport()
        log.write(b"two\n")
        log.write(b"lost\nlost\n")
        with disk.changed:
            disk.room = 1000
        self.assertEqual(self.awaitReport()["lost"], 2)
        log.write(b"three\n")
        self.assertTrue(log.close(PATIENCE))
        self.assertEqual(disk.content, b"one\ntwo\nthree\n")
        self.assertEqual(len(self.reports), 2)
        self.assertTrue(disk.closed)

    def test_tooSlow(self) -> None:
        """
        A disk that never fails but is too slow loses lines, too, and that is reported when it has caught up.
        """
        disk = FakeDisk()
        disk.held.clear()
        log = self.started("disk", maxBacklog=4, openOutput=lambda path: disk)
        log.write(b"one\n")
        log.write(b"lost\n")
        disk.held.set()
        self.assertEqual(self.awaitReport()["lost"], 1)
        self.assertTrue(log.close(PATIENCE))
        self.assertEqual(disk.content, b"one\n")

    def test_partialWrites(self) -> None:
        """
        A file may take fewer bytes than it is given.
        """
        disk = FakeDisk()
        disk.atATime = 3
        log = self.started("disk", openOutput=lambda path: disk)
        log.write(b"one\ntwo\nthree\n")
        self.assertTrue(log.close(PATIENCE))
        self.assertEqual(disk.content, b"one\ntwo\nthree\n")

    def test_cutLine(self) -> None:
        """
        The line at which a disk became full is written as a whole to the file that is opened next.
        """
        full, fresh = FakeDisk(), FakeDisk()
        full.room = 6
        disks = iter([full, fresh])
        log = self.started("disk", openOutput=lambda path: next(disks))
        log.write(b"one\ntwo\nthree\n")
        self.awaitReport()
        log.reopen()
        self.assertTrue(log.close(PATIENCE))
        self.assertEqual((full.content, fresh.content), (b"one\ntw", b"two\nthree\n"))
        self.assertTrue(full.closed)

    def test_reopenFails(self) -> None:
        """
        When the path cannot be opened anew the old file is written on, and the attempt repeated.
        """
        old, new = FakeDisk(), FakeDisk()
        answers: list[FakeDisk | OSError] = [old, OSError(errno.EACCES, "Permission denied")]
        opened = threading.Event()

        def openOutput(path: str) -> FakeDisk:
            answer = answers.pop(0) if answers else OSError(errno.EACCES, "Permission denied")
            if isinstance(answer, OSError):
                raise answer
            if answer is new:
                opened.set()
            return answer

        log = self.started("disk", openOutput=openOutput)
        log.reopen()
        self.assertIn("Permission denied", self.awaitReport()["error"])
        log.write(b"one\n")
        old.awaitThat(lambda: old.content == b"one\n")
        answers.append(new)
        self.assertTrue(opened.wait(PATIENCE))
        log.write(b"two\n")
        self.assertTrue(log.close(PATIENCE))
        self.assertEqual((old.content, new.content), (b"one\n", b"two\n"))

    def test_renamedWhileOpening(self) -> None:
        """
        A file that is renamed again while it is being opened anew is opened once more.
        """
        disks = [FakeDisk(), FakeDisk(), FakeDisk()]
        opened: list[FakeDisk] = []
        third = threading.Event()

        def openOutput(path: str) -> FakeDisk:
            opened.append(disks[len(opened)])
            if len(opened) == 2:
                log.reopen()
            elif len(opened) == 3:
                third.set()
            return opened[-1]

        log = self.started("disk", openOutput=openOutput)
        log.reopen()
        self.assertTrue(third.wait(PATIENCE))
        log.write(b"one\n")
        self.assertTrue(log.close(PATIENCE))
        self.assertEqual([disk.content for disk in disks], [b"", b"", b"one\n"])
        self.assertEqual(([disk.closed for disk in disks], self.reports), ([True] * 3, []))

    def test_closedTwice(self) -> None:
        """
        Closing says from the first moment on that no more lines are taken; what comes then is lost, and closing again
        tells of it.
        """
        disk = FakeDisk()
        log = self.started("disk", openOutput=lambda path: disk)
        self.assertFalse(log.isClosing)
        self.assertTrue(log.close(PATIENCE))
        self.assertTrue(log.isClosing)
        log.write(b"late\n")
        self.assertFalse(log.close(PATIENCE))
        self.assertEqual((disk.content, self.reports[-1]["lost"]), (b"", 1))

    def test_stuckDisk(self) -> None:
        """
        Closing does not wait longer than it was told to.
        """
        disk = FakeDisk()
        disk.held.clear()
        self.addCleanup(disk.held.set)
        log = self.started("disk", openOutput=lambda path: disk)
        log.write(b"one\n")
        self.assertFalse(log.close(0.01))

    def test_noAttemptPerLine(self) -> None:
        """
        While writing fails, new lines do not cause attempts of their own.
        """
        disk = FakeDisk()
        disk.room = 0
        log = self.started("disk", retryInterval=3600, openOutput=lambda path: disk)
        log.write(b"one\n")
        self.awaitReport()
        for _ in range(100):
            log.write(b"more\n")
        self.assertFalse(log.close(0.01))
        self.assertLess(disk.attempts, 5)

    def test_trouble(self) -> None:
        """
        Whoever is to hear of trouble hears of it once, and once that it is over.
        """
        told: list[tuple[bool, str]] = []
        disk = FakeDisk()
        disk.room = 0
        log = self.started("disk", openOutput=lambda path: disk, onTrouble=lambda *what: told.append(what))
        log.write(b"one\n")
        disk.awaitThat(lambda: disk.attempts > 3)
        with disk.changed:
            disk.room = 100
        self.assertTrue(log.close(PATIENCE))
        self.assertEqual([isWell for isWell, _ in told], [False, True])
        self.assertIn("0 lines were lost", told[1][1])

    def test_reportsInReactor(self) -> None:
        """
        Reports are handed to the event loop, not logged from the thread.
        """
        calls: list[tuple[Any, ...]] = []
        called = threading.Event()

        def callInReactor(*args: Any, **kwargs: Any) -> None:
            calls.append(args)
            called.set()

        disk = FakeDisk()
        disk.room = 0
        log = self.started("disk", openOutput=lambda path: disk, callInReactor=callInReactor)
        log.write(b"one\n")
        self.assertTrue(called.wait(PATIENCE))
        self.assertEqual(self.reports, [])
        disk.room = 100
        self.assertTrue(log.close(PATIENCE))
