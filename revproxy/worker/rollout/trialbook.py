"""
What is written down of one trial, until it is told.

What a judge decides by is the *first* event of each kind in each bucket, in order: so there is little to tell, however
much goes on. Nothing is written down while one of the arms is cold. An arm that was judged while the other was not
would have a lead: the buckets whose first events are its own.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log
from typing import Final

from revproxy.plan.evidence import (
    NEGLIGIBLE,
    ArmStall,
    BucketTime,
    Family,
    Fingerprint,
    First,
    TrialEvidence,
)
from revproxy.plan.trial import BUCKETS, Thresholds, Trial
from revproxy.worker.rollout.armtally import ArmTally
from revproxy.worker.rollout.fingerprints import Print

SAMPLES: Final = 2_000
"""Calls of the running version by which it is known what is slow."""

SHORTEST, LONGEST = 1e-6, 10.0
"""Seconds; of a call that takes less or more, one of these is taken in the sum of logarithms."""

MOST_PRINTS: Final = 500
"""Exceptions of a trial that are told apart; further ones are lost."""

MOST_BUCKETS: Final = 32
"""Buckets of each of them that are told: three are enough for whoever judges."""

MOST_STALLS: Final = 100
"""Stalls that wait to be told."""

_Times = dict[int, list[float]]
"""Of each bucket, how many calls, and the sum of the logarithms of their seconds."""


class TrialBook:
    """
    Of one trial, in one worker.

    :ivar thresholds: what self times are held against, by plugin and phase, once that is known.
    :ivar isCold: whether one of the arms is, so that nothing that happens now is judged by statistics.
    """

    def __init__(self, trial: Trial, now: Callable[[], float], monotonic: Callable[[], float]) -> None:
        """
        :param now: seconds since the epoch, for when things happen.
        :param monotonic: seconds of a clock that nobody sets, for how long an arm has served.
        """
        self._now = now
        self._monotonic = monotonic
        self.trial = trial
        self.arms = ArmTally(), ArmTally()
        self._seen: dict[Family, bytearray] = {}
        self._firsts: list[First] = []
        self._times: tuple[_Times, _Times] = {}, {}
        self.thresholds: dict[str, Thresholds] = {}
        self._news: set[str] = set()
        self._samples: dict[str, list[float]] = {}
        self._prints: dict[tuple[bool, Print], set[int]] = {}
        self._newPrints: list[Fingerprint] = []
        self._stalls: list[ArmStall] = []
        self._lost = 0
        self.isCold = True
        self._timed = [0.0, 0.0]
        self.adopt(trial)

    def adopt(self, trial: Trial) -> None:
        """
        It is in this stage, from now on. Where other buckets are the candidate's, what happens to each is told anew:
        whose it is was drawn again.
        """
        if trial.canary != self.trial.canary:
            self._seen.clear()
        self.trial = trial
        for name, known in trial.known.items():
            self.thresholds.setdefault(name, known)

    def cool(self, isCandidate: bool) -> None:
        """Other instances serve an arm from now on, or it begins to serve."""
        self.arms[isCandidate].cool()
        self.isCold = True

    # What happens

    def asked(self, isCandidate: bool, isTester: bool) -> bool:
        """
        A request has come to the plugin.

        :returns: whether it is judged.
        """
        arm = self.arms[isCandidate]
        if isTester:
            arm.testers += 1
            return False
        if self.isCold and self._isColdYet(arm):
            arm.warming += 1
            return False
        arm.requests += 1
        return True

    def _isColdYet(self, arm: ArmTally) -> bool:
        now = self._monotonic()
        isWarm = arm.isWarm(now)
        if not isWarm:
            arm.called(now)
        # What nobody meets yet is not waited for.
        waited = self.arms if self.trial.stage == "canary" else self.arms[:1]
        self.isCold = not (isWarm and all(each.isWarm(now) for each in waited))
        return self.isCold

    def isTimed(self, isTaken: bool) -> bool:
        """
        Whether the time of a call is to be told by :meth:`took`. To take a request down takes its time, too: as long as
        there are enough others, those are believed.

        :param isTaken: whether the request is taken down.
        """
        self._timed[isTaken] += 1
        return not isTaken or self._timed[True] > self._timed[False]

    def took(self, name: str, isCandidate: bool, bucket: int, seconds: float) -> None:
        """
        A call took so long. Of calls while one of the arms is cold, the running version's show what is slow, unless it
        is cold itself; nothing else comes of them.

        :param name: of plugin and phase.
        """
        if not SHORTEST < seconds < LONGEST:  # a clock may jump, or not be a number
            seconds = SHORTEST if seconds <= SHORTEST or seconds != seconds else LONGEST
        if self.isCold:
            if not isCandidate and name not in self.thresholds and self.arms[False].isWarm(self._monotonic()):
                self._sample(name, seconds)
            return
        self.arms[isCandidate].took(seconds)
        times = self._times[isCandidate]
        sums = times.get(bucket)
        if sums is None:
            sums = times[bucket] = [0, 0.0]
        sums[0] += 1
        if isCandidate:
            seconds = max(seconds - NEGLIGIBLE, SHORTEST)
        sums[1] += log(seconds)
        limits = self.thresholds.get(name)
        if limits is None:
            if not isCandidate:
                self._sample(name, seconds)
        elif seconds > limits[0]:
            self._first("slow90", isCandidate, bucket)
            if seconds > limits[1]:
                self._first("slow99", isCandidate, bucket)
                if seconds > limits[2]:
                    self._first("slow999", isCandidate, bucket)

    def failed(self, isCandidate: bool, bucket: int) -> None:
        """A call has failed. That is counted from the first; as an event, once both arms are warm."""
        self.arms[isCandidate].faults += 1
        if not self.isCold:
            self._first("faults", isCandidate, bucket)

    def interrupted(self, isCandidate: bool, bucket: int) -> None:
        """A request was answered instead of its route."""
        self.arms[isCandidate].interrupts += 1
        self._first("interrupts", isCandidate, bucket)

    def raised(self, isCandidate: bool, bucket: int, known: Print, sample: str) -> None:
        """What a call has failed with: from the first."""
        key = isCandidate, known
        buckets = self._prints.get(key)
        if buckets is None:
            if len(self._prints) >= MOST_PRINTS:
                self._lost += 1
                return
            buckets = self._prints[key] = set()
        if bucket not in buckets and len(buckets) < MOST_BUCKETS:
            buckets.add(bucket)
            self._newPrints.append(Fingerprint(bucket, isCandidate, *known, sample))

    def stalled(self, stall: ArmStall) -> None:
        """A call has held the loop."""
        if len(self._stalls) < MOST_STALLS:
            self._stalls.append(stall)

    def _first(self, family: Family, isCandidate: bool, bucket: int) -> None:
        seen = self._seen.get(family)
        if seen is None:
            seen = self._seen[family] = bytearray(BUCKETS >> 3)
        bit = 1 << (bucket & 7)
        # Of a request that began before a ramp moved its bucket nothing is told: that was drawn again.
        if not seen[bucket >> 3] & bit and self.trial.isCandidates(bucket) is isCandidate:
            seen[bucket >> 3] |= bit
            self._firsts.append(First(self._now(), family, bucket, isCandidate))

    def _sample(self, name: str, seconds: float) -> None:
        samples = self._samples.setdefault(name, [])
        samples.append(seconds)
        if len(samples) >= SAMPLES:
            samples.sort()
            nine, ninetyNine, most = (samples[int(len(samples) * share)] for share in (0.9, 0.99, 0.999))
            self.thresholds[name] = nine, ninetyNine, most
            self._news.add(name)
            del self._samples[name]

    # What is told

    def take(self) -> TrialEvidence | None:
        """What there was since this was asked last; None: nothing."""
        running, candidate = (arm.take() for arm in self.arms)
        times = tuple(
            BucketTime(bucket, isCandidate, int(count), logs)
            for isCandidate, times in zip((False, True), self._times, strict=True)
            for bucket, (count, logs) in times.items()
        )
        told = TrialEvidence(
            self.trial.id, running, candidate, tuple(self._firsts), times, tuple(self._newPrints),
            tuple(self._stalls), {name: self.thresholds[name] for name in self._news}, self._lost,
        )  # fmt: skip
        self._times, self._lost = ({}, {}), 0
        self._timed = [count / 2 for count in self._timed]  # a recording may have begun
        for waiting in (self._firsts, self._newPrints, self._stalls):
            waiting.clear()
        self._news.clear()
        return None if told == TrialEvidence(self.trial.id) else told
