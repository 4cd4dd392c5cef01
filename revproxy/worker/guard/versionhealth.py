"""
Versions that fail while they run: what is told of them, and the gates before those that control has put in quarantine.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from twisted.python.failure import Failure

from revproxy.guardedmiddleware import guardedMiddleware
from revproxy.plan.plan import Plan
from revproxy.plan.words import Failures, LastFailure, Notice, Restored
from revproxy.worker.guard.gate import Gate
from revproxy.worker.guard.lastfailure import lastFailureOf
from revproxy.worker.lifecycle.instance import Instance, Version

MOST_WORDS = 10
"""Failures of one version in one second that are told at once, and described; the rest are counted, and told later."""


class _Book:
    """
    What there is to tell of a version's failures.

    :ivar count: how many were not told yet.
    :ivar second: the last in which there were any; ``words``: how often it was told in that.
    """

    __slots__ = ("count", "second", "words")

    def __init__(self) -> None:
        self.count = 0
        self.second = 0
        self.words = 0


class VersionHealth:
    """
    Of one worker's versions.
    """

    def __init__(self, now: Callable[[], float], tell: Callable[[Failures | Notice | Restored], None]) -> None:
        """
        :param now: seconds, for the gates.
        :param tell: takes what control is to know.
        """
        self._now = now
        self._tell = tell
        self._gates: dict[Instance, Gate] = {}
        self._next: dict[Instance, Gate] = {}
        self._number = 0
        self._books: WeakKeyDictionary[Version, _Book] = WeakKeyDictionary()

    @property
    def gates(self) -> Mapping[Instance, Gate]:
        """Those of the plan that is in effect, by the instance that each is before."""
        return dict(self._gates)

    def gated(self) -> tuple[str, ...]:
        """The plugins that have any, in the order of their names."""
        return tuple(sorted({instance.version.name for instance in self._gates}))

    def isOut(self, version: Version) -> bool:
        """Whether every instance of a version that gets requests has a gate before it."""
        serving = [instance for instance in version.instances if not instance.retiring]
        return bool(serving) and all(instance in self._gates for instance in serving)

    def inChain(self, instance: Instance, plan: Plan) -> Any:
        """
        What stands in the chain of a plan: the gate before an instance, or the instance's object, with what it may
        touch. Gates are for those that ran when the quarantine began.
        """
        began = plan.gates.get(instance.version.name)
        if began is None or instance.since is None or instance.since >= began:
            return _guarded(instance)
        gate = self._gates.get(instance) or self._next.get(instance)
        if gate is None:
            gate = self._next[instance] = self._gateBefore(instance, plan)
        return gate

    def adopt(self, instances: Collection[Instance], plan: Plan) -> None:
        """
        A plan has taken effect with these instances: gates that it does not have are given up.
        """
        gates, self._next, self._number = {**self._gates, **self._next}, {}, plan.number
        self._gates = {
            instance: gate
            for instance, gate in gates.items()
            if instance in instances and instance.version.name in plan.gates
        }
        for instance, gate in self._gates.items():
            gate.open = _isOpen(instance.version, plan)

    def abandon(self) -> None:
        """
        The plan does not take effect; gates that were made for it are given up.
        """
        self._next.clear()

    def failed(self, instance: Instance, failure: Failure) -> None:
        """
        Code of an instance failed. Control is told, at once unless there are many; a probe does not count: those the
        gate judges.
        """
        now = self._now()
        book = self._books.setdefault(instance.version, _Book())
        if instance not in self._gates:
            book.count += 1
        if int(now) != book.second:
            book.second, book.words = int(now), 0
        if book.words < MOST_WORDS:
            book.words += 1
            self._tellFailures(instance.version, book, lastFailureOf(failure, instance, now))

    def tellRest(self) -> None:
        """Tell of failures that were too many to be told of each."""
        for version, book in list(self._books.items()):
            if book.count:
                self._tellFailures(version, book)

    def _tellFailures(self, version: Version, book: _Book, last: LastFailure | None = None) -> None:
        count, book.count = book.count, 0
        self._tell(Failures(version.name, version.id, count, version.counters.calls, last))

    def _gateBefore(self, instance: Instance, plan: Plan) -> Gate:
        version = instance.version
        return Gate(
            _guarded(instance),
            version.name,
            _isOpen(version, plan),
            self._now,
            counters=version.counters,
            onEvent=partial(self._says, version),
            onRestored=partial(self._restored, instance),
        )

    def _says(self, version: Version, kind: str, text: str) -> None:
        self._tell(Notice(kind, text, version.name, version.id))

    def _restored(self, instance: Instance) -> None:
        self._gates.pop(instance, None)
        instance.since = self._number  # while others have gates yet, the next plan gives it none
        remaining = sum(other.version is instance.version for other in self._gates)
        self._tell(Restored(instance.version.name, instance.version.id, remaining))


def _guarded(instance: Instance) -> Any:
    """An instance's object, or what guards it."""
    return guardedMiddleware(instance.object, instance.version.guardedBy)


def _isOpen(version: Version, plan: Plan) -> bool:
    """Whether requests pass without a version that fails."""
    return version.entry.manifest.onError == "open" and version.name not in plan.required
