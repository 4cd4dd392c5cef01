"""
Whether the candidate does worse by the clients that it serves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from revproxy.config.rolloutpolicy import Until
from revproxy.control.rollout.findings import THRESHOLD, FamilyEvidence
from revproxy.control.rollout.labels import Labels, SavedLabels
from revproxy.control.rollout.mediantime import MedianTime, SavedTimes
from revproxy.control.rollout.power import MOST_FAULTS, Expected, averageFor, chanceOf
from revproxy.plan.evidence import FAMILIES, BucketTime, First
from revproxy.plan.trial import BUCKETS

FEWER = "interrupts-fewer"
"""The family of a candidate that stops fewer requests: one that lets all through."""

WEIGHTS: Mapping[str, float] = {
    "faults": 0.40, "interrupts": 0.15, FEWER: 0.15, "slow90": 0.10, "slow99": 0.10, "slow999": 0.10,
}  # fmt: skip
"""
What part of the stake is on each family, 1 together: one of them decides when its odds times its weight are
`THRESHOLD`. That this is too often so by chance for none of them is the sum of what each has at stake.
"""

UNFIT = 100
"""Of what is told, so much may be by labels that are not known here. More, and most of it: something is wrong."""


class SavedCanary(msgspec.Struct, frozen=True, array_like=True):
    """What is remembered."""

    labels: dict[str, SavedLabels]
    median: SavedTimes
    fit: int
    unfit: int


class CanaryJudge:
    """
    :param interrupts: whether it is judged how often requests are stopped.
    :ivar isCandidates: by bucket, whose it is.
    """

    def __init__(self, interrupts: bool) -> None:
        self._weights = {name: part for name, part in WEIGHTS.items() if interrupts or "interrupts" not in name}
        self._labels: dict[str, Labels] = {family: Labels() for family in FAMILIES}
        self._median = MedianTime()
        self._expected: Expected | None = None
        self._fit = self._unfit = 0
        # By what has happened in the step: asked each second, and seldom another number.
        self._needed: tuple[tuple[int, int], int | None] | None = None
        self.isCandidates: Sequence[bool] = [False] * BUCKETS

    def begin(self, number: int, isCandidates: Sequence[bool], until: Until) -> None:
        """
        A step begins.

        :param number: of the step, from 1.
        """
        self.isCandidates = isCandidates
        for labels in self._labels.values():
            labels.begin(number, isCandidates)
        self.anew(until)

    def anew(self, until: Until) -> None:
        """The step is measured anew."""
        for labels in self._labels.values():
            labels.anew()
        self._median.begin()
        self._fit = self._unfit = 0
        self._needed = None
        self._expect(until)

    def _expect(self, until: Until) -> None:
        self._expected = None if until.fault is None else Expected(until.fault)

    def heard(self, firsts: Sequence[First], times: Sequence[BucketTime], isBefore: bool) -> str:
        """
        What a worker tells of it.

        :param isBefore: whether the candidate serves nobody yet.
        :returns: the family that decides by it; empty: none.
        """
        for time in times:
            if self._fits(time.bucket, time.isCandidate):
                self._called(time, isBefore)
        for first in firsts:
            if not isBefore and self._fits(first.bucket, first.isCandidate):
                self._labels[first.family].happened(first.bucket)
                if found := self._deciding(first.family):
                    return found
        return ""

    def _fits(self, bucket: int, isCandidate: bool) -> bool:
        """
        No, of what a request did that began before a bucket became the candidate's.
        """
        if isCandidate == self.isCandidates[bucket]:
            self._fit += 1
            return True
        self._unfit += 1
        return False

    def _called(self, time: BucketTime, isBefore: bool) -> None:
        if self._expected is not None and time.isCandidate:
            calls = self._median.calls(time.bucket)
            self._expected.called(calls, calls + time.count)
        self._median.heard(time, isBefore)

    def _deciding(self, family: str) -> str:
        names = (family, FEWER) if family == "interrupts" else (family,)
        return next((name for name in names if name in self._weights and self.odds(name) >= THRESHOLD), "")

    def odds(self, family: str) -> float:
        """Weighted, so that `THRESHOLD` decides; of a family of :data:`WEIGHTS`."""
        if family == FEWER:
            return self._weights[FEWER] * self._labels["interrupts"].fewer.odds()
        return self._weights[family] * self._labels[family].more.odds()

    def look(self, seconds: float) -> str:
        """
        At what may not be looked at at will.

        :param seconds: since the step began.
        :returns: the family that decides by it; empty: none.
        """
        return "median" if self._median.look(seconds, self.isCandidates) and self._median.odds >= THRESHOLD else ""

    @property
    def trouble(self) -> str:
        """Why what was told cannot be believed; empty: it can."""
        if self._unfit > max(UNFIT, self._fit):
            return (
                "most of what workers tell is by clients whom they take for the other version's: "
                f"{self._unfit} events of {self._unfit + self._fit}"
            )
        return ""

    def families(self) -> tuple[FamilyEvidence, ...]:
        """What speaks against the candidate, the weightiest first."""
        return tuple(sorted(self._families(), key=lambda family: -family.odds))

    def _families(self) -> Iterator[FamilyEvidence]:
        of = self._median.active[0], self._median.active[1]
        for name in self._weights:
            labels = self._labels["interrupts" if name == FEWER else name]
            yield FamilyEvidence(name, self.odds(name), THRESHOLD, labels.candidate, labels.running, *of)
        median = self._median
        yield FamilyEvidence("median", median.odds, THRESHOLD, *median.slower, *median.of)

    @property
    def active(self) -> int:
        """From so many of the candidate's buckets calls came in this step."""
        return self._median.active[0]

    def have(self) -> float | None:
        """How many faults a candidate as bad as is looked for would have shown; None: none is looked for."""
        return None if self._expected is None else self._expected.faults

    def faultsNeeded(self) -> int | None:
        """How many decide, counted since the step began. None: they never would."""
        labels = self._labels["faults"]
        seen = labels.candidate, labels.running
        if self._needed is None or self._needed[0] != seen:
            self._needed = seen, self._countNeeded(labels)
        return self._needed[1]

    def _countNeeded(self, labels: Labels) -> int | None:
        odds = labels.oddsLeft()
        if odds is None:
            return None
        for further in range(MOST_FAULTS):
            if self._weights["faults"] * labels.more.odds(further, odds) >= THRESHOLD:
                return labels.candidate + further
        return None

    def sight(self, power: float) -> tuple[float | None, float]:
        """
        What it takes that a candidate as bad as is looked for would have been found.

        :param power: with this probability.
        :returns: so many of `have`, None: nothing ever is enough; and the probability by now.
        """
        faults = self.faultsNeeded()
        if faults is None or self._expected is None:
            return None, 0.0
        return averageFor(faults, power), chanceOf(faults, self._expected.faults)

    def saved(self) -> SavedCanary:
        """All that it knows, but for whose the buckets are."""
        labels = {family: labels.saved() for family, labels in self._labels.items()}
        return SavedCanary(labels, self._median.saved(), self._fit, self._unfit)

    def restore(self, saved: SavedCanary, isCandidates: Sequence[bool], until: Until) -> None:
        """
        Go on from there.

        :raises ValueError: if that cannot be.
        """
        self.isCandidates = isCandidates
        for family, labels in self._labels.items():
            if family not in saved.labels:
                raise ValueError(f"nothing is kept of {family}")
            labels.restore(saved.labels[family], isCandidates)
        self._median.restore(saved.median, isCandidates)
        self._fit, self._unfit = saved.fit, saved.unfit
        self._expect(until)
        if self._expected is not None:
            for bucket, isOurs in enumerate(isCandidates):
                if isOurs:
                    self._expected.called(0, self._median.calls(bucket))
