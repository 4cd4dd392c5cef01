"""
Requests by host, for the busiest hosts. All others are counted together: anybody can ask for any name.

Which hosts are the busiest is found anew each :data:`INTERVAL` seconds. A host that is shown goes on from what was
counted while it was; what it did before that was counted with the others, and stays there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from revproxy.admin.metrics import families
from revproxy.admin.metrics.exposition import Source
from revproxy.admin.metrics.family import Labels, scalar
from revproxy.plan.counted import HostCount

OTHER = "_other"
"""The host of all that are not shown."""

INTERVAL = 60.0
"""Seconds for which the hosts that are shown stay the same, if there are so many."""

MOST_KNOWN = 10_000
"""Hosts that are compared."""

STAYS = 1.5
"""A host that is shown stays until another is so many times as busy."""


class HostFigures:
    """
    Of one edge.

    :ivar most: how many hosts are shown; 0: none, and not the others either.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        """
        :param now: seconds.
        """
        self.most = 0
        self._now = now
        self._judged = now()
        self._lately: Counter[str] = Counter()
        self._shown: dict[str, int] = {}
        self._others = 0

    def counted(self, hosts: Iterable[HostCount]) -> None:
        """A worker has counted."""
        if not self.most:
            return
        for each in hosts:
            host = each.host
            if host and (host in self._lately or len(self._lately) < MOST_KNOWN):
                self._lately[host] += each.count
            if host and (host in self._shown or len(self._shown) < self.most):
                self._shown[host] = self._shown.get(host, 0) + each.count
            else:
                self._others += each.count
        if self._now() >= self._judged + INTERVAL:
            self._judge()

    def adopt(self, most: int) -> None:
        """:param most: as :attr:`most`."""
        if most != self.most:
            self.most = most
            self._judge()

    def source(self) -> Source:
        """What there is to be read."""
        return Source(families.HOST_REQUESTS, lambda: scalar(self._points()))

    def _judge(self) -> None:
        self._judged = self._now()
        ranked = sorted(
            {*self._lately, *self._shown},
            key=lambda host: self._lately[host] * (STAYS if host in self._shown else 1.0),
            reverse=True,
        )
        self._shown = {host: self._shown.get(host, 0) for host in ranked[: self.most]}
        self._lately.clear()

    def _points(self) -> Iterator[tuple[Labels, float]]:
        if self.most:
            for host, count in list(self._shown.items()):
                yield (host,), count
            yield (OTHER,), self._others
