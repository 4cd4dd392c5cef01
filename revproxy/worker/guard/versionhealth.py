"""
Versions that fail while they run: what is told of them, and the gates before those that control has put in quarantine.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from twisted.python.failure import Failure

from revproxy.plan.plan import Plan
from revproxy.plan.words import Failures, Notice, Restored
from revproxy.worker.guard.gate import Gate
from revproxy.worker.lifecycle.instance import Instance, Version


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

    def middleware(self, instance: Instance, plan: Plan) -> Any:
        """
        What stands in the chain of a plan: the gate before an instance, or the instance's object. Gates are for those
        that ran when the quarantine began.
        """
        began = plan.gates.get(instance.version.name)
        if began is None or instance.since is None or instance.since >= began:
            return instance.object
        gate = self._gates.get(instance) or self._next.get(instance)
        if gate is None:
            gate = self._next[instance] = self._gateBefore(instance)
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

    def abandon(self) -> None:
        """
        The plan does not take effect; gates that were made for it are given up.
        """
        self._next.clear()

    def failed(self, instance: Instance, failure: Failure) -> None:
        """
        A call of an instance failed. Control is told, unless it was a probe: those the gate judges.
        """
        version = instance.version
        if instance not in self._gates:
            self._tell(Failures(version.name, version.id, 1, version.counters.calls))

    def _gateBefore(self, instance: Instance) -> Gate:
        version = instance.version
        return Gate(
            instance.object,
            version.name,
            version.entry.manifest.onError == "open",
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
