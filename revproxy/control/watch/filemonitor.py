"""
Tells of what happens to files and folders, as far as the kernel tells.

The kernel tells of a folder's entries, so a file is watched through the folder it is in, and a folder through the one
above: that is how one that is replaced by a rename, deleted and made anew, or not there yet, stays watched.

Events are hints, and `check` is the truth: it walks all that is watched, returns the fingerprint of it, and on its way
has every folder watched as it is now. So events need not be kept account of to the last: what has none (a link on the
way that leads elsewhere, a folder further above that was renamed, a network folder), what comes when there is no watch
left, and whatever an event was not understood for, differs in the fingerprint of the next check.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable
from enum import Enum
from stat import S_ISDIR, S_ISREG

from twisted.logger import Logger

from revproxy.control.watch import inotify
from revproxy.control.watch.fingerprint import MAX_DEPTH, Fingerprint, Root, addFolder, entryOf, fingerprintOf, statOf
from revproxy.control.watch.inotify import FolderWatches, Told

__all__ = ["FileMonitor", "logError"]

_AGAIN = 30.0
"""Seconds until inotify is tried again after it was used up."""

_APPEARED = inotify.CREATE | inotify.MOVED_TO
_DISAPPEARED = inotify.DELETE | inotify.MOVED_FROM

_log = Logger()


def logError(message: str) -> None:
    """Log a sentence about what went wrong."""
    _log.error("{message}", message=message)


class _Events(Enum):
    """What there is of the kernel's events."""

    UNOPENED = "not asked for yet"
    TOLD = "told"
    LOST = "some were lost: what is watched may be wrong"
    NONE = "there is no inotify, or no watch left"
    RETRIED = "asked for again; it may be too few once more"
    CLOSED = "not wanted any more"


