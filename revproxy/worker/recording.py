"""
Who wants to know of requests that are over: the access log, who counts them, and control.

All of them are given the same batches of one buffer. Where nobody wants to know, nothing is recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from revproxy.config.settings import Config
from revproxy.dataplane.accesslog import AccessLog
from revproxy.dataplane.edge import Edge
from revproxy.dataplane.querymask import QueryMask
from revproxy.dataplane.recorder import Recorder, Take
from revproxy.plan.words import Records
from revproxy.worker.hostcounts import HostCounts
from revproxy.worker.recordreports import RecordReports
from revproxy.worker.requestcounts import RequestCounts


class Recording:
    """
    Keeps an edge's recorder.

    :ivar log: the access log; None: there is none.
    :ivar counts: counts requests, as long as it is given any; ``hosts``: by host.
    :ivar reports: tells of them.
    """

    def __init__(self, clock: Any, edge: Edge, tell: Callable[[Records], None]) -> None:
        """
        :param clock: provides `IReactorTime`.
        """
        self.log: AccessLog | None = None
        self.counts = RequestCounts()
        self.hosts = HostCounts()
        self.reports = RecordReports(tell)
        self._edge = edge
        self._recorder = Recorder(clock)
        self._mask: QueryMask | None = None
        self._isCounting = False
        self._isTelling = False

    def logTo(self, log: AccessLog | None, logsAgents: bool) -> None:
        """Write lines there from now on; what was over before is in the log that was. Cannot fail."""
        self._recorder.flush()
        self.log = log
        self._edge.logsAgents = logsAgents
        self._arrange()

    def adopt(self, config: Config) -> None:
        """Count, and tell, as it says from now on."""
        self._recorder.flush()
        self._mask = QueryMask(config.logging.mask) if config.logging.mask else None
        self._isCounting = config.metrics.count
        self._isTelling = config.logging.remember > 0 or config.traces.otlp is not None
        self.hosts.top = config.metrics.topHosts
        targets = {(name, target.url) for name, each in config.upstreams.items() for target in each.targets}
        self.counts.keepOnly({route.name for route in config.routes}, targets)
        self._arrange()

    def flush(self) -> None:
        """Hand over what is buffered."""
        self._recorder.flush()

    def stop(self) -> None:
        """The end: hand over what is buffered, and whatever still comes at once."""
        self._recorder.stop()

    def _arrange(self) -> None:
        takers: list[Take] = []
        if self._mask is not None and (self.log is not None or self._isTelling):
            takers.append(self._mask.take)
        if self.log is not None:
            takers.append(self.log.take)
        if self._isCounting:
            takers.append(self.counts.take)
            if self.hosts.top:
                takers.append(self.hosts.take)
        if self._isTelling:
            takers.append(self.reports.take)
        self._recorder.takers = tuple(takers)
        self._edge.recorder = self._recorder if takers else None
