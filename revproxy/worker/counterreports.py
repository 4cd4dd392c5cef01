"""
What was counted in a worker, told each second, and when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Any

from msgspec import structs
from twisted.internet.interfaces import IDelayedCall

from revproxy.dataplane.counters import FINISHED, HANDLE, RESPONSE, Counters, PhaseFigures
from revproxy.figures import MOST_SERIES, OTHER, Figures
from revproxy.loop.threads import Threads
from revproxy.plan import words
from revproxy.plan.counted import OwnFigure, PhaseCounters, PluginNow, Series, ThreadFigures, VersionCounters
from revproxy.worker.edgereports import EdgeReports
from revproxy.worker.lifecycle.instance import Version
from revproxy.worker.limitreports import LimitReports

INTERVAL = 1.0
"""Seconds between two reports."""

_FIGURES = (
    *("calls", "errors", "timeouts", "interrupts", "stalls", "seconds", "longCalls", "longSeconds"),
    *("responses", "observed"),
)
"""Of `Counters`, and, but for the last two, of `VersionCounters`."""

_figures: Callable[[Counters], tuple[Any, ...]] = attrgetter(*_FIGURES)
_NONE = _figures(Counters())

FULL_AGAIN = 60.0
"""Seconds after which it is told again that the threads of a version are full."""


class CounterReports:
    """
    Tells what versions did since it was told last. Versions that ended are told of once more.

    Its events are ``limit-exceeded`` (see `revproxy.worker.limitreports`); ``threads-full``: calls for the threads of a
    version were not taken; once in :data:`FULL_AGAIN` seconds at most; and ``figures-full``: a version's own figures
    have too many combinations of label values; once.
    """

    def __init__(
        self,
        clock: Any,
        tell: Callable[[words.Counters | words.Notice], None],
        retired: Callable[[], Mapping[str, int]],
        gated: Callable[[], tuple[str, ...]],
        tellRest: Callable[[], None] = lambda: None,
        edge: EdgeReports | None = None,
    ) -> None:
        """
        :param clock: provides `IReactorTime`.
        :param retired: by plugin, how many versions no longer run and still exist.
        :param gated: plugins with a gate before an instance.
        :param tellRest: tells what else there is to tell each second.
        :param edge: what is counted besides; None: nothing.
        """
        self._clock = clock
        self._tell = tell
        self._retired = retired
        self._gated = gated
        self._tellRest = tellRest
        self._edge = edge
        self._told: dict[Version, tuple[Any, ...]] = {}
        self._toldBesides: tuple[Any, ...] = {}, (), ()
        self._rejected: dict[Version, int] = {}
        self._toldFull: dict[Version, float] = {}
        # Of versions that ended: what still runs in their threads. The version itself must not be kept.
        self._left: list[tuple[str, Threads]] = []
        self._endedFigures: list[tuple[str, Figures]] = []
        self._toldManySeries: set[Version] = set()
        self._limits = LimitReports(clock.seconds, tell)
        self._later: IDelayedCall | None = None

    def watch(self, versions: Iterable[Version]) -> None:
        """These run now, too."""
        for version in versions:
            self._told.setdefault(version, _NONE)

    def start(self) -> None:
        """Tell each second from now on."""
        self._later = self._clock.callLater(INTERVAL, self._tick)
        if self._edge is not None:
            self._edge.start()

    def stop(self) -> None:
        """No more."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self._edge is not None:
            self._edge.stop()

    def report(self, asked: int = 0) -> None:
        """
        Tell what is new.

        :param asked: the number of the question that this answers; 0: nobody asked, and only what is new is told.
        """
        self._tellRest()
        versions = tuple(filter(None, map(self._newOf, list(self._told))))
        besides = retired, gated, threads = dict(self._retired()), self._gated(), self._threads()
        figures = tuple(self._figures())
        edge = {} if self._edge is None else self._edge.take(asked > 0)
        if versions or asked or figures or edge or besides != self._toldBesides:
            self._toldBesides = besides
            plugins = tuple(
                PluginNow(version.name, version.id, version.counters.inFlight)
                for version in self._told
                if version.counters.inFlight
            )
            self._tell(words.Counters(versions, retired, asked, gated, threads, figures, plugins=plugins, **edge))

    def _tick(self) -> None:
        self._later = self._clock.callLater(INTERVAL, self._tick)
        self.report()

    def _newOf(self, version: Version) -> VersionCounters | None:
        now, before = _figures(version.counters), self._told[version]
        if version.instances:
            self._told[version] = now
        else:
            del self._told[version]
            self._rejected.pop(version, None)
            self._toldFull.pop(version, None)
            self._left.append((version.name, version.threads))
            self._endedFigures.append((version.name, version.figures))
            self._toldManySeries.discard(version)
        phases, exceeded = version.counters.takePhases(), self._limits.take(version)
        if now == before and not (phases or exceeded):
            return None
        new = {name: after - earlier for name, after, earlier in zip(_FIGURES, now, before, strict=True)}
        calls = {HANDLE: new["calls"], RESPONSE: new.pop("responses"), FINISHED: new.pop("observed")}
        return VersionCounters(version.name, version.id, **new, phases=tuple(_told(calls, phases)), exceeded=exceeded)

    def _figures(self) -> Iterator[OwnFigure]:
        """What plugins have counted by themselves."""
        for name, figures in [*((version.name, version.figures) for version in self._told), *self._endedFigures]:
            for each in figures.take():
                series = tuple(Series(*found) for found in each.series)
                kind: Any = each.kind
                yield OwnFigure(name, each.name, kind, each.description, each.labels, each.buckets, series)
        self._endedFigures.clear()
        for version in self._told:
            if version.figures.isFull and version not in self._toldManySeries:
                self._toldManySeries.add(version)
                text = (
                    f"its own figures have more than {MOST_SERIES} combinations of label values; further ones are "
                    f'counted together, as "{OTHER}". A label is for a few values, not for users or paths'
                )
                self._tell(words.Notice("figures-full", text, version.name, version.id))

    def _threads(self) -> tuple[ThreadFigures, ...]:
        figures: dict[str, ThreadFigures] = {}
        for version in self._told:
            threads = version.threads
            if threads.rejected:
                self._tellIfFull(version)
            if threads.busy or threads.queued or threads.rejected:
                known = figures.get(version.name) or ThreadFigures(version.name, 0)
                figures[version.name] = ThreadFigures(
                    version.name,
                    max(known.most, threads.most),
                    known.busy + threads.busy,
                    known.queued + threads.queued,
                    known.rejected + threads.rejected,
                )
        self._left = [(name, threads) for name, threads in self._left if threads.busy]
        for name, threads in self._left:
            known = figures.get(name) or ThreadFigures(name, threads.most)
            figures[name] = structs.replace(known, left=known.left + threads.busy)
        return tuple(figures.values())

    def _tellIfFull(self, version: Version) -> None:
        threads, now = version.threads, self._clock.seconds()
        rejected = threads.rejected - self._rejected.get(version, 0)
        if rejected and now >= self._toldFull.get(version, now):
            self._rejected[version] = threads.rejected
            self._toldFull[version] = now + FULL_AGAIN
            text = (
                f"all {threads.most} threads are busy and {threads.queued} calls wait for them: {rejected} "
                f"call{'s were' if rejected > 1 else ' was'} not taken; limits.threads of plugin.json says how many "
                "there are"
            )
            self._tell(words.Notice("threads-full", text, version.name, version.id))


def _told(calls: Mapping[str, int], phases: Mapping[str, PhaseFigures]) -> Iterator[PhaseCounters]:
    """What is new, by phase."""
    nothing = PhaseFigures()
    for phase in dict.fromkeys((*calls, *phases)):
        new, count = phases.get(phase, nothing), calls.get(phase, 0)
        if count or new is not nothing:
            name: Any = phase
            yield PhaseCounters(
                name, count, new.failures, new.interrupts, new.skipped, new.seconds, tuple(new.buckets)
            )
