"""
The edge as a Twisted service: opens listeners, starts plugins, accepts; and the same backwards.

Order matters. Starting: ports are bound (while privileges last), plugins are started, then the first connection is
accepted. Stopping: nothing new is accepted, running requests finish, plugins are stopped, the log is written out.
"""

from __future__ import annotations

import atexit
import gc
import os
import resource
import signal
import sys
from collections.abc import Callable
from time import monotonic
from types import FrameType
from typing import Any, cast

from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from revproxy.control.document import Document
from revproxy.control.generation import Built, Parts, buildGeneration
from revproxy.control.listeners import ListenerSet
from revproxy.control.logfile import LogFile
from revproxy.control.preflight import unavailable
from revproxy.control.settings import Config
from revproxy.dataplane.accesslog import AccessLog
from revproxy.dataplane.deadlines import Deadlines
from revproxy.dataplane.edge import Edge
from revproxy.interfaces import IHealthCheck, ILifecycle

START_TIMEOUT = 30.0
"""Seconds one plugin's ``start``, ``checkHealth`` or ``stop`` may take."""

_LOG_CLOSE_TIMEOUT = 5.0


class EdgeService(Service):  # type: ignore[misc]
    """
    A running edge.

    :ivar edge: the data plane.
    :ivar built: the generation it runs.
    :ivar listeners: its endpoints.
    """

    _log = Logger()

    def __init__(self, config: Config, reactor: Any) -> None:
        """
        Builds everything and opens nothing.

        :raises ConfigErrors: with every problem of the configuration, its plugins and certificates.
        """
        self.config = config
        self._reactor = reactor
        deadlines = Deadlines(reactor, 0.5, monotonic)
        self._answers = Deadlines(reactor, 0.02, monotonic)
        self._deadlines = deadlines
        self.built: Built = buildGeneration(config, Parts(reactor, deadlines, self._answers), 1)
        self._logFile: LogFile | None = None
        accessLog = None
        if config.logging.access is not None:
            self._logFile = LogFile(config.logging.access, callInReactor=reactor.callFromThread)
            accessLog = AccessLog(self._logFile.write, cast(Any, config.logging.format), reactor)
        self._accessLog = accessLog
        combined = config.logging.format == "combined"
        self.edge = Edge(
            reactor,
            deadlines,
            self.built.generation,
            config.limits,
            config.timeouts,
            accessLog,
            logsAgents=combined,
            monotonic=monotonic,
        )
        for key, message in unavailable(config).items():
            self._log.warn("{key}: {message}", key=key, message=message)
        self.listeners = ListenerSet(reactor, self.edge)
        self._prepared = self.listeners.load(config.listeners, config.document or Document(config.source, None))
        self._started: list[tuple[str, Any]] = []
        self._signalBefore: Any = None
        self._listening: Deferred[None] | None = None
        self._starting: Deferred[None] | None = None
        self._stopping = False

    # Starting

    def privilegedStartService(self) -> None:
        """Bind the ports; what connects waits in the kernel until the plugins are started."""
        super().privilegedStartService()
        self._raiseDescriptorLimit()
        try:
            if self._logFile is not None:
                self._logFile.start()
                if self._logFile.path == "-" and _leadsNowhere(1):
                    self._log.warn("standard output is /dev/null, and the access log with it: name a file, or off")
        except OSError as error:
            self._listening = fail(error)
        else:
            self._listening = Deferred.fromCoroutine(self._listen())

    def startService(self) -> None:
        """Start plugins, then accept."""
        if self._listening is None:
            self.privilegedStartService()
        super().startService()
        self._reopenOnSignal()
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
                "the limit of open files is {soft}, which is not enough for limits.max_connections {wanted}",
                soft=soft,
                wanted=wanted,
            )

    async def _listen(self) -> None:
        await self.listeners.bind(self._prepared)

    async def _start(self) -> None:
        assert self._listening is not None
        await self._listening
        for name, instance in self.built.instances:
            if ILifecycle.providedBy(instance):
                await self._bounded(f"plugin {name}: start", instance.start)
            self._started.append((name, instance))
            if IHealthCheck.providedBy(instance):
                await self._bounded(f"plugin {name}: checkHealth", instance.checkHealth)
        _quietGarbageCollector()
        self.listeners.commit(self._prepared)

    async def _bounded(self, what: str, function: Callable[[], Any]) -> None:
        """:raises StartFailed: if foreign code raises or does not come back in time."""
        waiting: Deferred[Any] = maybeDeferred(function)
        waiting.addTimeout(START_TIMEOUT, self._reactor)
        try:
            await waiting
        except (Exception, SystemExit) as error:
            raise StartFailed(f"{what}: {type(error).__name__}: {error}") from error

    def _startFailed(self, failure: Any) -> None:
        """An edge that cannot start ends, and its exit status says so."""
        if self._stopping:
            return
        self._log.critical("cannot start: {reason}", reason=failure.getErrorMessage())
        cause = failure.value.__cause__
        if failure.check(StartFailed) and not isinstance(cause, OSError):
            self._log.failure("where it failed", Failure(cause))
        # twistd knows no other exit status than 0 for a reactor that was stopped. At exit: by then it has removed its
        # pid file.
        atexit.register(_exitOne)
        self._reactor.callWhenRunning(self._reactor.stop)

    def _reopenOnSignal(self) -> None:
        """SIGUSR1 reopens the access log; what ``twistd --logfile`` does with it (rotate) still happens too."""
        before = signal.getsignal(signal.SIGUSR1)

        def received(number: int, frame: FrameType | None) -> None:
            if callable(before):
                before(number, frame)
            self._reactor.callFromThread(self._reopen)

        signal.signal(signal.SIGUSR1, received)
        self._signalBefore = before

    def _reopen(self) -> None:
        if self._accessLog is not None and self._logFile is not None:
            self._accessLog.flush()
            self._logFile.reopen()

    # Stopping

    def stopService(self) -> Deferred[None]:
        """Accept nothing more, let requests finish, stop plugins, write out the log."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self._exitZero():
            self._hurryOnInterrupt()
        self._stopping = True
        if self._starting is not None and not self._starting.called:
            self._starting.cancel()
        await self.listeners.stop()
        if self.edge.connections:
            self._log.info("draining {count} connections", count=len(self.edge.connections))
        await self.edge.drain()
        self.built.close()
        for name, instance in reversed(self._started):
            if ILifecycle.providedBy(instance):
                try:
                    await self._bounded(f"plugin {name}: stop", instance.stop)
                except StartFailed as error:
                    self._log.error("{reason}", reason=str(error))
        self._answers.stop()
        self._deadlines.stop()
        await self._closeLog()
        self._exitZero()

    async def _closeLog(self) -> None:
        if self._signalBefore is not None:
            signal.signal(signal.SIGUSR1, self._signalBefore)
        if self._accessLog is not None:
            self._accessLog.stop()
        if self._logFile is not None:
            pool = self._reactor.getThreadPool()
            await deferToThreadPool(self._reactor, pool, self._logFile.close, _LOG_CLOSE_TIMEOUT)

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


def _quietGarbageCollector() -> None:
    """
    Have collections look at what requests leave, not at the program.

    A request makes no cycles, so by default the collector runs every dozen requests to find nothing, and each full
    collection walks all modules and plugins: tens of milliseconds that every connection waits for.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


class StartFailed(Exception):
    """A plugin, or a port, could not be started."""


def _leadsNowhere(descriptor: int) -> bool:
    """Whether it is the null device, as standard output is in a daemon."""
    try:
        return os.fstat(descriptor).st_rdev == os.stat(os.devnull).st_rdev
    except OSError:
        return False


def _exitOne() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)
