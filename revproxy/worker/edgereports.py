"""
What happened at the listeners, and what goes on now, as `Counters` tells it beside what was counted of plugins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred

from revproxy.dataplane.edge import Edge
from revproxy.dataplane.upstream.upstream import Upstream
from revproxy.plan.counted import EdgeCounters
from revproxy.worker.processreports import ProcessReports
from revproxy.worker.recording import Recording
from revproxy.worker.targetreports import TargetReports
from revproxy.worker.underway import UnderWay

_COUNTED = {
    "accepted": "accepted",
    "turnedAway": "turnedAway",
    "refused": "refusals",
    "handshakes": "handshakes",
    "resumed": "resumed",
    "failedHandshakes": "failedHandshakes",
}
"""Of `EdgeCounters`, and of `Edge`."""


class EdgeReports:
    """
    Everything that a worker counts but what its plugins do.
    """

    def __init__(
        self,
        clock: Any,
        edge: Edge,
        recording: Recording,
        upstreams: Callable[[], Mapping[str, tuple[Any, Upstream]]],
        inThread: Callable[..., Deferred[Any]],
        monotonic: Callable[[], float],
    ) -> None:
        """
        :param clock: provides `IReactorTime`.
        :param upstreams: those in effect, by name.
        """
        self._edge = edge
        self._recording = recording
        self._underWay = UnderWay(clock, edge)
        self._targets = TargetReports(upstreams)
        self._process = ProcessReports(clock, inThread, monotonic)
        self._told = dict.fromkeys(_COUNTED, 0)

    def start(self) -> None:
        """The loop is about to run."""
        self._process.start()

    def stop(self) -> None:
        """The edge ends."""
        self._process.stop()
        self._underWay.stop()

    def take(self, isAsked: bool) -> dict[str, Any]:
        """
        :param isAsked: somebody waits for it: also of requests that were over just now.
        :returns: fields of `revproxy.plan.words.Counters`: what is new.
        """
        if isAsked:
            self._recording.flush()
        self._underWay.look()
        counts = self._recording.counts
        return {
            "requests": counts.requests(),
            "attempts": counts.attempts(),
            "hosts": self._recording.hosts.told(),
            "routes": self._underWay.routes,
            "targets": self._targets.take(),
            "edge": self._counted(),
            "process": self._process.take(),
        }

    def _counted(self) -> EdgeCounters:
        now = {name: getattr(self._edge, attribute) for name, attribute in _COUNTED.items()}
        told, self._told = self._told, now
        new = {name: count - told[name] for name, count in now.items()}
        dropped, lost = self._recording.counts.takeDropped(), self._recording.reports.takeLost()
        return EdgeCounters(len(self._edge.connections), **new, seriesDropped=dropped, recordsLost=lost)
