"""
Whose clients something happens to first.

The clients of a rollout are in buckets, and which buckets are the candidate's was drawn by lot. If the candidate does
what the running version does, then what happens to a bucket does not depend on whose it is. So when something happens
to a bucket for the first time, whether that one is the candidate's is a draw from those to which it has not happened:
the odds are those of the numbers left, whatever the traffic is like, and however much one client's requests are alike.
A second event in a bucket says nothing, for it is known whose it is.

When buckets are added to the candidate's, each may be drawn again that was known to be the running version's: by its
new label. So buckets are in sets, by the step in which each was last known to be the running version's. In a set, all
are alike, and the odds are those of the numbers left in it. Those that are known to be the candidate's stay so, and
say nothing any more.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from revproxy.control.rollout.mixture import Mixture
from revproxy.plan.trial import BUCKETS

MARGIN = 1.25
"""A candidate to whose clients it happens so many times as often is not worse yet."""

_TOLD = 255
"""The set of those that say nothing any more in this step."""

STEPS = _TOLD - 1
"""Steps that a rollout can have, at most."""


class SavedLabels(msgspec.Struct, frozen=True, array_like=True):
    """What is remembered of one family."""

    sets: bytes
    more: tuple[float, ...]
    fewer: tuple[float, ...]
    candidate: int
    running: int


class Labels:
    """
    One family.

    :ivar more: how much likelier it is that it happens more often with the candidate; ``fewer``: less often.
    :ivar candidate: the candidate's buckets in which it happened, since the step began; ``running`` so.
    """

    def __init__(self) -> None:
        self.more = Mixture()
        self.fewer = Mixture()
        self.candidate = self.running = 0
        self._sets = bytearray(BUCKETS)
        self._isCandidates: Sequence[bool] = [False] * BUCKETS
        self._left: dict[int, list[int]] = {}
        self._count()

    def begin(self, step: int, isCandidates: Sequence[bool]) -> None:
        """
        A step begins.

        :param step: its number, from 1.
        :param isCandidates: by bucket; those that were stay so.
        """
        sets = self._sets
        for bucket in range(BUCKETS):
            if sets[bucket] == _TOLD and not self._isCandidates[bucket]:
                sets[bucket] = min(step, STEPS)
        self._isCandidates = isCandidates
        self.anew()
        self._count()

    def anew(self) -> None:
        """
        The step is measured anew. Nothing was drawn again, so what is known of a bucket is known: it says nothing more.
        """
        self.candidate = self.running = 0

    def happened(self, bucket: int) -> None:
        """It happened to one of this bucket."""
        group = self._sets[bucket]
        if group == _TOLD:
            return
        isCandidates = self._isCandidates[bucket]
        left = self._left[group]
        if left[0] and left[1]:
            odds = left[0] / left[1]
            self.more.saw(isCandidates, odds * MARGIN)
            self.fewer.saw(not isCandidates, MARGIN / odds)
        left[0 if isCandidates else 1] -= 1
        self._sets[bucket] = _TOLD
        if isCandidates:
            self.candidate += 1
        else:
            self.running += 1

    def oddsLeft(self) -> float | None:
        """Those that the next bucket is the candidate's, margin included. None: it is certain whose it is."""
        candidate, running = (sum(left[number] for left in self._left.values()) for number in (0, 1))
        return MARGIN * candidate / running if candidate and running else None

    def _count(self) -> None:
        self._left = {}
        for group, isCandidates in zip(self._sets, self._isCandidates, strict=True):
            if group != _TOLD:
                self._left.setdefault(group, [0, 0])[0 if isCandidates else 1] += 1

    def saved(self) -> SavedLabels:
        """All that it knows, but for whose the buckets are."""
        return SavedLabels(
            bytes(self._sets), tuple(self.more.logs), tuple(self.fewer.logs), self.candidate, self.running
        )

    def restore(self, saved: SavedLabels, isCandidates: Sequence[bool]) -> None:
        """
        Go on from there.

        :raises ValueError: if that cannot be.
        """
        if len(saved.sets) != BUCKETS:
            raise ValueError(f"{len(saved.sets)} buckets are kept of {BUCKETS}")
        if not (0 <= saved.candidate <= BUCKETS and 0 <= saved.running <= BUCKETS):
            raise ValueError(f"it is kept to have happened to {saved.candidate} and {saved.running} buckets")
        self._sets = bytearray(saved.sets)
        self._isCandidates = isCandidates
        self.more.restore(saved.more)
        self.fewer.restore(saved.fewer)
        self.candidate, self.running = saved.candidate, saved.running
        self._count()
