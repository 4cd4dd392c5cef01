"""
Which of two versions takes longer, by pairs of self times on copies of one request.

That it is a toss-up if the versions are equal has to hold by construction: whoever counts the tosses believes it.

- Whoever goes first pays for both: code and data have to come into the processor's caches. On a plugin that takes 10 µs
  that is twice its time. Chance says who goes first, so it would favour nobody, and hide nearly all there is to see.
  So what being first costs, as a rule, is taken off whoever was: equal versions stay a toss-up, whatever that is, as it
  is of earlier pairs.
- The first pairs of new copies are left out: what begins is slow because it begins.
- Two copies of the very same code are some tenths of a percent apart, by where they lie in memory. So the candidate is
  let off a little. (To leave out pairs that differ by little would not do: of noise that is larger, nearly all would be
  on the side of whoever is the slower by next to nothing.)
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from math import log
from typing import Final

from revproxy.plan.evidence import NEGLIGIBLE

WARMING: Final = 10
"""Pairs that are not counted."""

LITTLE: Final = 0.02
"""Of the running version's time, what the candidate is let off, where that is more than `NEGLIGIBLE`."""

A_TENTH: Final = 0.1
LONG: Final = 0.95
LEAST: Final = 100
"""Pairs before it is known what is long."""

KNOWN: Final = 1_000
"""Of the last so many pairs."""

REDO: Final = 50
"""Pairs after which that is worked out anew."""

ORDERED: Final = 100
"""By the last so many pairs of either order it is known what being first costs."""

SHORTEST: Final = 1e-6
"""Seconds; what takes less is taken as this where it is asked how many times as long another takes."""


class _LongTimes:
    """From when on a pair is among the longest."""

    def __init__(self) -> None:
        self._known: deque[float] = deque(maxlen=KNOWN)
        self._count = 0
        self._limit: float | None = None

    def isLong(self, seconds: float) -> bool:
        """Whether it is longer than 95 % of those before."""
        limit = self._limit
        self._known.append(seconds)
        self._count += 1
        if self._count >= LEAST and self._count % REDO == 0:
            self._limit = sorted(self._known)[int(len(self._known) * LONG)]
        return limit is not None and seconds > limit


class _Median:
    """Of the last :data:`ORDERED` figures."""

    def __init__(self) -> None:
        self._last: deque[float] = deque()
        self._sorted: list[float] = []

    def __len__(self) -> int:
        return len(self._last)

    @property
    def value(self) -> float:
        """There is one at least."""
        return self._sorted[len(self._sorted) // 2]

    def add(self, figure: float) -> None:
        """One more."""
        self._last.append(figure)
        insort(self._sorted, figure)
        if len(self._last) > ORDERED:
            del self._sorted[bisect_left(self._sorted, self._last.popleft())]


class _FirstsCost:
    """
    How much longer the first of two takes, because it is the first: midway between what the candidate takes more where
    it is, and what the running version does where that is. Of all together, the median would be what the slower one
    takes more.
    """

    def __init__(self) -> None:
        self._more = _Median(), _Median()

    @property
    def seconds(self) -> float:
        """Below 0 where the second takes longer; 0 as long as it is not known."""
        one, other = self._more
        return (one.value + other.value) / 2 if one and other else 0.0

    def saw(self, more: float, isCandidateFirst: bool) -> None:
        """The first has taken so much longer than the second."""
        self._more[isCandidateFirst].add(more)


class PairTimes:
    """
    Of one trial, in one direction.

    :ivar slower: see `revproxy.plan.evidence.TrialPairs`; ``faster``, ``logs`` and ``timed`` so.
    """

    def __init__(self) -> None:
        self._long = _LongTimes()
        self._firsts = _FirstsCost()
        self._left = WARMING
        self.begin()

    def begin(self) -> None:
        """What was counted has been told."""
        self.slower = [0, 0, 0]
        self.faster = [0, 0, 0]
        self.logs = 0.0
        self.timed = 0

    def saw(self, running: float, candidate: float, isCandidateFirst: bool) -> None:
        """
        A pair.

        :param running: seconds.
        """
        cost = self._firsts.seconds
        self._firsts.saw(candidate - running if isCandidateFirst else running - candidate, isCandidateFirst)
        isLong = self._long.isLong(max(running, candidate))
        if self._left:
            self._left -= 1
            return
        self.timed += 1
        self.logs += log(max(candidate, SHORTEST) / max(running, SHORTEST))
        if running == candidate:
            return
        more = candidate - running - max(NEGLIGIBLE, LITTLE * running) + (-cost if isCandidateFirst else cost)
        counts = self.slower if more > 0 else self.faster
        counts[0] += abs(more) > A_TENTH * min(running, candidate)
        counts[1] += 1
        counts[2] += isLong
