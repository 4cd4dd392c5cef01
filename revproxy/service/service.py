"""
The edge as a Twisted service: opens listeners, starts plugins, accepts; and the same backwards.

Order matters. Starting: ports are bound (while privileges last), the state folder is taken, plugins are started, then
the first connection is accepted and the files are watched. Stopping: nothing new is accepted or looked at, running
requests finish, plugins are stopped, the log is written out.
"""

from __future__ import annotations

import atexit
import resource
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from revproxy.config.configfile import unavailable
from revproxy.config.problems import ConfigErrors, Problem
from revproxy.config.settings import Config, documentOf
from revproxy.control.changes import ChangeRefused
from revproxy.control.controlsocket import ControlSocket
from revproxy.control.coordinator import Lifecycle
from revproxy.control.custody import codeWarnings, stateWarnings, users
from revproxy.control.snapshot import Scan
from revproxy.control.state.directory import StateError, StateFolder, StateInUse
from revproxy.control.state.records import readLedger
from revproxy.control.steering import Steering
from revproxy.control.watch.watcher import Watcher
from revproxy.dataplane.edge import Edge
from revproxy.loop.deadlines import Deadlines
from revproxy.loop.interpreter import exitDespiteThreads, exitWithFailure
from revproxy.loop.jobthread import DaemonThreads
from revproxy.plan.events import EventLog
from revproxy.service.signals import Signals, Terminal
from revproxy.worker.accesslogging import AccessLogging, OpenedLog
from revproxy.worker.guard.stallguard import Culprit, Stall, StallGuard
from revproxy.worker.lifecycle.instance import StageFailed, Version
from revproxy.worker.listeners import ListenerSet, Prepared
from revproxy.worker.upstreamfactory import Parts


