"""
Conversations of control with its workers, written down line by line and played.

There is no worker, no file and no disk: links write down what they are told, workers answer when the transcript says
so, what the files hold is a value, the state folder is a dictionary, and time is a clock that somebody turns. A
transcript is what happens, in order::

    apply                                somebody has the files read
    control: Prepare 2 (a 2.0, b 1.0)    control says this to the worker
    worker: prepare done                 the worker answers
    stored: a 2.0                        the version store gets a bundle
    control: Ready 2
    worker: ready refused: a start: it raised
    60 s pass                            nothing else happens for so long
    halt                                 the edge is being stopped
    end: refused: a start: it raised     what came of it

Lines that begin with ``apply``, ``worker``, ``halt``, ``prepare``, ``begin``, or a number of seconds are done; all
others are compared with what was written down meanwhile. With several workers, each line says which: ``control to 1:``,
``worker 1:``. A worker can say these as well::

    worker: 3 of 9 calls of a 2.0 failed
    worker: 20 calls of a 2.0 more
    worker: a call of a 2.0 stalled, and was ended
    worker: a call of a 2.0 stalled
    worker: a probe of a 2.0 stalled, and was ended
    worker: a 2.0 is restored, and 1 instance is not
    worker: a 2.0 is restored
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.bundles.bundle import Bundle
from revproxy.bundles.versionstore import StoreError
from revproxy.config.configfile import parseConfig
from revproxy.config.problems import ConfigErrors, Problem
from revproxy.config.settings import Config
from revproxy.control.changes import NOTHING_ASKED, ChangeRefused, ChangeReport, ChangeRequest
from revproxy.control.coordinator import Coordinator
from revproxy.control.crew import Crew
from revproxy.control.snapshot import Snapshot
from revproxy.control.startup import StartRefused, Startup
from revproxy.control.state import keeper as keeping
from revproxy.control.state.keeper import StateKeeper
from revproxy.control.state.records import PluginRecords
from revproxy.control.turns import Turns
from revproxy.loop.jobthread import READING, JobThread
from revproxy.plan.catalog import BrokenPlugin, Catalog, CatalogEntry
from revproxy.plan.counted import VersionCounters
from revproxy.plan.events import EventLog
from revproxy.plan.plan import Plan
from revproxy.plan.refusal import Refusal
from revproxy.plan.versionid import VersionId
from revproxy.plan.words import (
    Abandon,
    Answer,
    Commit,
    Counters,
    Down,
    DropIns,
    Failures,
    Prepare,
    Ready,
    Restored,
    Stalled,
    Up,
)

CONFIG = "listeners: [{endpoint: 'tcp:1'}]\nroutes: [{respond: {}}]\nstate: /nowhere\n"


def makeConfig(extra: str = "", source: str = "first.yaml") -> Config:
    """A configuration; transcripts call it by its source."""
    return parseConfig(CONFIG + extra, source, Path("/"))


class FakeSnapshots:
    """
    Says what the files hold.

    :ivar snapshot: what that is.
    """

    def __init__(self, config: Config) -> None:
        self.snapshot = Snapshot(config, Catalog({}))

    def install(self, dropIns: DropIns) -> None:
        """Nothing is installed."""

    def read(self, current: Config, owners: Mapping[str, Path] | None = None, useCurrent: bool = False) -> Snapshot:
        """At once."""
        return replace(self.snapshot, config=current, configErrors=None) if useCurrent else self.snapshot


class FakeStore:
    """
    Bundles by the name of the plugin and their digest.

    :ivar isFull: whether nothing more goes in.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self.bundles: dict[tuple[str, str], Bundle] = {}
        self.isFull = False
        self._write = write

    def keep(self, name: str, bundle: Bundle) -> None:
        """:raises StoreError: the disk is full."""
        if self.isFull:
            raise StoreError("the disk is full")
        self.bundles[name, bundle.digest] = bundle
        self._write(f"stored: {name} {_numberOf(bundle)}")

    def read(self, name: str, digest: str, directory: Path | None = None) -> Bundle:
        """:raises StoreError: it is not there."""
        if (name, digest) not in self.bundles:
            raise StoreError(f"{name}: is not stored")
        return self.bundles[name, digest]

    def prune(self, name: str, kept: Any) -> tuple[str, ...]:
        """All stay."""
        return ()

    def keepTests(self, name: str, digest: str, tests: Any) -> None:
        """They are lost."""

    def digests(self, name: str) -> tuple[str, ...]:
        """All of a plugin."""
        return tuple(digest for plugin, digest in self.bundles if plugin == name)


