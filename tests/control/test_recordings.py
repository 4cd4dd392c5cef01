"""
Recordings: begun, written, ended, and how each end is told.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.control import recordingfiles
from revproxy.control import recordings as module
from revproxy.control.actor import Actor
from revproxy.control.commands import CommandError, NotThere
from revproxy.control.recordingfiles import RecordingFiles
from revproxy.control.recordings import GRACE, Recordings, Wanted
from revproxy.plan.events import EventLog
from revproxy.plan.words import Record, Recorded
from revproxy.replay.corpus import CorpusReader
from revproxy.replay.recordedrequest import RecordedRequest
from tests.replay.recordings import call, pluginCall, request

ANN = Actor("http", "ann", "t1", "operate")
ROOT = Actor("socket", "root")

MINUTE = Wanted(60.0, 0.01, ("shop",), "r-1")


def batch(*requests: RecordedRequest, dropped: int = 0) -> Recorded:
    """What a worker tells of ``r-1``."""
    return Recorded("r-1", msgspec.msgpack.encode(requests), len(requests), dropped)


class RecordingsTests(SynchronousTestCase):
    """Of one edge."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_800_000_000)
        self.folder = Path(self.mktemp()).absolute() / "recordings"
        self.files = RecordingFiles(self.folder)
        self.told: list[Record] = []
        self.log = EventLog(self.clock.seconds)
        self.held: list[Any] | None = None
        self.recordings = Recordings(
            self.files, self.clock, self.inThread, self.told.append,
            self.log, lambda: ["shop", "blog"],
        )  # fmt: skip

    @property
    def events(self) -> list[tuple[str, str]]:
        """Kind and text of what has happened, the oldest first."""
        return [(event.kind, event.text) for event in self.log.latest(100)]

    def inThread(self, function: Any, *arguments: Any) -> Deferred[Any]:
        if self.held is None:
            return maybeDeferred(function, *arguments)
        waiting: Deferred[Any] = Deferred()
        self.held.append(lambda: maybeDeferred(function, *arguments).chainDeferred(waiting))
        return waiting

    def begin(self, wanted: Wanted = MINUTE, actor: Actor = ANN) -> dict[str, Any]:
        return self.successResultOf(Deferred.fromCoroutine(self.recordings.begin(actor, wanted)))

    def refused(self, wanted: Wanted, actor: Actor = ANN) -> str:
        failure = self.failureResultOf(Deferred.fromCoroutine(self.recordings.begin(actor, wanted)), CommandError)
        return str(failure.value)

    def all(self) -> list[dict[str, Any]]:
        return self.successResultOf(Deferred.fromCoroutine(self.recordings.all()))

    def read(self, name: str = "r-1") -> tuple[CorpusReader, list[RecordedRequest]]:
        lines = (self.folder / f"{name}.jsonl").read_bytes().splitlines(True)
        reader = CorpusReader(name, lines)
        return reader, list(reader)

    def test_whole(self) -> None:
        """It is begun, told to workers, written as it comes, and ended by the clock."""
        begun = self.begin()
        self.assertEqual((begun["name"], begun["state"], begun["until"]), ("r-1", "recording", 1_800_000_060.0))
        self.assertEqual(self.told, [Record("r-1", ("shop",), 0.01, 65536)])
        self.assertEqual(list(self.recordings.words()), self.told)
        self.recordings.heard(0, batch(request(), request()))
        self.recordings.heard(1, batch(request(), dropped=2))
        (now,) = self.all()
        self.assertEqual((now["requests"], now["dropped"], now["state"]), (3, 2, "recording"))
        self.clock.advance(60)
        self.assertEqual(self.told[1:], [Record("r-1")])
        self.recordings.heard(0, batch(request()))
        self.assertEqual(self.all()[0]["state"], "ending")
        self.clock.advance(GRACE)
        (ended,) = self.all()
        self.assertEqual((ended["state"], ended["requests"], ended["dropped"]), ("ended", 4, 2))
        self.assertEqual(ended["why"], "its time is over")
        reader, found = self.read()
        self.assertEqual((found, reader.cut), ([request()] * 4, ""))
        self.assertEqual([kind for kind, _ in self.events], ["recording-begun", "recording-ended"])
        self.assertIn("4 requests", self.events[1][1])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_private(self) -> None:
        """Nobody but the edge's user may read it, and what lets in is not in it."""
        self.begin()
        of = call(headers=((b"Authorization", b"Bearer opensesame"),))
        self.recordings.heard(0, batch(request(pluginCall(of))))
        path = self.folder / "r-1.jsonl"
        self.assertNotIn(b"opensesame", path.read_bytes())
        self.assertIn(b"Bearer redacted-", path.read_bytes())
        self.assertEqual(path.stat().st_mode & 0o077, 0)
        self.assertEqual(self.folder.stat().st_mode & 0o077, 0)

    def test_refused(self) -> None:
        """What cannot be says why, and what to do."""
        self.assertIn('no route is named "shup"; did you mean', self.refused(Wanted(60.0, 1.0, ("shup",))))
        self.assertIn("lower-case letters", self.refused(Wanted(60.0, name="../x")))
        self.assertIn("for those who may configure", self.refused(Wanted(60.0, keep=("authorization",))))
        self.begin(Wanted(60.0, keep=("authorization",), name="r-0"), ROOT)
        self.assertIn("the recording r-0 goes on", self.refused(MINUTE))
        self.assertEqual(len(self.told), 1)

    def test_names(self) -> None:
        """One that was not given a name has one of its route and the time; one that is there is not written over."""
        first = self.begin(Wanted(60.0, routes=("shop",)))
        self.assertEqual(first["name"], "shop-20270115-080000")
        self.finish()
        self.assertIn("there is a recording named shop-2027", self.refused(Wanted(60.0, name=first["name"])))
        self.assertEqual(self.begin(Wanted(60.0))["name"], "requests-20270115-080002")

    def finish(self) -> None:
        """End what goes on."""
        current = next(each for each in self.all() if each["state"] == "recording")
        self.successResultOf(Deferred.fromCoroutine(self.recordings.stop(current["name"])))
        self.clock.advance(GRACE + 0.5)

    def test_full(self) -> None:
        """With as many requests as it may have it ends; what comes besides is dropped."""
        self.begin(Wanted(60.0, 1.0, (), "r-1", requests=3))
        self.recordings.heard(0, batch(request(), request()))
        self.recordings.heard(0, batch(request(), request()))
        self.clock.advance(GRACE)
        (ended,) = self.all()
        self.assertEqual((ended["why"], ended["requests"], ended["dropped"]), ("it has 3 requests", 3, 1))
        self.assertEqual(len(self.read()[1]), 3)

    def test_large(self) -> None:
        """So with as many bytes."""
        self.begin(Wanted(60.0, 1.0, (), "r-1", bytes=2000))
        for _ in range(9):
            self.recordings.heard(0, batch(request()))
        self.clock.advance(GRACE)
        (ended,) = self.all()
        self.assertEqual(ended["state"], "ended")
        self.assertIn("MB", ended["why"])
        self.assertLess((self.folder / "r-1.jsonl").stat().st_size, 2300)

    def test_stop(self) -> None:
        """Somebody ends it, once."""
        self.begin()
        self.finish()
        self.assertEqual(self.all()[0]["why"], "somebody ended it")
        self.failureResultOf(Deferred.fromCoroutine(self.recordings.stop("r-1")), NotThere)

    def test_slowDisk(self) -> None:
        """What waits for a disk is bounded; nobody waits for it; at the end all is written."""
        self.patch(module, "MOST_WAITING", 3000)
        self.begin()
        self.held = []
        one = batch(request())
        for _ in range(20):
            self.recordings.heard(0, one)
        fits = 1 + 3000 // len(one.batch)
        held, self.held = self.held, None
        self.assertEqual(len(held), 1)
        held[0]()
        self.finish()
        (ended,) = self.all()
        self.assertEqual((ended["requests"], ended["dropped"]), (fits, 20 - fits))

    def test_fullDisk(self) -> None:
        """Where it cannot be written it ends, and the event says why; what is there is whole."""
        self.begin()
        self.recordings.heard(0, batch(request()))

        def full(descriptor: int, data: bytes) -> None:
            os.write(descriptor, data[:5])
            raise OSError(28, "No space left on device")

        self.patch(recordingfiles, "writeAll", full)
        self.recordings.heard(0, batch(request()))
        self.clock.advance(GRACE)
        (cut,) = self.all()
        self.assertEqual((cut["state"], cut["why"]), ("cut", "it was cut off"))
        self.assertIn("No space left on device", self.events[-1][1])
        self.assertEqual(len(self.read()[1]), 1)

    def test_deleted(self) -> None:
        """One that is removed while it goes on ends, and is not made anew."""
        self.begin()
        self.successResultOf(Deferred.fromCoroutine(self.recordings.delete("r-1")))
        self.recordings.heard(0, batch(request()))
        self.clock.advance(GRACE)
        self.assertEqual(self.all(), [])
        self.assertEqual(self.told[-1], Record("r-1"))
        self.assertEqual([kind for kind, _ in self.events], ["recording-begun", "recording-deleted", "recording-ended"])
        self.failureResultOf(Deferred.fromCoroutine(self.recordings.delete("r-1")), NotThere)
        self.failureResultOf(Deferred.fromCoroutine(self.recordings.delete("../x")), NotThere)

    def test_content(self) -> None:
        """It is read line by line, from where somebody has stopped."""
        self.begin()
        self.recordings.heard(0, batch(*(request(id=f"r-{number}") for number in range(5))))
        lines: list[str] = []
        offset: int | None = 0
        while offset is not None:
            some, offset = self.successResultOf(Deferred.fromCoroutine(self.recordings.content("r-1", offset, 700)))
            lines += some
        self.assertEqual("\n".join(lines) + "\n", (self.folder / "r-1.jsonl").read_text())
        self.assertEqual(len(lines), 6)
        self.failureResultOf(Deferred.fromCoroutine(self.recordings.content("nowhere", 0, 9)), NotThere)

    def test_clientsLineBreaks(self) -> None:
        """What clients send may have what Unicode takes for the end of a line: a line of the file stays one."""
        self.begin()
        odd = call(headers=((b"x-odd", b"a\x85b"),), body="a\u2028b\u2029c".encode(), isWhole=True)
        self.recordings.heard(0, batch(request(pluginCall(odd))))
        lines, _ = self.successResultOf(Deferred.fromCoroutine(self.recordings.content("r-1", 0, 1 << 20)))
        self.assertEqual(len(lines), 2)
        (read,) = CorpusReader("r-1", (f"{line}\n".encode() for line in lines))
        self.assertEqual(read.calls[0].call, odd)

    def test_edgeEnds(self) -> None:
        """With the edge it ends, in order."""
        self.begin()
        self.recordings.heard(0, batch(request()))
        self.successResultOf(Deferred.fromCoroutine(self.recordings.end()))
        reader, found = self.read()
        assert reader.end is not None
        self.assertEqual((reader.end.why, len(found)), ("the edge was stopped", 1))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_afterACrash(self) -> None:
        """One that was broken off is shown so; what is no recording is not hidden."""
        self.begin()
        self.recordings.heard(0, batch(request()))
        (self.folder / "other.jsonl").write_text("{}\n")
        (self.folder / "README").write_text("")
        later = Recordings(
            self.files, self.clock, self.inThread, self.told.append, self.log, list
        )
        found = {each["name"]: each for each in self.successResultOf(Deferred.fromCoroutine(later.all()))}
        self.assertEqual((found["r-1"]["state"], found["r-1"]["why"]), ("cut", "it was cut off"))
        self.assertIn("it is no recording", found["other"]["why"])
        self.assertEqual(sorted(found), ["other", "r-1"])

    def test_bounded(self) -> None:
        """There are not more than there may be."""
        self.patch(recordingfiles, "MOST_FILES", 1)
        self.begin()
        self.finish()
        self.assertIn("revproxy recordings delete", self.refused(Wanted(60.0, name="r-2")))
        self.assertEqual(self.told[-1], Record("r-1"))

    def test_strangers(self) -> None:
        """What is told of none that goes on, or is no requests at all, is passed over."""
        self.recordings.heard(0, batch(request()))
        self.begin()
        self.recordings.heard(0, Recorded("another", b"", 1))
        self.recordings.heard(0, Recorded("r-1", b"\xc1", 1))
        self.assertEqual(self.all()[0]["requests"], 0)
