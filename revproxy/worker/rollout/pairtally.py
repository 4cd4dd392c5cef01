"""
What the pairs of one trial have shown, until it is told.

A pair are the outcomes of both versions on copies of a request, beside the real one: R1 was the real answer, R2 is that
of the version that has served, on a copy, C that of the other one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from revproxy.plan.evidence import DifferenceCount, TrialPairs
from revproxy.replay.difference import Difference, differences, incomparable
from revproxy.replay.example import exampleOf
from revproxy.replay.outcome import Outcome
from revproxy.replay.recordedcall import RecordedCall
from revproxy.worker.rollout.pairtimes import PairTimes

GROUPS: Final = 200
"""
Kinds of differences that are told apart; there are more where what differs is in their names, as in random ids. All
further ones are one kind together, :data:`OTHERS`: what a version does to be counted must not be to differ less.
"""

OTHERS: Final = ("others", "changed")

EXAMPLES: Final = 3
"""Of each of them."""

REASONS: Final = 20
"""Why pairs cannot be compared."""


class _Group:
    """Pairs that differ in the same way."""

    __slots__ = ("both", "candidate", "control", "examples")

    def __init__(self) -> None:
        self.candidate = self.control = self.both = 0
        self.examples: list[tuple[str, str, str]] = []


class PairTally:
    """
    Of one trial, in one direction.
    """

    def __init__(self, trial: str, isReversed: bool = False) -> None:
        """:param isReversed: the candidate has served."""
        self._trial = trial
        self._isReversed = isReversed
        self._times = PairTimes()
        self._exampled: dict[tuple[str, str], int] = {}
        self._named: set[tuple[str, str]] = set()
        self._begin()

    def _begin(self) -> None:
        self._compared = self._dropped = self._unnamed = self._faults = self._controlFaults = 0
        self._incomparable: dict[str, int] = {}
        self._groups: dict[tuple[str, str], _Group] = {}
        self._times.begin()

    def dropped(self, count: int = 1) -> None:
        """There was no time for so many."""
        self._dropped += count

    def notComparable(self, why: str) -> None:
        """One that cannot be compared."""
        if why not in self._incomparable and len(self._incomparable) >= REASONS:
            why = "other reasons"
        self._incomparable[why] = self._incomparable.get(why, 0) + 1

    def compare(
        self,
        calls: Sequence[RecordedCall],
        real: Sequence[Outcome],
        same: Sequence[Outcome],
        other: Sequence[Outcome],
        isOtherFirst: bool = False,
    ) -> None:
        """
        A pair.

        :param calls: those of the request.
        :param real: R1; ``same``: R2; ``other``: C.
        :param isOtherFirst: whether C was made before R2.
        """
        why = incomparable(real) or incomparable(same) or incomparable(other)
        if why:
            self.notComparable(why)
            return
        self._compared += 1
        mine = self._told(differences(real, same))
        its = self._told(differences(real, other))
        seen = [(call, outcome) for made in (real, other) for call, outcome in zip(calls, made, strict=False)]
        for key in {**mine, **its}:
            self._differs(key, mine.get(key), its.get(key), seen)
        self._timed(sum(each.seconds for each in same), sum(each.seconds for each in other), isOtherFirst)
        self._failed(same, other)

    def _told(self, found: Sequence[Difference]) -> dict[tuple[str, str], Difference]:
        """By field and kind: as they are told apart, one of each."""
        told: dict[tuple[str, str], Difference] = {}
        for each in found:
            key = each[:2]
            if key not in self._named:
                if len(self._named) < GROUPS:
                    self._named.add(key)
                else:
                    key = OTHERS
                    self._unnamed += 1
            told.setdefault(key, each)
        return told

    def _differs(
        self,
        key: tuple[str, str],
        mine: Difference | None,
        its: Difference | None,
        seen: Sequence[tuple[RecordedCall, Outcome]],
    ) -> None:
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group()
        if mine is None:
            group.candidate += 1
        elif its is None:
            group.control += 1
        else:
            group.both += 1
        if its is not None and mine is None and self._hasRoom(key):
            self._exampled[key] = self._exampled.get(key, 0) + 1
            group.examples.append(exampleOf(its, seen))

    def _hasRoom(self, key: tuple[str, str]) -> bool:
        """Whether there are too few examples of a kind of difference."""
        return self._exampled.get(key, 0) < EXAMPLES

    def _timed(self, same: float, other: float, isOtherFirst: bool) -> None:
        if self._isReversed:
            self._times.saw(other, same, not isOtherFirst)
        else:
            self._times.saw(same, other, isOtherFirst)

    def _failed(self, same: Sequence[Outcome], other: Sequence[Outcome]) -> None:
        running, candidate = (other, same) if self._isReversed else (same, other)
        candidateFailed, runningFailed = _raised(candidate), _raised(running)
        self._faults += candidateFailed and not runningFailed
        self._controlFaults += runningFailed and not candidateFailed

    def take(self) -> TrialPairs | None:
        """What is to be told; None: nothing."""
        if not (self._compared or self._incomparable or self._dropped):
            return None
        told = TrialPairs(
            self._trial,
            self._isReversed,
            self._compared,
            self._incomparable,
            self._dropped,
            tuple(
                DifferenceCount(*key, group.candidate, group.control, group.both, tuple(group.examples))
                for key, group in self._groups.items()
            ),
            self._unnamed,
            _three(self._times.slower),
            _three(self._times.faster),
            self._faults,
            self._controlFaults,
            self._times.timed,
            self._times.logs,
        )
        self._begin()
        return told


def _three(counts: Sequence[int]) -> tuple[int, int, int]:
    return counts[0], counts[1], counts[2]


def _raised(outcomes: Sequence[Outcome]) -> bool:
    return any(outcome.raised is not None for outcome in outcomes)
