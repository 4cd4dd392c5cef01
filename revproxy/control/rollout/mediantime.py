"""
Whether the candidate's calls are slower everywhere, by more than a tenth.

Each bucket from which calls came gets one figure: the mean of the logarithms of its self times, drawn to the middle
where there are few. Where it is known, what the same bucket took before the candidate served anybody is taken off. The
candidate's buckets are let off a tenth. Then all are sorted, and the ranks of the candidate's are added: which of them
are the candidate's was drawn by lot, so how large the sum can be by chance is known (Wilcoxon's rank sum).

This sum may not be looked at at will. It is looked at after 5 s and then each time in half as long again; each of these
has its part of the 0.2 % that is staked on it.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterator, Sequence
from math import erfc, log, sqrt
from typing import Any

import msgspec

from revproxy.control.rollout.findings import THRESHOLD
from revproxy.control.rollout.mixture import HIGHEST
from revproxy.plan.evidence import BucketTime
from revproxy.plan.trial import BUCKETS

MARGIN = log(1.10)
"""What the candidate may be slower, as a logarithm."""

STAKE = 0.002
"""The chance that an equal candidate is ever found slower."""

FIRST_LOOK = 5.0
"""Seconds."""

GROWTH = 1.5
"""Each look is after so many times as long."""

SHRINKAGE = 4.0
"""Calls that a bucket is taken to have had in the middle, beside its own."""

LEAST = 4
"""Buckets that each side must have, for its sum to be near the normal distribution."""


class SavedTimes(msgspec.Struct, frozen=True, array_like=True):
    """
    What is remembered: calls and sums of logarithms by bucket, four bytes each and packed, for they are written each
    second; and how often was looked.
    """

    counts: bytes
    logs: bytes
    countsBefore: bytes
    logsBefore: bytes
    looks: int
    looksInStep: int
    odds: float
    slower: tuple[int, int]
    of: tuple[int, int]


class MedianTime:
    """
    :ivar odds: weighted, so that `revproxy.control.rollout.findings.THRESHOLD` decides: by the last look.
    :ivar active: from how many of the candidate's buckets, and of the running version's, calls came in this step.
    :ivar slower: of the candidate's buckets, and the running version's, those above the middle in the last look;
        ``of``: how many there were of each.
    """

    def __init__(self) -> None:
        self.odds = 0.0
        self.slower = self.of = (0, 0)
        self.active = [0, 0]
        self._looks = self._looksInStep = 0
        self._counts, self._logs = _zeros()
        self._countsBefore, self._logsBefore = _zeros()

    def begin(self) -> None:
        """A step begins in which the candidate serves more than before."""
        self._counts, self._logs = _zeros()
        self._looksInStep = 0
        self.active = [0, 0]

    def heard(self, time: BucketTime, isBefore: bool) -> None:
        """
        A bucket's calls.

        :param isBefore: whether the candidate serves nobody yet.
        """
        counts, logs = (self._countsBefore, self._logsBefore) if isBefore else (self._counts, self._logs)
        if not (isBefore or counts[time.bucket]) and time.count:
            self.active[0 if time.isCandidate else 1] += 1
        counts[time.bucket] += time.count
        logs[time.bucket] += time.logs

    def calls(self, bucket: int) -> int:
        """Calls of a bucket since the step began."""
        return self._counts[bucket]

    def look(self, seconds: float, isCandidates: Sequence[bool]) -> bool:
        """
        Look, if it is time.

        :param seconds: since the step began.
        :returns: whether it was.
        """
        if seconds < FIRST_LOOK * GROWTH**self._looksInStep:
            return False
        while seconds >= FIRST_LOOK * GROWTH**self._looksInStep:
            self._looksInStep += 1
        self._looks += 1
        stake = STAKE / (self._looks * (self._looks + 1))
        chance = self._chance(isCandidates)
        self.odds = min(THRESHOLD * stake / chance, HIGHEST) if chance > 0 else HIGHEST
        return True

    def _chance(self, isCandidates: Sequence[bool]) -> float:
        """By chance alone, the sum of ranks would be as large as it is with this probability."""
        scores = sorted(self._scores(isCandidates))
        ours = sum(isOurs for _, isOurs in scores)
        theirs = len(scores) - ours
        half = len(scores) // 2
        above = sum(isOurs for _, isOurs in scores[-half:]) if half else 0
        self.slower, self.of = (above, half - above), (ours, theirs)
        if min(ours, theirs) < LEAST:
            return 1.0
        total, tied = _rankSum(scores)
        size = ours + theirs
        variance = ours * theirs / 12 * (size + 1 - tied / (size * (size - 1)))
        if variance <= 0:
            return 1.0
        return erfc((total - ours * (size + 1) / 2) / sqrt(2 * variance)) / 2

    def _scores(self, isCandidates: Sequence[bool]) -> Iterator[tuple[float, bool]]:
        allowed = sum(MARGIN * count for count, ours in zip(self._counts, isCandidates, strict=True) if ours)
        middle = (sum(self._logs) - allowed) / max(sum(self._counts), 1)
        middleBefore = sum(self._logsBefore) / max(sum(self._countsBefore), 1)
        for bucket, count in enumerate(self._counts):
            if not count:
                continue
            before, expected = self._countsBefore[bucket], 0.0
            if before:
                expected = (self._logsBefore[bucket] / before - middleBefore) * before / (before + SHRINKAGE)
            isOurs = isCandidates[bucket]
            own = self._logs[bucket] / count - middle - expected - (MARGIN if isOurs else 0.0)
            yield own * count / (count + SHRINKAGE), isOurs

    def saved(self) -> SavedTimes:
        """All that it knows."""
        return SavedTimes(
            _packed("I", self._counts), _packed("f", self._logs), _packed("I", self._countsBefore),
            _packed("f", self._logsBefore), self._looks, self._looksInStep, self.odds, self.slower, self.of,
        )  # fmt: skip

    def restore(self, saved: SavedTimes, isCandidates: Sequence[bool]) -> None:
        """
        Go on from there.

        :param isCandidates: by bucket, whose it is.
        :raises ValueError: if that cannot be.
        """
        self._counts, self._logs = array("q", _unpacked("I", saved.counts)), array("d", _unpacked("f", saved.logs))
        self._countsBefore = array("q", _unpacked("I", saved.countsBefore))
        self._logsBefore = array("d", _unpacked("f", saved.logsBefore))
        self._looks, self._looksInStep, self.odds = saved.looks, saved.looksInStep, saved.odds
        self.slower, self.of = saved.slower, saved.of
        ours = sum(1 for count, isOurs in zip(self._counts, isCandidates, strict=True) if count and isOurs)
        self.active = [ours, sum(1 for count in self._counts if count) - ours]


def _zeros() -> tuple[array[int], array[float]]:
    return array("q", bytes(8 * BUCKETS)), array("d", bytes(8 * BUCKETS))


def _packed(code: str, numbers: array[int] | array[float]) -> bytes:
    return zlib.compress(array(code, numbers).tobytes(), 1)


def _unpacked(code: str, packed: bytes) -> array[Any]:
    try:
        numbers: array[Any] = array(code, zlib.decompress(packed))
    except zlib.error as error:
        raise ValueError(f"the figures of buckets are damaged: {error}")
    if len(numbers) != BUCKETS:
        raise ValueError(f"figures are kept of {len(numbers)} buckets, not {BUCKETS}")
    return numbers


def _rankSum(scores: Sequence[tuple[float, bool]]) -> tuple[float, float]:
    """
    :param scores: ascending.
    :returns: the sum of ours' ranks, those that are equal sharing theirs; and the sum of t³ - t over ties of t.
    """
    total = tied = 0.0
    start = 0
    while start < len(scores):
        end = start + 1
        while end < len(scores) and scores[end][0] == scores[start][0]:
            end += 1
        rank = (start + 1 + end) / 2
        total += rank * sum(isOurs for _, isOurs in scores[start:end])
        tied += (end - start) ** 3 - (end - start)
        start = end
    return total, tied
