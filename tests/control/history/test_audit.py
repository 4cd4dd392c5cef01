"""Who changed what, written down while nobody waits."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.actor import EDGE, FILES, Actor
from revproxy.control.history import audit
from revproxy.control.history.audit import HEAD_INTERVAL, RETRY_INTERVAL, Audit
from revproxy.control.history.auditfiles import HEAD, AuditFiles
from revproxy.control.history.verification import verify
from revproxy.loop.jobthread import SILENCE
from revproxy.plan.events import EventLog
from revproxy.secrets import hide

ALICE = Actor("http", "alice", "t1", "operate", "192.0.2.7")


class AuditTests(SynchronousTestCase):
    """`Audit`."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute() / "audit"
        self.clock = Clock()
        self.clock.advance(1000)
        self.events = EventLog(self.clock.seconds)

    def begun(self, inThread: Callable[..., Deferred[Any]] = maybeDeferred, **more: Any) -> Audit:
        """One of an edge that runs."""
        made = Audit(AuditFiles(self.folder), self.events, self.clock, inThread, **more)
        made.begin()
        return made

    def records(self, made: Audit) -> list[dict[str, Any]]:
        """All of them, the oldest first."""
        found: list[dict[str, Any]] = self.successResultOf(Deferred.fromCoroutine(made.page(None, 10000)))
        return found[::-1]

    def kinds(self) -> list[str]:
        """Of the events."""
        return [event.kind for event in self.events.latest(1000)]

    def test_record(self) -> None:
        """Who, what, why, and what came of it; of before and after the hashes, and what is different."""
        made = self.begun()
        made.record(
            ALICE, "weight", "api/http://a", before={"weight": 1}, after={"weight": 3}, reason="too slow", text="ok"
        )
        [record] = self.records(made)
        self.assertEqual(record["actor"], {
            "via": "http", "name": "alice", "token": "t1", "role": "operate", "address": "192.0.2.7",
        })
        self.assertEqual((record["seq"], record["time"], record["action"], record["target"]),
                         (1, 1000.0, "weight", "api/http://a"))
        self.assertEqual((record["reason"], record["result"], record["text"]), ("too slow", "done", "ok"))
        self.assertEqual(record["diff"].splitlines()[1:], [" {", '- "weight": 1', '+ "weight": 3', " }"])
        self.assertNotEqual(record["before_hash"], record["after_hash"])

    def test_verifyWhileRunning(self) -> None:
        """The edge knows what it has written: records that are gone are missed, also where all of them are."""
        made = self.begun()
        made.record(ALICE, "disable", "auth")
        for path in self.folder.iterdir():
            path.unlink()
        verdict = self.successResultOf(Deferred.fromCoroutine(made.verify()))
        self.assertFalse(verdict.isWhole)

    def test_head(self) -> None:
        """The head is in the events, after each change and each hour."""
        made = self.begun()
        made.record(FILES, "files")
        [event] = self.events.latest(1)
        self.assertEqual((event.kind, event.about), ("audited", {"seq": "1", "hash": made.head.hash}))
        self.assertTrue(verify(self.folder, made.head).isWhole)
        self.clock.advance(HEAD_INTERVAL)
        self.assertEqual(self.events.latest(1)[0].about, event.about)
        self.assertEqual(self.kinds(), ["audited", "audited"])

    def test_around(self) -> None:
        """What nobody else records is recorded once, done or refused; what somebody does record is not again."""
        made = self.begun()

        async def plain(actor: Actor) -> int:
            return 1

        async def refused(actor: Actor) -> None:
            raise ValueError("no such token")

        async def told(actor: Actor) -> None:
            made.record(actor, "drain", "api", text="told")

        around = made.around(ALICE, "create", "x", "why", plain)
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(around)), 1)
        around = made.around(ALICE, "delete", "y", "", refused)
        self.failureResultOf(Deferred.fromCoroutine(around), ValueError)
        self.successResultOf(Deferred.fromCoroutine(made.around(ALICE, "drain", "api", "", told)))
        shown = [(record["action"], record["result"], record["text"]) for record in self.records(made)]
        self.assertEqual(shown, [
            ("create", "done", ""), ("delete", "refused", "no such token"), ("drain", "done", "told"),
        ])

    def test_secrets(self) -> None:
        """They are masked wherever they stand, and halves of surrogate pairs are written as something."""
        hide("Krikkit-War")
        made = self.begun()
        secret, long = "Krikkit-War", "x" * 9000
        made.record(EDGE, "set", f"{secret} \udc80", before=secret, after={"a": secret}, reason=long)
        text = next(self.folder.glob("*.jsonl")).read_text()
        self.assertNotIn("Krikkit", text)
        self.assertLess(len(text), 6000)
        self.assertTrue(verify(self.folder).isWhole)

    def test_early(self) -> None:
        """What happens before the state folder is ours is recorded when it is; without one nothing is."""
        made = Audit(AuditFiles(self.folder), self.events, self.clock, maybeDeferred)
        made.record(EDGE, "start")
        self.assertFalse(self.folder.exists())
        self.successResultOf(Deferred.fromCoroutine(made.end()))
        made.begin()
        self.assertEqual([record["action"] for record in self.records(made)], ["start"])

    def test_diskFull(self) -> None:
        """Changes go on; the gap is told at once, and once, and what was not lost is recorded when it can be."""
        room = False

        def guarded(function: Callable[..., Any], *arguments: Any) -> Any:
            if not room and arguments:
                raise OSError(errno.ENOSPC, "No space left on device")
            return function(*arguments)

        made = self.begun(guarded=guarded)
        for number in range(3):
            made.record(FILES, "files", str(number))
        self.clock.advance(RETRY_INTERVAL)
        self.assertEqual(self.kinds(), ["audit-failed"])
        self.assertIn("No space left on device", self.events.latest(1)[0].text)
        room = True
        self.clock.advance(RETRY_INTERVAL)
        self.assertEqual(self.kinds(), ["audit-failed", "audit-restored", "audited", "audited"])
        self.assertEqual([record["target"] for record in self.records(made)], ["0", "1", "2"])
        self.assertEqual([record["time"] for record in self.records(made)], [1000.0] * 3)

    def test_gap(self) -> None:
        """Where more were lost than can wait, a record says how many."""
        self.patch(audit, "MOST_WAITING", 5)
        room = False

        def guarded(function: Callable[..., Any], *arguments: Any) -> Any:
            if not room and arguments:
                raise OSError(errno.ENOSPC, "No space left on device")
            return function(*arguments)

        made = self.begun(guarded=guarded)
        for number in range(8):
            made.record(FILES, "files", str(number))
        room = True
        made.tryAgain()
        self.clock.advance(0)
        records = self.records(made)
        self.assertEqual([record["target"] for record in records], ["0", "", *"34567"])
        self.assertEqual((records[1]["action"], records[1]["result"]), ("gap", "failed"))
        self.assertIn("2 records before this one are missing", records[1]["text"])
        self.assertTrue(verify(self.folder).isWhole)

    def test_slow(self) -> None:
        """A disk that answers late has written what it was given: that is not written once more."""
        jobs: list[Callable[[], None]] = []

        def slow(function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
            waiting: Deferred[Any] = Deferred()
            jobs.append(lambda: maybeDeferred(function, *arguments).chainDeferred(waiting))
            return waiting

        made = self.begun(slow)
        jobs.pop()()
        made.record(FILES, "files", "a")
        self.clock.advance(SILENCE)
        self.assertEqual(self.kinds(), ["audit-failed"])
        made.record(FILES, "files", "b")
        self.clock.advance(RETRY_INTERVAL)
        jobs.pop()()
        self.clock.advance(RETRY_INTERVAL)
        while jobs:
            jobs.pop()()
        self.assertEqual([record["target"] for record in AuditFiles.page(made.files, None, 10)], ["b", "a"])
        self.assertEqual(self.kinds(), ["audit-failed", "audit-restored", "audited", "audited"])

    def test_unsigned(self) -> None:
        """That the head cannot be written is told once, and once that it can be again, be there records or none."""
        made = self.begun()
        made.record(FILES, "files", "a")
        place = self.folder / HEAD
        place.rename(self.folder / "aside")
        place.mkdir()
        made.record(FILES, "files", "b")
        made.record(FILES, "files", "c")
        self.assertEqual([kind for kind in self.kinds() if kind != "audited"], ["audit-failed"])
        self.clock.advance(RETRY_INTERVAL)
        place.rmdir()
        self.clock.advance(RETRY_INTERVAL)
        self.assertEqual([kind for kind in self.kinds() if kind != "audited"], ["audit-failed", "audit-restored"])
        self.assertTrue(verify(self.folder, made.head).isWhole)
        self.successResultOf(Deferred.fromCoroutine(made.end()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_unopened(self) -> None:
        """A folder that could not be read at first, while nothing was to be written, is tried again."""
        room = False

        def guarded(function: Callable[..., Any], *arguments: Any) -> Any:
            if not room:
                raise OSError(errno.EIO, "Input/output error")
            return function(*arguments)

        made = self.begun(guarded=guarded)
        self.clock.advance(RETRY_INTERVAL)
        room = True
        self.clock.advance(RETRY_INTERVAL)
        made.record(FILES, "files", "a")
        self.assertEqual(self.kinds(), ["audit-failed", "audit-restored", "audited"])

    def test_unpruned(self) -> None:
        """Where what is old cannot be removed, what is new was written all the same, and once."""
        files = AuditFiles(self.folder, fileBytes=1, files=1)
        self.patch(Path, "unlink", lambda path, missing_ok=False: os.open("/nowhere", os.O_RDONLY))
        made = Audit(files, self.events, self.clock, maybeDeferred)
        made.begin()
        for number in range(3):
            made.record(FILES, "files", str(number))
        self.assertEqual([record["target"] for record in self.records(made)], ["2", "1", "0"][::-1])
        self.assertTrue(any("cannot be removed" in event.text for event in self.events.latest(9)))

    def test_end(self) -> None:
        """What waits is written before the edge ends, also where a disk takes its time."""
        jobs: list[tuple[Deferred[Any], Callable[[], Any]]] = []

        def later(function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
            waiting: Deferred[Any] = Deferred()
            jobs.append((waiting, lambda: function(*arguments)))
            return waiting

        made = self.begun(later)
        made.record(FILES, "files", "a")
        ending = Deferred.fromCoroutine(made.end())
        made.record(FILES, "files", "b")
        while jobs:
            waiting, job = jobs.pop(0)
            waiting.callback(job())
        self.successResultOf(ending)
        self.assertEqual(verify(self.folder).last.seq, 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_damaged(self) -> None:
        """What is not as it was left is told, and recorded, and the chain goes on behind it."""
        made = self.begun()
        for number in range(3):
            made.record(FILES, "files", str(number))
        self.successResultOf(Deferred.fromCoroutine(made.end()))
        [path] = self.folder.glob("*.jsonl")
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
        again = self.begun()
        self.assertIn("audit-damaged", self.kinds())
        self.assertIn("1 were taken away", self.records(again)[-1]["text"])
        self.assertEqual(self.records(again)[-1]["seq"], 4)
        self.assertFalse(verify(self.folder).isWhole)

    def test_keyOfOthers(self) -> None:
        """A key that everybody could read proves nothing: it is not used, and what it was for is put aside."""
        made = self.begun()
        made.record(FILES, "files", "one")
        self.successResultOf(Deferred.fromCoroutine(made.end()))
        key = self.folder / "key"
        before = key.read_bytes()
        key.chmod(0o604)
        self.begun()
        self.assertNotEqual(key.read_bytes(), before)
        self.assertEqual(key.stat().st_mode & 0o777, 0o600)
        [text] = [event.text for event in self.events.latest(1000) if event.kind == "audit-damaged"]
        self.assertIn("its key could be read by everybody (mode 0604), so nobody can say whether", text)

    def test_keyOfGroup(self) -> None:
        """What is mounted with a group of its own can be read by that: it is closed again, and records go on."""
        made = self.begun()
        made.record(FILES, "files", "one")
        self.successResultOf(Deferred.fromCoroutine(made.end()))
        key = self.folder / "key"
        key.chmod(0o660)
        again = self.begun()
        self.assertEqual(key.stat().st_mode & 0o777, 0o600)
        self.assertEqual([record["seq"] for record in self.records(again)][:1], [1])
        self.assertTrue(verify(self.folder).isWhole)
        [text] = [event.text for event in self.events.latest(1000) if event.kind == "audit-damaged"]
        self.assertIn("its group could read it (mode 0660); it has mode 0600 now", text)
