"""What was changed, in a line of time that outlives restarts."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.actor import FILES
from revproxy.control.history import historyfiles
from revproxy.control.history.history import RETRY_INTERVAL, History
from revproxy.control.history.historyfiles import HistoryFiles
from revproxy.control.history.standing import NOTHING, Standing, hashOfText
from revproxy.loop.jobthread import SILENCE
from revproxy.plan.events import EventLog


class HistoryTests(SynchronousTestCase):
    """`History`."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute() / "history"
        self.clock = Clock()
        self.clock.advance(1000)
        self.events = EventLog(self.clock.seconds)

    def begun(self, inThread: Callable[..., Deferred[Any]] = maybeDeferred, **more: Any) -> History:
        """One of an edge that runs."""
        files = HistoryFiles(self.folder, more.pop("most", 1000), more.pop("mostBytes", 1 << 26))
        made = History(files, self.events, self.clock, inThread, **more)
        made.begin()
        return made

    def add(self, history: History, text: str, reason: str = "") -> int:
        """A change of the configuration."""
        standing = Standing(hashOfText(text), {"a": {"version": text, "digest": None}})
        entry = history.add(FILES, "files", "", reason, "done", (f"to {text}",), (), standing, text)
        number: int = entry["number"]
        return number

    def end(self, history: History) -> None:
        """It ends as it should."""
        self.successResultOf(Deferred.fromCoroutine(history.end()))

    def configOf(self, history: History, number: int) -> str | None:
        """The text that was in force then."""
        entry = history.find(number)
        assert entry is not None
        return self.successResultOf(Deferred.fromCoroutine(history.config(entry)))

    def test_restart(self) -> None:
        """Numbers go on, and how things stood, and the texts, are known again."""
        first = self.begun()
        self.assertEqual([self.add(first, text) for text in ("one", "two")], [1, 2])
        last = first.last
        self.end(first)
        second = self.begun()
        self.assertEqual((second.last, second.last == NOTHING), (last, False))
        self.assertEqual(self.add(second, "three"), 3)
        self.assertEqual([self.configOf(second, number) for number in (1, 2, 3)], ["one", "two", "three"])
        entry = second.find(1)
        assert entry is not None
        standing = self.successResultOf(Deferred.fromCoroutine(second.standing(entry)))
        self.assertEqual(standing and standing.plugins, {"a": {"version": "one", "digest": None}})
        for path in self.folder.rglob("*"):
            self.assertEqual(path.stat().st_mode & 0o077, 0, str(path))

    def test_ready(self) -> None:
        """What comes before it is known what was before waits for that."""
        jobs: list[tuple[Deferred[Any], Callable[[], Any]]] = []

        def later(function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
            waiting: Deferred[Any] = Deferred()
            jobs.append((waiting, lambda: function(*arguments)))
            return waiting

        self.add(first := self.begun(), "one")
        self.end(first)
        made, called = self.begun(later), []
        made.whenReady(lambda: called.append(made.last == NOTHING))
        self.assertEqual(called, [])
        while jobs:
            waiting, job = jobs.pop(0)
            waiting.callback(job())
        self.assertEqual(called, [False])

    def test_sameTextOnce(self) -> None:
        """Of what was there before, nothing is stored again."""
        made = self.begun()
        for text in ("one", "two", "one", "two"):
            self.add(made, text)
        self.assertEqual(len(list((self.folder / "objects").iterdir())), 4)

    def test_bounded(self) -> None:
        """The oldest go when there are many, or when their texts are long; and what only they named."""
        self.patch(historyfiles, "SLACK", 2)
        made = self.begun(most=3)
        for count in range(1, 10):
            self.add(made, str(count))
        self.assertLessEqual(len(made.entries), 5)
        self.assertIsNone(made.find(3))
        self.assertLessEqual(len(list((self.folder / "objects").iterdir())), 10)
        large = self.begun(mostBytes=100_000)
        for count in range(10):
            self.add(large, str(count) * 30_000)
        size = sum(path.stat().st_size for path in (self.folder / "objects").iterdir())
        self.assertLess(size, 140_000)
        self.assertEqual(self.configOf(large, large.entries[-1]["number"]), "9" * 30_000)
        self.end(large)
        self.assertEqual(self.begun().entries, large.entries)

    def test_diskFull(self) -> None:
        """The last changes are known with their texts, an event says so once, and they are written when they can be."""
        isFull = False

        def guarded(function: Callable[..., Any], *arguments: Any) -> Any:
            if isFull:
                raise OSError(errno.ENOSPC, "No space left on device")
            return function(*arguments)

        made = self.begun(guarded=guarded)
        isFull = True
        self.add(made, "one")
        self.add(made, "two")
        self.assertEqual(self.configOf(made, 1), "one")
        self.clock.advance(RETRY_INTERVAL)
        self.assertEqual([event.kind for event in self.events.latest(10)], ["history-failed"])
        isFull = False
        self.clock.advance(RETRY_INTERVAL)
        self.end(made)
        self.assertEqual(self.events.latest(1)[0].kind, "history-restored")
        self.assertEqual(self.configOf(self.begun(), 2), "two")

    def test_unread(self) -> None:
        """What could not be read at first is not written over: what is new comes behind it once it can be."""
        self.add(before := self.begun(), "one")
        self.add(before, "two")
        self.end(before)
        isAway = True

        def guarded(function: Callable[..., Any], *arguments: Any) -> Any:
            if isAway:
                raise OSError(errno.EIO, "Input/output error")
            return function(*arguments)

        made = self.begun(guarded=guarded)
        self.add(made, "three")
        isAway = False
        self.clock.advance(RETRY_INTERVAL)
        self.assertEqual([entry["number"] for entry in made.entries], [1, 2, 3])
        self.assertEqual(self.add(made, "four"), 4)
        self.assertEqual([self.configOf(made, number) for number in (1, 2, 3, 4)], ["one", "two", "three", "four"])
        self.end(made)
        self.assertEqual([entry["number"] for entry in self.begun().entries], [1, 2, 3, 4])

    def test_slow(self) -> None:
        """A disk that answers late has written what it was given: that is not written once more."""
        jobs: list[Callable[[], None]] = []

        def slow(function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
            waiting: Deferred[Any] = Deferred()
            jobs.append(lambda: maybeDeferred(function, *arguments).chainDeferred(waiting))
            return waiting

        made = self.begun(slow)
        jobs.pop()()
        jobs.pop()()
        self.add(made, "one")
        self.clock.advance(SILENCE)
        self.add(made, "two")
        jobs.pop()()
        self.clock.advance(RETRY_INTERVAL)
        while jobs:
            jobs.pop()()
        self.assertEqual(len((self.folder / "changes.jsonl").read_text().splitlines()), 2)

    def test_tornAndDamaged(self) -> None:
        """Half a line at the end is cut off; what is no change is put aside, and the rest is kept."""
        made = self.begun()
        self.add(made, "one")
        self.end(made)
        path = self.folder / "changes.jsonl"
        with path.open("ab") as file:
            file.write(b'{"number": 2, "at"')
        again = self.begun()
        self.assertEqual(self.add(again, "two"), 2)
        self.end(again)
        self.assertEqual(len(path.read_bytes().splitlines()), 2)
        with path.open("ab") as file:
            file.write(b'{"number": "x"}\n[[[[\n' + json.dumps({"standing": "../../plugins.json"}).encode() + b"\n")
        third = self.begun()
        self.assertEqual([entry["number"] for entry in third.entries], [1, 2])
        self.assertEqual([event.kind for event in self.events.latest(10)], ["ledger-damaged"])
        self.assertTrue((self.folder / "changes.jsonl.damaged-1").exists())

    def test_objectsChanged(self) -> None:
        """A text that is not what it was is not given out, nor is one that is gone."""
        made = self.begun()
        self.add(made, "one")
        self.end(made)
        (self.folder / "objects" / hashOfText("one")).write_text("two")
        again = self.begun()
        self.assertIsNone(self.configOf(again, 1))
        (self.folder / "objects" / hashOfText("one")).unlink()
        self.assertIsNone(self.configOf(again, 1))

    def test_deleted(self) -> None:
        """Where somebody has deleted it, what is known is written anew."""
        made = self.begun()
        self.add(made, "one")
        shutil.rmtree(self.folder)
        self.add(made, "two")
        self.end(made)
        again = self.begun()
        self.assertEqual([entry["number"] for entry in again.entries], [1, 2])
        self.assertEqual((self.configOf(again, 1), self.configOf(again, 2)), (None, "two"))
