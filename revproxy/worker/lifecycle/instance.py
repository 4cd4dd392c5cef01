"""
A version of a plugin as it is loaded, and its instances: from their making to their end.

    import → main → verify → validate → attach → importState → start → checkHealth → … → stop → unload

Every step is foreign code. It may raise, exit, return nonsense, or never come back; each of that becomes one
`StageFailed` that says which step of which version it was. Nothing of the exception itself is kept: its traceback
would keep the module alive that failed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from types import CodeType
from typing import Any
from weakref import WeakSet, ref

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import providedBy

from revproxy.config.problems import Problem, textOf
from revproxy.config.settings import Isolation
from revproxy.dataplane.chain import Chain
from revproxy.dataplane.counters import OUTSIDE, Counters
from revproxy.dataplane.memorymeter import meterFor
from revproxy.destination import Destinations
from revproxy.errors import Foreign, PluginStalled, asException
from revproxy.figures import Figures
from revproxy.host import QUEUE, Host, threadsName
from revproxy.interfaces import IConfigurable, IHealthCheck, IHosted, ILifecycle, IStateful
from revproxy.isolation.lockedmiddleware import LockedMiddleware
from revproxy.isolation.remotefailure import RemoteFailure
from revproxy.isolation.succession import NotLoaded
from revproxy.loading.contract import PluginError
from revproxy.loading.loader import LoadedBundle, instantiate, instantiateFactory, loadBundle
from revproxy.loading.stepanswers import checkPlain, notGenerator, throughJSON
from revproxy.loading.tracebacks import described, lastLineIn, stampOf, tracebackOf
from revproxy.loop.threads import Threads
from revproxy.loop.waiting import notLonger
from revproxy.permissions import Permissions
from revproxy.plan.catalog import CatalogEntry, Selected
from revproxy.plan.durations import SELF_TIME
from revproxy.plan.refusal import Refusal
from revproxy.store import MemoryStore
from revproxy.worker.lifecycle import lockedcode
from revproxy.worker.lifecycle.compiling import compiledAhead
from revproxy.worker.lifecycle.stages import StageFailed, StageLimits

Locked = Callable[["Instance"], Deferred[LockedMiddleware]]
"""Makes of an instance what runs in its locked process; fails with a PluginError."""

_METHODS = {
    "start": "start",
    "health": "checkHealth",
    "update": "updateConfig",
    "handover": "importState",
    "stop": "stop",
}
"""What the stages call."""


class Version:
    """
    One version of a plugin, as loaded: the module, what it did, and its instances.

    Two bundles that differ in nothing but the ``config`` of their plugin.json are one version: the same code.

    :ivar entry: what it was made from.
    :ivar module: its imported bundle, once it is; None for a drop-in.
    :ivar name: of the plugin.
    :ivar id: which version it is.
    :ivar counters: what it did.
    :ivar memory: what its code takes of this process's memory; None: nobody asks.
    :ivar threads: what its instances call in threads.
    :ivar figures: what its code counts by itself.
    :ivar isCopy: whether it serves nobody.
    :ivar instances: all that exist and are not closed.
    :ivar ended: weak references to instances that were closed.
    """

    def __init__(
        self,
        entry: CatalogEntry,
        limits: StageLimits,
        factory: Any = None,
        storeOf: Callable[[str], Any] = lambda name: MemoryStore(),
        isolation: Isolation = "inline",
        permissions: Permissions | None = None,
        locked: Locked | None = None,
        isCopy: bool = False,
    ) -> None:
        """
        :param factory: a drop-in's `IMiddlewareFactory`.
        :param storeOf: what a plugin keeps over restarts, by its name.
        :param permissions: what it may touch; None: everything.
        :param locked: makes what runs in locked processes; None where nothing does.
        :param isCopy: whether it serves nobody: what it logs by its hosts is not heard.
        """
        self.isCopy = isCopy
        self.storeOf = storeOf
        self.isolation = isolation
        self.permissions = permissions
        self._makeLocked = locked
        self.entry = entry
        self.module: LoadedBundle | None = None
        self.counters = Counters(SELF_TIME)
        self.memory = meterFor(entry.manifest.memoryMb) if isolation == "inline" else None
        self._factory = factory
        self.limits = limits
        name = threadsName(entry.manifest.name, entry.version.number)
        self.threads = Threads(name, entry.manifest.threads, QUEUE)
        self.figures = Figures()
        self.instances: set[Instance] = set()
        self._codes: dict[str, CodeType] = {}
        self.ended: list[ref[Any]] = []
        self._holding = 0
        self._adopt(entry)

    def _adopt(self, entry: CatalogEntry) -> None:
        self.entry = entry
        self.name = entry.manifest.name
        self.id = entry.version

    def __str__(self) -> str:
        return str(self.id)

    @property
    def limit(self) -> float | None:
        """Seconds one call may hold the reactor now, or None: as long as it likes."""
        if self._holding:
            return self.limits.hold
        timeout = self.entry.manifest.timeoutMs
        return None if timeout is None else timeout / 1000

    @property
    def guardedBy(self) -> Permissions | None:
        """What guards it in the edge's own process; None: nothing. In a locked process, that does."""
        return self.permissions if self.isolation == "inline" else None

    @contextmanager
    def outsideRequests(self) -> Any:
        """While a step that is no request runs: it may hold the reactor longer."""
        self._holding += 1
        try:
            with nullcontext() if self.memory is None else self.memory.measuring():
                yield
        finally:
            self._holding -= 1

    def isCodeOf(self, entry: CatalogEntry) -> bool:
        """Whether an entry differs in its configuration at most."""
        return self.entry.isCodeOf(entry)

    def rebase(self, entry: CatalogEntry) -> None:
        """From now on it is the version of this entry, whose code is the same."""
        self._adopt(entry)

    async def compile(self, clock: Any) -> None:
        """
        Compile the files of a large plugin before its import does, and serve requests between one and the next.
        What runs in a locked process is compiled there: nothing looks at its code here.
        """
        bundle = self.entry.bundle
        if bundle is not None and self.module is None and not self._codes and self.isolation == "inline":
            self._codes = await compiledAhead(bundle, clock)

    def isAs(self, plugin: Selected) -> bool:
        """Whether it is the code of a plugin that is selected, where that is to run, with what it may touch."""
        sameRoom = self.isolation == plugin.isolation and self.permissions == plugin.permissions
        return sameRoom and self.isCodeOf(plugin.entry)

    def load(self) -> None:
        """Import it, if that is still to be done. :raises StageFailed:"""
        if self.module is None and self.entry.bundle is not None:
            codes, self._codes = self._codes, {}
            with self.outsideRequests():
                try:
                    self.module = loadBundle(self.entry.bundle, self.entry.manifest, codes)
                except BaseException as error:  # foreign code
                    raise self.failed("import", error) from None

    def make(
        self,
        config: Mapping[str, Any],
        reactor: Any,
        makeClient: Callable[[], Any],
        onFailure: Callable[[Instance, Failure], None] = lambda instance, failure: None,
        destinations: Callable[[], Destinations] | None = None,
    ) -> Instance:
        """
        An instance that is not started.

        :param onFailure: told of each failure of its code outside of requests, after it was counted.
        :param destinations: gives the upstreams there are.
        :raises StageFailed:
        """
        if self.isolation == "process":
            return self._makeInProcess(config, reactor, makeClient, onFailure)
        self.load()
        manifest = self.entry.manifest
        with self.outsideRequests():
            try:
                if self.module is not None:
                    made = instantiate(self.module, manifest, config)
                else:
                    made = instantiateFactory(self._factory, manifest, config)
            except BaseException as error:  # what it made may raise when it is only looked at
                raise self.failed("main", error) from None
            instance = Instance(self, made, config, reactor, makeClient, onFailure, destinations=destinations)
            self.instances.add(instance)
            try:
                instance.validate(config)
                if instance.provides(IHosted):
                    instance.attach()
            except StageFailed:
                self.instances.discard(instance)
                instance.host.close()
                raise
        return instance

    def _makeInProcess(
        self,
        config: Mapping[str, Any],
        reactor: Any,
        makeClient: Callable[[], Any],
        onFailure: Callable[[Instance, Failure], None],
    ) -> Instance:
        """Nothing of it runs here, nor anywhere before `Instance.load`."""
        if self.entry.bundle is None or self._makeLocked is None:
            raise self.failed("import", ImportError(), lockedcode.DROP_IN.format(name=self.name))
        instance = Instance(self, None, config, reactor, makeClient, onFailure, self._makeLocked)
        self.instances.add(instance)
        return instance

    def failed(self, stage: str, error: BaseException, reason: str = "") -> StageFailed:
        """What a step raised, without what that keeps alive."""
        if isinstance(error, RemoteFailure):
            text = error.traceback
            return StageFailed(self._refusal(stage, error.where or self.place, reason or str(error), text))
        if isinstance(error, PluginError):
            cause = error.__cause__
            text = "" if cause is None else tracebackOf(cause)
            return StageFailed(self._refusal(stage, error.where, error.message, text))
        late = isinstance(error, DeferredTimeout)
        where = self._lineOf(error) or self.place
        # What has failed in a process tells its own way, or has none.
        text = "" if late or self.isolation == "process" else tracebackOf(error)
        return StageFailed(self._refusal(stage, where, reason or described(error), text), late)

    def _refusal(self, stage: str, where: str, reason: str, traceback: str) -> Refusal:
        problem = Problem(where, 0, 0, "", reason)
        return Refusal(self.name, stage, str(problem), self.id, traceback, (problem,))

    def _lineOf(self, error: BaseException) -> str | None:
        """The last line of this very version that an exception came through."""
        if self.module is None:
            return None
        bundle = self.module.bundle
        return lastLineIn(error, bundle.directory, stampOf(bundle))

    @property
    def place(self) -> str:
        """Where its code is, as messages call it."""
        bundle = self.entry.bundle
        return self.entry.source if bundle is None else str(bundle.directory / "plugin.py")


