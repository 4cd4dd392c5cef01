"""Tests for `revproxy.worker.accesslogging`: real files, threads that are told when to run."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.configfile import parseConfig
from revproxy.config.settings import LoggingConfig
from revproxy.loop.jobthread import HURRY, SILENCE
from revproxy.plan.plan import Plan
from revproxy.plan.words import Notice, Prepare
from revproxy.worker.accesslogging import AccessLogging, leadsNowhere
from revproxy.worker.logfile import LogFile
from revproxy.worker.participant import Refused
from revproxy.worker.recording import Recording
from tests.dataplane.doubles import EdgeDouble, RecordingLeaf

CONFIG = parseConfig("listeners: [{endpoint: 'tcp:1'}]\nroutes: [{respond: {}}]\n", "r.yaml", Path("/"))
GET = b"GET /%b HTTP/1.1\r\nHost: x\r\nUser-Agent: me\r\n\r\n"


class NowhereTests(SynchronousTestCase):
    """An access log on a daemon's standard output."""

    def test_kinds(self) -> None:
        """The null device is told from files, and from what is not open."""
        with open(os.devnull, "wb") as nothing, open(self.mktemp(), "wb") as file:
            self.assertTrue(leadsNowhere(nothing.fileno()))
            self.assertFalse(leadsNowhere(file.fileno()))
        self.assertFalse(leadsNowhere(1 << 20))


