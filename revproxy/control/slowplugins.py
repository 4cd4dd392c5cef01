"""
Versions of plugins that hold the event loop again and again, each time too short to be ended: one event when that
begins, with rate and share, and one when it is over. What holds once in a while is an event each time.

Two witnesses are asked, and the one that has seen more is believed: the chain's own clock, in `Counters`, sees calls in
requests from 0.1 s on; the guard, in `Stalled`, sees whatever holds the loop for 0.25 s, timers and body filters too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.interfaces import IDelayedCall

from revproxy.config.settings import QuarantineConfig
from revproxy.control.loopshare import Load, LoopShare
from revproxy.plan.catalog import CatalogEntry
from revproxy.plan.events import EventLog
from revproxy.plan.plan import Plan
from revproxy.plan.versionid import VersionId
from revproxy.plan.words import Counters, Stalled

SLOW = 0.2
"""The share of a loop, within the window, from which long calls are an event."""

OVER = 0.1
"""The share below which it is over."""

_INTERVAL = 1.0
"""Seconds between two looks, while any is slow."""

_MOST_PLACES = 100
"""Places in a plugin's code of which it is known when they were told of."""


@dataclass(slots=True)
class _Watched:
    """
    A version that runs.

    :ivar shares: by worker and witness.
    :ivar isSlow: whether that was told, and is not over.
    :ivar toldAt: by place, when a stall there was an event.
    :ivar untold: stalls that were none.
    """

    entry: CatalogEntry
    shares: dict[tuple[int, str], LoopShare] = field(default_factory=dict)
    isSlow: bool = False
    toldAt: dict[str, float] = field(default_factory=dict)
    untold: int = 0

    def load(self, window: float, now: float) -> Load:
        """In the loop that it loads most, by the witness that has seen most."""
        loads = [share.within(window, now) for share in self.shares.values()]
        return max(loads, key=lambda load: load.seconds, default=Load(0, 0.0, 1.0, 0.0))


class SlowPlugins:
    """
    Watches the versions that run, by what workers say of them.
    """

    def __init__(
        self, clock: Any, events: EventLog, onOverShare: Callable[[str, VersionId, str], None]
    ) -> None:
        """
        :param clock: provides `IReactorTime`.
        :param onOverShare: told of a version, and why, that takes more than ``plugins.quarantine.loop_share`` allows.
        """
        self._clock = clock
        self._events = events
        self._onOverShare = onOverShare
        self._limits = QuarantineConfig()
        self._watched: dict[str, _Watched] = {}
        self._later: IDelayedCall | None = None

    def committed(self, before: Plan | None, plan: Plan) -> None:
        """These versions run now, and no others."""
        self._limits = plan.config.plugins.quarantine
        known, self._watched = self._watched, {}
        for plugin in plan.selected:
            watched = known.get(plugin.name)
            if watched is None or not watched.entry.isCodeOf(plugin.entry):
                watched = _Watched(plugin.entry)
            watched.entry = plugin.entry
            self._watched[plugin.name] = watched
        for name, watched in known.items():
            if self._watched.get(name) is not watched:
                self._isOver(watched, "it does not run any more")

    def counted(self, worker: int, word: Counters) -> None:
        """Calls were timed."""
        for told in word.versions:
            if told.longCalls:
                self._held(worker, "clock", told.plugin, told.version, told.longCalls, told.longSeconds)

    def stalled(self, worker: int, word: Stalled) -> str | None:
        """
        A call held a loop.

        :returns: None if that is no event of its own; else what there is to say besides.
        """
        watched = self._held(worker, "guard", word.plugin, word.version, 1, word.seconds)
        if watched is None or word.ended:
            return ""
        now = self._clock.seconds()
        if watched.isSlow or now - watched.toldAt.get(word.where, now - self._limits.window) < self._limits.window:
            watched.untold += 1
            return None
        if len(watched.toldAt) >= _MOST_PLACES:
            watched.toldAt.clear()
        watched.toldAt[word.where] = now
        return self._untold(watched)

    def share(self, name: str) -> float | None:
        """The part of the window that long calls of a plugin hold the loop; None if it does not run."""
        watched = self._watched.get(name)
        if watched is None:
            return None
        return watched.load(self._limits.window, self._clock.seconds()).share

    def stop(self) -> None:
        """The edge ends."""
        if self._later is not None:
            self._later.cancel()
            self._later = None

    def _held(
        self, worker: int, witness: str, name: str, version: VersionId, calls: int, seconds: float
    ) -> _Watched | None:
        """:returns: whose calls these were, if it runs."""
        watched = self._watched.get(name)
        if watched is None or watched.entry.version != version:
            return None
        watched.shares.setdefault((worker, witness), LoopShare()).add(self._clock.seconds(), calls, seconds)
        self._judge(name, watched)
        return watched

    def _judge(self, name: str, watched: _Watched) -> None:
        limits, version = self._limits, watched.entry.version
        load = watched.load(limits.window, self._clock.seconds())
        if watched.isSlow and load.share < OVER:
            self._isOver(watched, f"long calls take {load.share:.0%} of it within {limits.window:g} s")
        elif not watched.isSlow and load.share >= SLOW:
            watched.isSlow = True
            text = f"{load}: nobody is served meanwhile; move that work to a thread (host.callInThread)"
            self._events.add("slow-plugin", text, name, version)
            self._lookLater()
        if limits.loopShare is not None and load.share >= limits.loopShare:
            watched.shares.clear()
            self._onOverShare(name, version, str(load))

    def _isOver(self, watched: _Watched, why: str) -> None:
        if watched.isSlow:
            watched.isSlow = False
            text = f"the event loop is not held any more: {why}{self._untold(watched)}"
            self._events.add("slow-plugin-over", text, watched.entry.manifest.name, watched.entry.version)

    def _untold(self, watched: _Watched) -> str:
        count, watched.untold = watched.untold, 0
        return f"; {count} more stalls were not told one by one" if count else ""

    def _lookLater(self) -> None:
        if self._later is None:
            self._later = self._clock.callLater(_INTERVAL, self._look)

    def _look(self) -> None:
        """Without calls, nothing is said; time passes all the same."""
        self._later = None
        for name, watched in list(self._watched.items()):
            if watched.isSlow:
                self._judge(name, watched)
        if any(watched.isSlow for watched in self._watched.values()):
            self._lookLater()
