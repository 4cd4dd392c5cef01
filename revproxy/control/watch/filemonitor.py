"""
Files and folders watched by a thread, as `hupper` has it: the callback is called with the path of what changed.

The kernel tells of a folder's entries, so a file is watched through the folder it is in, and a folder through the one
above: that is how one that is replaced by a rename, deleted and made anew, or not there yet, stays watched. What the
kernel has no event for (a link on the way that leads elsewhere, a folder further above that was renamed) is found by
looking at what is watched every `interval`.

Where there is no inotify, or no watch left, fingerprints of everything are compared every `interval`. hupper's own
polling compares modification times, and misses older ones and deletions.

One long file: events and looks change the same tables, under one lock.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from stat import S_ISDIR, S_ISREG
from typing import Any, Protocol

from hupper.interfaces import IFileMonitor
from twisted.logger import Logger

from revproxy.control.watch import inotify
from revproxy.control.watch.fingerprint import MAX_DEPTH, Fingerprint, entriesOf, fingerprintOf, nothing, statOf
from revproxy.control.watch.inotify import FolderWatches, Told

__all__ = ["FileMonitor"]

_AGAIN = 30.0
"""Seconds until inotify is tried again after it was out."""

_APPEARED = inotify.CREATE | inotify.MOVED_TO
_DISAPPEARED = inotify.DELETE | inotify.MOVED_FROM


class _Says(Protocol):
    """`hupper.interfaces.ILogger`."""

    def error(self, msg: str) -> None: ...
    def info(self, msg: str) -> None: ...
    def debug(self, msg: str) -> None: ...


class _Log:
    """Twisted's logger as hupper calls one."""

    _log = Logger("revproxy.control.watch.filemonitor")

    def error(self, msg: str) -> None:
        self._log.error("{message}", message=msg)

    def info(self, msg: str) -> None:
        self._log.info("{message}", message=msg)

    def debug(self, msg: str) -> None:
        self._log.debug("{message}", message=msg)


@dataclass(slots=True)
class _Target:
    """
    A path that was asked for.

    :ivar known: what was there when it was looked at last.
    :ivar guard: the path whose appearance or end is awaited: its own, or that of the first folder on the way to it that
        is not there.
    :ivar tree: whether it is a folder, watched with all below.
    """

    path: str
    known: tuple[int, ...] | None
    guard: str = ""
    tree: bool = False


class _Reports:
    """What to tell once the lock is free: paths, and whether more is coming because the file is being written."""

    def __init__(self) -> None:
        self.paths: dict[str, bool] = {}

    def add(self, path: str, writing: bool = False) -> None:
        self.paths.pop(path, None)
        self.paths[path] = writing