class ThreadsDouble(Clock):
    """A reactor and its thread pool in one; work is done in :meth:`work`."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Callable[[], None]] = []

    def callInThreadWithCallback(self, onResult: Any, function: Any, *args: Any, **kwargs: Any) -> None:
        def run() -> None:
            try:
                result = function(*args, **kwargs)
            except OSError as error:
                onResult(False, Failure(error))
            else:
                onResult(True, result)

        self.waiting.append(run)

    def callFromThread(self, function: Any, *args: Any, **kwargs: Any) -> None:
        function(*args, **kwargs)

    def work(self) -> None:
        while self.waiting:
            self.waiting.pop(0)()


class ChangeTests(SynchronousTestCase):
    """An edge that logs into one file, and then elsewhere."""

    def setUp(self) -> None:
        self.leaf = RecordingLeaf()
        self.double = EdgeDouble(self.leaf)
        self.edge = self.double.edge
        self.reactor = ThreadsDouble()
        self.recording = Recording(self.reactor, self.edge, lambda word: None)
        inThread = partial(deferToThreadPool, self.reactor, self.reactor)
        self.notices: list[Notice] = []
        self.logging = AccessLogging(self.reactor, self.recording, inThread, self.notices.append)
        self.edge.recorder = None
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.first = LoggingConfig(str(self.folder / "first.log"))
        self.logging.open(self.first)
        self.client = self.double.connect()
        self.addCleanup(self.close)

    def close(self) -> None:
        self.done(self.logging.close())

    def done(self, work: Any) -> Any:
        deferred = Deferred.fromCoroutine(work)
        self.reactor.work()
        return self.successResultOf(deferred)

    def prepare(self, config: LoggingConfig, starts: bool = True) -> Deferred[None]:
        """As far as it goes without a thread."""
        plan = Plan(1, replace(CONFIG, logging=config), {}, (), ())
        return Deferred.fromCoroutine(self.logging.prepare(Prepare(1, plan, starts)))

    def prepared(self, config: LoggingConfig) -> None:
        """It is ready to take effect."""
        preparing = self.prepare(config)
        self.reactor.work()
        self.successResultOf(preparing)
        self.done(self.logging.ready())

    def become(self, config: LoggingConfig) -> None:
        self.prepared(config)
        self.logging.commit()

    def ask(self, target: bytes) -> None:
        self.client.send(GET % target)
        self.leaf.answer(-1)

    def targets(self, name: str) -> list[str]:
        """What a file has, in JSON."""
        return [json.loads(line)["target"] for line in (self.folder / name).read_text().splitlines()]

    def test_elsewhere(self) -> None:
        """Lines go to the new file from the moment of the change on; the old one gets all that were before."""
        self.ask(b"a")
        self.become(LoggingConfig(str(self.folder / "second.log")))
        self.ask(b"b")
        self.close()
        self.assertEqual([self.targets("first.log"), self.targets("second.log")], [["/a"], ["/b"]])

    def test_cannotBeOpened(self) -> None:
        """What cannot be opened changes nothing, and says which setting is wrong."""
        before = self.recording.log
        preparing = self.prepare(LoggingConfig(str(self.folder / "no" / "x.log")))
        self.reactor.work()
        [refusal] = self.failureResultOf(preparing, Refused).value.refusals
        self.assertEqual((refusal.plugin, refusal.stage), ("", "listen"))
        self.assertIn("$.logging.access: [Errno 2] No such file", refusal.message)
        self.logging.commit()
        self.assertEqual((self.recording.log, self.logging.config), (before, self.first))
        self.ask(b"a")
        self.close()
        self.assertEqual(self.targets("first.log"), ["/a"])

    def test_hangs(self) -> None:
        """What is not opened in time changes nothing, and is closed when it is open in the end."""
        opened: list[LogFile] = []
        start = LogFile.start
        self.patch(LogFile, "start", lambda file: (opened.append(file), start(file)))
        for isEnding, seconds in ((False, SILENCE), (True, HURRY)):
            preparing = self.prepare(LoggingConfig(str(self.folder / "x.log")))
            if isEnding:
                self.logging.hurry()
            self.reactor.advance(seconds)
            self.failureResultOf(preparing, Refused)
            self.reactor.work()
            self.assertEqual(self.logging.config, self.first)
            self.assertTrue(opened.pop().isClosing)

    def test_otherFormat(self) -> None:
        """The same file in another format: one after the other, the file is opened once."""
        self.ask(b"a")
        self.prepared(LoggingConfig(self.first.access, "combined"))
        self.ask(b"b")
        self.logging.commit()
        self.assertTrue(self.edge.logsAgents)
        self.ask(b"c")
        self.close()
        lines = (self.folder / "first.log").read_text().splitlines()
        self.assertEqual([json.loads(line)["target"] for line in lines[:2]], ["/a", "/b"])
        self.assertIn('"GET /c HTTP/1.1" 200', lines[2])
        self.assertTrue(lines[2].endswith('"-" "me"'), lines[2])

    def test_off(self) -> None:
        """Off, and on again."""
        self.become(LoggingConfig(None))
        self.assertEqual((self.recording.log, self.edge.recorder), (None, None))
        self.ask(b"a")
        self.become(self.first)
        self.ask(b"b")
        self.close()
        self.assertEqual(self.targets("first.log"), ["/b"])

    def test_same(self) -> None:
        """What is as it was is left as it is, and giving it up closes nothing."""
        before = self.recording.log
        self.become(LoggingConfig(self.first.access))
        self.prepared(LoggingConfig(self.first.access))
        self.done(self.logging.abandon())
        self.assertIs(self.recording.log, before)
        self.ask(b"a")
        self.close()
        self.assertEqual(self.targets("first.log"), ["/a"])

    def test_abandoned(self) -> None:
        """What was prepared in vain is closed; what runs goes on."""
        opened: list[LogFile] = []
        start = LogFile.start
        self.patch(LogFile, "start", lambda file: (opened.append(file), start(file)))
        for config in (LoggingConfig(str(self.folder / "second.log")), LoggingConfig(self.first.access, "combined")):
            self.prepared(config)
            self.done(self.logging.abandon())
            self.assertEqual([file.isClosing for file in opened], [True])
            self.logging.commit()
            self.assertEqual(self.logging.config, self.first)
        self.ask(b"a")
        self.close()
        self.assertEqual(self.targets("first.log"), ["/a"])

    def test_preparedAgain(self) -> None:
        """Another try uses the file that is open already; one that wants another file closes it."""
        opened: list[LogFile] = []
        start = LogFile.start
        self.patch(LogFile, "start", lambda file: (opened.append(file), start(file)))
        second, third = (LoggingConfig(str(self.folder / f"{name}.log")) for name in ("second", "third"))
        for config in (second, second, third):
            self.prepared(config)
        self.logging.commit()
        self.assertEqual([(file.path, file.isClosing) for file in opened], [
            (second.access, True), (third.access, False)])
        self.assertEqual(self.logging.config, third)

    def test_beforeTheFork(self) -> None:
        """Before the loop runs nothing is opened: a daemon has not forked yet."""
        self.successResultOf(self.prepare(LoggingConfig(str(self.folder / "no" / "x.log")), starts=False))
        self.logging.commit()
        self.assertEqual(self.logging.config, self.first)

    def test_reopened(self) -> None:
        """After the file was renamed, lines go to a new one of its name."""
        self.ask(b"a")
        os.rename(self.folder / "first.log", self.folder / "first.log.1")
        self.logging.reopen()
        self.close()
        self.assertEqual([self.targets("first.log.1"), self.targets("first.log")], [["/a"], []])

    def test_trouble(self) -> None:
        """That lines cannot be written is told to control, and that they can again."""
        path = self.folder / "full.log"
        path.symlink_to("/dev/full")
        self.become(LoggingConfig(str(path)))
        self.ask(b"a")
        self.close()
        (notice,) = self.notices
        self.assertEqual(notice.kind, "access-log-failed")
        self.assertIn("No space left on device", notice.text)

    def test_closeWaits(self) -> None:
        """The end waits for a file that is still being closed, and leaves nothing to be called."""
        self.prepared(self.first)
        self.become(LoggingConfig(None))
        closed = Deferred.fromCoroutine(self.logging.close())
        self.assertNoResult(closed)
        self.reactor.work()
        self.successResultOf(closed)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
