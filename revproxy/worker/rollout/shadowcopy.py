"""
A version of a plugin that is loaded anew for a shadow: it shares no module and no instance with what serves.

What it could reach of the edge is its own, too: a store that is empty and forgotten, figures that nobody reads, a log
that nobody hears, a client that answers as it was answered before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any
from weakref import WeakKeyDictionary

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from revproxy.destination import Destinations
from revproxy.guardedmiddleware import guardedMiddleware
from revproxy.interfaces import IHosted, ILifecycle
from revproxy.isolation.brokering import AskUpstream, Sent
from revproxy.isolation.frames import SendRequest
from revproxy.isolation.lockedmiddleware import LockedMiddleware
from revproxy.plan.catalog import Selected
from revproxy.replay.remake import Remake
from revproxy.replay.replayedclient import ReplayedAnswer, ReplayedClient
from revproxy.store import MemoryStore
from revproxy.worker.guard.culprits import Culprits
from revproxy.worker.lifecycle.instance import Instance, Version
from revproxy.worker.lifecycle.retirement import Retirement
from revproxy.worker.lifecycle.stages import StageFailed, StageLimits

NOT_SAFE = (
    "it has timers, threads or connections of its own: say shadow_safe in its plugin.json if a second instance of it "
    "does no harm, or have it run in a locked process"
)
ONLY_INSTALLED = "it is installed with Python, and cannot be loaded a second time"
OVER = "its copy is needed no more"
HOLDS = "its copy has held the event loop, and is not tried any more"

MANY = "it has more configurations than are tried"

MOST_CONFIGURATIONS = 16
"""Of a version that are tried: each has an instance of its own, and in the process tier a process."""

MOST_HELD = 2
"""Times that a copy may hold the loop. Real requests have waited for it."""

PATIENCE = 5.0
"""Seconds that an answer may take of a plugin that says nothing of it."""

MakeLocked = Callable[[Instance, AskUpstream], Deferred[LockedMiddleware]]
"""Makes of an instance what runs in its locked process, given what answers its requests to upstreams."""


@dataclass(frozen=True, slots=True)
class CopyParts:
    """
    What copies are made with.

    :ivar reactor: the real one.
    :ivar makeLocked: None: nothing runs in locked processes.
    :ivar destinations: gives the upstreams there are.
    :ivar now: the time in seconds, for self times.
    """

    reactor: Any
    limits: StageLimits
    culprits: Culprits
    retirement: Retirement
    makeLocked: MakeLocked | None = None
    destinations: Callable[[], Destinations] | None = None
    now: Callable[[], float] = perf_counter


class ShadowCopy:
    """
    Of one version. Instances are made when they are needed, one for each configuration.

    :ivar selected: what it is a copy of.
    :ivar held: how often it has held the event loop.
    """

    def __init__(self, selected: Selected, parts: CopyParts) -> None:
        self.selected = selected
        self.held = 0
        self._parts = parts
        self._version: Version | None = None
        self._instances: dict[str, Instance] = {}
        self._remakes: dict[str, Remake | str] = {}
        self._clients: WeakKeyDictionary[Instance, ReplayedClient] = WeakKeyDictionary()
        self._isOver = False

    def isOf(self, selected: Selected) -> bool:
        """Whether it is a copy of a plugin as it is selected."""
        mine = self.selected
        return mine.entry.isCodeOf(selected.entry) and (mine.isolation, mine.permissions) == (
            selected.isolation, selected.permissions,
        )  # fmt: skip

    def isVersion(self, version: Version) -> bool:
        """Whether that is what it has loaded."""
        return version is self._version

    async def remake(self, key: str, settings: Mapping[str, Any]) -> Remake | str:
        """
        What makes calls again, with a configuration; or why that is not to be had.

        :param key: the `configKey` of the configuration.
        """
        if self._isOver or self.held >= MOST_HELD:
            return OVER if self._isOver else HOLDS
        known = self._remakes.get(key)
        if known is None and len(self._remakes) >= MOST_CONFIGURATIONS:
            return MANY
        if known is None:
            try:
                known = await self._make(settings, key)
            except StageFailed as failed:
                known = f"a copy of version {self.selected.entry.version.number} cannot be made: {failed.refusal.stage}"
            if not self._isOver:
                self._remakes[key] = known
        return known

    async def _make(self, settings: Mapping[str, Any], key: str) -> Remake | str:
        if self.selected.entry.bundle is None:
            return ONLY_INSTALLED
        client = ReplayedClient()
        instance = self._instance(settings, client)
        try:
            if not self._isSafe(instance):
                return NOT_SAFE
            await instance.load()
            if not self._isOver:
                remake = self._remakeOf(instance, client)
                await instance.start()
            if self._isOver:
                return OVER
            self._instances[key] = instance
            return remake
        finally:
            if key not in self._instances:
                await self._discard(instance)

    def _instance(self, settings: Mapping[str, Any], client: ReplayedClient) -> Instance:
        parts = self._parts
        version = self._version
        if version is None:
            selected = self.selected
            version = self._version = Version(
                selected.entry, parts.limits, None, lambda name: MemoryStore(), selected.isolation,
                selected.permissions, None if parts.makeLocked is None else self._locked, isCopy=True,
            )  # fmt: skip
        parts.culprits.loading(version)
        try:
            instance = version.make(settings, parts.reactor, lambda: client, _unheard, parts.destinations)
        finally:
            parts.culprits.loading(None)
        self._clients[instance] = client
        return instance

    def _locked(self, instance: Instance) -> Deferred[LockedMiddleware]:
        def ask(frame: SendRequest, seconds: float, most: int, hold: Callable[[int], None]) -> Deferred[Sent]:
            url = f"http://{frame.upstream}{frame.target.decode('latin-1')}"
            return self._clients[instance].request(frame.method.decode("latin-1"), url).addCallback(_sent)

        assert self._parts.makeLocked is not None, "where it is None, no version has this"
        return self._parts.makeLocked(instance, ask)

    def _isSafe(self, instance: Instance) -> bool:
        """Whether a second instance of it has no effect on anybody."""
        if self.selected.isolation == "process" or self.selected.manifest.shadowSafe:
            return True
        return not (instance.provides(ILifecycle) or instance.provides(IHosted))

    def _remakeOf(self, instance: Instance, client: ReplayedClient) -> Remake:
        parts, manifest = self._parts, self.selected.manifest
        bundle = self.selected.entry.bundle
        return Remake(
            guardedMiddleware(instance.object, instance.version.guardedBy),
            self.selected.name,
            parts.reactor,
            PATIENCE if manifest.timeoutMs is None else manifest.timeoutMs / 1000,
            folder="" if bundle is None else str(bundle.directory),
            destinations=None if parts.destinations is None else parts.destinations(),
            client=client,
            now=parts.now,
        )

    def _discard(self, instance: Instance) -> Deferred[None]:
        """One that does not come to be used; with the version, if that was only kept by it."""
        return self._parts.retirement.discard([instance], [instance.version] if self._isOver else [])

    def end(self) -> None:
        """
        It is needed no more. What it left behind is found as of every other version. An instance that is being made
        ends when that is over.
        """
        self._isOver = True
        self._remakes.clear()
        instances, self._instances = list(self._instances.values()), {}
        version, self._version = self._version, None
        if instances:
            self._parts.retirement.retire(instances)
        elif version is not None:
            self._parts.retirement.discard([], [version])


def _unheard(instance: Instance, failure: Failure) -> None:
    """What a copy does outside of calls is nobody's failure."""


async def _content(answer: ReplayedAnswer) -> Sent:
    fields = [(name, value) for name, values in answer.headers.getAllRawHeaders() for value in values]
    return answer.code, answer.phrase, fields, await answer.content()


def _sent(answer: ReplayedAnswer) -> Deferred[Sent]:
    return Deferred.fromCoroutine(_content(answer))
