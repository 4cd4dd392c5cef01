"""What is simulated of rollouts: which traffic, which faults, how often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.simulatedclients import KINDS
from benchmarks.simulatedpairs import PairPlant
from benchmarks.simulatedrollout import UNTIL, CanaryCase, CanaryRun, ShadowCase
from benchmarks.simulatedversions import Plant
from benchmarks.simulatedworker import WarmUp
from revproxy.config.rolloutpolicy import Step
from revproxy.control.rollout.detection import secondsUntilFound
from revproxy.control.rollout.planner import Traffic, forecast

_LENGTHS = {20: (600, 100), 200: (600, 100), 2000: (120, 50)}
"""By rate: how many seconds, and how many runs."""

IDENTICAL = tuple(
    CanaryCase(f"{kind}, {rate:,}/s", kind, rate, seconds, runs=runs)
    for kind in KINDS
    for rate, (seconds, runs) in _LENGTHS.items()
)
"""1,000 runs, of four kinds of traffic."""


def _planted(name: str, rate: int, seconds: int, plant: Plant, **more: float) -> CanaryCase:
    return CanaryCase(f"{name}, {rate:,}/s", "clustered", rate, seconds, plant, **more)  # type: ignore[arg-type]


_ERRORS = Plant(errors=0.01)

DETECTION = (
    *(_planted("1 % errors, running version none", rate, seconds, _ERRORS, background=0.0)
      for rate, seconds in ((20, 1200), (200, 600), (2000, 40))),
    *(_planted("1 % errors over 0.1 %", rate, seconds, _ERRORS) for rate, seconds in ((200, 600), (2000, 60))),
    _planted("errors always, for 2 % of clients", 2000, 240, Plant(errors=1.0, errorClients=0.02)),
    *(_planted("+5 ms", rate, seconds, Plant(later=0.005)) for rate, seconds in ((20, 600), (200, 60), (2000, 20))),
    _planted("× 1.3, share 50 %", 200, 600, Plant(slower=1.3), share=0.5),
    _planted("interrupts doubled", 200, 600, Plant(stopsMore=0.02)),
    _planted("interrupts gone", 200, 600, Plant(stopsNone=True)),
)  # fmt: skip
"""A candidate that is worse, on 5 % of clients unless it says otherwise."""

COLD = (
    _planted("warm-up left out", 200, 300, Plant(coldCalls=50)),
    _planted("warm-up judged", 200, 300, Plant(coldCalls=50), warmUp=WarmUp(0, 0.0)),  # type: ignore[arg-type]
)
"""An instance that has just begun. The second shows why the first hundred calls are left out."""

SHADOW = (
    ShadowCase("identical", 20_000, together=50, runs=500),
    ShadowCase("wrong header in 1 of 200", 20_000, PairPlant(header=0.005), runs=500),
    ShadowCase("1 % exceptions", 20_000, PairPlant(raises=0.01), runs=200),
    ShadowCase("+5 ms", 20_000, PairPlant(later=0.005), together=1, runs=200),
    ShadowCase("× 1.3", 20_000, PairPlant(slower=1.3), together=1, runs=200),
    ShadowCase("× 1.1", 20_000, PairPlant(slower=1.1), together=5, runs=200),
    ShadowCase("p95 and above + 20 %", 20_000, PairPlant(tail=1.2), together=20, runs=200),
)
"""Pairs, three of whose fields differ by themselves in 3 % of answers."""


@dataclass(frozen=True, slots=True)
class Planned:
    """
    A forecast, to be held against what comes.

    :ivar isFound: whether it is about a candidate with 1 % errors that is found, or one as good whose step ends well.
    """

    name: str
    ran: CanaryCase
    isFound: bool = False
    runs: int = 50

    def says(self) -> float:
        """Seconds, by the planner."""
        case = self.ran
        if self.isFound:
            return secondsUntilFound(case.rate, case.share, case.plant.errors, case.background)
        told = forecast([Step("canary", case.share, UNTIL)], Traffic(case.rate, case.background))
        return told.seconds or float("inf")

    def times(self, runs: Sequence[CanaryRun]) -> list[float]:
        """Seconds, that it took."""
        return [time for run in runs if (time := run.found if self.isFound else run.well) is not None]


def _well(rate: int, share: float, background: float, seconds: int) -> Planned:
    name = f"ends well, {share:.0%} of {rate:,}/s, errors {background:.1%}"
    return Planned(
        name, CanaryCase(name, "clustered", rate, seconds, share=share, background=background, endsWell=True)
    )


def _foundAfter(rate: int, background: float, seconds: int) -> Planned:
    name = f"finds 1 % errors, 5% of {rate:,}/s, errors {background:.1%}"
    plant = Plant(errors=0.01)
    return Planned(name, CanaryCase(name, "clustered", rate, seconds, plant, background=background), isFound=True)


PLANNED = (
    _well(20, 0.05, 0.0, 2400), _well(20, 0.5, 0.0, 900), _well(200, 0.05, 0.0, 300), _well(200, 0.05, 0.001, 900),
    _well(200, 0.5, 0.001, 300), _well(2000, 0.05, 0.001, 120),
    _foundAfter(20, 0.0, 1800), _foundAfter(200, 0.0, 300), _foundAfter(200, 0.001, 900), _foundAfter(2000, 0.0, 60),
)  # fmt: skip
