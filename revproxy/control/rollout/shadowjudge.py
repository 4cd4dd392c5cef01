"""
Whether the versions differ in what they do, by pairs of calls on copies of one request.

R1 is the real answer, R2 that of the same code on a copy, C that of the other version on a copy. Where exactly one of
R2 and C differs from R1, it is a toss-up which, if the versions do the same: whatever is noise meets both. So for each
field and kind of difference the tosses are counted, and likewise for which of two self times is the longer (McNemar's
test and the sign test, by `mixture`: it may be looked at as often as anybody likes).

What is staked on being wrong is 0.5 %: six tenths of it on what they do, shared out to differences as they appear, and
four tenths on time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec

from revproxy.config.rolloutpolicy import Expectation
from revproxy.control.rollout.differencegroup import CONTENT, DifferenceGroup, SavedGroup
from revproxy.control.rollout.findings import SHADOW_THRESHOLD, SUSPICION, DifferenceEvidence, PairsSeen
from revproxy.control.rollout.mixture import Mixture
from revproxy.plan.evidence import DifferenceCount, TrialPairs

TIMES = 3
"""Ways to compare times: of pairs that differ by a tenth, of all, of those with a long one."""

TIME = (1 - CONTENT) / TIMES
"""Of the stake, what is on each of them."""

GROUPS = 500
"""So many differences are told apart: more than a worker does in both directions."""

_TURNED = {"added": "removed", "removed": "added"}


class SavedShadow(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is remembered."""

    groups: tuple[SavedGroup, ...] = ()
    times: tuple[tuple[float, ...], ...] = ()
    hasAcceptedTime: bool = False
    seen: PairsSeen = PairsSeen()


class ShadowJudge:
    """
    :param expect: differences that are meant.
    """

    def __init__(self, expect: Sequence[Expectation] = ()) -> None:
        self._expect = tuple(expect)
        self._groups: dict[tuple[str, str], DifferenceGroup] = {}
        self._times = [Mixture() for _ in range(TIMES)]
        self._hasAcceptedTime = False
        self._seen = PairsSeen()

    def compared(self, told: TrialPairs) -> None:
        """What a worker's shadow tells."""
        seen = self._seen
        incomparable = dict(seen.incomparable)
        for why, count in told.incomparable.items():
            incomparable[why] = incomparable.get(why, 0) + count
        self._seen = PairsSeen(
            seen.compared + told.compared, incomparable, seen.dropped + told.dropped, seen.faults + told.faults,
            seen.controlFaults + told.controlFaults, seen.slower + told.slower[0], seen.faster + told.faster[0], 0.0,
            seen.unnamed + told.unnamed, seen.timed + told.timed, seen.logs + told.logs,
        )  # fmt: skip
        for difference in told.differences:
            self._differed(difference, told.isReversed)
        for mixture, slower, faster in zip(self._times, told.slower, told.faster, strict=True):
            mixture.saw(True, 1.0, slower)
            mixture.saw(False, 1.0, faster)

    def _differed(self, told: DifferenceCount, isReversed: bool) -> None:
        kind = _TURNED.get(told.kind, told.kind) if isReversed else told.kind
        group = self._groups.get((told.field, kind))
        if group is None:
            if len(self._groups) >= GROUPS:
                self._seen = replace(self._seen, unnamed=self._seen.unnamed + 1)
                return
            group = self._groups[told.field, kind] = self._appeared(told.field, kind)
        group.add(told)

    def _appeared(self, field: str, kind: str) -> DifferenceGroup:
        place = sum(not group.isExpected for group in self._groups.values())
        return DifferenceGroup(field, kind, place, self._isExpected(field, kind))

    def _isExpected(self, field: str, kind: str) -> bool:
        return any(expectation.isMet(field, kind) for expectation in self._expect)

    def worst(self) -> DifferenceEvidence | None:
        """The difference that weighs the most, of those of the candidate's that decide; None: there is none."""
        groups = [group for group in self._groups.values() if group.decides and group.counts[0]]
        return max(groups, key=lambda group: group.odds).evidence() if groups else None

    @property
    def timeOdds(self) -> float:
        """Weighted, that the candidate is the slower."""
        return max(mixture.odds() for mixture in self._times) * TIME

    @property
    def judgedTimeOdds(self) -> float:
        """The same; 0 if somebody has accepted that it is."""
        return 0.0 if self._hasAcceptedTime else self.timeOdds

    def accept(self, isSeen: bool = False) -> None:
        """
        What has decided until now does so no more.

        :param isSeen: somebody goes on who has been shown what there is: that goes for all of it, noise apart, and for
            a time that kept the step from ending well.
        """
        for group in self._groups.values():
            isShown = isSeen and group.counts[0] > 0 and not group.isNoise
            group.isAccepted = group.isAccepted or isShown or group.odds >= SHADOW_THRESHOLD
        limit = SHADOW_THRESHOLD * (SUSPICION if isSeen else 1.0)
        self._hasAcceptedTime = self._hasAcceptedTime or self.timeOdds >= limit

    def differences(self) -> tuple[DifferenceEvidence, ...]:
        """All: the weightiest first, what is expected after it, noise last."""
        found = [group.evidence() for group in self._groups.values()]
        return tuple(sorted(found, key=lambda group: (group.isNoise, group.isExpected, -group.odds)))

    def pairs(self) -> PairsSeen:
        """Sums."""
        return replace(self._seen, odds=self.timeOdds)

    def saved(self) -> SavedShadow:
        """All that it knows."""
        return SavedShadow(
            tuple(group.saved() for group in self._groups.values()),
            tuple(tuple(mixture.logs) for mixture in self._times),
            self._hasAcceptedTime, self._seen,
        )  # fmt: skip

    def restore(self, saved: SavedShadow) -> None:
        """
        Go on from there.

        :raises ValueError: if that cannot be.
        """
        for group in saved.groups:
            isExpected = self._isExpected(group.field, group.kind)
            self._groups[group.field, group.kind] = DifferenceGroup.restored(group, isExpected)
        for mixture, logs in zip(self._times, saved.times, strict=True):
            mixture.restore(logs)
        self._hasAcceptedTime, self._seen = saved.hasAcceptedTime, saved.seen
