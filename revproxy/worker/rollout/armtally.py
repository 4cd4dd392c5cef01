"""
What one arm of a trial did, counted until it is told.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

from revproxy.plan.durations import SELF_TIME
from revproxy.plan.evidence import ArmCounts

WARM_CALLS: Final = 100
"""The first calls of an arm after a start, which nobody judges: what is cold looks like what is slow."""

WARM_SECONDS: Final = 10.0
"""After its first call, an arm is warm at the latest."""


class ArmTally:
    """
    Of the running version, or of that on trial.

    :ivar early: how many of its first calls there were; they are counted no further than :data:`WARM_CALLS`.
    :ivar since: when the first of them was; None: there was none.
    """

    __slots__ = ("_times", "early", "faults", "interrupts", "requests", "seconds", "since", "testers", "warming")

    def __init__(self) -> None:
        self.early = 0
        self.since: float | None = None
        self._begin()

    def _begin(self) -> None:
        self.requests = self.warming = self.testers = self.faults = self.interrupts = 0
        self.seconds = 0.0
        self._times = [0] * (len(SELF_TIME) + 1)

    def cool(self) -> None:
        """Other instances serve from now on."""
        self.early, self.since = 0, None

    def isWarm(self, now: float) -> bool:
        """Whether it has had its first calls."""
        return self.early >= WARM_CALLS or (self.since is not None and now - self.since >= WARM_SECONDS)

    def called(self, now: float) -> None:
        """One more call, as long as it is not warm."""
        self.early += 1
        if self.since is None:
            self.since = now

    def took(self, seconds: float) -> None:
        """A call that is judged took so long."""
        self.seconds += seconds
        self._times[bisect_left(SELF_TIME, seconds)] += 1

    def take(self) -> ArmCounts:
        """What there was since this was asked last."""
        times = {bucket: count for bucket, count in enumerate(self._times) if count}
        counts = ArmCounts(
            self.requests, self.warming, self.testers, self.faults, self.interrupts, self.seconds, times
        )
        self._begin()
        return counts
