"""
A version of a plugin as it is loaded, and its instances: from their making to their end.

    import → main → verify → validate → attach → importState → start → checkHealth → … → stop → unload

Every step is foreign code. It may raise, exit, return nonsense, or never come back; each of that becomes one
`StageFailed` that says which step of which version it was. Nothing of the exception itself is kept: its traceback
would keep the module alive that failed.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from inspect import isawaitable, isgenerator
from math import isfinite
from types import CodeType
from typing import Any
from weakref import WeakSet, ref

import msgspec
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.task import deferLater
from zope.interface import Invalid, providedBy

from revproxy.config.problems import quoted, textOf
from revproxy.dataplane.chain import Chain, Foreign
from revproxy.dataplane.counters import Tally
from revproxy.errors import PluginStalled
from revproxy.host import Host
from revproxy.interfaces import IConfigurable, IHealthCheck, IHosted, ILifecycle, IStateful
from revproxy.loop.waiting import notLonger
from revproxy.plan.catalog import CatalogEntry
from revproxy.worker.lifecycle.loader import (
    Module,
    PluginError,
    compileFile,
    instantiate,
    instantiateFactory,
    loadModule,
    plainFile,
)

MAX_TRACEBACK = 8_000
"""Characters of a traceback that are kept; the end is what tells."""

COMPILED_AHEAD = 64 * 1024
"""Bytes of Python from which on a plugin is compiled before its import, which compiles in one go: 10 MB a second."""

_AT_ONCE = 32 * 1024
"""Bytes of Python that are compiled before requests get their turn, or one file that is larger."""


@dataclass(frozen=True, slots=True)
class StageLimits:
    """How much a plugin is given outside of requests.

    :ivar start: seconds ``start`` may take; ``health``, ``stop`` and ``update`` likewise for ``checkHealth``, ``stop``
        and ``updateConfig``, ``handover`` for ``exportState`` and for ``importState``, each.
    :ivar hold: seconds any of them, or the import, may hold the reactor without coming back.
    :ivar stateBytes: the most that ``exportState`` may give, as JSON.
    """

    start: float = 10.0
    health: float = 10.0
    stop: float = 10.0
    update: float = 10.0
    handover: float = 5.0
    hold: float = 5.0
    stateBytes: int = 32 * 1024 * 1024


class StageFailed(Exception):
    """A step of a plugin's life failed.

    :ivar stage: ``import``, ``main``, ``validate``, ``attach``, ``handover``, ``start``, ``health``, ``update`` or
        ``stop``.
    :ivar where: ``FILE:LINE``, a file, or a dotted name.
    :ivar reason: what, and what to do.
    :ivar message: both.
    :ivar traceback: as text.
    :ivar late: it did not come back in time, and may still be at it.
    """

    def __init__(
        self, version: Version, stage: str, where: str, reason: str, traceback: str = "", late: bool = False
    ) -> None:
        super().__init__(version.name, stage, reason)
        self.plugin = version.name
        self.version = version.text
        self.digest = version.digest
        self.stage = stage
        self.where = where
        self.reason = reason
        self.message = f"{where}: {reason}"
        self.traceback = traceback
        self.late = late

    def __str__(self) -> str:
        return f"plugin {self.plugin} {self.version}: {self.stage}: {self.message}"


class Version:
    """
    One version of a plugin, as loaded: the module, what it did, and its instances.

    Two bundles that differ in nothing but the ``config`` of their plugin.json are one version: the same code.

    :ivar entry: what it was made from.
    :ivar module: once imported; None for a drop-in.
    :ivar tally: what it did.
    :ivar ended: weak references to instances that were closed.
    :ivar limit: seconds one call may hold the reactor, or None.
    """

    def __init__(self, entry: CatalogEntry, limits: StageLimits, tally: Tally | None = None) -> None:
        self.entry = entry
        self.module: Module | None = None
        self.tally = tally or Tally()
        self.limits = limits
        self.instances: set[Instance] = set()
        self._codes: dict[str, CodeType] = {}
        self.ended: list[ref[Any]] = []
        self._holding = 0
        self._adopt(entry)

    def _adopt(self, entry: CatalogEntry) -> None:
        self.entry = entry
        self.name = entry.manifest.name
        self.text = str(entry.manifest.version)
        self.digest = entry.digest

    def __str__(self) -> str:
        return f"{self.text} ({self.digest[:12]})" if self.digest else self.text

    @property
    def limit(self) -> float | None:
        """See the class."""
        if self._holding:
            return self.limits.hold
        timeout = self.entry.manifest.timeoutMs
        return None if timeout is None else timeout / 1000

    @contextmanager
    def staging(self) -> Any:
        """While a step that is no request runs: it may hold the reactor longer."""
        self._holding += 1
        try:
            yield
        finally:
            self._holding -= 1

    def isCodeOf(self, entry: CatalogEntry) -> bool:
        """Whether an entry differs in its configuration at most."""
        mine = self.entry
        if mine.bundle is None or entry.bundle is None:
            return mine is entry
        if mine.bundle.digest == entry.bundle.digest:
            return True
        return mine.bundle.codeDigest == entry.bundle.codeDigest and replace(mine.manifest, config={}) == replace(
            entry.manifest, config={}
        )

    def rebase(self, entry: CatalogEntry) -> None:
        """From now on it is the version of this entry, whose code is the same."""
        self._adopt(entry)

    async def compile(self, clock: Any) -> None:
        """Compile the files of a large plugin before its import does, and serve requests between one and the next."""
        bundle = self.entry.bundle
        if bundle is None or self.module is not None or self._codes:
            return
        sizes = {path: len(content) for path, content in bundle.files.items() if path.endswith(".py")}
        if sum(sizes.values()) < COMPILED_AHEAD:
            return
        pending = 0
        for path, size in sizes.items():
            if pending + size > _AT_ONCE:
                await deferLater(clock, 0)
                pending = 0
            pending += size
            code = compileFile(bundle, path)
            if code is not None:
                self._codes[path] = code

    def load(self) -> None:
        """Import it, if that is still to be done. :raises StageFailed:"""
        if self.module is None and self.entry.bundle is not None:
            codes, self._codes = self._codes, {}
            with self.staging():
                try:
                    self.module = loadModule(self.entry.bundle, self.entry.manifest, codes)
                except (PluginError, *Foreign) as error:
                    raise self.failed("import", error) from None

    def make(self, config: Mapping[str, Any], reactor: Any, makeClient: Callable[[], Any]) -> Instance:
        """An instance that is not started. :raises StageFailed:"""
        self.load()
        manifest = self.entry.manifest
        with self.staging():
            try:
                if self.module is not None:
                    made = instantiate(self.module, manifest, config)
                else:
                    made = instantiateFactory(self.entry.factory, manifest, config)
            except (PluginError, *Foreign) as error:
                # Foreign too: what it made may raise when it is only looked at.
                raise self.failed("main", error) from None
            instance = Instance(self, made, config, reactor, makeClient)
            self.instances.add(instance)
            try:
                instance.validate(config)
                if IHosted.providedBy(made):
                    instance.attach()
            except StageFailed:
                self.instances.discard(instance)
                instance.host.close()
                raise
        return instance

    def failed(self, stage: str, error: BaseException, reason: str = "") -> StageFailed:
        """What a step raised, without what that keeps alive."""
        if isinstance(error, PluginError):
            cause = error.__cause__
            return StageFailed(self, stage, error.where, error.message, "" if cause is None else tracebackOf(cause))
        late = isinstance(error, DeferredTimeout)
        text = "" if late else tracebackOf(error)
        return StageFailed(self, stage, self._lineOf(error) or self.place, reason or described(error), text, late)

    def _lineOf(self, error: BaseException) -> str | None:
        """The last line of this very version that an exception came through."""
        if self.module is None:
            return None
        start, end = f"{self.module.bundle.directory}/", f"@{self.module.bundle.digest[:12]}"
        lines = [
            f"{plainFile(frame.filename)}:{frame.lineno}"
            for frame in traceback.extract_tb(error.__traceback__)
            if frame.filename.startswith(start) and frame.filename.endswith(end)
        ]
        return lines[-1] if lines else None

    @property
    def place(self) -> str:
        """Where its code is, as messages call it."""
        bundle = self.entry.bundle
        return self.entry.source if bundle is None else str(bundle.directory / "plugin.py")


def described(error: BaseException) -> str:
    """An exception in one line."""
    text = textOf(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def tracebackOf(error: BaseException) -> str:
    """As text, from the first frame of a plugin on, and only its end if it is long."""
    shown = traceback.TracebackException.from_exception(error)
    # These say by themselves what is wrong with the plugin; the stack is ours.
    none = len(shown.stack) if isinstance(error, (SyntaxError, Invalid)) else 0
    first = next((n for n, frame in enumerate(shown.stack) if plainFile(frame.filename) != frame.filename), none)
    del shown.stack[:first]
    return "".join(shown.format())[-MAX_TRACEBACK:]


def configKey(config: Mapping[str, Any]) -> str:
    """Equal for equal configurations."""
    return json.dumps(config, sort_keys=True, default=repr)


class Instance:
    """
    ``PluginMain(config)``, made once, and shared by all generations that use the same code and configuration.

    :ivar object: the middleware itself; None after the end.
    :ivar key: equal for equal configurations.
    :ivar host: what it was given that outlives a request.
    :ivar retiring: True once no new request comes to it.
    :ivar chains: of all generations that use it, weakly: a replaced one lives as long as its requests, and must not
        keep the others in it alive.
    """

    def __init__(
        self, version: Version, made: Any, config: Mapping[str, Any], reactor: Any, makeClient: Callable[[], Any]
    ) -> None:
        self.version = version
        self.object: Any = made
        self.config = config
        self.key = configKey(config)
        self.host = Host(reactor, version.name, version.text, makeClient)
        self.chains: WeakSet[Chain] = WeakSet()
        self.started = False
        self.retiring = False
        self._waiting: Deferred[Any] | None = None
        self._reactor = reactor

    def __str__(self) -> str:
        return f"{self.version.name} {self.version}"

    def provides(self, interface: Any) -> bool:
        """Whether the middleware provides an optional interface."""
        return self.object is not None and interface in providedBy(self.object)

    def validate(self, config: Mapping[str, Any]) -> None:
        """:raises StageFailed: the plugin does not take this configuration."""
        if self.provides(IConfigurable):
            with self.version.staging():
                try:
                    _plainly("validateConfig", self.object.validateConfig(config))
                except Foreign as error:
                    text = textOf(error) if isinstance(error, ValueError) else described(error)
                    message = f"validateConfig refused the configuration: {text}"
                    raise self.version.failed("validate", error, message) from None

    def attach(self) -> None:
        """Give it its host. :raises StageFailed:"""
        try:
            _plainly("attach", self.object.attach(self.host))
        except Foreign as error:
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

    async def updateConfig(self, config: Mapping[str, Any]) -> None:
        """Take another configuration in place. :raises StageFailed: it may have taken half of it."""
        limit = self.version.limits.update
        await self._bounded("update", lambda: self.object.updateConfig(config), limit)
        self.config = config
        self.key = configKey(config)

    async def handOver(self, successor: Instance) -> bool:
        """Give the successor what requests have left here.

        :returns: False if there is nothing to give, or nobody to take it.
        :raises StageFailed: of the successor's version; the reason tells whose fault it was.
        """
        if not (self.provides(IStateful) and successor.provides(IStateful)):
            return False
        limits = self.version.limits
        state = await self._bounded("handover", self.object.exportState, limits.handover, blame=successor)
        try:
            # Through JSON, so that no object of the old version lives on in the new one.
            data = msgspec.json.encode(state)
            if len(data) > limits.stateBytes:
                raise ValueError(f"{len(data)} bytes of state are more than the {limits.stateBytes} that may be")
            given, state = state, msgspec.json.decode(data)
            if given != state:
                _checkPlain(given)
        except (TypeError, ValueError, RecursionError, OverflowError) as error:
            what = f"exportState of the running version {self.version}"
            message = f"{what} gave what JSON cannot hold, or too much of it: {error}"
            raise successor.version.failed("handover", error, message) from None
        await successor._bounded(
            "handover", lambda: successor.object.importState(state, self.version.text), limits.handover
        )
        return True

    def giveUp(self) -> None:
        """Cancel the step that is under way."""
        if self._waiting is not None:
            self._waiting.cancel()

    async def close(self) -> StageFailed | None:
        """Stop it and end what it was given. Never raises.

        :returns: how stopping failed, if it did.
        """
        failed = None
        if self.started and self.provides(ILifecycle):
            self.started = False
            try:
                await self._bounded("stop", self.object.stop, self.version.limits.stop)
            except StageFailed as error:
                failed = error
        await self.host.close()
        self.version.instances.discard(self)
        self.object = None
        return failed

    async def _bounded(
        self, stage: str, function: Callable[[], Any], seconds: float, blame: Instance | None = None
    ) -> Any:
        """:param blame: whose stage failed when this does."""
        with self.version.staging():
            waiting: Deferred[Any] = maybeDeferred(_notGenerator, function)
        try:
            self._waiting = notLonger(waiting, seconds, self._reactor)
            return await self._waiting
        except CancelledError as error:
            raise (blame or self).version.failed(stage, error, f"{_METHODS[stage]}: it was cancelled") from None
        except Foreign as error:
            method = "exportState" if blame is not None else _METHODS[stage]
            what = f"{method} of the running version {self.version}" if blame is not None else method
            if isinstance(error, DeferredTimeout):
                reason = f"{what} did not come back within {seconds:g} s"
            elif isinstance(error, PluginStalled):
                reason = f"{what} held the reactor for more than {self.version.limits.hold:g} s"
            else:
                reason = f"{what} raised {described(error)}"
            raise (blame or self).version.failed(stage, error, reason) from None


def _notGenerator(function: Callable[[], Any]) -> Any:
    """:raises TypeError: of a generator, whose code would never run."""
    answer = function()
    if isgenerator(answer):
        raise TypeError("it is a generator, whose code would never run; write async def, or inlineCallbacks")
    return answer


def _plainly(method: str, answer: Any) -> None:
    """:raises TypeError: of what would have to be waited for, and nobody does."""
    if isawaitable(answer) or isgenerator(answer) or isinstance(answer, Deferred):
        if hasattr(answer, "close"):
            answer.close()
        raise TypeError(f"{method} answered {type(answer).__name__}, which nobody waits for; write a plain function")


def _checkPlain(value: Any) -> None:
    """:raises TypeError, ValueError: of what JSON makes something else of. A tuple may come back as a list."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise TypeError(f"the key {quoted(key)} of a dict is no str")
            _checkPlain(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            _checkPlain(inner)
    elif isinstance(value, float) and not isfinite(value):
        raise ValueError(f"{value} is no number to JSON")
    elif value is not None and not isinstance(value, (str, int, float)):
        raise TypeError(f"{quoted(value)} would not come back as it went")


_METHODS = {
    "start": "start",
    "health": "checkHealth",
    "update": "updateConfig",
    "handover": "importState",
    "stop": "stop",
}
