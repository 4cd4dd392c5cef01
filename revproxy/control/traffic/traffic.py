"""
What went through the edge in the last hour: added up over all workers, from what they count.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from revproxy.control.traffic.course import HOUR, Course
from revproxy.control.traffic.window import Sum, Window, windowOf
from revproxy.plan.counted import AttemptSeries, RequestSeries, VersionCounters
from revproxy.plan.durations import FINE, SELF_TIME
from revproxy.plan.words import Counters

Of = Literal["total", "route", "upstream", "target", "plugin"]
"""Of what there are sums."""

SHARE = 10
"""The part of all names that is added up with each report: the rest waits for its turn, or until somebody looks."""

MOST_NAMES = 20_000
"""Names that are kept apart; beyond these, new ones are counted in the total only."""


class Traffic:
    """
    Sums over the last hour.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        """
        :param now: the time, in seconds since the epoch.
        """
        self._now = now
        self._began = now()
        self._turn: list[Course] = []
        self._courses: dict[tuple[Of, Any], Course] = {("total", ""): Course()}

    def counted(self, worker: int, word: Counters) -> None:
        """A worker has told what it counted."""
        now = self._now()
        if word.requests:
            total = Sum()
            for series in word.requests:
                self._request(now, series, total)
            self._courses["total", ""].note(now, total.figures)
        for attempt in word.attempts:
            self._attempt(now, attempt)
        for version in word.versions:
            self._version(now, version)
        self._settle(now)

    def _settle(self, now: float) -> None:
        """Add up a tenth of all, so that each has its turn within some ten reports."""
        count = len(self._courses) // SHARE + 1
        self._turn = self._turn if self._turn else list(self._courses.values())
        for course in self._turn[-count:]:
            course.settle(now)
        del self._turn[-count:]

    def window(
        self,
        seconds: float,
        route: str | None = None,
        upstream: str | None = None,
        plugin: str | None = None,
        target: str | None = None,
    ) -> Window:
        """
        What the last so many seconds have brought: of everything, or of what is named.

        :param seconds: an hour at most; exact to a second up to a minute, to ten seconds above. Where this is not so
            old, the window is as long as it is.
        :param target: its URL, beside the name of its upstream.
        """
        of, name = _key(route, upstream, plugin, target)
        now, seconds = self._now(), min(seconds, HOUR)
        course = self._courses.get((of, name))
        total = Sum() if course is None else course.total(now, seconds)
        return windowOf(total, min(seconds, max(1.0, now - self._began)), _boundsOf(of))

    def points(self, of: Of, name: Any, seconds: int, step: int) -> list[tuple[int, Window]]:
        """
        The course of something, by steps, the oldest first; also of those in which nothing happened.

        :param step: seconds; tens of them, or less than ten for the last minute.
        :returns: when each begins, in seconds since the epoch.
        """
        now = int(self._now())
        last = now // step * step
        first = last - (seconds - 1) // step * step
        course = self._courses.get((of, name))
        found = {} if course is None else course.points(now, first, step)
        bounds = _boundsOf(of)
        return [(at, windowOf(found.get(at) or Sum(), step, bounds)) for at in range(first, last + 1, step)]

    def names(self, of: Of) -> list[Any]:
        """Of what kind, those that are known."""
        return [name for kind, name in self._courses if kind == of]

    def _request(self, now: float, series: RequestSeries, total: Sum) -> None:
        errors4xx, errors5xx = _errors(series.status, series.count)
        figures = series.count, errors4xx, errors5xx, series.seconds, series.buckets.items()
        total.add(*figures)
        self._course(now, "route", series.route).note(now, figures)

    def _attempt(self, now: float, series: AttemptSeries) -> None:
        errors4xx, errors5xx = _errors(series.status, series.count)
        figures = series.count, errors4xx, errors5xx, series.seconds, series.buckets.items()
        self._course(now, "upstream", series.upstream).note(now, figures)
        self._course(now, "target", (series.upstream, series.target)).note(now, figures)

    def _version(self, now: float, word: VersionCounters) -> None:
        buckets: dict[int, int] = {}
        for phase in word.phases:
            for bucket, count in enumerate(phase.buckets):
                if count:
                    buckets[bucket] = buckets.get(bucket, 0) + count
        figures = word.calls, word.interrupts, word.errors, word.seconds, buckets.items()
        self._course(now, "plugin", word.plugin).note(now, figures)

    def _course(self, now: float, of: Of, name: Any) -> Course:
        course = self._courses.get((of, name))
        if course is None:
            if len(self._courses) >= MOST_NAMES:
                self._forget(now)
            course = Course()
            if len(self._courses) < MOST_NAMES:
                self._courses[of, name] = course
        return course

    def _forget(self, now: float) -> None:
        """Those that nothing went through for an hour."""
        self._courses = {
            key: course for key, course in self._courses.items() if key[0] == "total" or course.settle(now)
        }


def _errors(status: int, count: int) -> tuple[int, int]:
    return (count if 400 <= status < 500 else 0), (count if status >= 500 else 0)


def _boundsOf(of: Of) -> tuple[float, ...]:
    return SELF_TIME if of == "plugin" else FINE


def _key(route: str | None, upstream: str | None, plugin: str | None, target: str | None) -> tuple[Of, Any]:
    if target is not None:
        return "target", (upstream, target)
    for of, name in (("route", route), ("upstream", upstream), ("plugin", plugin)):
        if name is not None:
            return of, name  # type: ignore[return-value]
    return "total", ""
