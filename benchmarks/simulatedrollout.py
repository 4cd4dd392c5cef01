"""Rollouts that never were: the product's judge and planner, simulated traffic, a clock that is advanced."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.simulatedclients import draw
from benchmarks.simulatedpairs import SAME, PairPlant, compare
from benchmarks.simulatedversions import NOTHING, Plant, call
from benchmarks.simulatedworker import WARM, SimulatedWorker, WarmUp, judged, known
from revproxy.config.rolloutpolicy import Step, Until
from revproxy.control.rollout.draw import canaryOf
from revproxy.control.rollout.judge import Judge
from revproxy.plan.trial import BUCKETS
from revproxy.worker.rollout.pairtimes import PairTimes

START = 1_800_000_000.0
"""Seconds since the epoch."""

UNTIL = Until(fault=0.01, power=0.9)
"""What ends a step of a canary well."""


@dataclass(frozen=True, slots=True)
class CanaryCase:
    """A step of a canary, to be run with many seeds.

    :ivar seconds: for so long at most.
    :ivar background: the share of calls that fail with both versions.
    :ivar runs: seeds.
    :ivar endsWell: whether it is over when the step could end well.
    """

    name: str
    kind: str
    rate: float
    seconds: int
    plant: Plant = NOTHING
    share: float = 0.05
    background: float = 0.001
    warmUp: WarmUp = WARM
    runs: int = 100
    endsWell: bool = False


@dataclass(frozen=True, slots=True)
class CanaryRun:
    """How one went.

    :ivar found: after so many seconds there was a regression; None: there was none.
    :ivar afterWarmUp: the same, since the candidate's first call that is judged.
    :ivar well: after so many seconds it could have ended well; None: it could not, or not before.
    :ivar faulty: answers that the candidate had spoilt by then, those while it warmed up included.
    :ivar served: requests that it had served.
    """

    found: float | None
    afterWarmUp: float | None
    well: float | None
    family: str
    faulty: int
    served: int


def runCanary(case: CanaryCase, seed: tuple[int, ...]) -> CanaryRun:
    """Run it once, until there is a regression."""
    chance = np.random.default_rng(seed)
    canary = canaryOf(chance.permutation(BUCKETS).tolist(), case.share)
    labels = np.unpackbits(np.frombuffer(canary, np.uint8), bitorder="little").astype(bool)
    requests = draw(case.kind, case.rate, case.seconds, chance)
    isOurs = labels[requests.buckets]
    calls = call(requests, isOurs, case.seconds, case.background, case.plant, chance)
    isJudged = judged(requests, isOurs, case.warmUp)
    worker = SimulatedWorker(requests, calls, isOurs, isJudged, START, known(chance))
    judge = Judge(now=START)
    judge.begin(Step("canary", case.share, UNTIL), canary, START)
    well = None
    for second, evidence in enumerate(worker.tell(case.seconds), 1):
        judge.heard(evidence)
        verdict = judge.verdict(START + second)
        if verdict.kind == "regression":
            ours = isOurs & (requests.times < second)
            first = requests.times[isOurs & isJudged].min(initial=case.seconds)
            faulty = int((ours & calls.faults).sum())
            return CanaryRun(second, second - float(first), well, verdict.family, faulty, int(ours.sum()))
        if well is None and verdict.kind == "no-regression":
            well = float(second)
            if case.endsWell:
                break
    return CanaryRun(None, None, well, "", int((isOurs & calls.faults).sum()), int(isOurs.sum()))


@dataclass(frozen=True, slots=True)
class ShadowCase:
    """A shadow, to be run with many seeds.

    :ivar pairs: so many at most; ``together``: are told in one word.
    :ivar runs: seeds.
    """

    name: str
    pairs: int
    plant: PairPlant = SAME
    together: int = 20
    runs: int = 100

    @property
    def isIdentical(self) -> bool:
        """Whether the versions do the same."""
        return self.plant == SAME


@dataclass(frozen=True, slots=True)
class ShadowRun:
    """How one went.

    :ivar found: after so many pairs there was something to show; None: there was not.
    """

    found: int | None
    family: str


def runShadow(case: ShadowCase, seed: tuple[int, ...]) -> ShadowRun:
    """Run it once, until there is something to show."""
    chance = np.random.default_rng(seed)
    judge, times = Judge(now=START), PairTimes()
    judge.begin(Step("shadow", 0.2, Until(pairs=case.pairs)), bytes(BUCKETS // 8), START)
    for second in range(1, case.pairs // case.together + 1):
        judge.compared(compare(case.together, case.plant, chance, times))
        verdict = judge.verdict(START + second)
        if verdict.kind == "regression":
            return ShadowRun(second * case.together, verdict.family)
    return ShadowRun(None, "")
