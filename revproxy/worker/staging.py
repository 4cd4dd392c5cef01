"""
What a change prepares before it takes effect: instances that are made, started and healthy, and serve nobody yet.

A draft outlives its failures: when one plugin fails, its change is dropped, and what was prepared for the others is
used for the next try. What is not used in the end is closed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from twisted.internet.task import deferLater

from revproxy.config.settings import Config
from revproxy.dataplane.counters import Tally
from revproxy.interfaces import IConfigurable, IStateful
from revproxy.plan.catalog import CatalogEntry, Selected
from revproxy.plan.events import EventLog
from revproxy.plan.plan import Plan
from revproxy.worker.guard.timelimit import noLongerThan
from revproxy.worker.lifecycle.instance import Instance, StageFailed, StageLimits, Version, configKey

HANDOVERS = 4
"""How often state is handed over right before the swap, while requests come in between."""

QUICK = 1.0
"""Seconds; where that takes longer, requests would only come again."""

HOLD = 0.1
"""Seconds a call may hold the reactor without requests being served before the next."""


def pairsOf(plan: Plan) -> Iterator[tuple[Selected, Mapping[str, Any]]]:
    """Each plugin with each of its configurations, in the order of the chains."""
    seen = set()
    for links in {id(links): links for links in plan.perLane}.values():
        for one, settings in links:
            if (one.manifest.name, id(settings)) not in seen:
                seen.add((one.manifest.name, id(settings)))
                yield one, settings


class Running:
    """
    What serves requests: a plan, and the instance of each plugin and configuration in it.

    :ivar versions: by the plugin's name.
    """

    def __init__(self, plan: Plan, members: Mapping[tuple[str, str], Instance]) -> None:
        """:param members: by name and `configKey`."""
        self.plan = plan
        self.members = members
        self.versions: dict[str, Version] = {name: one.version for (name, _), one in members.items()}
        self._byName: dict[str, list[Instance]] = {}
        for (name, _), one in members.items():
            self._byName.setdefault(name, []).append(one)
        self._keys: dict[int, str] = {}

    def member(self, name: str, settings: Mapping[str, Any]) -> Instance:
        """The instance of a plugin with a configuration of the plan."""
        return self.members[name, self.keyOf(settings)]

    def keyOf(self, settings: Mapping[str, Any]) -> str:
        """`configKey`, once for each configuration of the plan."""
        key = self._keys.get(id(settings))
        if key is None:
            key = self._keys[id(settings)] = configKey(settings)
        return key

    def of(self, name: str) -> list[Instance]:
        """The instances of a plugin."""
        return list(self._byName.get(name, ()))

    def onLanes(self, name: str, lanes: Iterable[int]) -> Iterator[Instance]:
        """The instances of a plugin on some lanes of the plan."""
        one = next((one for one in self.plan.selected if one.manifest.name == name), None)
        if one is None:
            return
        for settings in map(one.configFor, lanes):
            instance = None if settings is None else self.members.get((name, self.keyOf(settings)))
            if instance is not None:
                yield instance


def _notCounted(calls: Mapping[tuple[Instance, Instance], int]) -> list[tuple[Instance, Instance]]:
    """Handovers after which calls came. :param calls: how many there had been, for each."""
    return [(old, new) for (old, new), known in calls.items() if old.version.tally.calls != known]


class Draft:
    """
    One change in the making.

    :ivar handedOver: pairs of predecessor and successor whose state went over.
    """

    def __init__(
        self,
        before: Running | None,
        limits: StageLimits,
        reactor: Any,
        makeClient: Callable[[], Any],
        events: EventLog,
        loading: Callable[[Version | None], None],
        tallyOf: Callable[[CatalogEntry], Tally],
        withoutState: bool = False,
    ) -> None:
        """
        :param tallyOf: where what a version does is counted.
        :param loading: told which version's code is about to run for the first time, and None after it.
        :param withoutState: a handover that fails is an event and no failure.
        """
        self._before = before
        self._limits = limits
        self._reactor = reactor
        self._makeClient = makeClient
        self._events = events
        self._loading = loading
        self._tallyOf = tallyOf
        self._withoutState = withoutState
        self._versions: dict[tuple[str, str | None], Version] = {}
        self._fresh: dict[tuple[Version, str], Instance] = {}
        self._failed: list[Instance] = []
        self._ready: set[Instance] = set()
        self._updates: dict[Instance, Mapping[str, Any]] = {}
        self._updated: list[tuple[Instance, Mapping[str, Any]]] = []
        self.handedOver: list[tuple[Instance, Instance]] = []
        self._lanes: dict[int, tuple[Selected, dict[int, list[int]]]] = {}
        self._lanesByName: dict[str, int] = {}

    # What is needed

    def make(self, plan: Plan) -> dict[tuple[str, str], Instance]:
        """
        The instance for each plugin and configuration of a plan: one that runs, one of this draft, or a new one.
        Makes, and starts nothing.

        :raises StageFailed:
        """
        return {key: instance for key, instance, _ in self._making(plan)}

    async def makeWhileServing(self, plan: Plan) -> dict[tuple[str, str], Instance]:
        """The same, and requests are served between one new instance and the next. :raises StageFailed:"""
        members = {}
        for one in plan.selected:
            await self._version(one.entry).compile(self._reactor)
        for key, instance, isNew in self._making(plan):
            members[key] = instance
            if isNew:
                await deferLater(self._reactor, 0)
        return members

    def _making(self, plan: Plan) -> Iterator[tuple[tuple[str, str], Instance, bool]]:
        keys = [(one, settings, configKey(settings)) for one, settings in pairsOf(plan)]
        wanted: dict[str, set[str]] = {}
        for one, _, key in keys:
            wanted.setdefault(one.manifest.name, set()).add(key)
        self._updates.clear()
        for one, settings, key in keys:
            name = one.manifest.name
            version = self._version(one.entry)
            instance = self._fresh.get((version, key)) or self._running(plan, one, settings, version, key)
            if instance is None:
                instance = self._inPlace(plan, one, settings, version, wanted[name])
            isNew = instance is None
            if instance is None:
                self._loading(version)
                try:
                    with self._bounded():
                        instance = version.make(settings, self._reactor, self._makeClient)
                finally:
                    self._loading(None)
                self._fresh[version, key] = instance
            yield (name, key), instance, isNew

    def _bounded(self) -> AbstractContextManager[None]:
        """Before the first start there is no reactor whose guard would end what does not come back."""
        return nullcontext() if self._before is not None else noLongerThan(self._limits.hold)

    def _version(self, entry: CatalogEntry) -> Version:
        name = entry.manifest.name
        running = self._before.versions.get(name) if self._before is not None else None
        if running is not None and running.isCodeOf(entry):
            return running
        key = name, entry.digest
        if key not in self._versions:
            self._versions[key] = Version(entry, self._limits, self._tallyOf(entry))
        return self._versions[key]

    def _running(
        self, plan: Plan, one: Selected, settings: Mapping[str, Any], version: Version, key: str
    ) -> Instance | None:
        """The one that has this configuration already, unless it would need what others have counted on its routes."""
        if (version.name, version.digest) in self._versions:
            return None  # it is new: what it has is all of this draft
        instance = next((each for each in version.instances if each.key == key and not each.retiring), None)
        if instance is None or not instance.provides(IStateful):
            return instance
        return None if set(self._predecessors(plan, one, settings)) - {instance} else instance

    def _inPlace(
        self, plan: Plan, one: Selected, settings: Mapping[str, Any], version: Version, wanted: set[str]
    ) -> Instance | None:
        """A running instance that nobody needs as it is, and that can take the new configuration."""
        found = self._predecessors(plan, one, settings)
        old = found[0] if found else None
        if old is None or old.version is not version or old.key in wanted or old in self._updates:
            return None
        if len(wanted) > 1 and old not in self._onRoutes(plan, one, settings):
            return None  # another of the new ones is its heir
        if not old.provides(IConfigurable) or (len(found) > 1 and old.provides(IStateful)):
            return None
        old.validate(settings)
        self._updates[old] = settings
        return old

    def _predecessors(self, plan: Plan, one: Selected, settings: Mapping[str, Any]) -> list[Instance]:
        """The running instances of the plugin on the routes where this configuration holds, the nearest first."""
        before = self._before
        name = one.manifest.name
        running = [] if before is None else before.of(name)
        if before is None or len(running) < 2:
            return running
        found = self._onRoutes(plan, one, settings)
        key = configKey(settings)
        # A route of another name may be the same route with another path.
        near = found or [old for old in running if old.key == key] or running[:1]
        return sorted(near, key=lambda old: old.key != key)

    def _onRoutes(self, plan: Plan, one: Selected, settings: Mapping[str, Any]) -> list[Instance]:
        """The running instances of the plugin on the very routes where this configuration holds."""
        before = self._before
        if before is None:
            return []
        lanes = self._lanesOf(plan, one).get(id(settings), [])
        if before.plan.config is not plan.config:
            lanes = self._lanesBefore(before.plan.config, plan.config, lanes)
        return list(dict.fromkeys(before.onLanes(one.manifest.name, lanes)))

    def _lanesOf(self, plan: Plan, one: Selected) -> Mapping[int, list[int]]:
        """By the identity of each configuration of a plugin, the lanes where it holds."""
        known = self._lanes.get(id(one))
        if known is None:
            known = self._lanes[id(one)] = one, {}
            for lane in range(len(plan.config.routeGroups)):
                known[1].setdefault(id(one.configFor(lane)), []).append(lane)
        return known[1]

    def _lanesBefore(self, old: Config, new: Config, lanes: Iterable[int]) -> list[int]:
        """In which lanes of another configuration the same routes were, by their names."""
        if not self._lanesByName:
            for at, lane in enumerate(old.routeGroups):
                self._lanesByName.update((old.routes[index].name, at) for index in lane.routes)
        known = self._lanesByName
        routes = sorted(each for lane in lanes for each in new.routeGroups[lane].routes)
        names = (new.routes[index].name for index in routes)
        return list(dict.fromkeys(known[name] for name in names if name in known))

    # What is done

    async def begin(self, plan: Plan, members: Mapping[tuple[str, str], Instance]) -> None:
        """
        Bring all new instances of a plan to health.

        :raises StageFailed: one of them will not do, and is not tried again.
        """
        fresh = set(self._fresh.values())
        for one, settings in pairsOf(plan):
            instance = members[one.manifest.name, configKey(settings)]
            if instance in fresh and instance not in self._ready:
                try:
                    await self._begin(instance, self._predecessors(plan, one, settings))
                except StageFailed:
                    self._fresh = {key: each for key, each in self._fresh.items() if each is not instance}
                    self._failed.append(instance)
                    instance.retiring = True
                    raise

    async def _begin(self, instance: Instance, predecessors: list[Instance]) -> None:
        # The nearest last: where a state takes the place of another, it is its own.
        for old in reversed(predecessors):
            if await self._handOver(old, instance):
                self.handedOver.append((old, instance))
        await instance.start()
        await instance.checkHealth()
        self._ready.add(instance)

    async def _handOver(self, old: Instance, new: Instance) -> bool:
        try:
            return await old.handOver(new)
        except StageFailed as failed:
            if not self._withoutState:
                failed.message += (
                    "; `revproxy reload --without-state` replaces it without its state, and so does a rollback"
                )
                raise
            self._events.add("handover-lost", failed.message, new.version.name, str(new.version), failed.traceback)
            return False

    async def finish(self, used: Iterable[Instance]) -> None:
        """
        What comes last, because requests see it or are forgotten after it: hand over once more what they have left in
        the meantime, and have instances that can take another configuration in place take it. After this, the swap
        must follow at once.

        Where a plugin lets it wait, requests come in between. Then it is done again, while there is hope that none
        will; if some are left out in the end, an event says so.

        :raises StageFailed: all configurations are as they were.
        """
        kept = set(used)
        calls = {(old, new): 0 for old, new in self.handedOver if new in kept}
        due = list(calls)
        for left in reversed(range(HANDOVERS)):
            began = self._reactor.seconds()
            for old, new in due:
                calls[old, new] = old.version.tally.calls
                if not await self._handOver(old, new):
                    del calls[old, new]
            took = self._reactor.seconds() - began
            if left and took <= QUICK and _notCounted(calls):
                due = _notCounted(calls)  # once more, before anybody sees another configuration
                continue
            await self._update()
            due = _notCounted(calls)
            if not due or took > QUICK:
                break
        for old, new in due:
            count = old.version.tally.calls - calls[old, new]
            text = f"up to {count} request{'s' * (count > 1)} came while its state was handed over, and did not count"
            self._events.add("handover-lost", text, new.version.name, str(new.version))

    async def _update(self) -> None:
        """
        They serve requests: each is judged at once, and if it fails, all are given back what they had before another
        request comes, unless they let wait for it themselves.
        """
        while self._updates:
            instance, settings = next(iter(self._updates.items()))
            del self._updates[instance]
            began, turn = self._reactor.seconds(), self._reactor.callLater(0, lambda: None)
            self._updated.append((instance, instance.config))
            try:
                await instance.updateConfig(settings)
                await instance.checkHealth()
            except StageFailed:
                if turn.active():
                    await self._breathe(began)
                await self.undo()
                raise
            finally:
                if turn.active():
                    turn.cancel()

    async def _breathe(self, began: float) -> None:
        """Serve requests between two calls if the first has held the reactor for long, since a time."""
        if self._reactor.seconds() - began > HOLD:
            await deferLater(self._reactor, 0)

    async def undo(self) -> None:
        """Give instances that were updated in place their old configuration back."""
        updated, self._updated = self._updated, []
        for instance, before in reversed(updated):
            began = self._reactor.seconds()
            try:
                await instance.updateConfig(before)
            except StageFailed as failed:
                instance.config, instance.key = before, configKey(before)
                text = f"the old configuration could not be given back: {failed.message}"
                self._events.add("undo-failed", text, instance.version.name, str(instance.version), failed.traceback)
            await self._breathe(began)

    def hurry(self) -> None:
        """Wait for nothing any more: the edge is being stopped."""
        for instance in self._fresh.values():
            instance.giveUp()

    def settle(self, members: Mapping[tuple[str, str], Instance]) -> list[Instance]:
        """
        It has taken effect: nothing can be undone any more.

        :returns: the instances that were not needed after all, to be closed.
        """
        unused = self.unused(members)
        self._updated.clear()
        self._fresh.clear()
        self._failed.clear()
        return unused

    def unused(self, members: Mapping[tuple[str, str], Instance] | None) -> list[Instance]:
        """Instances of this draft that a plan does not use, or all: to be closed."""
        used = set() if members is None else set(members.values())
        return [*self._failed, *(one for one in self._fresh.values() if one not in used)]

    def versions(self) -> list[Version]:
        """Those that this draft has loaded."""
        return list(self._versions.values())
