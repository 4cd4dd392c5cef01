"""
When what happens to files is over.

Nothing has happened for a moment, and no file is open for writing any more. A stream of events that never ends, and a
file that is never closed, are waited for so long and no longer.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.interfaces import IDelayedCall

__all__ = ["Settling"]

_OPEN = 10.0
"""Seconds that a file which is being written is waited for, from the first word of it."""


class Settling:
    """
    Waits until all has settled, from `begin` on; and is due from then on until `end`.

    :param quiet: called when it has settled. Then either `end` is called, or `begin` again.
    :param settle: seconds without a `begin` until it is called; also an attribute, which holds from the next one on.
    :param longest: seconds after the first `begin` when it is called whatever happens.
    :ivar open: the files that are being written, each with the time since when.
    """

    def __init__(self, reactor: Any, quiet: Callable[[], None], settle: float, longest: float) -> None:
        self.settle = settle
        self.open: dict[str, float] = {}
        self._reactor = reactor
        self._quiet = quiet
        self._longest = longest
        self._call: IDelayedCall | None = None
        self._firstAt: float | None = None

    @property
    def isDue(self) -> bool:
        """Whether something has happened since `end`."""
        return self._firstAt is not None

    @property
    def isUnderWay(self) -> bool:
        """Whether it is still waited for."""
        return self._call is not None

    @property
    def isOverdue(self) -> bool:
        """Whether there is no more waiting."""
        return self._firstAt is not None and self._reactor.seconds() >= self._firstAt + self._longest

    def note(self, paths: Mapping[str, bool]) -> None:
        """
        Remember which files are being written.

        :param paths: what has happened to; True, it is being written, and False will follow.
        """
        now = self._reactor.seconds()
        for path, writing in paths.items():
            if writing:
                self.open.setdefault(path, now)
            else:
                self._closed(path)

    def begin(self) -> None:
        """Something has happened: wait anew."""
        now = self._reactor.seconds()
        if self._firstAt is None:
            self._firstAt = now
        self._waitUntil(min(now + self.settle, self._firstAt + self._longest))

    def end(self) -> None:
        """It has been taken up; what comes later, and what is waited for already, is another matter."""
        self._firstAt = None
        if self.isUnderWay:
            self.begin()

    def stop(self) -> None:
        """Call nothing any more."""
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _closed(self, path: str) -> None:
        """A file is not being written any more; of a folder, those that were in it and are gone."""
        self.open.pop(path, None)
        for inner in [inner for inner in self.open if inner.startswith(path + os.sep)]:
            if not os.path.exists(inner):
                del self.open[inner]

    def _waitUntil(self, time: float) -> None:
        self.stop()
        self._call = self._reactor.callLater(max(0.0, time - self._reactor.seconds()), self._waited)

    def _waited(self) -> None:
        self._call = None
        now = self._reactor.seconds()
        self.open = {path: since for path, since in self.open.items() if now < since + _OPEN}
        if self.open and not self.isOverdue:
            begun = now if self._firstAt is None else self._firstAt
            self._waitUntil(min(min(self.open.values()) + _OPEN, begun + self._longest))
        else:
            self._quiet()