def configKey(config: Mapping[str, Any]) -> str:
    """Equal for equal configurations."""
    return json.dumps(config, sort_keys=True, default=repr)


class Instance:
    """
    ``PluginMain(config)``, made once, and shared by all generations that use the same code and configuration.

    :ivar object: the middleware itself; None after the end.
    :ivar key: equal for equal configurations.
    :ivar host: what it was given that outlives a request.
    :ivar since: the number of the plan with which it began to serve, or was let back after a quarantine; None before
        that.
    :ivar retiring: True once no new request comes to it.
    :ivar middleware: what it is in a locked process, once it is loaded; None in the edge's own.
    :ivar isGone: False if its process, which was killed, does not end.
    :ivar chains: of all generations that use it, weakly: a replaced one lives as long as its requests, and must not
        keep the others in it alive.
    """

    def __init__(
        self,
        version: Version,
        made: Any,
        config: Mapping[str, Any],
        reactor: Any,
        makeClient: Callable[[], Any],
        onFailure: Callable[[Instance, Failure], None] = lambda instance, failure: None,
        locked: Locked | None = None,
        destinations: Callable[[], Destinations] | None = None,
    ) -> None:
        """
        :param locked: makes what runs in its locked process; None: it is in the edge's own.
        :param destinations: gives the upstreams there are.
        """
        self.version = version
        self.object: Any = made
        self.config = config
        self.key = configKey(config)
        threads, failed = version.threads, self.failedOutside
        self.host = Host(
            reactor,
            version.name,
            version.id.number,
            makeClient,
            failed=failed,
            threads=threads,
            figures=version.figures,
            makeStore=partial(version.storeOf, version.name),
            permissions=version.guardedBy,
            destinations=destinations,
        )
        if version.isCopy:
            self.host.log = Logger(namespace=f"plugin.{version.name}", observer=_unheard)  # type: ignore[arg-type]
            self.host.answersAlone()
        self._onFailure = onFailure
        self._makeLocked = locked
        self.locked: LockedMiddleware | None = None
        self.chains: WeakSet[Chain] = WeakSet()
        self.started = False
        self.isGone = True
        self.retiring = False
        self.since: int | None = None
        self._waiting: Deferred[Any] | None = None
        self._reactor = reactor
        self._limits = version.limits

    def __str__(self) -> str:
        return f"{self.version.name} {self.version}"

    def provides(self, interface: Any) -> bool:
        """Whether the middleware provides an optional interface."""
        try:
            return self.object is not None and interface in providedBy(self.object)
        except BaseException:  # foreign code: it said so when it was verified, and does not any more
            return False

    def failedOutside(self, failure: Failure) -> None:
        """Its code has failed outside of requests: in a timer, a thread, a task."""
        self.version.counters.failed(failure, OUTSIDE)
        self._onFailure(self, failure)

    async def load(self) -> None:
        """
        If it is to run in a locked process: have one become it.

        :raises StageFailed: of the stage ``import``, ``main``, ``validate`` or ``attach``.
        """
        if self._makeLocked is None or self.locked is not None:
            return
        version = self.version
        try:
            middleware = await self._makeLocked(self)
        except PluginError as error:
            raise version.failed("import", error) from None
        self.object = self.locked = middleware
        self._waiting = loading = Deferred.fromCoroutine(middleware.load())
        try:
            await loading
        except NotLoaded as failed:
            await middleware.end()
            if isinstance(failed.error, PluginError):
                raise version.failed(failed.stage, failed.error) from None
            raise version.failed(failed.stage, failed.error, lockedcode.whyNotLoaded(failed)) from None
        except CancelledError as error:
            await middleware.end()
            raise version.failed("import", error, "it was cancelled") from None

    async def validateLater(self, config: Mapping[str, Any]) -> None:
        """What :meth:`validate` cannot ask, because it is in a locked process. :raises StageFailed:"""
        if self.locked is not None and self.provides(IConfigurable):
            try:
                await notLonger(Deferred.fromCoroutine(self.locked.validate(config)), self._limits.start, self._reactor)
            except Foreign as error:
                message = f"validateConfig refused the configuration: {lockedcode.saidBy(error)}"
                raise self.version.failed("validate", error, message) from None

    def validate(self, config: Mapping[str, Any]) -> None:
        """:raises StageFailed: the plugin does not take this configuration."""
        if self.provides(IConfigurable):
            with self.version.outsideRequests():
                try:
                    checkPlain("validateConfig", self.object.validateConfig(config))
                except BaseException as error:  # foreign code
                    text = textOf(error) if isinstance(error, ValueError) else described(error)
                    message = f"validateConfig refused the configuration: {text}"
                    raise self.version.failed("validate", error, message) from None

    def attach(self) -> None:
        """Give it its host. :raises StageFailed:"""
        try:
            checkPlain("attach", self.object.attach(self.host))
        except BaseException as error:  # foreign code
            raise self.version.failed("attach", error, f"attach raised {described(error)}") from None

    async def start(self) -> None:
        """:raises StageFailed: it raised, or did not come back in time; in the latter case it is stopped."""
        if self.provides(ILifecycle):
            self.started = True
            try:
                await self._bounded("start", self.object.start, self.version.limits.start)
            except StageFailed as failed:
                # What raised has not started; what hangs may have begun something.
                self.started = failed.late
                raise
        self.started = True

    async def checkHealth(self) -> None:
        """:raises StageFailed: it says that it cannot work, or says nothing in time."""
        if self.provides(IHealthCheck):
            await self._bounded("health", self.object.checkHealth, self.version.limits.health)

    async def updateConfig(self, config: Mapping[str, Any], limit: float | None = None) -> None:
        """
        Take another configuration in place.

        :param limit: seconds, if it is not as much time as usual.
        :raises StageFailed: it may have taken half of it.
        """
        limit = self.version.limits.update if limit is None else limit
        await self._bounded("update", lambda: self.object.updateConfig(config), limit)
        self.config = config
        self.key = configKey(config)

    async def handOver(self, successor: Instance, limit: float | None = None) -> bool:
        """Give the successor what requests have left here.

        :param limit: seconds for each of the two steps, if they are not given as much time as usual.
        :returns: False if there is nothing to give, or nobody to take it.
        :raises StageFailed: of the successor's version; the reason tells whose fault it was.
        """
        if not (self.provides(IStateful) and successor.provides(IStateful)):
            return False
        limits = self.version.limits
        seconds = limits.handover if limit is None else limit
        state = await self._bounded("handover", self.object.exportState, seconds, blame=successor)
        try:
            state = throughJSON(state, limits.stateBytes, successor.locked is None)
        except (TypeError, ValueError, RecursionError, OverflowError) as error:
            what = f"exportState of the running version {self.version}"
            message = f"{what} gave what JSON cannot hold, or too much of it: {error}"
            raise successor.version.failed("handover", error, message) from None
        await successor._bounded(
            "handover", lambda: successor.object.importState(state, self.version.id.number), seconds
        )
        return True

    async def takeBack(self, other: Instance, limit: float | None = None) -> bool:
        """
        Take what requests have left in another instance of this plugin, and keep its own: a trial is over.

        It serves meanwhile. Its own state comes last: where a state takes the place of another, it is that.

        :param limit: seconds for each of four steps, if they are not given as much time as usual.
        :returns: False if there is nothing to give, or nobody to take it.
        :raises StageFailed: of this one's version.
        """
        if not (self.provides(IStateful) and other.provides(IStateful)):
            return False
        seconds = self._limits.handover if limit is None else limit
        own = await self._bounded("handover", self.object.exportState, seconds)
        try:
            own = throughJSON(own, self._limits.stateBytes, self.locked is None)
        except (TypeError, ValueError, RecursionError, OverflowError) as error:
            message = f"exportState gave what JSON cannot hold, or too much of it: {error}"
            raise self.version.failed("handover", error, message) from None
        try:
            return await other.handOver(self, limit)
        finally:
            await self._bounded("handover", lambda: self.object.importState(own, self.version.id.number), seconds)

    def giveUp(self) -> None:
        """Cancel the step that is under way."""
        if self._waiting is not None:
            self._waiting.cancel()

    async def close(self, limit: float | None = None) -> StageFailed | None:
        """Stop it and end what it was given. Never raises.

        :param limit: seconds that stopping may take, if it is not given as much time as usual.
        :returns: how stopping failed, if it did.
        """
        failed = None
        if self.started and self.provides(ILifecycle):
            self.started = False
            try:
                seconds = self.version.limits.stop
                await self._bounded("stop", self.object.stop, seconds if limit is None else min(seconds, limit))
            except StageFailed as error:
                failed = error
        await self.host.close()
        middleware, self.locked = self.locked, None
        if middleware is not None:
            self.isGone = await middleware.end()
        self.version.instances.discard(self)
        if not self.version.instances:
            self.version.threads.end()
        self.object = None
        return failed

    async def _bounded(
        self, stage: str, function: Callable[[], Any], seconds: float, blame: Instance | None = None
    ) -> Any:
        """Run a step of this instance, and wait for it.

        :param seconds: that it may take.
        :param blame: whose stage it is, and fails with it; its own if that is not told.
        :raises StageFailed:
        """
        with self.version.outsideRequests():
            waiting: Deferred[Any] = maybeDeferred(notGenerator, function).addErrback(asException)
        try:
            self._waiting = notLonger(waiting, seconds, self._reactor)
            return await self._waiting
        except CancelledError as error:
            raise (blame or self).version.failed(stage, error, f"{_METHODS[stage]}: it was cancelled") from None
        except Foreign as error:
            what = _METHODS[stage] if blame is None else f"exportState of the running version {self.version}"
            raise (blame or self).version.failed(stage, error, f"{what} {self._howFailed(error, seconds)}") from None

    def _howFailed(self, error: BaseException, seconds: float) -> str:
        if isinstance(error, DeferredTimeout):
            return f"did not come back within {seconds:g} s"
        if self._makeLocked is not None:
            return f"raised {error}" if isinstance(error, RemoteFailure) else f"failed: {textOf(error)}"
        if isinstance(error, PluginStalled):
            return f"held the reactor for more than {self.version.limits.hold:g} s"
        return f"raised {described(error)}"


def _unheard(event: Any) -> None:
    """What a copy logs is not heard."""