class FileMonitor:
    """
    Watches files, and folders with everything below. All methods may be called in any thread.

    :param callback: called with a path, in a thread: it was created, changed, removed, renamed, or had its attributes
        changed; a folder when anything in it may have changed. Of a file that was asked for, only that file's path is
        told. What it raises is logged.
    :param writing: called instead of ``callback`` when a file is being written: the callback will follow when it is
        closed. Without it the callback is called both times.
    :param error: called with a sentence about what went wrong; the default logs it.
    :param openWatches: makes `FolderWatches`; raises `OSError`.
    """

    def __init__(
        self,
        callback: Callable[[str], object],
        *,
        writing: Callable[[str], object] | None = None,
        error: Callable[[str], object] = logError,
        openWatches: Callable[[Told], FolderWatches] = FolderWatches,
    ) -> None:
        self._callback = callback
        self._writing = writing or callback
        self._error = error
        self._openWatches = openWatches
        self._lock = threading.RLock()
        self._roots: dict[str, Root] = {}
        self._awaited: dict[str, dict[str, set[str]]] = {}  # folder to name to roots: there the next step to them shows
        self._trees: dict[str, tuple[Root, int]] = {}  # watched with what is in them, and how far below the root
        self._watches: FolderWatches | None = None
        self._events = _Events.UNOPENED
        self._retryAt = 0.0

    @property
    def isTold(self) -> bool:
        """Whether the kernel tells anything; if not, there is only `check`."""
        return self._watches is not None

    def add(self, root: Root) -> None:
        """Watch a file or a folder, from the next `check` on. It need not be there yet."""
        with self._lock:
            self._roots[root.path] = root

    def check(self) -> Fingerprint:
        """
        Have all watched as it is now: what happens after the return is told. May take long, with many files. Never
        raises.

        :return: the fingerprint of all.
        """
        with self._lock:
            self._open()
            roots, watches = tuple(self._roots.values()), self._watches
            walk = watches.beginWalk() if watches is not None else 0
            for root in roots:
                self._awaitRoot(root)
        found = fingerprintOf(roots, enter=self._enter)
        with self._lock:
            if watches is not None and watches is self._watches:
                for path in watches.endWalk(walk):
                    self._trees.pop(path, None)
                if self._events is _Events.RETRIED:
                    self._events = _Events.TOLD
                    self._error("file events are back")
        return found

    def close(self) -> None:
        """Tell nothing more, apart from what is being told this moment, and wait until the thread that tells ends."""
        with self._lock:
            watches, self._events = self._watches, _Events.CLOSED
            self._forget()
        if watches is not None:
            watches.join()

    # What is watched

    def _open(self) -> None:
        """Have watches, if there may be any."""
        if self._watches is not None and not self._watches.alive:
            self._events = _Events.LOST
        if self._events is _Events.LOST:
            self._error("file events were lost; all files are compared")
            self._forget()
        elif self._events is _Events.NONE and time.monotonic() >= self._retryAt:
            self._events = _Events.RETRIED
        elif self._events is not _Events.UNOPENED:
            return
        try:
            self._watches = self._openWatches(self._told)
        except (OSError, RuntimeError) as error:  # or no thread can be started
            self._degrade(error)
            return
        if self._events is not _Events.RETRIED:
            self._events = _Events.TOLD

    def _degrade(self, error: Exception) -> None:
        if self._events is not _Events.RETRIED:
            self._error(f"no file events ({error}); all files are compared every few seconds instead")
        self._events, self._retryAt = _Events.NONE, time.monotonic() + _AGAIN
        self._forget()

    def _forget(self) -> None:
        """Let all watches go. The reading thread ends by itself: it may be waiting for the lock."""
        watches, self._watches = self._watches, None
        self._awaited.clear()
        self._trees.clear()
        if watches is not None:
            watches.close()

    def _ensure(self, folder: str) -> bool:
        try:
            return self._watches is not None and self._watches.ensure(folder)
        except OSError as error:
            if error.errno == errno.EBADF:  # the thread that reads is about to be found dead
                self._events = _Events.LOST
            else:
                self._degrade(error)
        return False

    def _enter(self, folder: str, root: Root, depth: int) -> None:
        """Watch a folder, before it is listed: what comes in between is in the list, or told."""
        with self._lock:
            if self._ensure(folder):
                self._trees[folder] = root, depth
            else:
                self._trees.pop(folder, None)

    def _awaitRoot(self, root: Root) -> None:
        """Watch the nearest folder above a root, and remember which name in it leads on."""
        if self._watches is None:
            return
        for _ in range(MAX_DEPTH):
            child = root.path
            while not self._ensure(folder := os.path.dirname(child)) and folder != child:
                child = folder
            if child == root.path or not self._ensure(child):
                break  # else it has appeared since
        if self._watches is not None:  # still
            self._awaited.setdefault(folder, {}).setdefault(os.path.basename(child), set()).add(root.path)

    # What the kernel tells

    def _told(self, folder: str, name: str, mask: int) -> None:
        reports: dict[str, bool] = {}  # path to whether more is coming, because the file is being written
        with self._lock:
            try:
                if mask & inotify.OVERFLOW:
                    self._lost(reports)
                elif mask & inotify.GONE:
                    self._gone(folder, reports)
                elif name:
                    self._happened(folder, name, mask, reports)
            except Exception as error:  # nothing foreseen: the thread that reads must not end
                self._error(f"a file event was not understood: {type(error).__name__}: {error}")
                self._lost(reports)
        for path, writing in reports.items():
            self._report(path, writing)

    def _report(self, path: str, writing: bool) -> None:
        try:
            if self._events is not _Events.CLOSED:
                (self._writing if writing else self._callback)(path)
        except Exception as error:  # foreign code
            self._error(f"{path} has changed, and being told so failed: {type(error).__name__}: {error}")

    def _lost(self, reports: dict[str, bool]) -> None:
        if self._events in (_Events.TOLD, _Events.RETRIED):
            self._events = _Events.LOST
            reports.update((path, False) for path in self._roots if path in self._trees)

    def _gone(self, folder: str, reports: dict[str, bool]) -> None:
        """A folder is there no more; or is there again, and there may be no event of that."""
        if (place := self._trees.pop(folder, None)) is not None:
            reports[folder] = False
            self._appeared(folder, *place, reports)
        for roots in self._awaited.pop(folder, {}).values():
            for path in roots:
                self._awaitRoot(self._roots[path])
                if path not in self._trees and (known := statOf(path)) is not None:
                    reports[path] = False
                    if _isFolder(known):
                        self._appeared(path, self._roots[path], 0, reports)

    def _happened(self, folder: str, name: str, mask: int, reports: dict[str, bool]) -> None:
        """Something became of what is, or was, directly in a folder."""
        path = os.path.join(folder, name)
        for awaiting in tuple(self._awaited.get(folder, {}).get(name, ())):
            self._happenedToRoot(self._roots[awaiting], path, mask, reports)
        if (place := self._trees.get(folder)) is None or place[0].skip(name):
            return
        root, depth = place
        reports[path] = _isBeingWritten(path, mask)
        if mask & _DISAPPEARED:
            self._drop(path)
        elif mask & _APPEARED and depth < root.depth and _isFolder(entryOf(path, depth)):
            self._appeared(path, root, depth + 1, reports)

    def _happenedToRoot(self, root: Root, path: str, mask: int, reports: dict[str, bool]) -> None:
        """Something became of a root, or of the first folder on the way to it that was not there."""
        if mask & _DISAPPEARED:
            self._drop(path)
        moved = mask & (_APPEARED | _DISAPPEARED)
        if moved:
            self._awaitRoot(root)
        # Looked at after it is watched for: what comes in between is seen here, or told.
        known = statOf(root.path)
        if path == root.path:
            reports[path] = _isBeingWritten(path, mask)
        elif known is not None:
            reports[root.path] = False
        if moved and _isFolder(known):
            self._appeared(root.path, root, 0, reports)

    def _appeared(self, folder: str, root: Root, depth: int, reports: dict[str, bool]) -> None:
        found: Fingerprint = {}
        addFolder(found, folder, root, depth, self._enter)
        reports.update((path, False) for path in found)

    def _drop(self, path: str) -> None:
        """Watch a folder that went away no more; what is below it, until the next check."""
        if self._trees.pop(path, None) is not None and self._watches is not None:
            self._watches.drop(path)


def _isFolder(known: tuple[int, ...] | None) -> bool:
    return known is not None and S_ISDIR(known[0])


def _isBeingWritten(path: str, mask: int) -> bool:
    """
    Whether a file's being closed after writing will follow. A file linked or renamed to where it is shows by having
    content, or another name; it will not be closed.
    """
    if mask & inotify.ISDIR:
        return False
    if mask & inotify.MODIFY:
        return True
    if not mask & inotify.CREATE:
        return False
    try:
        made = os.lstat(path)
    except OSError:
        return False
    return S_ISREG(made.st_mode) and made.st_nlink == 1 and made.st_size == 0
