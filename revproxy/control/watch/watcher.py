"""
When plugins, configuration and certificates are to be read again.

A thread tells of single files (`filemonitor`); an editor's save is half a dozen of such events, a deployment hundreds.
Here they become one call, in the reactor, when all has settled (`settling`). A call is a hint and no more: whether
anything is different, the contents decide.

Events are not trusted: network folders have none, nor has what a link leads to. So every few seconds all files are
compared from outside (`fingerprint`).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from enum import Enum
from functools import partial
from typing import Any, Protocol

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from revproxy.bundles.ignorerules import isPassing
from revproxy.control.watch.filemonitor import FileMonitor
from revproxy.control.watch.fingerprint import Fingerprint, Root
from revproxy.control.watch.settling import Settling

__all__ = ["Monitor", "Watcher"]

_JOIN = 5.0
"""Seconds that `Watcher.stop` waits for the monitor's thread, which may be held by a disk."""

_Path = str | os.PathLike[str]


class Monitor(Protocol):
    """What is needed of a `FileMonitor`, which is made with a callback and with ``writing``."""

    def add(self, root: Root) -> None: ...
    def check(self) -> Fingerprint: ...
    def close(self) -> None: ...


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

    def put(self, path: str, writing: bool = False) -> None:
        with self._lock:
            isFirst = not self._paths
            self._paths.pop(path, None)
            self._paths[path] = writing
        if isFirst:
            self._reactor.callFromThread(self._empty)

    def _empty(self) -> None:
        with self._lock:
            paths, self._paths = self._paths, {}
        if self._deliver is not None:
            self._deliver(paths)

    def close(self) -> None:
        """Deliver nothing more. In the reactor."""
        self._deliver = None


class _Judging(Enum):
    """Whether files are being compared to tell if all has settled; one such comparison at a time."""

    NOT = 0
    UNDER_WAY = 1
    DUE_AGAIN = 2


