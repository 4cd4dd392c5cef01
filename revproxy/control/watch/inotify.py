"""
Folders that the kernel tells about.

Below is `watchdog`'s descriptor and the thread that reads it; its observers are not used. They hold a move out of the
tree back for half a second, say nothing when there is no watch left for a folder, do not tell a file that was opened
from one that was linked, and run a thread for each folder given to them.

Watches are the kernel's and belong to a folder itself, whatever its name; here they are known by path, and several
paths may lead to one folder.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable
from typing import Any, Protocol

from revproxy.control.watch.fingerprint import statOf

__all__ = ["CREATE", "DELETE", "GONE", "ISDIR", "MODIFY", "MOVED_FROM", "MOVED_TO", "OVERFLOW", "FolderWatches", "Told"]

MODIFY = 0x2
ATTRIB = 0x4
CLOSE_WRITE = 0x8
MOVED_FROM = 0x40
MOVED_TO = 0x80
CREATE = 0x100
DELETE = 0x200
OVERFLOW = 0x4000
GONE = 0x8000
ISDIR = 0x40000000
_ONLYDIR = 0x1000000
_EXCL_UNLINK = 0x4000000

_MASK = MODIFY | ATTRIB | CLOSE_WRITE | MOVED_FROM | MOVED_TO | CREATE | DELETE | _ONLYDIR | _EXCL_UNLINK
"""Nothing that reading causes: who reads in answer to an event would cause the next one."""


class Told(Protocol):
    """Who is told, in the thread that reads. Who is told and who calls share a lock, which is not held here."""

    def __call__(self, watches: FolderWatches, watch: int, name: str, mask: int) -> None:
        """
        :param watch: of the folder; see `FolderWatches.pathsOf`.
        :param name: of the file directly in it; empty, the folder itself.
        :param mask: what happened. `GONE`: the folder is not watched any more, for there is none. `OVERFLOW`: more
            happened than the kernel would keep; anything may have changed.
        """


class FolderWatches:
    """
    Watches on folders, not on what is below them.

    Not safe to be used by several threads at once; see `Told`.

    :raises OSError: there can be no more watchers, or none at all on this machine.
    """

    def __init__(self, told: Told) -> None:
        self._told = told
        self._ids = itertools.count(1)
        self._watches: dict[str, tuple[int, tuple[int, ...]]] = {}
        self._paths: dict[int, dict[str, None]] = {}
        self._callbacks: dict[int, int] = {}
        self._descriptor: Any = _openDescriptor()
        self._descriptor.start()

    @property
    def alive(self) -> bool:
        """Whether events are still being read."""
        return bool(self._descriptor.is_alive())

    def __contains__(self, path: str) -> bool:
        return path in self._watches

    def ensure(self, path: str) -> bool:
        """
        Watch the folder that is at a path now, if that is not so already.

        :return: False when there is no folder, or it may not be listed.
        :raises OSError: there are no watches left.
        """
        known = statOf(path)
        watch = self._watches.get(path)
        if watch is not None and watch[1] == known:
            return True
        self.drop([path])
        return known is not None and self._add(path, known)

    def _add(self, path: str, known: tuple[int, ...]) -> bool:
        identity = next(self._ids)
        try:
            watch = self._descriptor.add_callback(os.fsencode(path), _MASK, self, identity)
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return False
        if watch < 0:  # may not be listed; of that watchdog says nothing
            self._descriptor.remove_callbacks([(watch, identity)])
            return False
        if watch in self._callbacks:  # the folder has another path
            self._descriptor.remove_callbacks([(watch, identity)])
        else:
            self._callbacks[watch] = identity
        self._watches[path] = watch, known
        self._paths.setdefault(watch, {})[path] = None
        return True

    def drop(self, paths: Iterable[str]) -> None:
        """Watch these no more."""
        for path in paths:
            watch, _ = self._watches.pop(path, (None, ()))
            if watch is None:
                continue
            others = self._paths[watch]
            others.pop(path, None)
            if not others:
                del self._paths[watch]
                self._descriptor.remove_callbacks([(watch, self._callbacks.pop(watch))])

    def close(self) -> None:
        """Tell nothing more. Does not wait; see `join`."""
        self._watches.clear()
        self._paths.clear()
        self._callbacks.clear()
        self._descriptor.stop()

    def join(self) -> None:
        """Wait until the thread has ended. Not with the lock held: the thread may be waiting for it."""
        self._descriptor.join()

    def pathsOf(self, watch: int) -> tuple[str, ...]:
        """The paths that lead to the folder of a watch."""
        return tuple(self._paths.get(watch, ()))

    def forget(self, watch: int) -> tuple[str, ...]:
        """Drop a watch that the kernel has ended. :return: the paths that are not watched any more."""
        self._callbacks.pop(watch, None)
        paths = tuple(path for path in self._paths.pop(watch, ()) if self._watches[path][0] == watch)
        for path in paths:
            del self._watches[path]
        return paths

    # What the reading thread calls; the names are watchdog's.

    def on_event(self, event: Any) -> None:
        """Something happened in a folder."""
        self._told(self, event.wd, os.fsdecode(event.name), event.mask)

    def on_watch_deleted(self, watch: int) -> None:
        """A folder is gone."""
        self._told(self, watch, "", GONE)

    def on_queue_overflow(self) -> None:
        """Events were dropped."""
        self._told(self, -1, "", OVERFLOW)


def _openDescriptor() -> Any:
    try:
        from watchdog.observers.inotify_c import InotifyFD
    except Exception as error:  # by platform: ImportError, AttributeError, watchdog's own
        raise OSError(f"the kernel's file events cannot be had: {error}") from error
    return InotifyFD()
