"""
All figures of one edge, from what workers tell to what can be read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from revproxy.admin.metrics import families
from revproxy.admin.metrics.controlfigures import ControlFigures
from revproxy.admin.metrics.edgefigures import EdgeFigures
from revproxy.admin.metrics.exemplars import RequestExemplars
from revproxy.admin.metrics.exposition import Source
from revproxy.admin.metrics.hostfigures import HostFigures
from revproxy.admin.metrics.ownfamilies import OwnFamilies
from revproxy.admin.metrics.pluginfigures import PluginFigures
from revproxy.admin.metrics.requestfigures import RequestFigures
from revproxy.admin.metrics.rolloutfigures import RolloutFigures
from revproxy.control.control import Control
from revproxy.plan.events import EventLog
from revproxy.plan.plan import Plan
from revproxy.plan.words import Counters

_ORDER = {family: place for place, family in enumerate(families.FAMILIES)}


class Collection:
    """
    Adds up from when it is made, as long as the process lasts.
    """

    def __init__(self, control: Control, events: EventLog, clock: Any) -> None:
        """
        :param clock: provides `IReactorTime`, in seconds since the epoch.
        """
        coordinator, totals = control.coordinator, control.keeper.totals
        self._exemplars = RequestExemplars()
        self._requests = RequestFigures(clock, self._exemplars.all)
        self._plugins = PluginFigures(coordinator, totals)
        self._edge = EdgeFigures(coordinator, control.inbox, events, clock.seconds)
        self._hosts = HostFigures(clock.seconds)
        self._own = OwnFamilies(totals.figures)
        self._control = ControlFigures(control)
        self._rollouts = RolloutFigures(control.rollouts.views, events)
        control.inbox.onCounters.append(self._counted)
        control.inbox.onRecords.append(self._exemplars.told)
        coordinator.onCommitted.append(self._committed)

    def settle(self) -> Iterator[None]:
        """Do what is left to be done before it is read; a little at each step."""
        yield from self._requests.settle()
        yield from self._exemplars.settle()

    def sources(self) -> list[Source]:
        """What there is to be read, family by family."""
        ours = [
            *self._requests.sources(),
            self._hosts.source(),
            *self._plugins.sources(),
            *self._edge.sources(self._dropped),
            *self._control.sources(),
            *self._rollouts.sources(),
        ]
        return [*sorted(ours, key=lambda source: _ORDER[source.family]), *self._own.sources()]

    @property
    def leftOut(self) -> tuple[str, ...]:
        """Figures of plugins that cannot be told beside those of others, as of the last time that all were read."""
        return self._own.leftOut

    def stop(self) -> None:
        """Add nothing more."""
        self._requests.stop()

    def _counted(self, worker: int, word: Counters) -> None:
        self._requests.counted(word)
        self._plugins.counted(worker, word)
        self._edge.counted(worker, word)
        self._hosts.counted(word.hosts)

    def _committed(self, before: Plan | None, plan: Plan) -> None:
        self._plugins.committed(plan)
        self._edge.committed(before, plan)
        self._hosts.adopt(plan.config.metrics.topHosts)
        if before is None or before.config is not plan.config:
            self._requests.committed(plan)
            self._exemplars.clear()

    def _dropped(self) -> int:
        return self._requests.server.dropped + self._requests.client.dropped
