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
from collections.abc import Callable, Sequence
from errno import EACCES, EADDRINUSE
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from revproxy.admin.admin import Admin
from revproxy.admin.metrics.metrics import Metrics
from revproxy.config.problems import ConfigErrors, Problem
from revproxy.config.settings import Config
from revproxy.control.certificatefiles import certificateRoots
from revproxy.control.changes import ChangeRefused, ChangeRequest
from revproxy.control.control import Control
from revproxy.control.custody import configWarnings, lookWarnings, stateWarnings, users
from revproxy.control.startup import StartRefused
from revproxy.control.state.directory import StateError, StateFolder, StateInUse
from revproxy.control.state.recordfile import readRecords
from revproxy.control.statewatch import StateWatch
from revproxy.control.watch.fingerprint import Root
from revproxy.control.watch.watcher import Watcher
from revproxy.loop.interpreter import exitDespiteThreads, exitWithFailure
from revproxy.loop.jobthread import DaemonThreads
from revproxy.loop.reactor import leaveThreads
from revproxy.loop.threads import Threads, deferToThreads
from revproxy.plan.events import EventLog
from revproxy.plan.plan import Plan
from revproxy.service.admintls import AdminTLS
from revproxy.service.localcrew import LocalCrew
from revproxy.service.notifier import Notifier
from revproxy.service.signals import Signals, Terminal
from revproxy.worker.accesslogging import CLOSE_TIMEOUT
from revproxy.worker.worker import Worker

CLOSING = CLOSE_TIMEOUT + 3.0
"""Seconds that the last of all may take: the log is written out."""

SERVING = 10
"""Threads that read static files for requests."""


