"""
What a judge has seen so far, for those who look.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

THRESHOLD = 125.0
"""Odds, weighted, at which a family of the canary decides: 1 in 125 rollouts of an equal version would get there."""

SHADOW_THRESHOLD = 200.0
"""Odds, weighted, at which a shadow decides."""

SUSPICION = 0.1
"""A step does not end well while the odds are more than this of what decides."""


@dataclass(frozen=True, slots=True)
class FamilyEvidence:
    """
    One thing that the candidate can be worse in.

    :ivar family: one of `revproxy.plan.evidence.FAMILIES`, ``interrupts-fewer``, ``median``, ``content``,
        ``pair-time``.
    :ivar odds: weighted, so that ``threshold`` decides.
    :ivar candidate: client groups (buckets) of the candidate's to which it happened; ``running``: of the running
        version's. Of ``median``: those that were slower than the middle. Of ``content`` and ``pair-time``: pairs in
        which the candidate alone differs, or is slower; and the control.
    :ivar ofCandidate: of so many from which anything came; ``ofRunning`` so.
    """

    family: str
    odds: float
    threshold: float
    candidate: int
    running: int
    ofCandidate: int
    ofRunning: int


@dataclass(frozen=True, slots=True)
class DifferenceEvidence:
    """
    Pairs in which the versions differed in the same way; see `revproxy.replay.difference`.

    :ivar kind: as the candidate differs from the running version, whichever of them served.
    :ivar candidate: pairs in which the candidate differs from the running version, and the latter not from itself.
    :ivar control: in which a version differs from itself alone: the noise.
    :ivar both: in which both do.
    :ivar odds: weighted, so that :data:`SHADOW_THRESHOLD` decides.
    :ivar isExpected: whether ``expect`` names it; it decides nothing then.
    :ivar isNoise: whether a version differs from itself about as often.
    :ivar examples: redacted: request, real answer, what differs.
    :ivar isAccepted: whether somebody has seen it and gone on; it decides nothing then.
    """

    field: str
    kind: str
    candidate: int
    control: int
    both: int
    odds: float
    isExpected: bool
    isNoise: bool
    examples: tuple[tuple[str, str, str], ...] = ()
    isAccepted: bool = False


@dataclass(frozen=True, slots=True)
class PairsSeen:
    """
    What shadows compared, since the rollout began.

    :ivar incomparable: by why, how many could not be compared; ``dropped``: were not tried for want of time.
    :ivar slower: pairs that differ by more than a tenth in self time, the candidate being the slower.
    :ivar odds: weighted, that it is the slower.
    :ivar timed: pairs whose times were compared; ``logs``: the sum of the logarithms of how many times as long the
        candidate took.
    :ivar unnamed: kinds of differences that were too many to be told.
    """

    compared: int = 0
    incomparable: Mapping[str, int] = field(default_factory=dict)
    dropped: int = 0
    faults: int = 0
    controlFaults: int = 0
    slower: int = 0
    faster: int = 0
    odds: float = 0.0
    unnamed: int = 0
    timed: int = 0
    logs: float = 0.0


@dataclass(frozen=True, slots=True)
class Progress:
    """
    How far a step is.

    :ivar have: of what ends the step well: of a shadow, pairs; of a canary, faults that a version as bad as
        ``until.fault`` says would have shown by now. None: nothing that is counted ends it.
    :ivar need: so many of it end it.
    :ivar leftSeconds: until then, as things go; None: nobody can say.
    :ivar canSee: what the step can show by now, and what it cannot, in words.
    """

    have: float | None
    need: float | None
    leftSeconds: float | None
    canSee: str
