"""
When to look at the plugins and the configuration again.

A thread tells of single files (`monitor`); an editor's save is half a dozen of such events, a deployment hundreds. Here
they become one call, in the reactor, once nothing has happened for a moment and no file is open for writing any more. A
call is a hint and no more: whether anything is different, the contents decide.

Two things are not trusted. Events: network folders have none, so every few seconds the files are looked at from outside
(`fingerprint`). And silence: a stream of events that never ends delays the call for so long and no longer.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from revproxy.bundles.bundle import isPassing
from revproxy.control.watch.filemonitor import FileMonitor
from revproxy.control.watch.fingerprint import Fingerprint, fingerprintOf

__all__ = ["Monitor", "MonitorFactory", "Watcher"]

_OPEN = 10.0
"""Seconds that a file which is being written is waited for, from the first word of it."""

_JOIN = 5.0
"""Seconds that `Watcher.stop` waits for the monitor's thread, which may be held by a disk."""


class Monitor(Protocol):
    """What is needed of a `FileMonitor`."""

    def add_path(self, path: str) -> None: ...
    def start(self) -> None: ...
    def check(self) -> None: ...
    def stop(self) -> None: ...
    def join(self) -> None: ...


class MonitorFactory(Protocol):
    """Makes a monitor; see `FileMonitor`."""

    def __call__(
        self, callback: Callable[[str], object], /, *, writing: Callable[[str], object], skip: Callable[[str], bool]
    ) -> Monitor: ...


class _Inbox:
    """
    Takes events in any thread and hands them over in the reactor's, all there are at once.

    :param deliver: called in the reactor with path to whether more is coming, in the order of the latest events.
    """

    def __init__(self, reactor: Any, deliver: Callable[[dict[str, bool]], None]) -> None:
        self._reactor = reactor
        self._deliver: Callable[[dict[str, bool]], None] | None = deliver
        self._lock = threading.Lock()
        self._paths: dict[str, bool] = {}

    def changed(self, path: str) -> None:
        self._put(path, False)

    def writing(self, path: str) -> None:
        self._put(path, True)

    def _put(self, path: str, writing: bool) -> None:
        with self._lock:
            first = not self._paths
            self._paths.pop(path, None)
            self._paths[path] = writing
        if first:
            self._reactor.callFromThread(self._empty)

    def _empty(self) -> None:
        with self._lock:
            paths, self._paths = self._paths, {}
        if self._deliver is not None:
            self._deliver(paths)

    def close(self) -> None:
        """Deliver nothing more. In the reactor."""
        self._deliver = None


