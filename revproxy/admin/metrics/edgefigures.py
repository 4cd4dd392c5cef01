"""
What goes on at listeners, targets and in processes, and what has become of the configuration.
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from revproxy import __version__
from revproxy.admin.metrics import families
from revproxy.admin.metrics.exposition import Source
from revproxy.admin.metrics.family import Family, Labels, Point, scalar
from revproxy.control.coordinator import Coordinator
from revproxy.control.inbox import Inbox
from revproxy.plan.counted import EdgeCounters, ProcessNow, RouteNow, TargetNow
from revproxy.plan.events import Event, EventLog
from revproxy.plan.plan import Plan
from revproxy.plan.words import Counters

_COUNTERS = (
    ("accepted", families.ACCEPTED),
    ("turnedAway", families.TURNED_AWAY),
    ("refused", families.REFUSED_HEADS),
    ("handshakes", families.HANDSHAKES),
    ("resumed", families.RESUMED),
    ("failedHandshakes", families.FAILED_HANDSHAKES),
    ("recordsLost", families.RECORDS_LOST),
)
"""What is counted at listeners, by field of `EdgeCounters`."""

_TARGETS = (
    ("inFlight", families.TARGET_IN_FLIGHT),
    ("queued", families.TARGET_QUEUED),
    ("connections", families.TARGET_CONNECTIONS),
    ("tunnels", families.TARGET_TUNNELS),
)
"""What goes on at targets, by field of `TargetNow`."""

_PROCESSES = (
    ("cpuSeconds", families.PROCESS_CPU),
    ("residentBytes", families.PROCESS_RESIDENT),
    ("descriptors", families.PROCESS_DESCRIPTORS),
    ("mostDescriptors", families.PROCESS_MOST_DESCRIPTORS),
    ("startedAt", families.PROCESS_STARTED),
    ("loopLag", families.LOOP_LAG),
)
"""What processes take, by field of `ProcessNow`."""


class EdgeFigures:
    """
    Of one edge.
    """

    def __init__(self, coordinator: Coordinator, inbox: Inbox, events: EventLog, now: Callable[[], float]) -> None:
        """
        :param now: seconds since the epoch.
        """
        self._coordinator = coordinator
        self._inbox = inbox
        self._now = now
        self._changedAt = now()
        self._kinds: Counter[str] = Counter()
        self._sums = dict.fromkeys((name for name, _ in _COUNTERS), 0)
        self._dropped = 0
        # Of each worker, what it told last.
        self._edges: dict[int, EdgeCounters] = {}
        self._processes: dict[int, ProcessNow] = {}
        self._routes: dict[int, tuple[RouteNow, ...]] = {}
        self._targets: dict[tuple[str, str], dict[int, TargetNow]] = {}
        self._failures: Counter[tuple[str, str]] = Counter()
        # Routes on which requests were under way once: they go on to be told of, with zeros.
        self._busy: set[str] = set()
        events.subscribers.append(self._happened)

    def counted(self, worker: int, word: Counters) -> None:
        """A worker has counted."""
        self._routes[worker] = word.routes
        self._busy |= {route.route for route in word.routes}
        if word.process is not None:
            self._processes[worker] = word.process
        if word.edge is not None:
            self._edges[worker] = word.edge
            self._dropped += word.edge.seriesDropped
            for name in self._sums:
                self._sums[name] += getattr(word.edge, name)
        for now in word.targets:
            key = now.upstream, now.url
            told = self._targets.setdefault(key, {})
            before = told.get(worker)
            # Where it is less, the target was made anew.
            new = now.failures - (before.failures if before is not None and before.failures <= now.failures else 0)
            self._failures[key] += new
            told[worker] = now

    def committed(self, before: Plan | None, plan: Plan) -> None:
        """Another plan is in force; forget routes and targets that it does not have."""
        if before is not None and before.config is plan.config:
            return
        self._changedAt = self._now()
        self._busy &= {"", *(route.name for route in plan.config.routes)}
        known = set(_targetsOf(plan))
        if self._targets.keys() <= known and self._failures.keys() <= known:
            return
        self._targets = {key: told for key, told in self._targets.items() if key in known}
        self._failures = Counter({key: count for key, count in self._failures.items() if key in known})

    def sources(self, dropped: Callable[[], int]) -> list[Source]:
        """
        What there is to be read.

        :param dropped: how many requests others have counted together, for there were too many series.
        """
        return [
            _one(families.INFO, lambda: 1, (__version__, platform.python_version())),
            _one(families.CONFIG_CHANGED, lambda: self._changedAt),
            _one(families.CONFIG_REFUSED, lambda: int(self._coordinator.refused.of("") is not None)),
            _one(families.PLAN_NUMBER, self._planNumber),
            Source(families.EVENTS, lambda: scalar(((kind,), count) for kind, count in [*self._kinds.items()])),
            _one(families.CONNECTIONS, lambda: sum(each.open for each in self._edges.values())),
            *(_one(family, partial(self._sums.__getitem__, name)) for name, family in _COUNTERS),
            _one(families.SERIES_DROPPED, lambda: self._dropped + dropped()),
            Source(families.REQUESTS_IN_FLIGHT, lambda: scalar(self._inFlight())),
            Source(families.OLDEST_REQUEST, lambda: scalar(self._oldest())),
            Source(families.TARGET_UP, lambda: scalar(self._targetsUp())),
            Source(families.UPSTREAM_UP, lambda: scalar(self._upstreamsUp())),
            *(Source(family, partial(self._atTargets, name)) for name, family in _TARGETS),
            Source(families.TARGET_FAILURES, lambda: scalar(self._targetFailures())),
            Source(families.CERTIFICATE_ENDS, lambda: scalar(self._certificateEnds())),
            Source(families.CERTIFICATE_PROBLEMS, lambda: scalar(self._certificateProblems())),
            *(Source(family, partial(self._ofProcesses, name)) for name, family in _PROCESSES),
        ]

    def _happened(self, event: Event) -> None:
        self._kinds[event.kind] += 1

    def _planNumber(self) -> float:
        plan = self._coordinator.plan
        return 0 if plan is None else plan.number

    def _inFlight(self) -> Iterator[tuple[Labels, float]]:
        found = dict.fromkeys(self._busy, 0)
        for told in self._routes.values():
            for route in told:
                found[route.route] = found.get(route.route, 0) + route.count
        return (((name or "-",), count) for name, count in found.items())

    def _oldest(self) -> Iterator[tuple[Labels, float]]:
        oldest: dict[str, float] = {}
        for told in self._routes.values():
            for route in told:
                oldest[route.route] = min(route.oldestAt, oldest.get(route.route, route.oldestAt))
        names, now = {*self._busy, *oldest}, self._now()
        return (((name or "-",), max(0.0, now - oldest.get(name, now))) for name in names)

    def _configured(self) -> Iterable[tuple[str, str]]:
        plan = self._coordinator.plan
        return () if plan is None else _targetsOf(plan)

    def _targetsUp(self) -> Iterator[tuple[Labels, float]]:
        return ((key, int(self._inbox.targets.of(*key).isUp)) for key in self._configured())

    def _upstreamsUp(self) -> Iterator[tuple[Labels, float]]:
        names = dict.fromkeys(name for name, _ in self._configured())
        return (((name,), int(not self._inbox.targets.isDown(name))) for name in names)

    def _atTargets(self, what: str) -> Iterator[Point]:
        nothing: Mapping[int, TargetNow] = {}
        told = ((key, self._targets.get(key, nothing).values()) for key in self._configured())
        return scalar((key, sum(getattr(now, what) for now in nows)) for key, nows in told)

    def _targetFailures(self) -> Iterator[tuple[Labels, float]]:
        return ((key, self._failures[key]) for key in self._configured())

    def _certificateEnds(self) -> Iterator[tuple[Labels, float]]:
        for endpoint, state in list(self._inbox.certificates.items()):
            for each in state.certificates:
                yield (endpoint, next(iter(each.names), each.subject), each.path), each.expires

    def _certificateProblems(self) -> Iterator[tuple[Labels, float]]:
        return (((endpoint,), len(state.problems)) for endpoint, state in self._inbox.certificates.items())

    def _ofProcesses(self, what: str) -> Iterator[Point]:
        return (((str(worker),), (getattr(now, what),)) for worker, now in sorted(self._processes.items()))


def _targetsOf(plan: Plan) -> Iterator[tuple[str, str]]:
    for name, upstream in plan.config.upstreams.items():
        for url in dict.fromkeys(target.url for target in upstream.targets):
            yield name, url


def _one(family: Family, read: Callable[[], float], labels: Labels = ()) -> Source:
    """A family with one series."""
    return Source(family, lambda: iter(((labels, (read(),)),)))
