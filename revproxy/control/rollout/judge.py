"""
Decides whether a candidate is worse than what runs, by what workers tell.

There is one judge for a rollout, from its first step to its end: what is staked on being wrong is staked once. It has
no clock and no files; whoever drives it gives it the time, and keeps what it has `saved`.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from revproxy.config.rolloutpolicy import Expectation, Step
from revproxy.control.rollout.findings import DifferenceEvidence, FamilyEvidence, PairsSeen, Progress
from revproxy.control.rollout.verdict import Verdict
from revproxy.plan.evidence import ArmCounts, TrialEvidence, TrialPairs


class SavedJudge(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    All that a judge remembers, for a file.
    """


class Judge:
    """
    One of a rollout.

    Times are seconds since the epoch. A clock that jumps is noticed, and the jump is not taken for time.

    :param interrupts: whether it is judged how often the plugins stop requests. No: for those that count for all,
        whose two versions count apart.
    :param expect: differences that are meant.
    :ivar thresholds: by plugin, what self times are held against, once that is known.
    """

    def __init__(self, *, interrupts: bool = True, expect: Sequence[Expectation] = (), now: float) -> None:
        raise NotImplementedError

    def begin(self, step: Step, canary: bytes, now: float) -> None:
        """
        A step begins: a shadow, with no bucket of the candidate's, or a canary. To be called when all workers have
        committed to it: what they tell of before is not counted.

        :param canary: a bit for each bucket, as in `Trial`. To those of the step before, buckets may come; none goes.
        :raises ValueError: if one goes.
        """
        raise NotImplementedError

    def heard(self, evidence: TrialEvidence) -> None:
        """What a worker tells, whichever."""
        raise NotImplementedError

    def compared(self, pairs: TrialPairs) -> None:
        """What a worker's shadow tells."""
        raise NotImplementedError

    def leaked(self, what: str) -> None:
        """
        An instance of the candidate that was tried in a shadow is over, and something of it remains.

        :param what: in words.
        """
        raise NotImplementedError

    def verdict(self, now: float) -> Verdict:
        """
        What is to be said by now. To be asked each second: some is looked at only then. A regression stays one.

        ``content`` and ``pair-time`` are worth looking at, whoever serves: many differences are meant.
        """
        raise NotImplementedError

    def progress(self, now: float) -> Progress:
        """How far the step is."""
        raise NotImplementedError

    def families(self) -> tuple[FamilyEvidence, ...]:
        """What speaks against the candidate, the weightiest first."""
        raise NotImplementedError

    def differences(self) -> tuple[DifferenceEvidence, ...]:
        """What the versions differ in: the weightiest first, noise and what is expected last."""
        raise NotImplementedError

    def arms(self) -> tuple[ArmCounts, ArmCounts]:
        """What the running version did beside the candidate, and what the candidate did, since the rollout began."""
        raise NotImplementedError

    def pairs(self) -> PairsSeen | None:
        """What shadows compared; None: none did."""
        raise NotImplementedError

    @property
    def curve(self) -> tuple[tuple[float, float], ...]:
        """When, and the highest of the odds as a share of what decides times 125; some hundred points at most."""
        raise NotImplementedError

    def saved(self) -> SavedJudge:
        """All that it knows."""
        raise NotImplementedError

    @classmethod
    def restored(
        cls, saved: SavedJudge, *, interrupts: bool = True, expect: Sequence[Expectation] = (), now: float
    ) -> Judge:
        """One that knows what another did. Time that passed meanwhile is not counted."""
        raise NotImplementedError
