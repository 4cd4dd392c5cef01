"""
How long each version that runs has served: what tells a version that has proved itself from one that was just saved.

A minute counts if the version was called in it and was not in quarantine. So one that nobody calls proves nothing,
however long it runs; and neither a clock that is set nor a time in which the edge was down counts for anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from revproxy.control.state.records import PluginRecords
from revproxy.control.state.totals import Totals
from revproxy.plan.plan import Plan

INTERVAL = 60.0
"""Seconds between two counts."""


class ServiceTimes:
    """
    Of the plan that is in force.
    """

    _log = Logger()

    def __init__(self, clock: Any, totals: Totals, counting: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """
        :param clock: provides `IReactorTime`.
        :param totals: what each version did.
        :param counting: called each minute; calls `counted` while no change is made.
        """
        self._clock = clock
        self._totals = totals
        self._counting = counting
        self._calls: dict[tuple[str, str], int] = {}
        self._next: IDelayedCall | None = None
        self._hasEnded = False

    def begin(self) -> None:
        """Count from now on, if that is not so already."""
        if self._next is None and not self._hasEnded:
            self._next = self._clock.callLater(INTERVAL, self._count)

    def end(self) -> None:
        """Count no more."""
        self._hasEnded = True
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def counted(self, records: PluginRecords, plan: Plan) -> PluginRecords:
        """The records, with a minute for each version that served since the last time."""
        before, self._calls = self._calls, {}
        for plugin in plan.selected:
            digest = plugin.entry.digest
            if digest is None:
                continue
            calls = self._calls[plugin.name, digest] = self._totals.of(plugin.name, digest).calls
            if calls > before.get((plugin.name, digest), 0) and plugin.name not in plan.gates:
                records = records.served(plugin.name, digest, INTERVAL)
        return records

    def _count(self) -> None:
        self._next = None
        counting = Deferred.fromCoroutine(self._counting())
        counting.addErrback(lambda failure: self._log.failure("counting how long plugins have served", failure))
        counting.addBoth(lambda result: self.begin())
