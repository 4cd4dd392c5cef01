"""
Proof of unload: a version that was retired is gone, or it is told who holds it.

What is watched is a sentinel in the globals of the plugin's modules, its instances, and their class: three, because any
of them can be kept without the others. Only weak references are kept. As long as there is something to watch, it is
checked now and then; a plugin is full of cycles, so a check that finds something alive runs the collector, once for all
versions.

That costs what is on the heap: 31 ms for the 60,000 objects of a bare edge, and 2.3 ms for 100,000 that came after
:func:`gc.freeze`, which takes the program itself out of the count. What is frozen is never freed: plugins have to be
loaded after it. Requests wait meanwhile, so where versions come and go all the time, checks are as rare as they
are costly.
"""

from __future__ import annotations

import gc
import sys
import typing
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from weakref import ref

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.components import globalRegistry

from revproxy.loading.bundlefinder import ROOT, Sentinel
from revproxy.plan.versionid import VersionId
from revproxy.plan.words import Remains
from revproxy.worker.lifecycle.holdersearch import HolderSearch

_LONGEST_PAUSE = 10.0
"""Seconds between two checks at most."""

_LONGEST_PAUSE_WHEN_TOLD = 60.0
"""The same when it was told of all that is watched."""

_LEAST_PAUSE = 0.01
"""Seconds between two checks at least."""

_SLICE_PAUSE = 0.02
"""Seconds between two steps of a search, for requests."""

_SHARE = 0.001
"""Of the time, that checks may take."""


@dataclass(slots=True, eq=False)
class _Watched:
    """
    A version that should be gone soon.

    :ivar since: when it was retired.
    :ivar marks: what is watched of it, each with its kind.
    :ivar told: whether it was told who holds it.
    """

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
    """Watches versions that were retired."""

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
        :param interval: seconds until the first check; it doubles with each check, up to ten seconds, or a minute
            when it was told of all that is watched.
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

        :param sentinel: of its :class:`~revproxy.loading.loader.LoadedBundle`; None for a drop-in, whose
            module stays.
        :param instances: every one it had, or weak references to them; what no weak reference can be made of is
            not watched.
        """
        marks: list[tuple[str, ref[Any]]] = [] if sentinel is None else [("module globals", sentinel)]
        for instance in instances:
            marks += _marksOf(instance)
        self._watched.append(_Watched(plugin, version, self._clock.seconds(), tuple(marks)))
        self._pause = 2 * self._interval
        if self._search is None:
            self._schedule(self._interval)

    def alive(self, plugin: str) -> int:
        """How many retired versions of a plugin still exist, as far as is known without collecting."""
        return sum(1 for watched in self._watched if watched.plugin == plugin and watched.isAlive())

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
        self._next = self._clock.callLater(delay, self._check)

    def _check(self) -> None:
        self._next = None
        if any(watched.isAlive() for watched in self._watched):
            began = self._clock.seconds()
            forgetCaches()
            self._collect()
            ended = self._clock.seconds()
            self._notBefore = ended + min((ended - began) / _SHARE, _LONGEST_PAUSE)
        gone = [watched for watched in self._watched if not watched.isAlive()]
        self._watched = [watched for watched in self._watched if watched not in gone]
        for watched in gone:
            self._onUnloaded(watched.plugin, watched.version)
        self._goOn()

    def _goOn(self) -> None:
        """Search for the holders of a version that is overdue, or wait for the next check."""
        now = self._clock.seconds()
        waiting = [watched for watched in self._watched if not watched.told]
        overdue = next((watched for watched in waiting if watched.since + self._deadline <= now), None)
        if overdue is not None:
            self._beginSearch(overdue)
        elif self._watched:
            longest = _LONGEST_PAUSE if waiting else _LONGEST_PAUSE_WHEN_TOLD
            pause = min(self._pause, longest)
            self._pause = min(2 * self._pause, longest)
            due = [watched.since + self._deadline - now for watched in waiting]
            self._schedule(max(_LEAST_PAUSE, min([pause, *due])))

    def _beginSearch(self, overdue: _Watched) -> None:
        remains = [thing for _, mark in overdue.marks if (thing := mark()) is not None]
        self._search = (overdue, overdue.kinds(), HolderSearch(remains))
        self._next = self._clock.callLater(0, self._continueSearch)

    def _continueSearch(self) -> None:
        assert self._search is not None
        overdue, kinds, search = self._search
        search.step()
        if not search.done:
            self._next = self._clock.callLater(_SLICE_PAUSE, self._continueSearch)
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
            # It holds what it has seen.
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


def _marksOf(instance: object) -> Iterator[tuple[str, ref[Any]]]:
    """What is watched of an instance, or of what a weak reference refers to."""
    try:
        mark = instance if isinstance(instance, ref) else ref(instance)
    except TypeError:
        return  # a class with __slots__ and without __weakref__
    thing = mark()
    if thing is not None:
        yield "instance", mark
        if type(thing).__module__.startswith(f"{ROOT}."):
            yield "class", ref(type(thing))
