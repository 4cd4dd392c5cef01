"""
What a change prepares before it takes effect: instances that are made, started and healthy, and serve nobody yet.

A staged change outlives its failures: when one plugin fails, its change is dropped, and what was prepared for the
others is used for the next try. What is not used in the end is closed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from revproxy.config.settings import Config
from revproxy.destination import Destinations
from revproxy.interfaces import IConfigurable, IStateful
from revproxy.plan.catalog import CatalogEntry, Selected
from revproxy.plan.plan import Plan
from revproxy.plan.refusal import Refusal
from revproxy.plan.words import Notice
from revproxy.store import MemoryStore
from revproxy.worker.guard.timelimit import noLongerThan
from revproxy.worker.lifecycle.instance import Instance, Locked, Version, configKey
from revproxy.worker.lifecycle.stages import StageFailed, StageLimits
from revproxy.worker.running import Running
from revproxy.worker.stagedtrials import StagedTrials

HANDOVERS = 4
"""How often state is handed over right before the swap, while requests come in between."""

HURRIED = 0.25
"""Seconds for each step of a handover that need not succeed, and for taking an old configuration back in a hurry."""

QUICK = 1.0
"""Seconds; where that takes longer, requests would only come again."""

HOLD = 0.1
"""Seconds a call may hold the reactor without requests being served before the next."""


def _notCounted(calls: Mapping[tuple[Instance, Instance], int]) -> list[tuple[Instance, Instance]]:
    """Handovers after which calls came. :param calls: how many there had been, for each."""
    return [(old, new) for (old, new), known in calls.items() if old.version.counters.calls != known]


class StagedChange:
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
        tell: Callable[[Notice], None],
        loading: Callable[[Version | None], None],
        factoryOf: Callable[[CatalogEntry], Any],
        withoutState: bool = False,
        onFailure: Callable[[Instance, Failure], None] = lambda instance, failure: None,
        storeOf: Callable[[str], Any] = lambda name: MemoryStore(),
        destinations: Callable[[], Destinations] | None = None,
        locked: Locked | None = None,
    ) -> None:
        """
        :param tell: takes what people may want to know.
        :param factoryOf: the `IMiddlewareFactory` of a drop-in.
        :param loading: told which version's code is about to run for the first time, and None after it.
        :param withoutState: a handover that fails is an event and no failure.
        :param onFailure: told of each failure of an instance's code outside of requests.
        :param storeOf: what a plugin keeps over restarts, by its name.
        :param destinations: gives the upstreams there are.
        :param locked: makes what runs in locked processes.
        """
        self._before = before
        self._limits = limits
        self._reactor = reactor
        self._makeClient = makeClient
        self._tell = tell
        self._loading = loading
        self._factoryOf = factoryOf
        self._withoutState = withoutState
        self._onFailure = onFailure
        self._storeOf = storeOf
        self._destinations = destinations
        self._locked = locked
        self._isHurried = False
        self._versions: dict[tuple[str, str | None], Version] = {}
        self._fresh: dict[tuple[Version, str], Instance] = {}
        self._failed: list[Instance] = []
        self._ready: set[Instance] = set()
        self._updates: dict[Instance, Mapping[str, Any]] = {}
        self._updated: list[tuple[Instance, Mapping[str, Any]]] = []
        self.handedOver: list[tuple[Instance, Instance]] = []
        self._trials = StagedTrials(before, self._newVersion, self._fromFresh)
        self._groups: dict[int, tuple[Selected, dict[int, list[int]]]] = {}
        self._groupsByRoute: dict[str, int] = {}

    # What is needed

    def make(self, plan: Plan) -> Running:
        """
        The instance for each plugin and configuration of a plan: one that runs, one of this change, or a new one.
        Makes, and starts nothing.

        :raises StageFailed:
        """
        members = {key: instance for key, instance, _ in self._making(plan)}
        return Running(plan, members, {key: instance for key, instance, _ in self._trials.making(plan)})

    async def makeWhileServing(self, plan: Plan) -> Running:
        """The same, and requests are served between one new instance and the next. :raises StageFailed:"""
        members, candidates = {}, {}
        for plugin in plan.selected:
            await self._version(plugin).compile(self._reactor)
        for _, plugin in plan.candidates():
            await self._trials.version(plugin).compile(self._reactor)
        for key, instance, isNew in self._making(plan):
            members[key] = instance
            if isNew:
                await deferLater(self._reactor, 0)
        for key, instance, isNew in self._trials.making(plan):
            candidates[key] = instance
            if isNew:
                await deferLater(self._reactor, 0)
        return Running(plan, members, candidates)

    def _making(self, plan: Plan) -> Iterator[tuple[tuple[str, str], Instance, bool]]:
        keys = [(plugin, settings, configKey(settings)) for plugin, settings in plan.pairs()]
        wanted: dict[str, set[str]] = {}
        for plugin, _, key in keys:
            wanted.setdefault(plugin.name, set()).add(key)
        self._updates.clear()
        done: set[tuple[str, str]] = set()
        for plugin, settings, key in keys:
            name = plugin.name
            if (name, key) in done:
                continue  # in another arm, it is as here
            done.add((name, key))
            promoted = self._trials.promoted(plugin, wanted[name])
            if promoted is not None:
                instance, isNew = self._trials.instance(promoted, settings, key)
                yield (name, key), instance, isNew
                continue
            version = self._version(plugin)
            found = self._fresh.get((version, key)) or self._running(plan, plugin, settings, version, key)
            if found is None:
                found = self._inPlace(plan, plugin, settings, version, wanted[name])
            if found is not None:
                yield (name, key), found, False
                continue
            instance, isNew = self._fromFresh(version, settings, key)
            yield (name, key), instance, isNew

    def _fromFresh(self, version: Version, settings: Mapping[str, Any], key: str) -> tuple[Instance, bool]:
        """An instance of this change, and whether it was made just now."""
        known = self._fresh.get((version, key))
        if known is not None:
            return known, False
        self._loading(version)
        try:
            with self._bounded():
                instance = version.make(
                    settings, self._reactor, self._makeClient, self._onFailure, self._destinations
                )
        finally:
            self._loading(None)
        self._fresh[version, key] = instance
        return instance, True

    def _bounded(self) -> AbstractContextManager[None]:
        """Before the first start there is no reactor whose guard would end what does not come back."""
        return nullcontext() if self._before is not None else noLongerThan(self._limits.hold)

    def _version(self, plugin: Selected) -> Version:
        entry, name = plugin.entry, plugin.name
        running = self._before.versions.get(name) if self._before is not None else None
        if running is not None and running.isAs(plugin):
            return running
        known = self._versions.get((name, entry.digest))
        if known is None or not known.isAs(plugin):
            known = self._versions[name, entry.digest] = self._newVersion(plugin)
        return known

    def _newVersion(self, plugin: Selected) -> Version:
        entry = plugin.entry
        factory = self._factoryOf(entry) if entry.bundle is None else None
        return Version(entry, self._limits, factory, self._storeOf, plugin.isolation, plugin.permissions, self._locked)

    def _running(
        self, plan: Plan, plugin: Selected, settings: Mapping[str, Any], version: Version, key: str
    ) -> Instance | None:
        """The one that has this configuration already, unless it would need what others have counted on its routes."""
        if (version.name, version.id.digest) in self._versions:
            return None  # the version is of this change, and so are all its instances
        instance = next((each for each in version.instances if each.key == key and not each.retiring), None)
        if instance is None or not instance.provides(IStateful):
            return instance
        return None if set(self._predecessors(plan, plugin, settings)) - {instance} else instance

    def _inPlace(
        self, plan: Plan, plugin: Selected, settings: Mapping[str, Any], version: Version, wanted: set[str]
    ) -> Instance | None:
        """A running instance that nobody needs as it is, and that can take the new configuration."""
        found = self._predecessors(plan, plugin, settings)
        old = found[0] if found else None
        if old is None or old.version is not version or old.key in wanted or old in self._updates:
            return None
        if len(wanted) > 1 and old not in self._onRoutes(plan, plugin, settings):
            return None  # another of the new ones is its heir
        if not old.provides(IConfigurable) or (len(found) > 1 and old.provides(IStateful)):
            return None
        old.validate(settings)
        self._updates[old] = settings
        return old

    def _predecessors(self, plan: Plan, plugin: Selected, settings: Mapping[str, Any]) -> list[Instance]:
        """The running instances of the plugin on the routes where this configuration holds, the nearest first."""
        before = self._before
        name = plugin.name
        running = [] if before is None else before.of(name)
        if before is None or len(running) < 2:
            return running
        found = self._onRoutes(plan, plugin, settings)
        key = configKey(settings)
        # A route of another name may be the same route with another path.
        near = found or [old for old in running if old.key == key] or running[:1]
        return sorted(near, key=lambda old: old.key != key)

    def _onRoutes(self, plan: Plan, plugin: Selected, settings: Mapping[str, Any]) -> list[Instance]:
        """The running instances of the plugin on the very routes where this configuration holds."""
        before = self._before
        if before is None:
            return []
        groups = self._groupsOf(plan, plugin).get(id(settings), [])
        if before.plan.config is not plan.config:
            groups = self._groupsBefore(before.plan.config, plan.config, groups)
        return list(dict.fromkeys(before.inGroups(plugin.name, groups)))

    def _groupsOf(self, plan: Plan, plugin: Selected) -> Mapping[int, list[int]]:
        """By the identity of each configuration of a plugin, the route groups where it holds."""
        known = self._groups.get(id(plugin))
        if known is None:
            known = self._groups[id(plugin)] = plugin, {}
            for group in range(len(plan.config.routeGroups)):
                known[1].setdefault(id(plugin.configFor(group)), []).append(group)
        return known[1]

    def _groupsBefore(self, old: Config, new: Config, groups: Iterable[int]) -> list[int]:
        """In which groups of another configuration the same routes were, by their names."""
        if not self._groupsByRoute:
            for at, group in enumerate(old.routeGroups):
                self._groupsByRoute.update((old.routes[index].name, at) for index in group.routes)
        known = self._groupsByRoute
        routes = sorted(route for group in groups for route in new.routeGroups[group].routes)
        names = (new.routes[index].name for index in routes)
        return list(dict.fromkeys(known[name] for name in names if name in known))

    # What is done

    async def begin(self, next: Running) -> None:
        """
        Bring all new instances of a plan to health.

        :raises StageFailed: one of them will not do, and is not tried again.
        """
        plan = next.plan
        for old, config in list(self._updates.items()):
            await old.validateLater(config)
        for plugin, settings in plan.pairs():
            instance = next.member(plugin.name, settings)
            await self._beginIfNew(instance, self._predecessors(plan, plugin, settings))
        for plugin, settings in plan.candidatePairs():
            instance = next.candidate(plugin.name, settings)
            before = self._trials.before(instance) or self._predecessors(plan, plugin, settings)
            await self._beginIfNew(instance, before)

    async def _beginIfNew(self, instance: Instance, predecessors: list[Instance]) -> None:
        if instance in self._ready or instance not in self._fresh.values():
            return
        try:
            await self._begin(instance, predecessors)
        except StageFailed:
            self._fresh = {key: each for key, each in self._fresh.items() if each is not instance}
            self._failed.append(instance)
            instance.retiring = True
            raise

    async def _begin(self, instance: Instance, predecessors: list[Instance]) -> None:
        await instance.load()
        # The nearest last: where a state takes the place of another, it is its own.
        for old in reversed(predecessors):
            if await self._handOver(old, instance):
                self.handedOver.append((old, instance))
        await instance.start()
        await instance.checkHealth()
        self._ready.add(instance)

    async def _handOver(self, old: Instance, new: Instance) -> bool:
        try:
            return await old.handOver(new, HURRIED if self._withoutState else None)
        except StageFailed as failed:
            if not self._withoutState:
                raise _withRemedy(failed) from None
            self._tell(_noticeOf("handover-lost", failed.refusal))
            return False

    async def finish(self, next: Running) -> None:
        """
        What comes last, because requests see it or are forgotten after it: hand over once more what they have left in
        the meantime, and have instances that can take another configuration in place take it. After this, the swap
        must follow at once.

        Where a plugin lets it wait, requests come in between. Then it is done again, while there is hope that none
        will; if some are left out in the end, an event says so.

        :raises StageFailed: all configurations are as they were.
        """
        kept, tried = set(next.instances), set(next.candidates.values())
        calls = {(old, new): 0 for old, new in self.handedOver if new in kept}
        due = list(calls)
        for remaining in reversed(range(HANDOVERS)):
            began = self._reactor.seconds()
            for old, new in due:
                calls[old, new] = old.version.counters.calls
                if not await self._handOver(old, new) or new in tried:  # the old one keeps what it has: it goes on
                    del calls[old, new]
            took = self._reactor.seconds() - began
            if remaining and took <= QUICK and _notCounted(calls):
                due = _notCounted(calls)  # once more, before anybody sees another configuration
                continue
            await self._update()
            due = _notCounted(calls)
            if not due or took > QUICK:
                break
        for old, new in due:
            count = old.version.counters.calls - calls[old, new]
            text = f"up to {count} request{'s' * (count > 1)} came while its state was handed over, and did not count"
            self._tell(Notice("handover-lost", text, new.version.name, new.version.id))
        for leaving, staying, isPromoted in self._trials.ending(next):
            await self._endTrial(leaving, staying, isPromoted)

    async def _endTrial(self, leaving: Instance, staying: Instance, isPromoted: bool) -> None:
        """
        What has served others until now serves their clients, too. Most of the clients were the running version's: if
        that leaves, it hands over as ever; if it stays, what it has itself comes last. Whatever comes of this, the
        trial is over.
        """
        limit = HURRIED if self._withoutState else None
        try:
            await (leaving.handOver(staying, limit) if isPromoted else staying.takeBack(leaving, limit))
        except StageFailed as failed:
            self._tell(_noticeOf("handover-lost", failed.refusal))

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
        while self._updated:  # it may be cancelled, and called again
            instance, before = self._updated.pop()
            began = self._reactor.seconds()
            try:
                await instance.updateConfig(before, HURRIED if self._isHurried else None)
            except StageFailed as failed:
                instance.config, instance.key = before, configKey(before)
                text = f"the old configuration could not be given back: {failed.refusal.message}"
                self._tell(_noticeOf("undo-failed", replace(failed.refusal, message=text)))
            await self._breathe(began)

    def hurry(self) -> None:
        """Wait for nothing any more: the change is given up, or the edge is being stopped."""
        self._isHurried = True
        before = () if self._before is None else self._before.instances
        for instance in (*self._fresh.values(), *before):  # those export their state, or take a configuration
            instance.giveUp()

    def settle(self, next: Running) -> list[Instance]:
        """
        It has taken effect: nothing can be undone any more.

        :returns: the instances that were not needed after all, to be closed.
        """
        unused = self.unused(next)
        self._updated.clear()
        self._fresh.clear()
        self._failed.clear()
        return unused

    def unused(self, next: Running | None) -> list[Instance]:
        """Instances of this change that a plan does not use, or all: to be closed."""
        used = set() if next is None else set(next.instances)
        return [*self._failed, *(instance for instance in self._fresh.values() if instance not in used)]

    def versions(self) -> list[Version]:
        """Those that this change has loaded."""
        return [*self._versions.values(), *self._trials.loaded]


def _withRemedy(failed: StageFailed) -> StageFailed:
    remedy = "; `revproxy reload --without-state` replaces it without its state, and so does a rollback"
    return StageFailed(replace(failed.refusal, message=failed.refusal.message + remedy), failed.late)


def _noticeOf(kind: str, refusal: Refusal) -> Notice:
    return Notice(kind, refusal.message, refusal.plugin, refusal.version, refusal.traceback)
