"""
Proof of unload: a version that was retired is gone, or it is told who holds it.

What is watched is a sentinel in the globals of the plugin's modules, its instances, and their class: three, because any
of them can be left alone. Only weak references are kept. As long as there is something to watch, it is looked at now
and then; a plugin is full of cycles, so a look that finds one alive runs the collector, once for all of them.

That costs what is on the heap: 31 ms for the 60,000 objects of a bare edge, and 2.3 ms for 100,000 that came after
:func:`gc.freeze`, which takes the program itself out of the count. What is frozen is never freed: plugins have to be
loaded after it. Requests wait meanwhile, so where versions come and go all the time, looks are as rare as they are
costly.
"""

from __future__ import annotations

import gc
import sys
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from weakref import ref

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.components import globalRegistry

from revproxy.plan.versionid import VersionId
from revproxy.plan.words import Remains
from revproxy.worker.lifecycle.bundlefinder import ROOT, Sentinel
from revproxy.worker.lifecycle.holdersearch import HolderSearch

_LONGEST_PAUSE = 10.0
_LONGEST_PAUSE_WHEN_TOLD = 60.0
_SLICE_PAUSE = 0.02
_LEAST_PAUSE = 0.01
_SHARE = 0.001
"""Of the time, that looks may take."""


@dataclass(slots=True, eq=False)
class _Watched:
    plugin: str
    version: VersionId
    since: float
    marks: tuple[tuple[str, ref[Any]], ...]
    told: bool = False

    def isAlive(self) -> bool:
        return any(mark() is not None for _, mark in self.marks)

    def kinds(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(kind for kind, mark in self.marks if mark() is not None))


class UnloadProof:
    """Watches what was retired."""

    def __init__(
        self,
        clock: IReactorTime,
        onUnloaded: Callable[[str, VersionId], None],
        onRemains: Callable[[Remains], None],
        *,
        deadline: float = 30.0,
        interval: float = 1.0,
        collect: Callable[[], Any] = gc.collect,
    ) -> None:
        """
        :param onUnloaded: given plugin and version when nothing of a version exists any more, late or not.
        :param onRemains: given what exists after the deadline, once for each watched.
        :param deadline: seconds.
        :param interval: seconds until the first look; it doubles with each look, up to ten seconds, or a minute when
            only those are left that were told.
        :param collect: runs the collector.
        """
        self._clock = clock
        self._onUnloaded = onUnloaded
        self._onRemains = onRemains
        self._deadline = deadline
        self._interval = interval
        self._collect = collect
        self._watched: list[_Watched] = []
        self._pause = interval
        self._notBefore = 0.0
        self._next: IDelayedCall | None = None
        self._search: tuple[_Watched, tuple[str, ...], HolderSearch] | None = None

    def watch(
        self,
        plugin: str,
        version: VersionId,
        sentinel: ref[Sentinel] | None,
        instances: Iterable[object] = (),
    ) -> None:
        """
        Watch a version that was retired.

        :param sentinel: of its :class:`~revproxy.worker.lifecycle.loader.LoadedBundle`; None for a drop-in, whose
            module stays.
        :param instances: every one it had, or weak references to them; what no weak reference can be made of is left
            out.
        """
        marks: list[tuple[str, ref[Any]]] = [] if sentinel is None else [("module globals", sentinel)]
        for one in instances:
            mark = one if isinstance(one, ref) else _refTo(one)
            instance = None if mark is None else mark()
            if mark is None or instance is None:
                continue
            marks.append(("instance", mark))
            if type(instance).__module__.startswith(f"{ROOT}."):
                marks.append(("class", ref(type(instance))))
        self._watched.append(_Watched(plugin, version, self._clock.seconds(), tuple(marks)))
        self._pause = 2 * self._interval
        if self._search is None:
            self._schedule(self._interval)

    def alive(self, plugin: str) -> int:
        """How many retired versions of a plugin still exist, as far as is known without collecting."""
        return sum(1 for one in self._watched if one.plugin == plugin and one.isAlive())

    def plugins(self) -> set[str]:
        """Of which versions are watched."""
        return {watched.plugin for watched in self._watched}

    def stop(self) -> None:
        """Watch no more."""
        self._watched.clear()
        if self._next is not None and self._next.active():
            self._next.cancel()
        self._next = None
        self._endSearch()

    def _schedule(self, delay: float) -> None:
        delay = max(delay, self._notBefore - self._clock.seconds())
        if self._next is not None and self._next.active():
            if self._next.getTime() <= self._clock.seconds() + delay:
                return
            self._next.cancel()
        self._next = self._clock.callLater(delay, self._look)

    def _look(self) -> None:
        self._next = None
        if any(one.isAlive() for one in self._watched):
            began = self._clock.seconds()
            forgetCaches()
            self._collect()
            ended = self._clock.seconds()
            self._notBefore = ended + min((ended - began) / _SHARE, _LONGEST_PAUSE)
        gone = [one for one in self._watched if not one.isAlive()]
        self._watched = [one for one in self._watched if one not in gone]
        for one in gone:
            self._onUnloaded(one.plugin, one.version)
        self._goOn()

    def _goOn(self) -> None:
        """Search for the holders of one that is overdue, or wait for the next look."""
        now = self._clock.seconds()
        waiting = [one for one in self._watched if not one.told]
        overdue = next((one for one in waiting if one.since + self._deadline <= now), None)
        if overdue is not None:
            self._begin(overdue)
        elif self._watched:
            longest = _LONGEST_PAUSE if waiting else _LONGEST_PAUSE_WHEN_TOLD
            pause = min(self._pause, longest)
            self._pause = min(2 * self._pause, longest)
            due = [one.since + self._deadline - now for one in waiting]
            self._schedule(max(_LEAST_PAUSE, min([pause, *due])))

    def _begin(self, overdue: _Watched) -> None:
        remains = [thing for _, mark in overdue.marks if (thing := mark()) is not None]
        self._search = (overdue, overdue.kinds(), HolderSearch(remains))
        self._next = self._clock.callLater(0, self._searchOn)

    def _searchOn(self) -> None:
        assert self._search is not None
        overdue, kinds, search = self._search
        search.step()
        if not search.done:
            self._next = self._clock.callLater(_SLICE_PAUSE, self._searchOn)
            return
        holders = search.holders()
        self._next = None
        self._endSearch()
        overdue.told = True
        seconds = self._clock.seconds() - overdue.since
        self._onRemains(Remains(overdue.plugin, overdue.version, seconds, kinds, holders))
        self._goOn()

    def _endSearch(self) -> None:
        if self._search is not None:
            # It holds what it looked at.
            self._search[2].close()
            self._search = None


def forgetCaches() -> None:
    """Empty the caches of the interpreter and of Twisted that are known to keep classes of plugins."""
    for cleanup in typing._cleanups:  # type: ignore[attr-defined]
        cleanup()
    for name in ("last_type", "last_value", "last_traceback"):
        if getattr(sys, name, None) is not None:
            setattr(sys, name, None)
    # What an interface was asked of is remembered, with its class; registrations stay.
    globalRegistry.changed(globalRegistry)


def _refTo(thing: object) -> ref[Any] | None:
    try:
        return ref(thing)
    except TypeError:
        return None