class FakeStateFolder:
    """A state folder that is nowhere."""

    recordsPath = Path("/nowhere/plugins.json")
    eventsPath = Path("/nowhere/events.jsonl")
    targetsPath = Path("/nowhere/targets.json")
    certificatesPath = Path("/nowhere/certificates.json")
    rolloutsPath = Path("/nowhere/rollouts.json")
    alertsPath = Path("/nowhere/alerts.json")
    trustPath = Path("/nowhere/trust.json")
    auditPath = Path("/nowhere/audit")
    historyPath = Path("/nowhere/history")
    recordingsPath = Path("/nowhere/recordings")

    def __init__(self, write: Callable[[str], None]) -> None:
        self.store = FakeStore(write)

    def guarded(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """It is always ours."""
        return function(*arguments)


class FakeLink:
    """The way to a worker that does nothing until the transcript says what it answers."""

    def __init__(self, send: Callable[[Down], None]) -> None:
        self.send = send


class Conversation:
    """
    Control with its doubles, and what was written down.

    :ivar lines: what has happened.
    :ivar words: all that was said to the worker of number 0.
    :ivar silent: ``"disk"`` or ``"files"`` in it: that does not answer.
    """

    def __init__(self, case: SynchronousTestCase, workers: int = 1, silence: float | None = None) -> None:
        """
        :param silence: seconds after which a worker that does not answer has refused.
        """
        self.lines: list[str] = []
        self.words: list[Down] = []
        self.silent: set[str] = set()
        self._pending: list[tuple[int, tuple[int, Any]]] = []
        case.addCleanup(self.finish)
        self.clock = Clock()
        self.config = makeConfig()
        self.events = EventLog(self.clock.seconds)
        self.events.subscribers.append(lambda event: self.lines.append(f"event: {event.kind} {event.plugin}".strip()))
        self.crew = Crew(self.clock, silence)
        self._workers = workers
        self.crew.employ([FakeLink(lambda word, number=number: self._told(number, word)) for number in range(workers)])
        self.state = FakeStateFolder(self.lines.append)
        self.written = PluginRecords()
        case.patch(keeping, "writeRecords", self._write)
        self._runs: Deferred[Any] | None = None
        self.snapshots = FakeSnapshots(self.config)
        self.boot()

    def boot(self) -> None:
        """A process begins: it knows what was written."""
        state: Any = self.state
        snapshots: Any = self.snapshots
        turns = Turns()
        self.keeper = StateKeeper(
            state, self.written, self.events, self.clock, self._inThread("disk"), turns.takeUnlessEnded
        )
        self.keeper.isWritable = True
        files = JobThread(self.clock, self._inThread("files"), READING)
        self.coordinator = Coordinator(
            self.snapshots.snapshot.config,
            snapshots,
            self.crew,
            self.keeper,
            self.events,
            files,
            self.clock.seconds,
            turns,
            self.clock.callLater,
        )
        self.startup = Startup(self.coordinator)

    def files(
        self, *plugins: CatalogEntry | BrokenPlugin, config: Config | None = None, wrong: str = ""
    ) -> None:
        """
        This is in the files from now on.

        :param wrong: what is wrong with the configuration file.
        """
        entries = {each.manifest.name: each for each in plugins if isinstance(each, CatalogEntry)}
        broken = tuple(each for each in plugins if isinstance(each, BrokenPlugin))
        errors = ConfigErrors([Problem("first.yaml", 1, 1, "", wrong)]) if wrong else None
        config = config or self.snapshots.snapshot.config
        self.snapshots.snapshot = Snapshot(config, Catalog(entries, broken), configErrors=errors)

    def running(self, *plugins: CatalogEntry) -> None:
        """An edge that has started with these; its start is not in the transcript."""
        self.files(*plugins)
        for start in (self.startup.prepare, self.startup.begin):
            self._begin(start())
            self._acceptAll()
        self.lines.clear()

    def play(self, transcript: str, request: ChangeRequest = NOTHING_ASKED) -> tuple[list[str], list[str]]:
        """
        Do what is to be done in it.

        :param request: what ``apply`` asks for.
        :returns: what has happened, and the transcript, to be compared.
        """
        expected = [line.strip() for line in transcript.strip().splitlines()]
        self.lines.clear()
        for line in expected:
            self._do(line, request)
        return self.lines, expected

    def _inThread(self, name: str) -> Callable[..., Deferred[Any]]:
        return lambda function, *arguments: (
            Deferred() if name in self.silent else maybeDeferred(function, *arguments)
        )

    def finish(self) -> None:
        """The edge is stopped, and workers answer all that they were told."""
        self.coordinator.halt()
        self._acceptAll()

    def _acceptAll(self) -> None:
        while self._pending:
            worker, (transaction, step) = self._pending[0]
            self.says(worker, Answer(transaction, step))

    # What is done

    def _do(self, line: str, request: ChangeRequest) -> None:
        doing: dict[str, Callable[[], None]] = {
            "apply": lambda: self._begin(self.coordinator.apply(request)),
            "prepare": lambda: self._begin(self.startup.prepare()),
            "begin": lambda: self._begin(self.startup.begin()),
            "halt": self.coordinator.halt,
        }
        answer = re.fullmatch(r"worker ?(\d*): (\w+)(?: of (\d+))? (done|refused: .*)", line)
        event = re.fullmatch(r"worker ?(\d*): (.*)", line)
        passing = re.fullmatch(r"(\d+) s pass", line)
        if line not in doing and answer is None and event is None and passing is None:
            return
        self.lines.append(line)
        if line in doing:
            doing[line]()
        elif answer is not None:
            refusals = () if answer[4] == "done" else tuple(map(self._refusal, answer[4][9:].split("; ")))
            transaction = int(answer[3] or self.coordinator.transaction)
            self.says(int(answer[1] or 0), Answer(transaction, answer[2], refusals))  # type: ignore[arg-type]
        elif event is not None:
            self.says(int(event[1] or 0), self._wordOf(event[2]))
        elif passing is not None:
            self.clock.advance(float(passing[1]))

    def _wordOf(self, text: str) -> Up:
        failures = re.fullmatch(r"(\d+) of (\d+) calls of (\w+) (\S+) failed", text)
        if failures is not None:
            name, number = failures[3], failures[4]
            return Failures(name, self._version(name, number), int(failures[1]), int(failures[2]))
        counted = re.fullmatch(r"(\d+) calls of (\w+) (\S+) more", text)
        if counted is not None:
            return Counters((VersionCounters(counted[2], self._version(counted[2], counted[3]), int(counted[1])),))
        stalled = re.fullmatch(r"a (call|probe) of (\w+) (\S+) stalled(, and was ended)?", text)
        if stalled is not None:
            name, version = stalled[2], self._version(stalled[2], stalled[3])
            ended, isProbe = stalled[4] is not None, stalled[1] == "probe"
            return Stalled(name, version, "handle", "plugin.py:3", 1.0, ended, isProbe)
        restored = re.fullmatch(r"(\w+) (\S+) is restored(?:, and (\d+) instances? (?:is|are) not)?", text)
        assert restored is not None, text
        return Restored(restored[1], self._version(restored[1], restored[2]), int(restored[3] or 0))

    def _version(self, name: str, number: str) -> VersionId:
        """What a version is called: one that was ever prepared, or that nobody knows."""
        plans = [word.plan for word in self.words if isinstance(word, Prepare)]
        found = [plan.entries[name].version for plan in plans if name in plan.entries]
        return next((version for version in found if version.number == number), VersionId(number, "0" * 64))

    def says(self, worker: int, word: Up) -> None:
        """A worker says something."""
        if isinstance(word, Answer):
            self._pending = [
                (each, step) for each, step in self._pending if (each, step) != (worker, (word.transaction, word.step))
            ]
        self.crew.heard(worker, word)

    def _begin(self, work: Any) -> None:
        assert self._runs is None, "something else is under way"
        self._runs = Deferred.fromCoroutine(work)
        self._runs.addCallbacks(self._ended, self._failed)

    def _ended(self, result: Any) -> None:
        self._runs = None
        report = result if isinstance(result, ChangeReport) else ChangeReport()
        texts = [*(re.sub(r" \([0-9a-f]{12}\)", "", line) for line in report.text)]
        texts += [f"not {told(refusal)}" for refusal in report.refused]
        texts += [f"unwritten: {report.unwritten}"] if report.unwritten else []
        self.lines.append(f"end: {'; '.join(texts) or 'nothing to tell'}")

    def _failed(self, failure: Any) -> None:
        self._runs = None
        error = failure.value
        if isinstance(error, ChangeRefused):
            self.lines.append(f"end: refused: {'; '.join(map(told, error.refusals))}")
        elif isinstance(error, StartRefused):
            self.lines.append(f"end: refused: {told(error.refusal)}")
        elif isinstance(error, ConfigErrors):
            self.lines += [f"end: refused: {problem}" for problem in error.problems]
        else:
            failure.raiseException()

    def _refusal(self, text: str) -> Refusal:
        """A refusal as it is written: ``PLUGIN STAGE: MESSAGE``, or without a plugin."""
        who, _, message = text.partition(": ")
        name, _, stage = who.rpartition(" ")
        plans = [word.plan for word in self.words if isinstance(word, Prepare)]
        entry = plans[-1].entries.get(name)
        return Refusal(name, stage, message) if entry is None else Refusal(name, stage, message, entry.version)

    # What is written down

    def _told(self, worker: int, word: Down) -> None:
        if worker == 0:
            self.words.append(word)
        who = f"control to {worker}" if self._workers > 1 else "control"
        what = f"{type(word).__name__} {getattr(word, 'transaction', '')}".strip()
        if isinstance(word, Prepare):
            settings = word.plan.config
            plugins = _listed(word.plan) + ("" if settings.source == "first.yaml" else f"; {settings.source}")
            what += f"{'' if word.starts else ' without starting'} ({plugins})"
        if isinstance(word, Prepare | Ready | Commit | Abandon):
            self._pending.append((worker, (word.transaction, type(word).__name__.lower())))
        self.lines.append(f"{who}: {what}")

    def _write(self, path: Path, records: PluginRecords) -> None:
        if self.state.store.isFull:
            raise OSError(28, "No space left on device")
        self.written = records
        running = [record.find(record.running) for record in records.plugins.values() if record.running]
        names = [name for name, record in records.plugins.items() if record.running]
        pairs = zip(names, running, strict=True)
        self.lines.append(f"written: {', '.join(f'{name} {known.version}' for name, known in pairs if known)}")


class TranscriptCase(SynchronousTestCase):
    """
    With a conversation, of one worker that may think for ever.
    """

    workers = 1
    silence: float | None = None

    def setUp(self) -> None:
        self.talk = Conversation(self, self.workers, self.silence)

    def play(self, transcript: str, request: ChangeRequest = NOTHING_ASKED) -> None:
        """A transcript, in which nothing else happens, and nothing less."""
        happened, expected = self.talk.play(transcript, request)
        self.assertEqual(happened, expected, "\n\nwhat happened:\n" + "\n".join(happened))


def told(refusal: Refusal) -> str:
    """A refusal as transcripts write it: the first line of what it says."""
    return f"{refusal.plugin} {refusal.stage}: {refusal.message.splitlines()[0]}".strip()


def _listed(plan: Plan) -> str:
    gates = dict.fromkeys(plan.gates, " behind a gate")
    plugins = [f"{each.name} {each.entry.manifest.version}{gates.get(each.name, '')}" for each in plan.selected]
    return ", ".join(plugins) or "no plugins"


def _numberOf(bundle: Bundle) -> str:
    match = re.search(rb'"version": "([^"]+)"', bundle.files["plugin.json"])
    return "" if match is None else match[1].decode()
