"""A small file that has the latest of something."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.state.latestfile import PATIENCE, RETRY_INTERVAL, LatestFile
from revproxy.loop.jobthread import HURRY


class LatestFileTests(SynchronousTestCase):
    """`LatestFile`."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.path = self.folder / "x.json"
        self.clock = Clock()

    def file(self, inThread: Any = maybeDeferred, **more: Any) -> LatestFile:
        """Another process's."""
        return LatestFile(self.path, self.clock, inThread, **more)

    def end(self, file: LatestFile) -> Deferred[None]:
        """It ends as it should."""
        return Deferred.fromCoroutine(file.end())

    def test_saved(self) -> None:
        """What was saved last is there, at once, for nobody but us; and in the next process."""
        file = self.file()
        self.assertEqual(file.read(json.loads, []), ([], None))
        file.save(b"[1]")
        file.save(b"[2]")
        self.assertEqual((self.path.read_bytes(), self.path.stat().st_mode & 0o777), (b"[2]", 0o600))
        self.assertEqual(self.file().read(json.loads, []), ([2], None))

    def test_damaged(self) -> None:
        """What cannot be understood is put aside, and told."""
        for number, content in enumerate((b"[", b"[" * 100_000), 1):
            self.path.write_bytes(content)
            value, text = self.file().read(json.loads, [])
            self.assertEqual((value, sorted(os.listdir(self.folder))[-1]), ([], f"x.json.damaged-{number}"))
            self.assertIn(f"{self.path}: ", text or "")

    def test_onlyTheLast(self) -> None:
        """While one is written, any number may be saved: the last of them is written next, and no other."""
        waiting: list[Deferred[None]] = []
        written: list[bytes] = []

        def inThread(guarded: Any, replace: Any, path: Path, content: bytes) -> Deferred[None]:
            written.append(content)
            waiting.append(Deferred())
            return waiting[-1]

        file = self.file(inThread)
        for content in (b"1", b"2", b"3"):
            file.save(content)
        waiting[0].callback(None)
        waiting[1].callback(None)
        self.assertEqual(written, [b"1", b"3"])

    def test_cannot(self) -> None:
        """What cannot be written is tried again, each minute; meanwhile there is a reason."""
        is_ours = [False]
        file = self.file(isOurs=lambda: is_ours[0])
        file.save(b"1")
        self.assertIn("the state folder cannot be written", file.unwritten)
        self.clock.advance(RETRY_INTERVAL)
        is_ours[0] = True
        self.assertFalse(self.path.exists())
        self.clock.advance(RETRY_INTERVAL)
        self.assertEqual((self.path.read_bytes(), file.unwritten), (b"1", ""))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_end(self) -> None:
        """At the end it is tried once more, and then no more."""
        is_ours = [False]
        file = self.file(isOurs=lambda: is_ours[0])
        file.save(b"1")
        is_ours[0] = True
        self.successResultOf(self.end(file))
        self.assertEqual((self.path.read_bytes(), self.clock.getDelayedCalls()), (b"1", []))

    def test_silentDisk(self) -> None:
        """A disk that does not answer holds the end for its time, and no longer."""
        file = self.file(lambda *arguments: Deferred())
        file.save(b"1")
        ending = self.end(file)
        self.assertNoResult(ending)
        for _ in range(2):
            self.clock.advance(HURRY)
        self.successResultOf(ending)

    def test_full(self) -> None:
        """A full disk is an event, and another when there is room again; whoever comes may have it tried before."""
        told: list[str] = []
        isFull = [True]

        def guarded(function: Any, *arguments: Any) -> Any:
            if isFull[0]:
                raise OSError(28, "No space left on device")
            return function(*arguments)

        file = self.file(guarded=guarded, tell=lambda kind, text: told.append(kind))
        for content in (b"1", b"2"):
            file.save(content)
            file.tryAgain()
            self.assertIn("No space left", self.successResultOf(Deferred.fromCoroutine(file.settled())))
        self.assertEqual(told, ["store-failed"])
        isFull[0] = False
        file.tryAgain()
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(file.settled())), "")
        self.assertEqual((self.path.read_bytes(), told), (b"2", ["store-failed", "written"]))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_settled(self) -> None:
        """Who asks whether it is written waits for that, but not long for a disk that does not answer."""
        jobs: list[Deferred[None]] = []
        file = self.file(lambda *arguments: jobs.append(Deferred()) or jobs[-1])
        file.save(b"1")
        settled = Deferred.fromCoroutine(file.settled())
        self.clock.advance(PATIENCE / 2)
        self.assertNoResult(settled)
        jobs[0].callback(None)
        self.assertEqual((self.successResultOf(settled), self.clock.getDelayedCalls()), ("", []))
        file.save(b"2")
        settled = Deferred.fromCoroutine(file.settled())
        self.clock.advance(PATIENCE)
        self.assertEqual(self.successResultOf(settled), "the disk has not answered yet")

    def test_restore(self) -> None:
        """What the file held is written once more when the folder is another one, also if it was only read."""
        file = self.file()
        file.restore()
        self.assertFalse(self.path.exists())
        self.path.write_bytes(b"[1]")
        file.read(json.loads, [])
        self.path.unlink()
        file.restore()
        self.assertEqual(self.path.read_bytes(), b"[1]")
