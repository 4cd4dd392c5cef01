"""
What was counted in a worker, told each second, and when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any

from twisted.internet.interfaces import IDelayedCall

from revproxy.dataplane.counters import Counters
from revproxy.plan import words
from revproxy.worker.lifecycle.instance import Version

INTERVAL = 1.0
"""Seconds between two reports."""

_FIGURES = ("calls", "errors", "timeouts", "interrupts", "stalls", "seconds", "longCalls", "longSeconds")
"""Of `Counters`, and of `words.VersionCounters`."""

_figures: Callable[[Counters], tuple[Any, ...]] = attrgetter(*_FIGURES)
_NONE = _figures(Counters())


class CounterReports:
    """
    Tells what versions did since it was told last. Versions that ended are told of once more.
    """

    def __init__(
        self,
        clock: Any,
        tell: Callable[[words.Counters], None],
        retired: Callable[[], Mapping[str, int]],
        gated: Callable[[], tuple[str, ...]],
    ) -> None:
        """
        :param clock: provides `IReactorTime`.
        :param retired: by plugin, how many versions no longer run and still exist.
        :param gated: plugins with a gate before an instance.
        """
        self._clock = clock
        self._tell = tell
        self._retired = retired
        self._gated = gated
        self._told: dict[Version, tuple[Any, ...]] = {}
        self._toldBesides: tuple[Mapping[str, int], tuple[str, ...]] = {}, ()
        self._later: IDelayedCall | None = None

    def watch(self, versions: Iterable[Version]) -> None:
        """These run now, too."""
        for version in versions:
            self._told.setdefault(version, _NONE)

    def start(self) -> None:
        """Tell each second from now on."""
        self._later = self._clock.callLater(INTERVAL, self._tick)

    def stop(self) -> None:
        """No more."""
        if self._later is not None:
            self._later.cancel()
            self._later = None

    def report(self, asked: int = 0) -> None:
        """
        Tell what is new.

        :param asked: the number of the question that this answers; 0: nobody asked, and only what is new is told.
        """
        versions = tuple(filter(None, map(self._newOf, list(self._told))))
        besides = retired, gated = dict(self._retired()), self._gated()
        if versions or asked or besides != self._toldBesides:
            self._toldBesides = besides
            self._tell(words.Counters(versions, retired, asked, gated))

    def _tick(self) -> None:
        self._later = self._clock.callLater(INTERVAL, self._tick)
        self.report()

    def _newOf(self, version: Version) -> words.VersionCounters | None:
        now, before = _figures(version.counters), self._told[version]
        if version.instances:
            self._told[version] = now
        else:
            del self._told[version]
        if now == before:
            return None
        new = {name: after - earlier for name, after, earlier in zip(_FIGURES, now, before, strict=True)}
        return words.VersionCounters(version.name, version.id, **new)
