"""
Counts requests that are over, from their records: off the request path, a batch at a time.

There are as many series as there are combinations of what they are counted by; beyond :data:`MOST_SERIES` further
combinations are counted together, and how many requests that were is told.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection
from typing import Any

from revproxy.plan.counted import METHOD_OF, OTHER, VERSIONS, AttemptSeries, RequestSeries, errorType
from revproxy.plan.durations import FINE
from revproxy.requestrecord import RequestRecord

MOST_SERIES = 8192
"""Combinations that are told apart, of requests and of attempts each."""

OVERFLOW = "_other"
"""The route, and the upstream, of what is counted together."""


class Tally:
    """How many, how long in all, how many in each bucket, and how often others had been tried before."""

    __slots__ = ("buckets", "count", "retries", "seconds")

    def __init__(self) -> None:
        self.count = 0
        self.seconds = 0.0
        self.buckets: dict[int, int] = {}
        self.retries = 0


_Tallies = dict[tuple[Any, ...], Tally]


class RequestCounts:
    """
    Sums since they were taken last.

    :ivar dropped: requests whose series had no place, since that was taken last.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._requests: _Tallies = {}
        self._attempts: _Tallies = {}
        self._known: set[tuple[Any, ...]] = set()
        self._knownAttempts: set[tuple[Any, ...]] = set()

    def take(self, batch: list[RequestRecord]) -> None:
        """Count them. One loop, almost without calls of our own: it grows with the traffic."""
        requests, attempts = self._requests, self._attempts
        methodOf = METHOD_OF.get
        for r in batch:
            status, error = r.status, ""
            if r.error is not None:
                error = errorType(r.error)
            elif status >= 500:
                error = str(status)
            method = methodOf(r.method, OTHER)
            key = r.route, method, status, r.scheme, r.version, error
            tally = requests.get(key)
            if tally is None:
                tally = self._request(key)
            tally.count += 1
            seconds = r.duration
            tally.seconds += seconds
            bucket = bisect_left(FINE, seconds)
            tally.buckets[bucket] = tally.buckets.get(bucket, 0) + 1
            if r.upstream is not None:
                attempt = r.pool, r.upstream, method, status, error
                tally = attempts.get(attempt)
                if tally is None:
                    tally = self._attempt(attempt)
                if r.attempts > 1:
                    tally.retries += r.attempts - 1
                if r.upstreamSeconds is not None:
                    seconds = r.upstreamSeconds
                    bucket = bisect_left(FINE, seconds)
                tally.count += 1
                tally.seconds += seconds
                tally.buckets[bucket] = tally.buckets.get(bucket, 0) + 1

    def requests(self) -> tuple[RequestSeries, ...]:
        """What is new since this was asked last."""
        new, self._requests = self._requests, {}
        return tuple(RequestSeries(*_figures(*item)) for item in new.items())

    def attempts(self) -> tuple[AttemptSeries, ...]:
        """What is new since this was asked last."""
        new, self._attempts = self._attempts, {}
        return tuple(AttemptSeries(*(*_figures(*item), item[1].retries)) for item in new.items())

    def takeDropped(self) -> int:
        """:returns: :attr:`dropped`, which begins anew."""
        dropped, self.dropped = self.dropped, 0
        return dropped

    def keepOnly(self, routes: Collection[str], targets: Collection[tuple[str, str]]) -> None:
        """
        The configuration has become another one: make room.

        :param targets: upstream and URL of each.
        """
        self._known = {key for key in self._known if key[0] in routes}
        self._knownAttempts = {key for key in self._knownAttempts if key[:2] in targets}

    def _request(self, key: tuple[Any, ...]) -> Tally:
        route, method, status, scheme, version, error = key
        if version not in VERSIONS:
            key = route, method, status, scheme, "", error
        if not self._has(self._known, key):
            key = OVERFLOW, OTHER, 0, "", "", ""
        return self._requests.setdefault(key, Tally())

    def _attempt(self, key: tuple[Any, ...]) -> Tally:
        if not self._has(self._knownAttempts, key):
            key = OVERFLOW, "", OTHER, 0, ""
        return self._attempts.setdefault(key, Tally())

    def _has(self, known: set[tuple[Any, ...]], key: tuple[Any, ...]) -> bool:
        """Whether there is a place for a series."""
        if key in known:
            return True
        if len(known) >= MOST_SERIES:
            self.dropped += 1
            return False
        known.add(key)
        return True


def _figures(key: tuple[Any, ...], tally: Tally) -> tuple[Any, ...]:
    return *key, tally.count, tally.seconds, tally.buckets