class EdgeService(Service):  # type: ignore[misc]
    """
    A running edge.

    :ivar edge: the data plane.
    :ivar lifecycle: what it runs, and how that changes.
    :ivar listeners: its endpoints.
    :ivar events: what happened.
    """

    _log = Logger()

    def __init__(
        self, config: Config, reactor: Any, path: Path | None = None, laidOut: Callable[[], None] = lambda: None
    ) -> None:
        """
        Builds everything and opens nothing.

        :param laidOut: called before plugins are loaded, with all there that does not depend on them.
        :param path: the file the configuration was read from, to be watched; None if there is none.
        :raises ConfigErrors: with every problem of the configuration, its plugins and certificates.
        """
        self.config = config
        self._reactor = reactor
        self._path = None if path is None else path.absolute()
        self._deadlines = Deadlines(reactor, 0.5, monotonic)
        self._answers = Deadlines(reactor, 0.02, monotonic)
        self._state = StateFolder(config.state)
        self.events = EventLog(reactor.seconds)
        ledger, damaged = readLedger(self._state.ledgerPath)
        told = []
        if damaged is not None:
            self.events.add("ledger-damaged", damaged)
            where = str(self._state.ledgerPath)
            told.append(Problem(where, 0, 0, "", damaged.removeprefix(f"{where}: ")))
        parts = Parts(reactor, self._deadlines, self._answers)
        self.lifecycle = Lifecycle(config, Scan(path, config), parts, self.events, self._state, ledger)
        # The reactor's own threads are waited for when it stops, and a disk may hang.
        self._inThread = partial(deferToThreadPool, reactor, DaemonThreads())  # type: ignore[arg-type]
        self.lifecycle.memory.disk.inThread = self._inThread
        with _refusingWith(told):
            built = self.lifecycle.prepare(laidOut)
        self.edge = Edge(
            reactor, self._deadlines, built.generation, config.limits, config.timeouts, None, monotonic=monotonic
        )
        self.lifecycle.edge = self.edge
        self.lifecycle.surroundings = self
        self.lifecycle.retirement.breakOff = self.edge.breakOffChains
        self._accessLogging = AccessLogging(reactor, self.edge)
        for key, message in unavailable(config).items():
            self._log.warn("{key}: {message}", key=key, message=message)
        self.listeners = ListenerSet(reactor, self.edge)
        with _refusingWith(told):
            self._prepared: Prepared | None = self.listeners.load(config.listeners, documentOf(config))
        self._guard = StallGuard(reactor, self._culprit, self._stalled)
        self._socket = ControlSocket(reactor, self._state.socketPath, Steering(self.lifecycle))
        self._watcher: Watcher | None = None
        self._signals = Signals(reactor)
        self._terminal = Terminal()
        self._listening: Deferred[None] | None = None
        self._starting: Deferred[None] | None = None
        self._stopping = False
        self._looking = False
        self._lookAgain = False

    # Starting

    def privilegedStartService(self) -> None:
        """Bind the ports; what connects waits in the kernel until the plugins are started."""
        super().privilegedStartService()
        self._raiseDescriptorLimit()
        self._listening = Deferred.fromCoroutine(self._listen())

    def startService(self) -> None:
        """Start plugins, then accept."""
        if self._listening is None:
            self.privilegedStartService()
        super().startService()
        self._signals.heed(signal.SIGUSR1, self._accessLogging.reopen)
        self._signals.heed(signal.SIGHUP, self._hungUp)
        self._starting = Deferred.fromCoroutine(self._start())
        self._starting.addErrback(self._startFailed)

    def _raiseDescriptorLimit(self) -> None:
        """Take all the descriptors that we may have; the usual 1024 are there for programs that use ``select``."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != hard:
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
                soft = hard
            except (OSError, ValueError) as error:
                self._log.warn("the limit of open files stays {soft}: {error}", soft=soft, error=error)
        wanted = self.config.limits.maxConnections
        if soft != resource.RLIM_INFINITY and soft < wanted:
            self._log.warn(
                "the limit of open files is {soft}, which is not enough for limits.max_connections {wanted}: "
                "raise the one (ulimit -n, LimitNOFILE=) or lower the other",
                soft=soft,
                wanted=wanted,
            )

    async def _listen(self) -> None:
        assert self._prepared is not None
        self._accessLogging.open(self.config.logging)
        await self.listeners.bind(self._prepared)

    async def _start(self) -> None:
        assert self._listening is not None and self._prepared is not None
        await self._listening
        await self._takeState()
        self._guard.start()
        await deferLater(self._reactor, 0)  # the guard, and signals, work from the reactor's first turn on
        await self.lifecycle.begin()
        if self._stopping:
            return
        self.listeners.commit(self._prepared)
        self._prepared = None
        watcher = self._watcher = Watcher(
            self._reactor,
            self._watched(self.config),
            self._changed,
            settle=self.config.plugins.settle,
            inThread=self._inThread,
        )
        # Not waited for: the edge has started. Something may have been written since the files were read.
        watcher.start().addCallback(lambda _: watcher.suspect())

    async def _takeState(self) -> None:
        """The state folder is ours alone. Without one the edge runs all the same, and remembers nothing."""
        for warning in (*stateWarnings(self.config.state, users()), *codeWarnings(self._watched(self.config))):
            self._log.warn("{warning}", warning=warning)
        try:
            self._state.acquire()
            self._socket.open()
        except StateInUse:
            raise
        except (StateError, OSError) as error:
            text = "{error}; versions and pins are not kept, and there is no control socket"
            self._log.warn(text, error=error)
        else:
            self.lifecycle.memory.isWritable = True

    def _startFailed(self, failure: Any) -> None:
        """An edge that cannot start ends, and its exit status says so."""
        if self._stopping:
            return
        self._log.critical("cannot start: {reason}", reason=failure.getErrorMessage())
        if failure.check(StageFailed):
            lost = self.lifecycle.memory.lost.get(failure.value.plugin)
            if lost is not None:
                self._log.critical("what ran before cannot stand in: {lost}", lost=lost)
            if failure.value.traceback:
                self._log.critical("where it failed: {traceback}", traceback=failure.value.traceback)
        elif not failure.check(OSError, CannotListenError, StateError):
            self._log.failure("where it failed", failure)
        # twistd knows no other exit status than 0 for a reactor that was stopped. At exit: by then it has removed its
        # pid file.
        atexit.register(exitWithFailure)
        self._reactor.callWhenRunning(self._reactor.stop)

    # Changing

    def _watched(self, config: Config) -> list[Path]:
        return [path for path in (self._path, config.plugins.directory) if path is not None]

    def _changed(self) -> None:
        """Something was written. While a transaction runs, one more is enough for all that happens meanwhile."""
        if self._looking or self._stopping:
            self._lookAgain = True
            return
        self._looking = True
        looking = Deferred.fromCoroutine(self._look())
        looking.addErrback(lambda failure: self._log.failure("looking at the files", failure))

    async def _look(self) -> None:
        try:
            again = True
            while again and not self._stopping:
                self._lookAgain = False
                try:
                    await self.lifecycle.apply()
                except ChangeRefused:
                    pass  # an event says so
                again = self._lookAgain
        finally:
            self._looking = False

    async def prepareConfig(self, config: Config) -> tuple[Config, Prepared, OpenedLog]:
        """See :class:`revproxy.control.coordinator.Surroundings`."""
        where = documentOf(config)
        if config.state != self.config.state:
            message = f"it is {self.config.state} while the edge runs; restart it to change that"
            raise ConfigErrors([where.problem(("state",), message)])
        prepared: Prepared = await self.lifecycle.files.do(self.listeners.load, config.listeners, where)
        try:
            await self.listeners.bind(prepared)
        except (CannotListenError, OSError) as error:
            raise ConfigErrors([Problem(config.source, 0, 0, "$.listeners", str(error))]) from None
        try:
            opened = await self._accessLogging.prepare(config.logging)
        except OSError as error:
            await self.listeners.discard(prepared)
            raise ConfigErrors([where.problem(("logging", "access"), str(error))]) from None
        return config, prepared, opened

    def commitConfig(self, prepared: tuple[Config, Prepared, OpenedLog]) -> None:
        """See :class:`revproxy.control.coordinator.Surroundings`."""
        config, listeners, opened = prepared
        before, self.config = self.config, config
        self.edge.limits = config.limits
        self.edge.timeouts = config.timeouts
        self.listeners.commit(listeners)
        self._accessLogging.commit(opened)
        for key, message in unavailable(config).items():
            self._log.warn("{key}: {message}", key=key, message=message)
        watcher = self._watcher
        if watcher is not None:
            watcher.settle = config.plugins.settle
            if before.plugins.directory != config.plugins.directory:
                watcher.watch(self._watched(config)).addCallback(lambda _: watcher.suspect())

    async def discardConfig(self, prepared: tuple[Config, Prepared, OpenedLog]) -> None:
        """See :class:`revproxy.control.coordinator.Surroundings`."""
        _, listeners, opened = prepared
        await self.listeners.discard(listeners)
        await self._accessLogging.discard(opened)

    # Stalls

    def _culprit(self, module: str) -> Culprit | None:
        version = self.lifecycle.identify(module)
        return None if version is None else Culprit(version.name, str(version), version.limit, version)

    def _stalled(self, stall: Stall) -> None:
        where = f"{stall.function} at {stall.where}"
        does = "; the call was ended" if stall.ended else ""
        self.events.add(
            "stalled", f"the reactor was held for {stall.seconds:.2f} s by {where}{does}",
            stall.plugin or "", stall.version or "",
        )
        if stall.ended and isinstance(stall.key, Version):
            self.lifecycle.ward.stalled(stall.key)

    def _hungUp(self) -> None:
        """SIGHUP: look at the files, once for many; but if our terminal is gone, end."""
        if self._terminal.isGone:
            self._log.info("the terminal is gone")
            self._reactor.stop()
        elif self._watcher is not None:
            self._watcher.suspect()

    # Stopping

    def stopService(self) -> Deferred[None]:
        """Accept nothing more, let requests finish, stop plugins, write out the log."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        isProcess = self._exitZero()
        if isProcess:
            self._hurryOnInterrupt()
        self._stopping = True
        self.lifecycle.halt()
        self._accessLogging.hurry()
        if self._starting is not None and not self._starting.called:
            self._starting.cancel()
        if self._watcher is not None:
            await self._watcher.stop()
        await self._socket.close()
        if self._prepared is not None:
            await self.listeners.discard(self._prepared)
        await self.listeners.stop()
        if self.edge.connections:
            self._log.info("draining {count} connections", count=len(self.edge.connections))
        await self.edge.drain()
        await self.lifecycle.end()
        self._guard.stop()
        self._state.release()
        self._answers.stop()
        self._deadlines.stop()
        self._signals.restore()
        await self._accessLogging.close()
        if self._exitZero() or isProcess:
            exitDespiteThreads()

    def _exitZero(self) -> bool:
        """
        Being told to stop is no failure; twistd would end by the signal it was sent.

        :returns: whether it was a signal that told.
        """
        if getattr(self._reactor, "_exitSignal", None) not in (signal.SIGTERM, signal.SIGINT):
            return False
        self._reactor._exitSignal = None
        return True

    def _hurryOnInterrupt(self) -> None:
        """While draining, another SIGTERM changes nothing; SIGINT, from somebody who waits, ends it now."""

        def received(number: int, frame: FrameType | None) -> None:
            if number == signal.SIGINT:
                self._reactor.callFromThread(self.edge.breakOff)

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, received)


@contextmanager
def _refusingWith(told: Sequence[Problem]) -> Iterator[None]:
    """Whoever is refused is told these, too."""
    try:
        yield
    except ConfigErrors as errors:
        raise ConfigErrors([*errors.problems, *told]) from None
