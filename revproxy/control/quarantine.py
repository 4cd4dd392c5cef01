"""
Versions that fail while they run, and what is done about them.

A breaker watches each version. When it trips, the version is taken out: the last good one runs in its place, until the
plugin's folder has something new. Where there is none (or the failing one is pinned, which is somebody's wish), a gate
is put before it: its ``on_error`` decides what becomes of requests, until probes succeed.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from revproxy.control.actor import EDGE
from revproxy.control.breaker import Breaker
from revproxy.control.changes import ChangeRefused, ChangeRequest, Tried
from revproxy.control.coordinator import Coordinator
from revproxy.control.planning.heldback import trialOf
from revproxy.control.state.records import Pin, PluginRecords, VersionRecord
from revproxy.plan.catalog import Catalog, CatalogEntry
from revproxy.plan.plan import Plan
from revproxy.plan.versionid import VersionId
from revproxy.plan.words import Counters, Failures, Restored, Stalled


@dataclass(slots=True)
class _Watched:
    """
    A version that runs.

    :ivar calls: how many there were, by worker, as far as it is known.
    :ivar counted: the same, as told each second.
    :ivar marked: digests under which it was recorded as quarantined.
    """

    entry: CatalogEntry
    breaker: Breaker
    calls: dict[int, int] = field(default_factory=dict)
    counted: dict[int, int] = field(default_factory=dict)
    marked: set[str] = field(default_factory=set)


class Quarantine:
    """
    Watches the versions that run, and those on trial beside them, by what workers say of them.

    :ivar onCandidate: called when a version on trial would be taken out, if it were what runs; with why.
    """

    _log = Logger()

    def __init__(self, coordinator: Coordinator, clock: Any) -> None:
        """
        :param coordinator: makes the changes.
        :param clock: provides `IReactorTime`.
        """
        self.onCandidate: Callable[[str, VersionId, str], None] = lambda name, version, reason: None
        self._coordinator = coordinator
        self._events = coordinator.events
        self._clock = clock
        self._watched: dict[str, _Watched] = {}
        self._candidates: dict[tuple[str, str | None], _Watched] = {}
        coordinator.onCommitted.append(self._committed)

    # What workers say

    def failed(self, worker: int, word: Failures) -> None:
        """Calls of a version failed."""
        watched = self._ofVersion(word.plugin, word.version)
        if watched is not None:
            watched.calls[worker] = word.calls
            if word.count:
                watched.breaker.failed(word.count)

    def counted(self, worker: int, word: Counters) -> None:
        """
        Calls that did not fail count as well. Without this, those that a worker had before its first failure would seem
        to have come at once.
        """
        for told in word.versions:
            watched = self._ofVersion(told.plugin, told.version)
            if watched is not None:
                watched.counted[worker] = watched.counted.get(worker, 0) + told.calls
                watched.calls[worker] = max(watched.calls.get(worker, 0), watched.counted[worker])

    def stalled(self, word: Stalled) -> None:
        """A call of a version held the loop; it counts if it had to be ended. Probes may fail as they like."""
        watched = self._ofVersion(word.plugin, word.version)
        if watched is not None and word.ended and not word.isProbe:
            watched.breaker.stalled()

    def overLoop(self, name: str, version: VersionId, reason: str) -> None:
        """A version takes more of the event loop than it may. Behind a gate it does so only as a probe."""
        watched = self._ofVersion(name, version)
        if watched is not None and not self.isGated(name):
            watched.breaker.trip(reason)

    def restored(self, word: Restored) -> None:
        """A gate has let its probes through."""
        self._soon(self._lift(word))

    def isGated(self, name: str) -> bool:
        """Whether a plugin is in quarantine without another version in its place."""
        plan = self._coordinator.plan
        return plan is not None and name in plan.gates

    # What follows

    def _committed(self, before: Plan | None, plan: Plan) -> None:
        """These versions run now, and no others."""
        watched = {}
        for plugin in plan.selected:
            known = self._watched.get(plugin.name)
            if known is None or not known.entry.isCodeOf(plugin.entry):
                known = self._watch(plugin.name, plugin.entry)
            known.entry = plugin.entry
            known.breaker.limits = plan.config.plugins.quarantine
            watched[plugin.name] = known
        self._watched = watched
        candidates = {}
        for _, plugin in plan.candidates():
            key = plugin.name, plugin.entry.digest
            candidates[key] = known = self._candidates.get(key) or self._watchCandidate(plugin.name, plugin.entry)
            known.breaker.limits = plan.config.plugins.quarantine
        self._candidates = candidates

    def _watch(self, name: str, entry: CatalogEntry) -> _Watched:
        def tripped(watched: _Watched, reason: str) -> None:
            # In the midst of a word that was heard; what follows is long.
            version = watched.entry.version
            if (name, version.digest) in self._candidates:  # what runs is on trial, set otherwise: that goes first
                self._clock.callLater(0, self.onCandidate, name, version, reason)
                watched.breaker.reset()
            else:
                self._clock.callLater(0, self._soon, self._quarantine(name, watched, reason))

        return self._watchedBy(entry, tripped)

    def _watchCandidate(self, name: str, entry: CatalogEntry) -> _Watched:
        def tripped(watched: _Watched, reason: str) -> None:
            self._clock.callLater(0, self.onCandidate, name, entry.version, reason)

        return self._watchedBy(entry, tripped)

    def _watchedBy(self, entry: CatalogEntry, act: Callable[[_Watched, str], None]) -> _Watched:
        calls: dict[int, int] = {}

        def tripped(reason: str) -> None:
            act(watched, reason)

        watched = _Watched(entry, Breaker(lambda: sum(calls.values()), self._clock.seconds, tripped), calls)
        return watched

    def _ofVersion(self, name: str, version: VersionId) -> _Watched | None:
        """Who is meant; None if that runs no more."""
        watched = self._watched.get(name)
        if watched is not None and watched.entry.version == version:
            return watched
        return self._candidates.get((name, version.digest))

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        later = Deferred.fromCoroutine(self._coordinator.turns.takeUnlessEnded(work))
        later.addErrback(lambda failure: self._log.failure("quarantine of a plugin", failure))

    async def _quarantine(self, name: str, watched: _Watched, reason: str) -> None:
        if self._watched.get(name) is not watched:
            return
        if await self._backToGood(name, watched, reason) or self._coordinator.hasEnded:
            return
        if self._watched.get(name) is watched:  # nobody has put another in its place meanwhile
            await self._gate(name, watched, reason)

    async def _backToGood(self, name: str, watched: _Watched, reason: str) -> bool:
        """:returns: whether there was a way back."""
        coordinator, version = self._coordinator, watched.entry.version
        good = await coordinator.vetting.firstUsable(name, self._goodBefore(name, version), coordinator.config)
        if good is None or version.digest is None:
            return False
        mutate = self._goingBack(name, version.digest, good, reason)
        try:
            await coordinator.transact(_asked(ChangeRequest(name, mutate, withoutState=True), reason))
        except ChangeRefused as refused:
            self._tellRefused(f"there is no way back to {good.version}: {refused}", name, version)
            return False
        if self._watched.get(name) is watched:
            # The same code with its old configuration: if it fails on, there is nothing to go back to, or an older one.
            watched.breaker.reset()
        refusal = coordinator.refused.of(name)
        if coordinator.plan is not None and refusal is not None and not refusal.isItsOwn:
            # What its folder has waits for other plugins: it is tried with every change, and taken once it goes.
            pin = Pin(good.digest, "quarantine", version.digest)
            await coordinator.keeper.record(coordinator.records.pinned(name, pin), coordinator.plan)
            coordinator.tell(Tried(_asked(ChangeRequest(name), reason), coordinator.plan, coordinator.records))
        text = f"{reason}; back to {good.id}, until its folder has something new"
        self._events.add("quarantined", text, name, version)
        return True

    def _goodBefore(self, name: str, version: VersionId) -> tuple[VersionRecord, ...]:
        """The versions to go back to, the first first; none if somebody wants this very one."""
        records = self._coordinator.records
        pin = records.get(name).pin
        if version.digest is None or (pin is not None and pin.by == "user"):
            return ()
        return records.goodBefore(name, version.digest)

    def _goingBack(
        self, name: str, digest: str, good: VersionRecord, reason: str
    ) -> Callable[[PluginRecords, Catalog], PluginRecords]:
        def mutate(records: PluginRecords, found: Catalog) -> PluginRecords:
            # If its folder has something else by now, and that was refused, it is not what the pin waits for.
            here, refused = found.entries.get(name), self._coordinator.refused.of(name)
            isRefused = here is not None and refused is not None and refused.digest == here.digest
            isMet = here is not None and (isRefused or self._wasOnTrial(name, here, records))
            against = here.digest if here is not None and isMet else digest
            return records.quarantined(name, digest, reason).pinned(name, Pin(good.digest, "quarantine", against))

        return mutate

    def _wasOnTrial(self, name: str, here: CatalogEntry, records: PluginRecords) -> bool:
        """Whether what a folder has is taking its steps, or has not come through them: it is not new, either."""
        going = [each.candidates[name].digest for each in self._coordinator.ongoing() if name in each.candidates]
        return here.digest in going or trialOf(here, records) is not None

    async def _gate(self, name: str, watched: _Watched, reason: str) -> None:
        plan = self._coordinator.plan
        isRequired = plan is not None and name in plan.required
        isOpen = watched.entry.manifest.onError == "open" and not isRequired
        does = "requests pass without it" if isOpen else "requests it would see are answered 503"
        text = f"{reason}; {self._whyNoOther(name, watched.entry.version)}: {does}, until probes succeed"
        version = watched.entry.version
        self._events.add("quarantined", text, name, version)
        digest = version.digest
        if digest is not None:
            watched.marked.add(digest)
        request = ChangeRequest(
            mutate=None if digest is None else lambda records, found: records.quarantined(name, digest, reason),
            gate=name,
        )
        try:
            await self._coordinator.transact(_asked(request, reason))
        except ChangeRefused as refused:
            self._tellRefused(f"there is no gate before it yet: {refused}", name, version)
        finally:
            watched.breaker.reset()  # not before: calls go on failing until the gate is there

    def _whyNoOther(self, name: str, version: VersionId) -> str:
        pin = self._coordinator.records.get(name).pin
        if pin is not None and pin.by == "user":
            return f"it is pinned, so no other version takes its place (`revproxy rollback {name}` does that)"
        if self._goodBefore(name, version):
            return "no other version can be had from the store, or may run"
        return "there is no other version"

    async def _lift(self, word: Restored) -> None:
        name = word.plugin
        watched = self._ofVersion(name, word.version)
        if watched is None or not self.isGated(name):
            return
        watched.breaker.reset()
        if word.remaining:
            return
        # It may have been given another configuration, and so another digest, since.
        marked, watched.marked = {*watched.marked, *filter(None, [watched.entry.digest])}, set()

        def cleared(records: PluginRecords, found: Catalog) -> PluginRecords:
            for digest in marked:
                records = records.cleared(name, digest)
            return records

        try:
            await self._coordinator.transact(ChangeRequest(mutate=cleared, lift=name, actor=EDGE, action="restore"))
        except ChangeRefused as refused:
            self._tellRefused(f"its gate stays: {refused}", name, word.version)

    def _tellRefused(self, text: str, name: str, version: VersionId) -> None:
        """A change is not made; at the end of the edge, that is nothing to tell."""
        if not self._coordinator.hasEnded:
            self._events.add("refused", text, name, version)


def _asked(request: ChangeRequest, reason: str) -> ChangeRequest:
    return replace(request, actor=EDGE, action="quarantine", reason=reason)
