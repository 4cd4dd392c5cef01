"""
Decides whether a candidate is worse than what runs, by what workers tell.

There is one judge for a rollout, from its first step to its end: what is staked on being wrong is staked once. It has
no clock and no files; whoever drives it gives it the time, and keeps what it has `saved`.

A step ends well only by evidence: nobody coming, nothing being told, figures that cannot be, a clock that jumps are
never taken for a good sign.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter

import msgspec

from revproxy.config.rolloutpolicy import Expectation, Step, Until
from revproxy.control.rollout.canaryjudge import CanaryJudge, SavedCanary
from revproxy.control.rollout.curve import Curve
from revproxy.control.rollout.differencegroup import pairsNeeded
from revproxy.control.rollout.findings import (
    SHADOW_THRESHOLD,
    SUSPICION,
    THRESHOLD,
    DifferenceEvidence,
    FamilyEvidence,
    PairsSeen,
    Progress,
)
from revproxy.control.rollout.hardlimits import HardLimits, SavedLimits
from revproxy.control.rollout.reasons import (
    differenceText,
    familyText,
    faultsSeenText,
    noPairsText,
    noTrafficText,
    oddsText,
    pairsSeenText,
    pairTimeText,
)
from revproxy.control.rollout.shadowjudge import SavedShadow, ShadowJudge
from revproxy.control.rollout.soundness import added, lossText, pairsTrouble, trouble
from revproxy.control.rollout.stepclock import SavedClock, StepClock
from revproxy.control.rollout.verdict import Verdict
from revproxy.plan.evidence import ArmCounts, First, TrialEvidence, TrialPairs
from revproxy.plan.trial import BUCKETS, Thresholds

_Arms = tuple[ArmCounts, ArmCounts]

_NOBODY: _Arms = (ArmCounts(), ArmCounts())


class SavedJudge(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    All that a judge remembers, for a file.

    :ivar canary: a bit for each bucket: whose it is.
    :ivar arms: since the rollout began; ``armsInStep``: since the step began. The running version, and the candidate.
    :ivar comparedBefore: pairs before the step began.
    :ivar worse: the verdict that stays; ``differs``: what is worth looking at, unless somebody has.
    :ivar broken: why what was told in this step cannot be believed.
    """

    canaryJudge: SavedCanary
    shadowJudge: SavedShadow
    limits: SavedLimits
    clock: SavedClock
    steps: int = 0
    kind: str = ""
    until: Until = Until()
    canary: bytes = b""
    arms: _Arms = _NOBODY
    armsInStep: _Arms = _NOBODY
    comparedBefore: int = 0
    worse: Verdict | None = None
    differs: Verdict | None = None
    broken: str = ""
    curve: tuple[tuple[float, float], ...] = ()
    thresholds: dict[str, Thresholds] = {}


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
        self.thresholds: Mapping[str, Thresholds] = {}
        self._judge = CanaryJudge(interrupts)
        self._shadow = ShadowJudge(expect)
        self._limits = HardLimits()
        self._clock = StepClock(now)
        self._curve = Curve()
        self._steps = 0
        self._kind = ""
        self._until = Until()
        self._canary = bytes(BUCKETS // 8)
        self._arms = self._armsInStep = _NOBODY
        self._comparedBefore = 0
        self._worse: Verdict | None = None
        self._differs: Verdict | None = None
        self._broken = ""

    def begin(self, step: Step, canary: bytes, now: float) -> None:
        """
        A step begins: a shadow, with no bucket of the candidate's, or a canary. To be called when all workers have
        committed to it: what they tell of before is not counted. What has decided by differences until now does so no
        more.

        :param canary: a bit for each bucket, as in `Trial`. To those of the step before, buckets may come; none goes.
        :raises ValueError: if one goes.
        """
        if len(canary) != BUCKETS // 8 or any(had & ~has for had, has in zip(self._canary, canary, strict=True)):
            raise ValueError("clients of the candidate's would go back to the running version within a rollout")
        self._accept(isSeen=False)
        self._steps += 1
        self._kind, self._until, self._canary = step.kind, step.until, canary
        self._clock.begin(now)
        self._judge.begin(self._steps, _labels(self._canary), self._until)
        self._measure()

    def _measure(self) -> None:
        self._armsInStep = _NOBODY
        self._comparedBefore = self._shadow.pairs().compared
        self._broken = ""

    def accept(self) -> None:
        """
        Somebody has seen what there is to see, and goes on: the differences that there are decide nothing any more.
        Where the measurement could not be believed, the step is measured anew.
        """
        self._accept(isSeen=True)

    def _accept(self, isSeen: bool) -> None:
        self._shadow.accept(isSeen)
        self._differs = None
        if self._broken:
            self._judge.anew(self._until)
            self._measure()

    def heard(self, evidence: TrialEvidence) -> None:
        """What a worker tells, whichever."""
        if why := trouble(evidence):
            self._broken = self._broken or why
            return
        self._arms = _both(self._arms, evidence)
        self._armsInStep = _both(self._armsInStep, evidence)
        self.thresholds = {**self.thresholds, **evidence.thresholds}
        self._broken = self._broken or lossText(evidence)
        for fingerprint in evidence.fingerprints:
            if not (evidence.lost and fingerprint.isCandidate):  # what is lost may be the running version's
                self._limits.raised(fingerprint)
        for stall in evidence.stalls:
            self._limits.stalled(stall)
        self._look()
        firsts = sorted(filter(self._isOfStep, evidence.firsts), key=attrgetter("at"))
        if found := self._judge.heard(firsts, evidence.times, not any(self._canary)):
            self._found(found)
        # What is told first in a step may be of before it.
        if self._clock.isLate:
            self._broken = self._broken or self._judge.trouble

    def _isOfStep(self, first: First) -> bool:
        """Whether it happened since the step began. If something older comes late, that is no order any more."""
        if first.at >= self._clock.since:
            return True
        if self._clock.isLate:
            self._broken = self._broken or (
                "a worker told of events from before the step long after it began; has a clock been set?"
            )
        return False

    def compared(self, pairs: TrialPairs) -> None:
        """What a worker's shadow tells."""
        if why := pairsTrouble(pairs):
            self._broken = self._broken or why
            return
        self._shadow.compared(pairs)
        worst, seen = self._shadow.worst(), self._shadow.pairs()
        if self._differs is None and worst is not None and worst.odds >= SHADOW_THRESHOLD:
            reason = differenceText(worst, seen.compared)
            self._differs = Verdict("regression", reason, "content", worst.odds)
        if self._differs is None and self._shadow.judgedTimeOdds >= SHADOW_THRESHOLD:
            self._differs = Verdict("regression", pairTimeText(seen), "pair-time", seen.odds)

    def leaked(self, what: str) -> None:
        """
        An instance of the candidate that was tried in a shadow is over, and something of it remains.

        :param what: in words.
        """
        self._limits.leaked(what)
        self._look()

    def verdict(self, now: float) -> Verdict:
        """
        What is to be said by now. To be asked each second: some is looked at only then. A regression stays one.

        ``content`` and ``pair-time`` are worth looking at, whoever serves: many differences are meant.
        """
        self._clock.advance(now)
        if self._kind == "canary" and (found := self._judge.look(self._clock.seconds)):
            self._found(found)
        self._look()
        self._curve.add(now, self._highest() * THRESHOLD)
        return self._worse or self._differs or self._unsure() or self._well()

    def _found(self, family: str) -> None:
        """A family has decided."""
        if self._worse is None:
            evidence = next(known for known in self._judge.families() if known.family == family)
            self._worse = Verdict("regression", familyText(evidence), family, evidence.odds)

    def _look(self) -> None:
        """At the hard limits."""
        self._limits.look(*self._arms, sum(self._judge.isCandidates) / BUCKETS, self._judge.active)
        if self._worse is None and self._limits.decided is not None:
            family, reason = self._limits.decided
            self._worse = Verdict("regression", reason, family)

    def _unsure(self) -> Verdict | None:
        """Why the step cannot end well now, whatever was measured."""
        if self._broken:
            return Verdict("broken-measurement", self._broken)
        if self._kind == "shadow" and self._pairs() == 0:
            return Verdict("no-traffic", noPairsText(self._shadow.pairs()))
        if self._kind == "canary":
            if all(self._judge.isCandidates):
                return Verdict(
                    "undecided", "no client is left to the running version: only hard limits and quarantine judge"
                )
            if not all(arm.requests for arm in self._armsInStep):
                return Verdict("no-traffic", noTrafficText(*self._armsInStep))
        if self.isSuspicious:
            most = self.families()[0]
            decides = f"{oddsText(most.odds)}, and {most.threshold:.0f} : 1 decide"
            return Verdict("undecided", f"something speaks against it: {decides}")
        return None

    def _well(self) -> Verdict:
        progress = self._progress()
        if not self._clock.seconds:
            return Verdict("undecided", "no time has passed since the step began, if the clock is right")
        if progress.have is None or progress.need is None or progress.have < progress.need:
            return Verdict("undecided", progress.canSee)
        return Verdict("no-regression", progress.canSee)

    @property
    def isSuspicious(self) -> bool:
        """Whether something speaks against the candidate, if not enough to decide."""
        return self._highest() > SUSPICION

    def _highest(self) -> float:
        """Of the odds, the highest, as a share of what decides."""
        shares = [family.odds / family.threshold for family in self._judge.families()] if self._steps else []
        worst = self._shadow.worst()
        shares += [worst.odds / SHADOW_THRESHOLD] if worst else []
        return max([*shares, self._shadow.judgedTimeOdds / SHADOW_THRESHOLD])

    def progress(self, now: float) -> Progress:
        """How far the step is."""
        self._clock.advance(now)
        return self._progress()

    def _progress(self) -> Progress:
        if self._kind == "shadow":
            pairs = self._pairs()
            return self._left(pairs, self._until.pairs, pairsSeenText(pairs, pairsNeeded()))
        if self._kind == "canary" and self._until.fault is not None:
            need, power = self._judge.sight(self._until.power)
            told = faultsSeenText(self._until.fault, power, self._until.power)
            if not self.thresholds:
                told += "; what is slow is not known yet: fewer than 2,000 calls of the running version were measured"
            return self._left(self._judge.have(), need, told)
        return Progress(None, None, None, "nothing that is counted ends this step")

    def _left(self, have: float | None, need: float | None, told: str) -> Progress:
        if have is None or need is None:
            return Progress(have, need, None, told)
        if have >= need:
            return Progress(have, need, 0.0, told)
        left = (need - have) * self._clock.seconds / have if have and self._clock.seconds else None
        return Progress(have, need, left, told)

    def _pairs(self) -> int:
        """Compared since the step began."""
        return self._shadow.pairs().compared - self._comparedBefore

    def families(self) -> tuple[FamilyEvidence, ...]:
        """What speaks against the candidate, the weightiest first."""
        found, seen, worst = list(self._judge.families()), self._shadow.pairs(), self._shadow.worst()
        if worst is not None:
            of = (seen.compared, seen.compared)
            found.append(
                FamilyEvidence("content", worst.odds, SHADOW_THRESHOLD, worst.candidate, worst.control, *of)
            )
        if total := seen.slower + seen.faster:
            found.append(
                FamilyEvidence(
                    "pair-time", self._shadow.judgedTimeOdds, SHADOW_THRESHOLD, seen.slower, seen.faster, total, total
                )
            )
        return tuple(sorted(found, key=lambda family: -family.odds / family.threshold))

    def differences(self) -> tuple[DifferenceEvidence, ...]:
        """What the versions differ in: the weightiest first, what is expected after it, noise last."""
        return self._shadow.differences()

    def arms(self) -> tuple[ArmCounts, ArmCounts]:
        """What the running version did beside the candidate, and what the candidate did, since the rollout began."""
        return self._arms

    def pairs(self) -> PairsSeen | None:
        """What shadows compared; None: none did."""
        seen = self._shadow.pairs()
        return seen if seen.compared or seen.incomparable or seen.dropped else None

    @property
    def curve(self) -> tuple[tuple[float, float], ...]:
        """When, and the highest of the odds as a share of what decides times 125; some hundred points at most."""
        return self._curve.points

    def saved(self) -> SavedJudge:
        """All that it knows."""
        return SavedJudge(
            self._judge.saved(), self._shadow.saved(), self._limits.saved(), self._clock.saved(), self._steps,
            self._kind, self._until, self._canary, self._arms, self._armsInStep, self._comparedBefore, self._worse,
            self._differs, self._broken, self._curve.points, dict(self.thresholds),
        )  # fmt: skip

    @classmethod
    def restored(
        cls, saved: SavedJudge, *, interrupts: bool = True, expect: Sequence[Expectation] = (), now: float
    ) -> Judge:
        """
        One that knows what another did. Time that passed meanwhile is not counted.

        :raises ValueError: if what was kept cannot be.
        """
        judge = cls(interrupts=interrupts, expect=expect, now=now)
        if len(saved.canary) != BUCKETS // 8:
            raise ValueError(f"{len(saved.canary) * 8} client groups are kept, not {BUCKETS}")
        if not (0 < saved.until.power < 1 and 0 < (saved.until.fault or 1) <= 1):
            raise ValueError("what ends the step is damaged")
        judge._judge.restore(saved.canaryJudge, _labels(saved.canary), saved.until)
        judge._shadow.restore(saved.shadowJudge)
        judge._limits.restore(saved.limits)
        judge._clock.restore(saved.clock)
        judge._steps, judge._kind, judge._until, judge._canary = saved.steps, saved.kind, saved.until, saved.canary
        judge._arms, judge._armsInStep = saved.arms, saved.armsInStep
        judge._comparedBefore = saved.comparedBefore
        judge._worse, judge._differs, judge._broken = saved.worse, saved.differs, saved.broken
        judge._curve = Curve(saved.curve)
        judge.thresholds = saved.thresholds
        return judge


def _labels(canary: bytes) -> list[bool]:
    """By bucket, whose it is."""
    return [bool(canary[bucket >> 3] >> (bucket & 7) & 1) for bucket in range(BUCKETS)]


def _both(arms: _Arms, evidence: TrialEvidence) -> _Arms:
    return added(arms[0], evidence.running), added(arms[1], evidence.candidate)
