"""
What versions of plugins have done, added up from what workers tell.

Each plugin has series of its own for the version that runs and the one that ran before it. What further ones still do
is counted under :data:`OTHER`, from the moment that they are further ones: what was counted for them before that stays
with their series, which are not shown any more. If it went over to the others, those would seem to have done all of it
at once, and every graph of a rate would have a peak where a plugin was updated (docs/decisions has the whole of it).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from revproxy.admin.metrics import families
from revproxy.admin.metrics.exposition import Source
from revproxy.admin.metrics.family import Labels, Point, distribution, scalar
from revproxy.control.coordinator import Coordinator
from revproxy.control.state.totals import Totals
from revproxy.plan.counted import PhaseCounters
from revproxy.plan.durations import SELF_TIME
from revproxy.plan.plan import Plan
from revproxy.plan.words import Counters

OTHER = "other"
"""The version under which is counted what others do than the one that runs and the one before."""

MOST_REMEMBERED = 100
"""Versions of one plugin of which sums are kept: one that is gone back to goes on counting."""


class _Sums:
    """Of one version in one phase."""

    __slots__ = ("buckets", "calls", "failures", "interrupts", "seconds", "skipped")

    def __init__(self) -> None:
        self.calls = 0
        self.interrupts = 0
        self.failures: dict[str, int] = {}
        self.skipped: dict[str, int] = {}
        self.seconds = 0.0
        self.buckets = [0] * (len(SELF_TIME) + 1)

    def add(self, more: PhaseCounters) -> None:
        self.calls += more.calls
        self.interrupts += more.interrupts
        self.seconds += more.seconds
        for kind, count in more.failures.items():
            self.failures[kind] = self.failures.get(kind, 0) + count
        for why, count in more.skipped.items():
            self.skipped[why] = self.skipped.get(why, 0) + count
        for bucket, count in enumerate(more.buckets):
            self.buckets[bucket] += count


_Phases = dict[str, _Sums]


class PluginFigures:
    """
    Of one edge.
    """

    def __init__(self, coordinator: Coordinator, totals: Totals) -> None:
        self._coordinator = coordinator
        self._totals = totals
        # By plugin and number of version.
        self._sums: dict[str, dict[str, _Phases]] = {}
        self._stalled: dict[str, int] = {}
        self._exceeded: dict[str, dict[str, int]] = {}
        self._shown: dict[str, tuple[str, ...]] = {}
        self._inFlight: dict[int, Mapping[tuple[str, str], int]] = {}

    def counted(self, worker: int, word: Counters) -> None:
        """A worker has counted."""
        self._inFlight[worker] = {(now.plugin, now.version.number): now.inFlight for now in word.plugins}
        for told in word.versions:
            if told.stalls:
                self._stalled[told.plugin] = self._stalled.get(told.plugin, 0) + told.stalls
            for limit, count in told.exceeded.items():
                limits = self._exceeded.setdefault(told.plugin, {})
                limits[limit] = limits.get(limit, 0) + count
            if told.phases:
                phases = self._phasesOf(told.plugin, self._label(told.plugin, told.version.number))
                for phase in told.phases:
                    phases.setdefault(phase.phase, _Sums()).add(phase)

    def committed(self, plan: Plan) -> None:
        """Other versions run; forget plugins that nothing remembers."""
        for selected in plan.selected:
            number, shown = selected.entry.version.number, self._shown.get(selected.name, ())
            if shown[:1] != (number,):
                self._shown[selected.name] = (number, *shown[:1])
        known = plan.entries.keys() | self._coordinator.records.plugins.keys()
        for gone in self._shown.keys() - known:
            del self._shown[gone]
            self._sums.pop(gone, None)
            self._stalled.pop(gone, None)
            self._exceeded.pop(gone, None)

    def sources(self) -> list[Source]:
        """What there is to be read."""
        return [
            Source(families.PLUGIN_CALLS, self._reading(lambda sums: ((), sums.calls))),
            Source(families.PLUGIN_FAILURES, self._readingParts(lambda sums: sums.failures)),
            Source(families.PLUGIN_INTERRUPTS, self._reading(lambda sums: ((), sums.interrupts))),
            Source(families.PLUGIN_SKIPPED, self._readingParts(lambda sums: sums.skipped)),
            Source(families.PLUGIN_SELF, self._selfTimes),
            Source(families.PLUGIN_IN_FLIGHT, lambda: scalar(self._inFlightNow().items())),
            Source(families.PLUGIN_STALLED, lambda: scalar(((name,), n) for name, n in [*self._stalled.items()])),
            Source(families.PLUGIN_LIMIT_EXCEEDED, lambda: scalar(self._limits())),
            Source(families.PLUGIN_GENERATIONS, lambda: scalar(self._generations())),
            Source(families.PLUGIN_QUARANTINED, lambda: scalar(self._flags(self._totals.isGated))),
            Source(families.PLUGIN_REFUSED, lambda: scalar(self._flags(self._isRefused))),
            Source(families.PLUGIN_THREADS_BUSY, lambda: scalar(self._threads("busy"))),
            Source(families.PLUGIN_THREADS_QUEUED, lambda: scalar(self._threads("queued"))),
            Source(families.PLUGIN_INFO, lambda: scalar(self._info())),
        ]

    def _label(self, plugin: str, number: str) -> str:
        return number if number in self._shown.get(plugin, ()) else OTHER

    def _phasesOf(self, plugin: str, label: str) -> _Phases:
        versions = self._sums.setdefault(plugin, {})
        if label not in versions and len(versions) >= MOST_REMEMBERED:
            kept = {*self._shown.get(plugin, ()), OTHER}
            del versions[next(each for each in versions if each not in kept)]
        return versions.setdefault(label, {})

    def _each(self) -> Iterator[tuple[Labels, _Sums]]:
        """All that are shown, with their labels."""
        for name, versions in list(self._sums.items()):
            for label in (*self._shown.get(name, ()), OTHER):
                for phase, sums in [*versions.get(label, {}).items()]:
                    yield (name, label, phase), sums

    def _reading(self, read: Callable[[_Sums], Any]) -> Callable[[], Iterator[Point]]:
        return lambda: ((labels, (read(sums)[1],)) for labels, sums in self._each())

    def _readingParts(self, read: Callable[[_Sums], Mapping[str, int]]) -> Callable[[], Iterator[Point]]:
        return lambda: (
            ((*labels, part), (count,)) for labels, sums in self._each() for part, count in [*read(sums).items()]
        )

    def _selfTimes(self) -> Iterator[Point]:
        return ((labels, distribution(sums.buckets, sums.seconds)) for labels, sums in self._each())

    def _inFlightNow(self) -> dict[Labels, float]:
        """Of all workers together; what nobody tells of now is 0 once more."""
        found: dict[Labels, float] = {}
        for name, shown in self._shown.items():
            found[name, shown[0]] = 0
        for told in self._inFlight.values():
            for (name, number), count in told.items():
                key = name, self._label(name, number)
                found[key] = found.get(key, 0) + count
        return found

    def _limits(self) -> Iterator[tuple[Labels, float]]:
        for name, limits in [*self._exceeded.items()]:
            for limit, count in [*limits.items()]:
                yield (name, limit), count

    def _running(self) -> list[str]:
        plan = self._coordinator.plan
        return [] if plan is None else [selected.name for selected in plan.selected]

    def _generations(self) -> Iterator[tuple[Labels, float]]:
        running = self._running()
        for name in sorted({*running, *self._shown}):
            yield (name,), (name in running) + self._totals.retired(name)

    def _flags(self, isSet: Callable[[str], bool]) -> Iterator[tuple[Labels, float]]:
        for name in sorted({*self._running(), *filter(None, self._coordinator.refused)}):
            yield (name,), int(isSet(name))

    def _isRefused(self, name: str) -> bool:
        return self._coordinator.refused.of(name) is not None

    def _threads(self, what: str) -> Iterator[tuple[Labels, float]]:
        for name in self._running():
            threads = self._totals.threads(name)
            yield (name,), 0 if threads is None else getattr(threads, what)

    def _info(self) -> Iterator[tuple[Labels, float]]:
        plan = self._coordinator.plan
        for selected in () if plan is None else plan.selected:
            entry = selected.entry
            yield (selected.name, entry.version.number, (entry.digest or "")[:12], entry.origin), 1