class Watcher:
    """
    Calls a function when what is at some paths has changed and then stayed as it is.

    :param paths: files, and folders with all below, or a `Root` of another kind; need not be there.
    :param changed: called in the reactor, never again after `stop`. What it raises is logged.
    :param settle: seconds without an event until it is called; also an attribute, which holds from the next event on.
    :param longest: seconds after the first event when it is called whatever happens.
    :param rescan: seconds between comparisons of the files from outside.
    :param skip: names of files, and of folders with all below, that do not count in what is given as a path.
    :param monitorFactory: makes what tells of events.
    :param inThread: runs a function in a thread, its result comes in the reactor; the default is the reactor's pool.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        paths: Iterable[_Path | Root],
        changed: Callable[[], object],
        *,
        settle: float = 0.15,
        longest: float = 30.0,
        rescan: float = 5.0,
        skip: Callable[[str], bool] = isPassing,
        monitorFactory: Callable[..., Monitor] = FileMonitor,
        inThread: Callable[..., Deferred[Any]] | None = None,
    ) -> None:
        self._reactor = reactor
        self._skip = skip
        self._roots = self._rootsOf(paths)
        self._changed = changed
        self._rescan = rescan
        self._monitorFactory = monitorFactory
        self._inThread = inThread or partial(deferToThreadPool, reactor, reactor.getThreadPool())
        self._monitor: Monitor | None = None  # there is one while it is running
        self._inbox: _Inbox | None = None
        self._settling = Settling(reactor, self._quiet, settle, longest)
        self._rescanning: IDelayedCall | None = None
        self._settled: Fingerprint | None = None
        self._unsettled: Fingerprint | None = None
        self._judging = _Judging.NOT
        self._calls = 0

    @property
    def settle(self) -> float:
        """See above."""
        return self._settling.settle

    @settle.setter
    def settle(self, seconds: float) -> None:
        self._settling.settle = seconds

    # Beginning and end

    def start(self) -> Deferred[None]:
        """
        Begin.

        :return: fires when everything is watched: a change of what is read after that is not missed. Never fails.
        """
        self._rescanning = self._reactor.callLater(self._rescan, self._rescanNow)
        return self._begin()

    def watch(self, paths: Iterable[_Path | Root]) -> Deferred[None]:
        """
        Watch these instead. What has happened to the others but was not told yet, is told.

        :return: as of `start`; at once if nothing is different, or it is not running.
        """
        before, self._roots = self._roots, self._rootsOf(paths)
        if self._roots == before or self._monitor is None:
            return succeed(None)
        self._end()
        ready = self._begin()
        if self._settling.isDue:
            self._settling.begin()
        return ready

    def suspect(self) -> None:
        """Act as if something had happened: the function is called once all has settled."""
        if self._monitor is not None:
            self._unsettled = None
            self._settling.begin()

    def stop(self) -> Deferred[None]:
        """
        End; nothing is called any more.

        :return: fires when the monitor's thread has ended, or after some seconds if a disk holds it. Never fails.
        """
        self._settling.stop()
        if self._rescanning is not None:
            self._rescanning.cancel()
            self._rescanning = None
        return self._end()

    def _begin(self) -> Deferred[None]:
        self._settled = self._unsettled = None
        self._judging = _Judging.NOT
        self._settling.open.clear()
        self._inbox = _Inbox(self._reactor, self._happened)
        self._monitor = self._monitorFactory(self._inbox.put, writing=partial(self._inbox.put, writing=True))
        for root in self._roots.values():
            self._monitor.add(root)
        return self._compare(self._rescanned)

    def _end(self) -> Deferred[None]:
        """Have the monitor end. What it has told until now still counts."""
        monitor, self._monitor = self._monitor, None
        if monitor is None:
            return succeed(None)
        if self._inbox is not None:
            self._inbox.close()
        ended = maybeDeferred(self._inThread, monitor.close)
        ended.addTimeout(_JOIN, self._reactor)
        return ended.addErrback(self._report, "Watching files does not end as it should")

    def _rootsOf(self, paths: Iterable[_Path | Root]) -> dict[str, Root]:
        """By path. Of two roots at one path the deeper one."""
        roots: dict[str, Root] = {}
        for place in paths:
            root = place if isinstance(place, Root) else Root(os.fspath(place), self._skip)
            path = os.path.abspath(root.path)
            if path not in roots or root.depth > roots[path].depth:
                roots[path] = replace(root, path=path)
        return roots

    # Events

    def _happened(self, paths: dict[str, bool]) -> None:
        """The monitor has told of these; True: a file is being written."""
        paths = {path: writing for path, writing in paths.items() if self._counts(path)}
        if paths:
            self._settling.note(paths)
            self.suspect()

    def _counts(self, path: str) -> bool:
        """Whether a path belongs to a root; asked of those that may be its own only, for there may be thousands."""
        above = path
        while (root := self._roots.get(above)) is None or not root.counts(path):
            above, below = os.path.dirname(above), above
            if above == below:
                return False
        return True

    def _quiet(self) -> None:
        """
        Nothing happens any more. What the files look like is noted before the function is called, so that the next
        comparison notices what changes while they are read.
        """
        if self._judging is _Judging.NOT:
            self._judging = _Judging.UNDER_WAY
            self._compare(self._judge).addBoth(self._judged, self._monitor)
        else:  # a slow disk would have more and more threads waiting for it
            self._judging = _Judging.DUE_AGAIN

    def _judge(self, found: Fingerprint | None) -> None:
        """Call, if all has settled."""
        if not self._settling.isOverdue:
            if self._settling.isUnderWay or self._judging is _Judging.DUE_AGAIN:
                return  # more has happened meanwhile; that comes here again
            if None not in (self._unsettled, found) and found != self._unsettled:
                self._unsettled = found  # no events, and still changing
                self._settling.begin()
                return
        self._settled, self._unsettled = found, None
        self._calls += 1
        self._settling.end()
        try:
            self._changed()
        except Exception:
            self._log.failure("What is to be done about changed files failed")

    def _judged(self, result: object, monitor: Monitor | None) -> None:
        if monitor is self._monitor:
            before, self._judging = self._judging, _Judging.NOT
            if before is _Judging.DUE_AGAIN and not self._settling.isUnderWay:
                self._quiet()

    # Comparisons from outside

    def _compare(self, then: Callable[[Fingerprint | None], None]) -> Deferred[None]:
        """
        Have all watched as it is now, and its fingerprint taken.

        :param then: called with it, or with None if that went wrong; not at all if there is another monitor by then.
        """
        monitor = self._monitor
        assert monitor is not None

        def compared(found: Fingerprint | None) -> None:
            if monitor is self._monitor:
                then(found)

        comparing = maybeDeferred(self._inThread, monitor.check)
        comparing.addErrback(self._report, "The watched files could not be compared")
        comparing.addCallback(compared)
        return comparing.addErrback(self._report, "What the watched files look like could not be used")

    def _rescanNow(self) -> None:
        self._rescanning = None
        calls, began = self._calls, self._reactor.seconds()

        def rescanned(found: Fingerprint | None) -> None:
            if calls == self._calls:  # else it may be of an earlier time than what was kept since
                self._rescanned(found)

        self._compare(rescanned).addBoth(self._rescanLater, began)

    def _rescanLater(self, result: object, began: float) -> None:
        """At most a tenth of the time goes into comparing, however many files there are."""
        if self._monitor is not None:
            took = self._reactor.seconds() - began
            self._rescanning = self._reactor.callLater(max(self._rescan, 9 * took), self._rescanNow)

    def _rescanned(self, found: Fingerprint | None) -> None:
        if self._settling.isDue or found is None:
            return  # it is about to settle; then it is compared anyway
        if self._settled is None:
            self._settled = found
        elif found != self._settled:
            self._unsettled = found
            self._settling.begin()

    def _report(self, failure: Failure, what: str) -> None:
        self._log.failure("{what}", failure=failure, what=what)
