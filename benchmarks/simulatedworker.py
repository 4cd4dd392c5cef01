"""What a worker would tell of calls that were never made: the words that the product's judge hears."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.simulatedclients import Array, Chance, Requests
from benchmarks.simulatedversions import NOTHING, Calls, call
from revproxy.plan.evidence import ArmCounts, BucketTime, Family, First, TrialEvidence
from revproxy.plan.trial import BUCKETS

TIMES_EVERY = 5
"""Seconds between two words that have times: they are looked at rarely, and there are many."""

SAMPLES = 4000
"""Calls of the running version by which its self time is known beforehand."""


@dataclass(frozen=True, slots=True)
class WarmUp:
    """The first calls of each arm are not judged: so many, for so many seconds at most."""

    calls: int = 100
    seconds: float = 10.0


WARM = WarmUp()


def known(chance: Chance) -> tuple[float, float, float]:
    """What 10 %, 1 % and 0.1 % of the running version's calls are above, as a worker measures it beforehand."""
    clients = np.arange(SAMPLES)
    requests = Requests(np.zeros(SAMPLES), clients, clients % BUCKETS, SAMPLES)
    seconds = call(requests, np.zeros(SAMPLES, bool), 1.0, 0.0, NOTHING, chance).seconds
    low, middle, high = np.quantile(seconds, (0.9, 0.99, 0.999))
    return float(low), float(middle), float(high)


def judged(requests: Requests, isCandidates: Array, warmUp: WarmUp) -> Array:
    """Which requests are judged: those after the warm-up of both arms, for neither is to have a lead."""
    warm = 0.0
    for isArm in (isCandidates, ~isCandidates):
        times = requests.times[isArm]
        if warmUp.calls and len(times):
            hundredth = times[warmUp.calls] if len(times) > warmUp.calls else np.inf
            warm = max(warm, min(hundredth, times[0] + warmUp.seconds))
    return requests.times >= warm


class SimulatedWorker:
    """
    One, in a step of a canary.

    :param start: seconds since the epoch, at the first second.
    :param thresholds: those of `known`.
    """

    def __init__(
        self, requests: Requests, calls: Calls, isCandidates: Array, isJudged: Array, start: float,
        thresholds: tuple[float, float, float],
    ) -> None:  # fmt: skip
        self._start = start
        self._thresholds = thresholds
        kept = np.flatnonzero(isJudged)
        self._times, self._buckets = requests.times[kept], requests.buckets[kept]
        self._isCandidates = isCandidates[kept]
        self._faults, self._interrupts = calls.faults[kept], calls.interrupts[kept]
        self._logs = np.log(np.clip(calls.seconds[kept], 1e-6, 10.0))
        self._seconds = calls.seconds[kept]

    def tell(self, seconds: int) -> Iterator[TrialEvidence]:
        """What is told after each second; the first one tells the thresholds."""
        firsts = self._firsts()
        ends = np.searchsorted(self._times, np.arange(1, seconds + 1))
        place = begin = begun = 0
        for second, end in enumerate(ends, 1):
            told = []
            while place < len(firsts) and firsts[place].at < self._start + second:
                told.append(firsts[place])
                place += 1
            times: tuple[BucketTime, ...] = ()
            if second % TIMES_EVERY == 0:
                times, begun = self._bucketTimes(begun, end), end
            yield TrialEvidence(
                "simulated", self._counts(begin, end, False), self._counts(begin, end, True), tuple(told), times,
                thresholds={"plugin": self._thresholds} if second == 1 else {},
            )  # fmt: skip
            begin = end

    def _counts(self, begin: int, end: int, isCandidate: bool) -> ArmCounts:
        ours = self._isCandidates[begin:end] == isCandidate
        return ArmCounts(
            int(ours.sum()),
            faults=int((self._faults[begin:end] & ours).sum()),
            interrupts=int((self._interrupts[begin:end] & ours).sum()),
            seconds=float(self._seconds[begin:end][ours].sum()),
        )

    def _bucketTimes(self, begin: int, end: int) -> tuple[BucketTime, ...]:
        buckets = self._buckets[begin:end]
        counts = np.bincount(buckets, minlength=BUCKETS)
        logs = np.bincount(buckets, self._logs[begin:end], BUCKETS)
        isOurs = np.zeros(BUCKETS, bool)
        isOurs[buckets] = self._isCandidates[begin:end]
        active = np.flatnonzero(counts)
        columns = (active.tolist(), isOurs[active].tolist(), counts[active].tolist(), logs[active].tolist())
        return tuple(map(BucketTime, *columns))

    def _firsts(self) -> list[First]:
        happened: list[tuple[Family, Array]] = [("faults", self._faults), ("interrupts", self._interrupts)]
        names: tuple[Family, ...] = ("slow90", "slow99", "slow999")
        happened += [(name, self._seconds > limit) for name, limit in zip(names, self._thresholds, strict=True)]
        found = []
        for family, where in happened:
            places = np.flatnonzero(where)
            _, first = np.unique(self._buckets[places], return_index=True)
            for place in places[first]:
                at = self._start + float(self._times[place])
                found.append(First(at, family, int(self._buckets[place]), bool(self._isCandidates[place])))
        return sorted(found, key=lambda first: first.at)
