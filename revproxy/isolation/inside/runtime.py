"""
What becomes of each frame that comes into a locked process.

A call's code runs until it answers or waits for something. Whatever goes on with it later (a reply of the edge, a
timer) does so on its account: `holding` tells the edge whose code it is that runs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from revproxy.errors import asException
from revproxy.isolation.frames import Call, Cancel, Done, Down, Filter, Load, Loaded, Over, Pull, Reply, Step, Up
from revproxy.isolation.inside.asks import Asks
from revproxy.isolation.inside.calls import Calls
from revproxy.isolation.inside.edgeclient import EdgeClient
from revproxy.isolation.inside.edgefigures import EdgeFigures
from revproxy.isolation.inside.edgelog import EdgeLog
from revproxy.isolation.inside.edgestore import EdgeStore
from revproxy.isolation.inside.failures import failed, failedOutside, failedToLoad
from revproxy.isolation.inside.holding import Holding
from revproxy.isolation.inside.insidehost import InsideHost
from revproxy.isolation.inside.insideplugin import InsidePlugin, LoadFailed
from revproxy.isolation.inside.pending import Pending
from revproxy.isolation.inside.steps import Steps
from revproxy.isolation.inside.toolbox import InsideToolbox, KnownTargets


class Runtime:
    """
    One plugin, and all that is asked of it.

    :ivar plugin: what `Load` has made.
    :ivar calls: what is asked of it for requests.
    """

    plugin: InsidePlugin
    calls: Calls

    def __init__(self, clock: Any, send: Callable[[Up], None], holding: Holding, log: EdgeLog) -> None:
        """
        :param clock: provides `IReactorTime` and `IReactorFromThreads`.
        :param send: has a frame leave soon.
        """
        self._clock = clock
        self._send = send
        self._holding = holding
        self._log = log
        self._asks = Asks(send, holding)
        self._pending = Pending(send, holding)
        self._takers: dict[type, Callable[[Any], None]] = {Load: self._load}

    def take(self, frame: Down) -> None:
        """One has come."""
        self._takers[type(frame)](frame)

    # What it is

    def _load(self, load: Load) -> None:
        try:
            plugin = self.plugin = InsidePlugin(load)
        except LoadFailed as wrong:
            self._send(failedToLoad(wrong.stage, wrong.error, Path(load.directory)))
            return
        log = self._log.logger(plugin.name)
        client = EdgeClient(self._asks, plugin.permissions, lambda: self._pending.request, lambda: self._host)
        host = self._host = InsideHost(
            self._clock,
            plugin.name,
            plugin.version,
            lambda: client,
            lambda: EdgeStore(self._asks),
            plugin.permissions,
            log,
            self._failedOutside,
            lambda: self._figures.begin(),
        )
        self._figures = EdgeFigures(host.figures, self._clock, self._send)
        targets, later = KnownTargets(plugin.permissions), self._clock.callLater
        toolbox = InsideToolbox(plugin.name, lambda: host.client, log, targets, later, self._failedOutside)
        self._steps = Steps(plugin, host)
        calls = self.calls = Calls(plugin, toolbox, self._asks, self._pending, self._send, self._holding)
        self._takers = {
            Step: self._step,
            Call: calls.call,
            Cancel: self._cancel,
            Over: calls.over,
            Filter: calls.filter,
            Pull: calls.pull,
            Reply: self._asks.answered,
        }
        self._send(Loaded(plugin.interfaces))

    def _failedOutside(self, failure: Failure, function: str) -> None:
        """Its code has failed where nobody waits for it."""
        self._send(failedOutside(asException(failure).value, function, self.plugin.directory))

    def failedInLoop(self, error: BaseException) -> None:
        """What a timer has raised that the plugin has set by the reactor itself."""
        self._send(failedOutside(error, "a call of the reactor", self.plugin.directory))

    # Steps

    def _step(self, step: Step) -> None:
        def done(value: bytes) -> None:
            if step.step == "stop":
                self._figures.tell()
            self._send(Done(step.number, value))

        def broke(error: BaseException) -> None:
            self._send(failed(step.number, error, self.plugin.directory))

        self._holding.enter(step.number)
        try:
            self._pending.begin(step.number, Deferred.fromCoroutine(self._steps.take(step)), done, broke)
        finally:
            self._holding.leave()

    def _cancel(self, frame: Cancel) -> None:
        self._pending.giveUp(frame.number)
