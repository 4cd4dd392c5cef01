"""
How rollouts go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from revproxy.admin.metrics import families
from revproxy.admin.metrics.controlfigures import Rising
from revproxy.admin.metrics.exposition import Source
from revproxy.admin.metrics.family import Family, Labels, scalar
from revproxy.plan.events import Event, EventLog

Views = Sequence[Mapping[str, Any]]
"""As `revproxy.control.rollouts.Rollouts.views` tells them."""

_ENDS = frozenset(("promoted", "rolled-back", "aborted", "superseded", "refused"))

_KIND = "rollout-"
"""What kinds of events about rollouts begin with."""

_ARMS = (
    (families.ROLLOUT_REQUESTS, "requests"),
    (families.ROLLOUT_FAULTS, "faults"),
    (families.ROLLOUT_INTERRUPTS, "interrupts"),
)
"""What arms count."""

_BY_ROLLOUT: Sequence[tuple[Family, Callable[[Mapping[str, Any]], float | None]]] = (
    (families.ROLLOUT_STEP, lambda view: 0 if _step(view) is None else view["step"]["index"]),
    (families.ROLLOUT_HELD, lambda view: int(view["held"] and view["state"] not in _ENDS)),
    (families.ROLLOUT_SHARE, lambda view: _shareOf(view)),
    (families.ROLLOUT_LEFT, lambda view: None if _step(view) is None else view["step"]["left_seconds"]),
    (families.ROLLOUT_DIFFERENCES, lambda view: sum(
        not each["expected"] and not each["is_noise"] for each in view["differences"])),
)  # fmt: skip
"""One number of each."""


class RolloutFigures:
    """
    Of one edge.
    """

    def __init__(self, views: Callable[[], Views], events: EventLog) -> None:
        """:param views: of each plugin, the rollout that goes on, or the last."""
        self._views = views
        self._rising = {name: Rising() for name in ("requests", "faults", "interrupts", "pairs")}
        self._ends: Counter[tuple[str, str]] = Counter()
        events.subscribers.append(self._happened)

    def sources(self) -> list[Source]:
        """What there is to be read now."""
        views = self._views()
        return [
            Source(families.ROLLOUT_INFO, lambda: scalar(_info(views))),
            *(_numbers(family, read, views) for family, read in _BY_ROLLOUT),
            _odds(families.ROLLOUT_ODDS, "odds", views),
            _odds(families.ROLLOUT_THRESHOLD, "threshold", views),
            *(self._counted(family, name, views) for family, name in _ARMS),
            self._pairs(views),
            Source(families.ROLLOUT_ENDS, lambda: scalar((key, count) for key, count in list(self._ends.items()))),
        ]

    def _counted(self, family: Family, name: str, views: Views) -> Source:
        counts = {f"{view['plugin']} {arm}": view["arms"][arm][name] for view in views for arm in view["arms"]}
        return Source(family, lambda: scalar(_split(self._rising[name].of(counts))))

    def _pairs(self, views: Views) -> Source:
        counts: dict[str, int] = {}
        for view in views:
            pairs = view["pairs"]
            if pairs is not None:
                results = {
                    "compared": pairs["compared"],
                    "incomparable": sum(pairs["incomparable"].values()),
                    "dropped": pairs["dropped"],
                }
                counts |= {f"{view['plugin']} {result}": count for result, count in results.items()}
        return Source(families.ROLLOUT_PAIRS, lambda: scalar(_split(self._rising["pairs"].of(counts))))

    def _happened(self, event: Event) -> None:
        end = event.kind.removeprefix(_KIND)
        if event.kind.startswith(_KIND) and end in _ENDS:
            self._ends[event.plugin, end] += 1


def _info(views: Views) -> Iterator[tuple[Labels, float]]:
    for view in views:
        running = "" if view["running"] is None else view["running"]["version"]
        yield (view["plugin"], running, view["candidate"]["version"], view["state"]), 1


def _numbers(family: Family, read: Callable[[Mapping[str, Any]], float | None], views: Views) -> Source:
    read_ = [(view["plugin"], read(view)) for view in views]
    return Source(family, lambda: scalar(((name,), value) for name, value in read_ if value is not None))


def _odds(family: Family, key: str, views: Views) -> Source:
    found = [((view["plugin"], each["family"]), each[key]) for view in views for each in view["families"]]
    return Source(family, lambda: scalar(iter(found)))


def _step(view: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """That it is in; None: in none."""
    step: Mapping[str, Any] | None = view["step"]
    return None if view["state"] in _ENDS else step


def _shareOf(view: Mapping[str, Any]) -> float:
    step = _step(view)
    if view["state"] == "promoted":
        return 1.0
    return 0.0 if step is None or step["kind"] != "canary" else float(step["share"])


def _split(counts: Mapping[str, int]) -> Iterator[tuple[Labels, float]]:
    """By a plugin's name, and what is behind it; names have no spaces."""
    return ((tuple(key.split(" ")), count) for key, count in counts.items())


__all__ = ["RolloutFigures"]
