"""
What control knows by itself: whether the edge is ready, what was said of targets, who could not be told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from revproxy.admin.metrics import families
from revproxy.admin.metrics.exposition import Source
from revproxy.admin.metrics.family import Labels, Point, scalar
from revproxy.control.control import Control


class Rising:
    """
    Counters of what may begin anew; here they go on.
    """

    def __init__(self) -> None:
        self._before: dict[str, int] = {}
        self._last: dict[str, int] = {}

    def of(self, counts: Mapping[str, int]) -> dict[str, int]:
        """
        :param counts: what each has counted by now; less than the last time: it has begun anew.
        :returns: the same, but for what was counted before that.
        """
        for name, count in counts.items():
            if count < self._last.get(name, 0):
                self._before[name] = self._before.get(name, 0) + self._last[name]
            self._last[name] = count
        return {name: self._before.get(name, 0) + count for name, count in counts.items()}


class ControlFigures:
    """
    Of one edge.
    """

    def __init__(self, control: Control) -> None:
        self._control = control
        self._failures = Rising()
        self._traces = Rising()

    def sources(self) -> list[Source]:
        """What there is to be read."""
        return [
            Source(families.READY, lambda: self._one(int(self._control.readiness.isReady))),
            Source(families.ALERTS_FIRING, lambda: self._one(len(self._control.alerts.firing))),
            Source(families.ALERT_FAILURES, lambda: scalar(self._alertFailures())),
            Source(families.TRACES_SENT, lambda: self._one(self._sent()["sent"])),
            Source(families.TRACES_DROPPED, lambda: self._one(self._sent()["dropped"])),
            Source(families.TARGET_DRAINED, lambda: scalar(self._drained())),
        ]

    def _one(self, value: float) -> Iterator[Point]:
        return scalar(((), value) for _ in range(1))

    def _alertFailures(self) -> Iterator[tuple[Labels, float]]:
        failures = self._failures.of(self._control.alerts.receivers.failures)
        return (((name,), count) for name, count in failures.items())

    def _sent(self) -> dict[str, int]:
        sent, dropped = self._control.traces.figures()
        return self._traces.of({"sent": sent, "dropped": dropped})

    def _drained(self) -> Iterator[tuple[Labels, float]]:
        plan, overrides = self._control.coordinator.plan, self._control.overrides
        upstreams = {} if plan is None else plan.config.upstreams
        for name, upstream in upstreams.items():
            for url in dict.fromkeys(target.url for target in upstream.targets):
                yield (name, url), int("drain" in overrides.of(name, url))
