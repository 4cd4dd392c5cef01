"""
Requests and what went to targets, added up from what workers tell.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.interfaces import IDelayedCall

from revproxy.admin.metrics import families
from revproxy.admin.metrics.exposition import Exemplars, Source
from revproxy.admin.metrics.family import Labels, Point, distribution, scalar
from revproxy.plan.counted import OTHER, AttemptSeries, RequestSeries
from revproxy.plan.durations import STANDARD, standard
from revproxy.plan.plan import Plan
from revproxy.plan.words import Counters

SLICE = 200
"""Series that are added up in one go."""

MOST_SERIES = 16_384
"""Of requests, and of attempts. Workers keep to fewer, each by itself."""

NO_ROUTE = "-"
"""What stands for no route."""

OVERFLOW = "_other"
"""The route, and the upstream, of what is counted together."""

_default_ports = {"http": "80", "https": "443"}


class Durations:
    """
    A histogram for each combination of labels.

    :ivar dropped: how many values were counted together with others, for there was no place.
    """

    def __init__(self, overflow: Labels) -> None:
        """
        :param overflow: under which is counted what has no place.
        """
        self.dropped = 0
        self._sums: dict[Labels, tuple[list[int], float]] = {}
        self._overflow = overflow

    def add(self, labels: Labels, counts: list[int], seconds: float) -> None:
        """
        So many more.

        :param counts: of each bucket of `revproxy.plan.durations.STANDARD`, and above.
        """
        known = self._sums.get(labels)
        if known is None and len(self._sums) >= MOST_SERIES:
            labels, known = self._overflow, self._sums.get(self._overflow)
            self.dropped += sum(counts)
        before, total = known or ([0] * (len(STANDARD) + 1), 0.0)
        self._sums[labels] = [*map(int.__add__, before, counts)], total + seconds

    def points(self) -> Iterator[Point]:
        """All of them; others may be added in between."""
        for labels, (counts, seconds) in list(self._sums.items()):
            yield labels, distribution(counts, seconds)

    def keepOnly(self, isWanted: Callable[[Labels], bool]) -> None:
        """Forget the others."""
        self._sums = {
            labels: sums for labels, sums in self._sums.items() if labels == self._overflow or isWanted(labels)
        }


class RequestFigures:
    """
    Of one edge. Adding up is done :data:`SLICE` by slice; :meth:`settle` does the rest of it.

    :ivar server: what clients have seen.
    :ivar client: what targets have done.
    """

    def __init__(self, clock: Any, exemplars: Callable[[], Exemplars] = dict) -> None:
        """
        :param clock: provides `IReactorTime`.
        """
        self.server = Durations((OTHER, OTHER, OVERFLOW, "", "", ""))
        self.client = Durations((OTHER, OTHER, "", "", "", "", OVERFLOW))
        self._clock = clock
        self._exemplars = exemplars
        self._waiting: deque[RequestSeries | AttemptSeries] = deque()
        self._later: IDelayedCall | None = None
        self._addresses: dict[str, tuple[str, str, str]] = {}
        self._retries: dict[str, int] = {}

    def counted(self, word: Counters) -> None:
        """A worker has counted."""
        self._waiting.extend(word.requests)
        self._waiting.extend(word.attempts)
        if self._waiting and self._later is None:
            self._later = self._clock.callLater(0, self._slice)

    def settle(self) -> Iterator[None]:
        """Add up what waits, a slice at each step."""
        while self._waiting:
            self._addSome()
            yield

    def stop(self) -> None:
        """Add nothing more."""
        if self._later is not None:
            self._later.cancel()
            self._later = None

    def committed(self, plan: Plan) -> None:
        """Forget routes and targets that there are no longer."""
        routes = {NO_ROUTE, OVERFLOW, *(route.name for route in plan.config.routes)}
        upstreams = plan.config.upstreams
        targets = {(name, *self._address(each.url)) for name, one in upstreams.items() for each in one.targets}
        self.server.keepOnly(lambda labels: labels[2] in routes)
        self.client.keepOnly(lambda labels: (labels[6], *labels[2:5]) in targets)
        self._retries = {
            name: count for name, count in self._retries.items() if name in upstreams or name == OVERFLOW
        }
        self._addresses.clear()

    def sources(self) -> list[Source]:
        """What there is to be read."""
        return [
            Source(families.SERVER_DURATION, self.server.points, self._exemplars),
            Source(families.CLIENT_DURATION, self.client.points),
            Source(families.UPSTREAM_RETRIES, lambda: scalar(((name,), n) for name, n in [*self._retries.items()])),
        ]

    def _slice(self) -> None:
        self._later = None
        self._addSome()
        if self._waiting:
            self._later = self._clock.callLater(0, self._slice)

    def _addSome(self) -> None:
        waiting = self._waiting
        for _ in range(min(SLICE, len(waiting))):
            series = waiting.popleft()
            if isinstance(series, RequestSeries):
                labels: Labels = labelsOf(
                    series.route, series.method, series.status, series.scheme, series.version, series.errorType
                )
                self.server.add(labels, standard(series.buckets), series.seconds)
            else:
                labels = (
                    series.method,
                    _status(series.status),
                    *self._address(series.target),
                    series.errorType,
                    series.upstream,
                )
                self.client.add(labels, standard(series.buckets), series.seconds)
                self._retries[series.upstream] = self._retries.get(series.upstream, 0) + series.retries

    def _address(self, url: str) -> tuple[str, str, str]:
        """Scheme, host and port of a target."""
        known = self._addresses.get(url)
        if known is None:
            parts = urlsplit(url)
            port = str(parts.port or _default_ports.get(parts.scheme, ""))
            known = self._addresses[url] = parts.scheme, parts.hostname or "", port
        return known


def labelsOf(route: str, method: str, status: int, scheme: str, version: str, error: str) -> Labels:
    """The values of the labels of requests, of what they are counted by."""
    return method, _status(status), route or NO_ROUTE, scheme, version, error


def _status(status: int) -> str:
    return str(status) if status else OTHER