class FileMonitor(IFileMonitor):  # type: ignore[misc]
    """
    Watches files, and folders with everything below.

    Directly in a folder, links to folders are followed: a plugin's folder may be one. Further down they are not.

    :param callback: called with a path, in a thread: it was created, changed, removed, renamed, or had its attributes
        changed; a folder when anything in it may have changed. Of a file that was asked for, only that file's path is
        told.
    :param interval: seconds between looks at what the kernel does not tell; and at everything, where it tells nothing.
    :param logger: a `hupper.interfaces.ILogger`; the default is Twisted's log.
    :param writing: called instead of ``callback`` when a file is being written: the callback will follow when it is
        closed. Without it the callback is called both times.
    :param skip: which names in folders are passed over, with all below.
    :param openWatches: makes `FolderWatches`; raises `OSError`.
    """

    def __init__(
        self,
        callback: Callable[[str], object],
        interval: float = 1.0,
        logger: _Says | None = None,
        writing: Callable[[str], object] | None = None,
        skip: Callable[[str], bool] = nothing,
        openWatches: Callable[[Told], FolderWatches] = FolderWatches,
        **kw: Any,
    ) -> None:
        self._callback = callback
        self._writing = writing or callback
        self._skip = skip
        self._interval = interval
        self._say: _Says = logger or _Log()
        self._openWatches = openWatches
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._targets: dict[str, _Target] = {}
        self._awaited: dict[str, set[str]] = {}
        self._trees: dict[str, int] = {}
        self._inside: dict[str, set[str]] = {}  # of the trees: there may be very many, and each comes and goes
        self._links: dict[str, tuple[int, ...] | None] = {}
        self._watches: FolderWatches | None = None
        self._overflown = False
        self._triedAt: float | None = None
        self._seen: Fingerprint | None = None

    # What hupper calls

    def add_path(self, path: str) -> None:
        """Watch a file or a folder; it need not be there yet. In any thread."""
        path = os.path.abspath(path)
        with self._lock:
            if path not in self._targets:
                self._targets[path] = _Target(path, statOf(path))
                if self._seen is not None:
                    self._seen.update(fingerprintOf([path], self._skip))
        self._wake.set()

    def start(self) -> None:
        """Begin, without waiting. What happens before the first `check` is over is not told, but of files."""
        self._thread = threading.Thread(target=self._run, name="file monitor", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Call nothing more, apart from what is being called this moment. Does not wait."""
        self._stopping = True
        self._wake.set()

    def join(self) -> None:
        """Wait until the threads have ended."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    # Looking

    @property
    def polling(self) -> bool:
        """Whether the kernel tells nothing, and everything is looked at every `interval`."""
        return self._seen is not None

    def check(self) -> None:
        """
        Look at once for what the kernel does not tell of; in any thread. After it everything is watched.
        """
        reports = _Reports()
        with self._lock:
            if not self._stopping:
                self._watchOrPoll(reports)
        self._tell(reports)

    def _run(self) -> None:
        while not self._stopping:
            try:
                self.check()
            except Exception as error:  # nothing foreseen: what is watched goes on being looked at
                self._say.error(f"watching files: {type(error).__name__}: {error}")
            self._wake.wait(self._interval)
            self._wake.clear()
        with self._lock:
            watches, self._watches = self._watches, None
        if watches is not None:
            watches.close()
            watches.join()

    def _watchOrPoll(self, reports: _Reports) -> None:
        try:
            if self._mayWatch():
                self._look(reports)
                return
        except OSError as error:
            if error.errno == errno.EBADF:  # the thread that reads is about to be found dead
                self._overflown = True
                self._wake.set()
                return
            self._degrade(error)
        seen, self._seen = self._seen, fingerprintOf(self._targets, self._skip)
        if seen is not None:
            self._report(reports, _differences(seen, self._seen))
            return
        for target in self._targets.values():
            if target.tree or statOf(target.path) != target.known:
                reports.add(target.path)

    def _report(self, reports: _Reports, paths: Iterable[str]) -> None:
        for path in paths:
            reports.add(path)

    def _mayWatch(self) -> bool:
        """
        Whether there is inotify, opened if it is time to try.

        :raises OSError: there is none.
        """
        if self._watches is not None:
            if self._watches.alive and not self._overflown:
                return True
            self._say.error("file events were lost; looking at everything anew")
            self._abandon()
        elif self._triedAt is not None and time.monotonic() < self._triedAt + _AGAIN:
            return False
        self._overflown = False
        self._watches = self._openWatches(self._told)
        return True

    def _degrade(self, error: OSError) -> None:
        if not self.polling:
            self._say.error(f"no file events ({error}); looking at all files every {self._interval:g} s instead")
        self._triedAt = time.monotonic()
        self._abandon()

    def _abandon(self) -> None:
        """Forget all watches. The reading thread ends by itself: it may be waiting for the lock."""
        watches, self._watches = self._watches, None
        self._awaited.clear()
        self._trees.clear()
        self._inside.clear()
        self._links.clear()
        for target in self._targets.values():
            target.guard = ""
        if watches is not None:
            watches.close()

    def _look(self, reports: _Reports) -> None:
        """
        Have everything watched as it is now, and tell what is otherwise than it was known.

        :raises OSError: there are no watches left.
        """
        for target in self._targets.values():
            self._guard(target)
            known = statOf(target.path)
            isTree = known is not None and S_ISDIR(known[0])
            forgotten = target.tree and isTree and target.path not in self._trees
            if known != target.known or forgotten:
                reports.add(target.path)
            if target.tree and (known != target.known or not isTree):
                self._dropTree(target.path)
            target.known, target.tree = known, isTree
            if isTree:
                if target.path not in self._trees:
                    self._addTree(target.path, 0, reports=None)
                target.tree = target.path in self._trees  # one that may not be listed is none
                self._lookAtLinks(target.path, reports)
        if self.polling:
            self._say.info("file events are back")
            self._seen = None

    def _guard(self, target: _Target) -> None:
        """Watch the nearest folder above a target, and remember which name in it is awaited."""
        assert self._watches is not None
        for _ in range(MAX_DEPTH):
            child = target.path
            while not self._watches.ensure(guard := os.path.dirname(child)) and guard != child:
                child = guard
            if child == target.path or not self._watches.ensure(child):
                break  # else it has appeared since
        if target.guard != child:
            self._unguard(target)
            target.guard = child
        self._awaited.setdefault(child, set()).add(target.path)

    def _unguard(self, target: _Target) -> None:
        if waiting := self._awaited.get(target.guard):
            waiting.discard(target.path)
            if not waiting:
                del self._awaited[target.guard]
                self._release(os.path.dirname(target.guard))

    def _release(self, folder: str) -> None:
        """Watch a folder no more, unless it still is for something."""
        needed = folder in self._trees or any(os.path.dirname(awaited) == folder for awaited in self._awaited)
        if self._watches is not None and not needed:
            self._watches.drop([folder])

    def _lookAtLinks(self, folder: str, reports: _Reports) -> None:
        """Links directly in a folder: each may lead elsewhere than it did, without the folder's having changed."""
        links = {path for path in _linksIn(folder) if not self._skip(os.path.basename(path))}
        for path in links | {path for path in self._links if os.path.dirname(path) == folder}:
            known = statOf(path) if path in links else None
            if known is not None and not S_ISDIR(known[0]):
                known = None
            if path in self._links and self._links[path] == known and (known is None or path in self._trees):
                continue
            if path in self._links:
                reports.add(path)
                self._dropTree(path)
            if known is not None and path not in self._trees:
                self._addTree(path, 1, reports=None)
            if path in links:
                self._links[path] = known
            else:
                self._links.pop(path, None)

    def _addTree(self, folder: str, depth: int, reports: _Reports | None) -> None:
        """
        Watch a folder and all below. It is watched before it is listed: what comes in between is in the list, or told.

        :param reports: told of what is in it already, if it has just come.
        :raises OSError: there are no watches left.
        """
        assert self._watches is not None
        if not self._watches.ensure(folder):
            return
        self._trees[folder] = depth
        self._inside.setdefault(os.path.dirname(folder), set()).add(folder)
        folders, others = entriesOf(folder, depth == 0, self._skip)
        if reports is not None:
            self._report(reports, others + folders)
        if depth < MAX_DEPTH:
            for path in folders:
                self._addTree(path, depth + 1, reports)

    def _dropTree(self, folder: str) -> None:
        below = self._forgotten(folder)
        if folder in self._targets:  # links are followed only directly in one
            for path in [path for path in self._links if path.startswith(folder + os.sep)]:
                del self._links[path]
        for path in below:
            self._release(path)

    def _forgotten(self, folder: str) -> list[str]:
        """Take a folder and all below out of the trees. :return: those that were in them."""
        self._inside.get(os.path.dirname(folder), set()).discard(folder)
        found, waiting = [], [folder]
        while waiting:
            path = waiting.pop()
            waiting += self._inside.pop(path, ())
            if self._trees.pop(path, None) is not None:
                found.append(path)
        return found

    # What the kernel tells

    def _told(self, watches: FolderWatches, watch: int, name: str, mask: int) -> None:
        reports = _Reports()
        with self._lock:
            if self._stopping or watches is not self._watches:
                return  # it comes from an earlier time
            try:
                self._note(watches, watch, name, mask, reports)
            except OSError as error:
                self._degrade(error)
                self._wake.set()
            except Exception as error:  # nothing foreseen: the thread that reads must not end
                self._say.error(f"a file event was not understood: {type(error).__name__}: {error}")
                self._overflown = True
                self._wake.set()
        self._tell(reports)

    def _note(self, watches: FolderWatches, watch: int, name: str, mask: int, reports: _Reports) -> None:
        if mask & inotify.OVERFLOW:
            self._overflown = True
            self._wake.set()
        elif mask & inotify.GONE:
            for folder in watches.forget(watch):
                self._trees.pop(folder, None)
                self._inside.get(os.path.dirname(folder), set()).discard(folder)
                if not self._inside.get(folder):
                    self._inside.pop(folder, None)
                self._wake.set()
        elif name:
            for folder in watches.pathsOf(watch):
                self._happened(folder, os.path.join(folder, name), mask, reports)

    def _happened(self, folder: str, path: str, mask: int, reports: _Reports) -> None:
        """Something became of what is, or was, directly in a folder."""
        if path in self._awaited and mask & (_APPEARED | _DISAPPEARED):
            self._wake.set()
        target = self._targets.get(path)
        isFile = target is not None and not target.tree and not mask & inotify.ISDIR
        depth = None if self._skip(os.path.basename(path)) else self._trees.get(folder)
        if not isFile and depth is None:
            return
        if target is not None and isFile:
            target.known = statOf(path)
        reports.add(path, self._isBeingWritten(path, mask))
        if depth is not None and (depth == 0 or mask & inotify.ISDIR):
            self._folderHappened(path, mask, depth, reports)

    def _folderHappened(self, path: str, mask: int, depth: int, reports: _Reports) -> None:
        if mask & (_APPEARED | _DISAPPEARED):
            self._dropTree(path)
            self._links.pop(path, None)
        if mask & _APPEARED:
            if os.path.isdir(path) and depth < MAX_DEPTH:
                self._addTree(path, depth + 1, reports)
            if os.path.islink(path):
                self._links[path] = statOf(path) if path in self._trees else None

    def _isBeingWritten(self, path: str, mask: int) -> bool:
        """
        Whether a file's being closed after writing will follow. A file linked or renamed to where it is shows by
        having content, or another name; it will not be closed.
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

    def _tell(self, reports: _Reports) -> None:
        for path, writing in reports.paths.items():
            if self._stopping:
                return
            try:
                (self._writing if writing else self._callback)(path)
            except Exception as error:  # foreign code
                self._say.error(f"{path} has changed, and being told so failed: {type(error).__name__}: {error}")


def _linksIn(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.path for entry in entries if entry.is_symlink()]
    except OSError:
        return []


def _differences(before: Fingerprint, after: Fingerprint) -> list[str]:
    return [path for path in {**before, **after} if before.get(path) != after.get(path)]