class Watcher:
    """
    Calls a function when what is at some paths has changed and then stayed as it is.

    :param paths: files, and folders with all below; need not be there.
    :param changed: called in the reactor, never again after `stop`. What it raises is logged.
    :param settle: seconds without an event until it is called; also an attribute, which holds from the next event on.
    :param longest: seconds after the first event when it is called whatever happens.
    :param rescan: seconds between looks at the files from outside.
    :param skip: names of files, and of folders with all below, that do not count.
    :param monitorFactory: makes what tells of events.
    :param inThread: runs a function in a thread, its result comes in the reactor; the default is the reactor's pool.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        paths: Iterable[str | os.PathLike[str]],
        changed: Callable[[], object],
        *,
        settle: float = 0.15,
        longest: float = 30.0,
        rescan: float = 5.0,
        skip: Callable[[str], bool] = isPassing,
        monitorFactory: MonitorFactory = FileMonitor,
        inThread: Callable[..., Deferred[Any]] | None = None,
    ) -> None:
        self._reactor = reactor
        self.settle = settle
        self._paths = _absolute(paths)
        self._changed = changed
        self._longest = longest
        self._rescan = rescan
        self._skip = skip
        self._monitorFactory = monitorFactory
        self._inThread = inThread or self._inPool
        self._running = False
        self._monitor: Monitor | None = None
        self._inbox: _Inbox | None = None
        self._settling: IDelayedCall | None = None
        self._scanning: IDelayedCall | None = None
        self._firstAt: float | None = None
        self._open: dict[str, float] = {}
        self._settled: Fingerprint | None = None
        self._unsettled: Fingerprint | None = None
        self._judging = False
        self._judgeAgain = False
        self._epoch = 0
        self._calls = 0

    # Beginning and end

    def start(self) -> Deferred[None]:
        """
        Begin.

        :return: fires when everything is watched: a change of what is read after that is not missed. Never fails.
        """
        self._running = True
        self._scanning = self._reactor.callLater(self._rescan, self._scanNow)
        return self._begin()

    def watch(self, paths: Iterable[str | os.PathLike[str]]) -> Deferred[None]:
        """
        Watch these instead. What has happened to the others but was not told yet, is told.

        :return: as of `start`; at once if nothing is different, or it is not running.
        """
        paths = _absolute(paths)
        if paths == self._paths or not self._running:
            self._paths = paths
            return succeed(None)
        self._paths = paths
        self._end()
        ready = self._begin()
        if self._firstAt is not None:
            self._settleAnew()
        return ready

    def suspect(self) -> None:
        """Take it that something has happened: the call comes when nothing more does."""
        if self._running:
            self._unsettled = None
            self._settleAnew()

    def stop(self) -> Deferred[None]:
        """
        End; nothing is called any more.

        :return: fires when the monitor's thread has ended, or after some seconds if a disk holds it. Never fails.
        """
        self._running = False
        for call in (self._settling, self._scanning):
            _cancel(call)
        self._settling = self._scanning = None
        return self._end()

    def _begin(self) -> Deferred[None]:
        self._epoch += 1
        self._settled = self._unsettled = None
        self._judging = self._judgeAgain = False
        self._open.clear()
        self._inbox = _Inbox(self._reactor, self._happened)
        try:
            self._monitor = self._monitorFactory(self._inbox.changed, writing=self._inbox.writing, skip=self._skip)
            for path in self._paths:
                self._monitor.add_path(path)
            self._monitor.start()
        except Exception:  # threads may be exhausted; then there are the looks from outside
            self._log.failure("Cannot be told of changed files; looking every {seconds} s", seconds=self._rescan)
        return self._look(self._isReady)

    def _end(self) -> Deferred[None]:
        """Have the monitor end. What it has told until now still counts."""
        self._epoch += 1
        if self._inbox is not None:
            self._inbox.close()
        monitor, self._monitor = self._monitor, None
        if monitor is None:
            return succeed(None)
        try:
            monitor.stop()
            ended = self._inThread(monitor.join)
        except Exception:
            self._log.failure("Watching files does not end as it should")
            return succeed(None)
        ended.addTimeout(_JOIN, self._reactor)
        return ended.addErrback(self._report, "Watching files does not end as it should")

    # Events

    def _happened(self, paths: dict[str, bool]) -> None:
        """The monitor has told of these; True: a file is being written."""
        now = self._reactor.seconds()
        paths = {path: writing for path, writing in paths.items() if self._counts(path)}
        for path, writing in paths.items():
            if writing:
                self._open.setdefault(path, now)
            else:
                self._closed(path)
        if paths:
            self._unsettled = None
            self._settleAnew()

    def _closed(self, path: str) -> None:
        """A file is not being written any more; of a folder, those that were in it and are gone."""
        self._open.pop(path, None)
        if self._open:
            for inner in [inner for inner in self._open if inner.startswith(path + os.sep)]:
                if not os.path.exists(inner):
                    del self._open[inner]

    def _counts(self, path: str) -> bool:
        """Whether a path is watched, and not one of a file that is passed over."""
        for root in self._paths:
            below = path.removeprefix(root.rstrip(os.sep) + os.sep)
            if path == root or (below != path and not any(map(self._skip, below.split(os.sep)))):
                return True
        return False

    def _settleAnew(self) -> None:
        now = self._reactor.seconds()
        if self._firstAt is None:
            self._firstAt = now
        self._settleIn(min(self.settle, self._firstAt + self._longest - now))

    def _settleIn(self, seconds: float) -> None:
        _cancel(self._settling)
        self._settling = self._reactor.callLater(max(0.0, seconds), self._quiet)

    def _quiet(self) -> None:
        """
        Nothing has happened for a moment. Before the call, what the files look like is kept: what becomes of them
        while they are read will be otherwise.
        """
        self._settling = None
        now = self._reactor.seconds()
        self._open = {path: since for path, since in self._open.items() if now < since + _OPEN}
        if self._open and not self._isOverdue():
            opened = min(self._open.values())
            self._settleIn(min(opened + _OPEN, (self._firstAt or now) + self._longest) - now)
            return
        if self._judging:
            self._judgeAgain = True  # or a slow disk would have more and more threads looking at it
            return
        self._judging = True
        self._look(self._isSettled).addBoth(self._judged, self._epoch)

    def _judged(self, result: object, epoch: int) -> None:
        """A look that was to tell whether all has settled is over."""
        if epoch != self._epoch:
            return
        again, self._judging, self._judgeAgain = self._judgeAgain, False, False
        if again and self._running and self._settling is None:
            self._quiet()

    def _isOverdue(self) -> bool:
        return self._firstAt is not None and self._reactor.seconds() >= self._firstAt + self._longest

    # Looks from outside

    def _look(self, then: Callable[[Fingerprint | None], None]) -> Deferred[None]:
        """
        Ask for the fingerprint. ``then`` is called with it, or with None if that went wrong; not at all after an end.
        """
        monitor, paths, epoch = self._monitor, self._paths, self._epoch

        def look() -> Fingerprint:
            if monitor is not None:
                monitor.check()
            return fingerprintOf(paths, self._skip)

        def looked(found: Fingerprint | None) -> None:
            if self._running and epoch == self._epoch:
                then(found)

        try:
            looking = self._inThread(look)
        except Exception:
            looking = Deferred()
            looking.errback(Failure())
        looking.addErrback(self._report, "Looking at the watched files failed")
        looking.addCallback(looked)
        return looking.addErrback(self._report, "What the watched files look like could not be used")

    def _isReady(self, found: Fingerprint | None) -> None:
        self._settled = found

    def _isSettled(self, found: Fingerprint | None) -> None:
        if not self._isOverdue():
            if self._settling is not None or self._judgeAgain:
                return  # more has happened meanwhile; that comes here again
            if None not in (self._unsettled, found) and found != self._unsettled:
                self._unsettled = found  # no events, and still changing
                self._settleAnew()
                return
        self._settled, self._unsettled, self._firstAt = found, None, None
        self._calls += 1
        if self._settling is not None:
            self._settleAnew()
        try:
            self._changed()
        except Exception:
            self._log.failure("What is to be done about changed files failed")

    def _scanNow(self) -> None:
        self._scanning = None
        calls, began = self._calls, self._reactor.seconds()

        def scanned(found: Fingerprint | None) -> None:
            if calls == self._calls:  # else it may be of an earlier time than what was kept since
                self._scanned(found)

        self._look(scanned).addBoth(self._scanLater, began)

    def _scanLater(self, result: object, began: float) -> None:
        """At most a tenth of the time goes into looks, however much there is to be looked at."""
        if self._running:
            took = self._reactor.seconds() - began
            self._scanning = self._reactor.callLater(max(self._rescan, 9 * took), self._scanNow)

    def _scanned(self, found: Fingerprint | None) -> None:
        if self._firstAt is not None or found is None:
            return  # it is about to settle; then it is looked at anyway
        if self._settled is None:
            self._settled = found
        elif found != self._settled:
            self._unsettled = found
            self._settleAnew()

    def _inPool(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), function, *args)

    def _report(self, failure: Failure, what: str) -> None:
        self._log.failure("{what}", failure=failure, what=what)


def _absolute(paths: Iterable[str | os.PathLike[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(os.path.abspath(os.fspath(path)) for path in paths))


def _cancel(call: IDelayedCall | None) -> None:
    if call is not None:
        try:
            call.cancel()
        except (AlreadyCalled, AlreadyCancelled):
            pass