class EdgeService(Service):  # type: ignore[misc]
    """
    A running edge: control, and one worker beside it.

    :ivar control: decides.
    :ivar worker: does.
    :ivar events: what happened.
    :ivar metrics: what Prometheus reads.
    """

    _log = Logger()

    def __init__(
        self,
        config: Config,
        reactor: Any,
        path: Path | None = None,
        routesMade: Callable[[], None] = lambda: None,
        owner: tuple[int, int] | None = None,
        closes: Callable[[], str | None] = lambda: None,
    ) -> None:
        """
        Makes everything and opens nothing.

        :param path: the file the configuration was read from, to be watched; None if there is none.
        :param routesMade: called before plugins are loaded, with all there that does not depend on them.
        :param owner: the user and group that the process becomes once its ports are bound; None: it stays who it is.
        :param closes: called when it is who it will stay, before plugins start: closes the process to others, or says
            why it cannot.
        :raises ConfigErrors: with every problem of the configuration, its plugins and certificates.
        """
        self.config = config
        self._reactor = reactor
        self._path = None if path is None else path.absolute()
        self._owner = owner
        self._closes = closes
        self._state = StateFolder(config.state)
        self.events = EventLog(reactor.seconds)
        records, damaged = readRecords(self._state.recordsPath)
        told = [] if damaged is None else [self._damaged(damaged)]
        # Not the reactor's own threads, which plugins can fill: and a disk may hang as well.
        inThread = self._inThread = partial(deferToThreadPool, reactor, DaemonThreads())  # type: ignore[arg-type]
        inPool = partial(deferToThreads, reactor, Threads("revproxy files", SERVING))
        crew = LocalCrew(
            reactor, lambda says: Worker(reactor, config, says, inThread, inPool=inPool, routesMade=routesMade)
        )
        self.control = Control(config, path, crew, self._state, records, self.events, reactor, inThread, inThread)
        self.metrics = Metrics(reactor, self.control, self.events, inThread)
        self.worker = crew.hire()
        self.control.coordinator.onCommitted.append(self._committed)
        preparing = Deferred.fromCoroutine(self.control.startup.prepare())
        preparing.addErrback(_refusedWith, told)
        _resultOf(preparing)
        self._admin = Admin(reactor, self.control, self._state, AdminTLS(), inThread)
        keeper, inTurn = self.control.keeper, self.control.coordinator.turns.takeUnlessEnded
        restored, kept = self.control.restored, self.control.kept
        self._stateWatch = StateWatch(
            self._state, keeper, self._admin.socket, self.events, reactor, inTurn, restored, kept
        )
        self._watcher: Watcher | None = None
        self._roots: list[Path | Root] = []
        self._notifier = Notifier(reactor)
        self._signals = Signals(reactor)
        self._terminal = Terminal()
        self._listening: Deferred[None] | None = None
        self._starting: Deferred[None] | None = None
        self._stopping = False
        self._isAsked = False
        self._changedMeanwhile = False
        self._isReloading = False
        self._isServing = False

    def _damaged(self, text: str) -> Problem:
        """What was remembered of plugins cannot be read."""
        self.events.add("ledger-damaged", text)
        where = str(self._state.recordsPath)
        return Problem(where, 0, 0, "", text.removeprefix(f"{where}: "))

    # Starting

    def privilegedStartService(self) -> None:
        """Bind the ports; what connects waits in the kernel until the plugins are started. While we are root still."""
        super().privilegedStartService()
        if self._owner is not None:
            try:
                self._state.handOver(*self._owner)
            except OSError as error:
                self._log.warn("the state folder cannot be given to user {uid}: {error}",
                               uid=self._owner[0], error=error)
        self._raiseDescriptorLimit()
        self._listening = Deferred.fromCoroutine(self._listen())

    def startService(self) -> None:
        """Start plugins, then accept."""
        if self._listening is None:
            self.privilegedStartService()
        if (why := self._closes()) is not None:
            self._log.warn("{why}", why=why)
        super().startService()
        self._signals.heed(signal.SIGUSR1, self.worker.accessLogging.reopen)
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
        await self.worker.listen(self.config)
        await self.metrics.listen(self.config)
        await self._admin.listen()

    async def _start(self) -> None:
        assert self._listening is not None
        await self._listening
        await self._takeState()
        self.worker.start()
        await deferLater(self._reactor, 0)  # the guard, and signals, work from the reactor's first turn on
        await self.control.startup.begin()
        if self._stopping:
            return
        self._isServing = True
        self.control.lifetime.started()
        self.control.alerts.start()
        self._notifier.ready(self._status())
        if self._changedMeanwhile:
            self._changed()
        self._roots = self._watched(self.config)
        watcher = self._watcher = Watcher(
            self._reactor,
            self._roots,
            self._changed,
            settle=self.config.plugins.settle,
            inThread=self._inThread,
        )
        # Not waited for: the edge has started. Something may have been written since the files were read.
        watcher.start().addCallback(lambda _: watcher.suspect())

    async def _takeState(self) -> None:
        """The state folder is ours alone. Without one the edge runs all the same, and remembers nothing."""
        self._warn(*stateWarnings(self.config.state, users()), *configWarnings(self.config, self._path))
        try:
            if (mode := self._state.acquire()) is not None:
                text = "{folder}: others could look into it (mode {mode:04o}); it is for its owner alone now (0700)"
                self._log.info(text, folder=self._state.path, mode=mode)
            self._admin.socket.open()
        except StateInUse:
            raise
        except (StateError, OSError) as error:
            text = "{error}; versions and pins are not kept, and there is no control socket"
            self._log.warn(text, error=error)
            self.control.history.beginWithout()
        else:
            self._warn(*lookWarnings(self.config.state))
            self.control.keeper.isWritable = True
            self._stateWatch.start()
            self.control.eventKeeper.begin()
            self.control.audit.begin()
            self.control.history.begin()

    def _warn(self, *warnings: str) -> None:
        for warning in warnings:
            self._log.warn("{warning}", warning=warning)

    def _startFailed(self, failure: Any) -> None:
        """An edge that cannot start ends, and its exit status says so."""
        if self._stopping:
            return
        reason = failure.getErrorMessage()
        if failure.check(CannotListenError):
            reason += self._adviceFor(getattr(failure.value.socketError, "errno", None))
        self._log.critical("cannot start: {reason}", reason=reason)
        self._notifier.status(f"cannot start: {reason}")
        if failure.check(StartRefused):
            refusal = failure.value.refusal
            lost = self.control.keeper.lost.get(refusal.plugin)
            if lost is not None:
                self._log.critical("what ran before cannot stand in: {lost}", lost=lost)
            if refusal.traceback:
                self._log.critical("where it failed: {traceback}", traceback=refusal.traceback)
        elif not failure.check(OSError, CannotListenError, StateError):
            self._log.failure("where it failed", failure)
        # twistd knows no other exit status than 0 for a reactor that was stopped. At exit: by then it has removed its
        # pid file.
        atexit.register(exitWithFailure)
        self._reactor.callWhenRunning(self._reactor.stop)

    def _adviceFor(self, errno: int | None) -> str:
        """What to do about an address that cannot be listened on; with a space before it."""
        if errno == EACCES:
            return " Ports below 1024 need root (who may become somebody else, by --uid) or CAP_NET_BIND_SERVICE."
        if errno != EADDRINUSE:
            return ""
        try:
            if self._state.path.is_dir():
                self._state.acquire()
        except StateInUse as error:
            return f" This edge runs already: {error}"
        except StateError:
            pass
        return " Another program listens there: end it, or choose another port under listeners."

    # Changing

    def _watched(self, config: Config) -> list[Path | Root]:
        revoked = [Root(str(path), depth=0) for path in (config.trust.revoked,) if path is not None]
        if not config.plugins.watch:
            return [*revoked, *certificateRoots(config)]
        # Also those of a configuration that is refused: the file may be what is corrected.
        files = sorted({*config.referredFiles, *self.control.snapshots.referredFiles})
        referred = [Root(path, depth=0) for path in files]
        locked = [Root(str(path), depth=0) for path in (config.trust.lock,) if path is not None]
        return [*self._codePaths(config), *referred, *locked, *revoked, *certificateRoots(config)]

    def _watchWhatIsSaid(self) -> None:
        """Watch what the configuration says now."""
        watcher, roots = self._watcher, self._watched(self.config)
        if watcher is not None and not self._stopping and roots != self._roots:
            self._roots = roots
            watcher.watch(roots).addCallback(lambda _: watcher.suspect())

    def _codePaths(self, config: Config) -> list[Path]:
        """What says which code runs."""
        return [path for path in (self._path, config.plugins.directory) if path is not None]

    def _changed(self) -> None:
        """Something was written. One transaction that has not begun is enough for all that happens until then."""
        if not self._isServing:
            self._changedMeanwhile = True
        if not self._isServing or self._stopping or (self._isAsked and not self._isReloading):
            return
        self._isAsked = True
        takingUp = Deferred.fromCoroutine(self._takeUp())
        takingUp.addErrback(lambda failure: self._log.failure("taking up what has changed", failure))

    async def _takeUp(self) -> None:
        isReloading = self._isReloading
        try:
            request = ChangeRequest(force=isReloading, reads=isReloading)
            self._isReloading = False
            await self.control.coordinator.apply(request, self._begun)
        except ChangeRefused:
            pass  # an event says so
        finally:
            self._watchWhatIsSaid()
            if self._isServing and not self._stopping:
                self._notifier.ready(self._status())
                if isReloading:
                    self._log.info("SIGHUP: the files were read; {status}", status=self._status())

    def _begun(self) -> None:
        self._isAsked = False

    def _status(self) -> str:
        """One line for a service manager."""
        plan, refused = self.control.coordinator.plan, [*self.control.coordinator.refused]
        count = 0 if plan is None else len(plan.selected)
        text = f"serving with {count} plugin{'' if count == 1 else 's'}"
        return text if not refused else f"{text}; refused: {', '.join(name or 'revproxy.yaml' for name in refused)}"

    def _committed(self, before: Plan | None, plan: Plan) -> None:
        """Another configuration may name other files."""
        if before is None or before.config is plan.config:
            return
        config = self.config = plan.config
        watcher = self._watcher
        if watcher is not None:
            watcher.settle = config.plugins.settle
            self._watchWhatIsSaid()

    def _hungUp(self) -> None:
        """SIGHUP: as the command ``reload``, once for many; but if our terminal is gone, end."""
        if self._terminal.isGone:
            self._log.info("the terminal is gone")
            self._reactor.stop()
        else:
            self._isReloading = True
            if self._isServing:
                self._notifier.reloading()
            self._changed()

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
        self._notifier.stopping()
        self.control.lifetime.stopping()
        self._stateWatch.stop()
        self.control.coordinator.halt()
        self.control.stop()
        self.worker.hurry()
        if self._starting is not None and not self._starting.called:
            self._starting.cancel()
        if self._watcher is not None:
            await self._watcher.stop()
        await self._admin.close()
        await self.metrics.stop()
        await self.worker.stopAccepting()
        await self.worker.drain()
        await self.control.coordinator.end()
        await self.worker.endPlugins()
        await self.control.end()
        self._state.release()
        self._signals.restore()
        isProcess = self._exitZero() or isProcess
        if isProcess:
            exitDespiteThreads(CLOSING)  # a plugin may hold a lock of the standard library's logging
        await self.worker.end()
        self._notifier.stop()
        if isProcess:
            leaveThreads(self._reactor)
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
                self._reactor.callFromThread(self.worker.edge.breakOff)

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, received)


def _refusedWith(failure: Failure, told: Sequence[Problem]) -> None:
    """Whoever is refused is told these, too."""
    error = failure.value
    if isinstance(error, ConfigErrors):
        raise ConfigErrors([*error.problems, *told]) from None
    failure.raiseException()


def _resultOf(deferred: Deferred[Any]) -> None:
    """What has been done without waiting. :raises Exception: what it failed with."""
    failures: list[Failure] = []
    deferred.addErrback(failures.append)
    for failure in failures:
        failure.raiseException()
    assert deferred.called, "nothing is waited for before the loop runs"
