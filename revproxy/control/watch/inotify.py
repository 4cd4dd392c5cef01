"""
Folders that the kernel tells about.

Below is `watchdog`'s descriptor and the thread that reads it; its observers are not used. They hold a move out of the
tree back for half a second, say nothing when there is no watch left for a folder, do not tell a file that was opened
from one that was linked, and run a thread for each folder given to them.

Watches are the kernel's and belong to a folder itself, whatever its name; here they are known by path, and several
paths may lead to one folder.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from typing import Any

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

_USED_UP = frozenset((errno.ENOSPC, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EBADF))
"""What keeps any folder from being watched; all other errors are one folder's."""


Told = Callable[[str, str, int], None]
"""
Called in the thread that reads, with a folder, the name of what is directly in it, and the mask of what happened. Of
the folder itself, with an empty name: `GONE`, it is not watched any more, for there is none; `OVERFLOW`, told of each
folder, more happened than the kernel would keep, and anything may have changed.
"""


class FolderWatches:
    """
    Watches on folders, not on what is below them. Nothing is told that comes after `drop` or `close`, but for what is
    being told this moment.

    :raises OSError: there can be no more watchers, or none at all on this machine.
    """

    def __init__(self, told: Told) -> None:
        self._told = told
        self._lock = threading.RLock()  # never held while something is told
        self._watches: dict[str, _Watch] = {}
        self._walk = 0
        self._descriptor: Any = _openDescriptor()
        self._descriptor.start()

    @property
    def alive(self) -> bool:
        """Whether events are still being read."""
        return bool(self._descriptor.is_alive())

    def ensure(self, path: str) -> bool:
        """
        Watch the folder that is at a path now, if that is not so already.

        :return: False when there is no folder, or it may not be listed.
        :raises OSError: there are no watches left; ``EBADF``: events are not read any more.
        """
        known = statOf(path)
        with self._lock:
            watch = self._watches.get(path)
            if watch is None or watch.known != known:
                self.drop(path)
                watch = None if known is None else self._add(path, known)
            if watch is None:
                return False
            watch.walk = self._walk
            return True

    def beginWalk(self) -> int:
        """Begin to ensure all that are needed. :return: what `endWalk` takes."""
        with self._lock:
            self._walk += 1
            return self._walk

    def endWalk(self, walk: int) -> list[str]:
        """Drop all that were not ensured since `beginWalk`. :return: their paths."""
        with self._lock:
            paths = [path for path, watch in self._watches.items() if watch.walk < walk]
            for path in paths:
                self.drop(path)
        return paths

    def drop(self, path: str) -> None:
        """Watch this one no more."""
        with self._lock:
            if (watch := self._watches.pop(path, None)) is not None:
                self._descriptor.remove_callbacks([(watch.number, path)])

    def close(self) -> None:
        """Tell nothing more. Does not wait; see `join`."""
        with self._lock:
            self._watches.clear()
        self._descriptor.stop()

    def join(self) -> None:
        """Wait until the thread has ended."""
        self._descriptor.join()

    def _add(self, path: str, known: tuple[int, ...]) -> _Watch | None:
        watch = _Watch(self, path, known)
        try:
            watch.number = self._descriptor.add_callback(os.fsencode(path), _MASK, watch, path)
        except OSError as error:
            if error.errno in _USED_UP:
                raise
            return None
        except ValueError:
            return None
        if watch.number < 0:  # may not be listed; of that watchdog says nothing
            self._descriptor.remove_callbacks([(watch.number, path)])
            return None
        self._watches[path] = watch
        return watch

    def _tell(self, watch: _Watch, name: str, mask: int) -> None:
        with self._lock:
            if self._watches.get(watch.path) is not watch:
                return  # it comes from an earlier time
            if mask & GONE:
                del self._watches[watch.path]
        self._told(watch.path, name, mask)


class _Watch:
    """
    What the reading thread calls for one path; the names of methods are watchdog's.

    :ivar known: which folder it is.
    :ivar walk: the last that ensured it.
    """

    def __init__(self, watches: FolderWatches, path: str, known: tuple[int, ...]) -> None:
        self.path = path
        self.known = known
        self.number = -1
        self.walk = 0
        self._watches = watches

    def on_event(self, event: Any) -> None:
        """Something happened in the folder."""
        self._watches._tell(self, os.fsdecode(event.name), event.mask)

    def on_watch_deleted(self, number: int) -> None:
        """The folder is gone."""
        self._watches._tell(self, "", GONE)

    def on_queue_overflow(self) -> None:
        """Events were dropped."""
        self._watches._tell(self, "", OVERFLOW)


def _openDescriptor() -> Any:
    try:
        from watchdog.observers.inotify_c import InotifyFD
    except Exception as error:  # by platform: ImportError, AttributeError, watchdog's own
        raise OSError(f"the kernel's file events cannot be had: {error}") from error
    return InotifyFD()
