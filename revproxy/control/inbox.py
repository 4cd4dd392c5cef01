"""
What workers say, and who hears it.
"""

from __future__ import annotations

from collections.abc import Callable

from revproxy.control.quarantine import Quarantine
from revproxy.control.slowplugins import SlowPlugins
from revproxy.control.snapshot import SnapshotReader
from revproxy.control.state.totals import Totals
from revproxy.control.targetstates import TargetStates
from revproxy.plan.events import EventLog
from revproxy.plan.plan import Plan
from revproxy.plan.words import (
    CertificateState,
    Counters,
    DropIns,
    Evidence,
    Failures,
    Locking,
    Notice,
    Recorded,
    Records,
    Remains,
    Restored,
    Stalled,
    TargetChanged,
    Up,
)


class Inbox:
    """
    Takes every word of every worker to its place.

    :ivar locking: how well processes can be locked here; None: nobody has looked, for none was needed.
    :ivar onLocking: called when that is said.
    :ivar certificates: by endpoint, the state of its listener's certificates.
    :ivar onCertificates: called with each state of a listener's certificates.
    :ivar targets: what is known of targets.
    :ivar onCounters: who else hears what was counted, each with the number of the worker.
    :ivar onEvidence: who hears what versions on trial have shown, each with the number of the worker.
    :ivar onRemains: who else hears of what remains in memory.
    :ivar onRecords: who hears of requests that are over, each with the number of the worker. They keep the bytes, and
        decode them when somebody asks.
    :ivar onRecorded: who hears of requests that were taken down, so.
    """

    def __init__(
        self,
        events: EventLog,
        totals: Totals,
        snapshots: SnapshotReader,
        quarantine: Quarantine,
        slowPlugins: SlowPlugins,
    ) -> None:
        self.locking: Locking | None = None
        self.onLocking: list[Callable[[Locking], None]] = []
        self.certificates: dict[str, CertificateState] = {}
        self.onCertificates: list[Callable[[CertificateState], None]] = []
        self.targets = TargetStates(events)
        self.onCounters: list[Callable[[int, Counters], None]] = []
        self.onRecords: list[Callable[[int, Records], None]] = []
        self.onEvidence: list[Callable[[int, Evidence], None]] = []
        self.onRecorded: list[Callable[[int, Recorded], None]] = []
        self.onRemains: list[Callable[[Remains], None]] = []
        self._events = events
        self._totals = totals
        self._snapshots = snapshots
        self._quarantine = quarantine
        self._slowPlugins = slowPlugins

    def committed(self, before: Plan | None, plan: Plan) -> None:
        """Forget what the configuration does not have any more."""
        config = plan.config
        endpoints = {listener.endpoint for listener in config.listeners if listener.tls is not None}
        self.certificates = {place: word for place, word in self.certificates.items() if place in endpoints}
        self.targets.committed(config)

    def receive(self, worker: int, word: Up) -> None:
        """
        :param worker: the number of the one that says it.
        """
        if isinstance(word, Counters):
            self._totals.add(worker, word)
            self._quarantine.counted(worker, word)
            self._slowPlugins.counted(worker, word)
            for hearCounters in self.onCounters:
                hearCounters(worker, word)
        elif isinstance(word, Records):
            for hearRecords in self.onRecords:
                hearRecords(worker, word)
        elif isinstance(word, Recorded):
            for hearRecorded in self.onRecorded:
                hearRecorded(worker, word)
        elif isinstance(word, Failures):
            self._totals.failed(word)
            self._quarantine.failed(worker, word)
        elif isinstance(word, Restored):
            self._quarantine.restored(word)
        elif isinstance(word, Notice):
            self._events.add(word.kind, word.text, word.plugin, word.version, word.traceback)
        elif isinstance(word, Stalled):
            self._stalled(worker, word)
        elif isinstance(word, Evidence):
            for hearEvidence in self.onEvidence:
                hearEvidence(worker, word)
        elif isinstance(word, Remains):
            self._remains(word)
        elif isinstance(word, CertificateState):
            self._certificateState(word)
        elif isinstance(word, TargetChanged):
            self.targets.changed(worker, word)
        elif isinstance(word, Locking):
            self.locking = word
            for heardLocking in self.onLocking:
                heardLocking(word)
        elif isinstance(word, DropIns):
            self._snapshots.install(word)

    def _stalled(self, worker: int, word: Stalled) -> None:
        does = "; the call was ended" if word.ended else ""
        text = f"the reactor was held for {word.seconds:.2f} s by {word.function} at {word.where}{does}"
        besides = self._slowPlugins.stalled(worker, word)
        if besides is not None:
            self._events.add("stalled", text + besides, word.plugin, word.version)
        self._quarantine.stalled(word)

    def _remains(self, word: Remains) -> None:
        holders = "; ".join(word.holders) or "nobody who can be named"
        kinds = ", ".join(word.kinds)
        text = f"still in memory {word.seconds:.0f} s after it ended ({kinds}), held by: {holders}"
        self._events.add("remains", text, word.plugin, word.version)
        for heard in self.onRemains:
            heard(word)

    def _certificateState(self, word: CertificateState) -> None:
        """An event for each problem that is new; several listeners may have one folder."""
        known = {problem for state in self.certificates.values() for problem in state.problems}
        self.certificates[word.endpoint] = word
        for heard in self.onCertificates:
            heard(word)
        kept = "; none of the new ones can be used, and the certificates stay as they were" if word.isKept else ""
        for problem in word.problems:
            if problem not in known:
                path = problem.partition(": ")[0]
                self._events.add("certificate-refused", problem + kept, about={"certificate": path})
