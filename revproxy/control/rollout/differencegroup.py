"""
One way in which versions differ, and whether it is more than noise.
"""

from __future__ import annotations

import dataclasses

import msgspec

from revproxy.control.rollout.findings import SHADOW_THRESHOLD, DifferenceEvidence
from revproxy.control.rollout.mixture import Mixture
from revproxy.plan.evidence import DifferenceCount

CONTENT = 0.6
"""Of what a shadow stakes on being wrong, what is on differences."""

EXAMPLES = 3
"""Are kept of each."""

CERTAIN = 0.5
"""
The weight of the alternative that only the candidate ever differs. Most faults are of this kind, and are found with
fewer pairs so.
"""

Example = tuple[str, str, str]
"""Request, real answer, what differs."""


def weight(place: int) -> float:
    """
    What part of the stake on differences is that of the one that appeared in this place, from 0. The first four are
    alike, for noise often appears before a fault does. All together are 1.
    """
    return 0.15 if place < 4 else 0.8 / ((place - 2) * (place - 1))


class SavedGroup(msgspec.Struct, frozen=True, array_like=True):
    """What is remembered of one difference."""

    field: str
    kind: str
    place: int
    counts: tuple[int, int, int]
    logs: tuple[float, ...]
    examples: tuple[Example, ...]
    isAccepted: bool


@dataclasses.dataclass(slots=True)
class DifferenceGroup:
    """
    One of them.

    :ivar kind: as the candidate differs from the running version.
    :ivar place: how many others appeared before it, of those that are not expected.
    :ivar isExpected: ``expect`` names it.
    :ivar isAccepted: somebody has seen it, and went on.
    :ivar counts: pairs in which the candidate alone differs, the control alone, both.
    """

    field: str
    kind: str
    place: int
    isExpected: bool
    isAccepted: bool = False
    counts: list[int] = dataclasses.field(default_factory=lambda: [0, 0, 0])
    examples: tuple[Example, ...] = ()
    _mixture: Mixture = dataclasses.field(default_factory=lambda: Mixture(certain=CERTAIN))

    def add(self, told: DifferenceCount) -> None:
        """More pairs."""
        self._mixture.saw(True, 1.0, told.candidate)
        self._mixture.saw(False, 1.0, told.control)
        for place, count in enumerate((told.candidate, told.control, told.both)):
            self.counts[place] += count
        self.examples = (self.examples + told.examples)[:EXAMPLES]

    @property
    def odds(self) -> float:
        """Weighted, that the candidate differs more often than the running version from itself."""
        return self._mixture.odds() * weight(self.place) * CONTENT

    @property
    def isNoise(self) -> bool:
        """Whether the running version differs from itself about as often."""
        candidate, control, both = self.counts
        return control + both > 0 and candidate <= 3 + 1.5 * control

    @property
    def decides(self) -> bool:
        """Whether it is neither meant nor accepted."""
        return not (self.isExpected or self.isAccepted)

    def evidence(self) -> DifferenceEvidence:
        """For those who look."""
        candidate, control, both = self.counts
        return DifferenceEvidence(
            self.field, self.kind, candidate, control, both, self.odds, self.isExpected, self.isNoise, self.examples,
            self.isAccepted,
        )  # fmt: skip

    def saved(self) -> SavedGroup:
        """All that it knows."""
        candidate, control, both = self.counts
        return SavedGroup(
            self.field, self.kind, self.place, (candidate, control, both), tuple(self._mixture.logs), self.examples,
            self.isAccepted,
        )  # fmt: skip

    @classmethod
    def restored(cls, saved: SavedGroup, isExpected: bool) -> DifferenceGroup:
        """
        Go on from there.

        :raises ValueError: if that cannot be.
        """
        group = cls(
            saved.field, saved.kind, saved.place, isExpected, saved.isAccepted, list(saved.counts), saved.examples
        )
        group._mixture.restore(saved.logs)
        return group


def pairsNeeded() -> int:
    """In so many pairs the candidate alone must differ in the same way, for one of the first differences to decide."""
    group = DifferenceGroup("", "", 0, False)
    one = DifferenceCount("", "", 1, 0, 0)
    while group.odds < SHADOW_THRESHOLD:
        group.add(one)
    return group.counts[0]
