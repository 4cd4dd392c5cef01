"""
How much would have been seen by now, if the candidate were as bad as somebody fears.

A step of a canary ends well when a candidate of which each call fails with the probability ``fault`` would have been
found with the probability ``power``. Faults come by chance, so what is counted is how many such a candidate would have
shown on average: in a bucket with n calls, 1 - (1 - fault)^n, for only the first in a bucket says anything. It would
have been found when there are so many that the odds decide; how many that takes, the odds know. That the chance of so
many is ``power`` takes an average that is larger (Poisson).

What is not covered: faults that meet a few clients only. Those show in fewer buckets than is reckoned with.
"""

from __future__ import annotations

from functools import lru_cache
from math import exp, inf

MOST_FAULTS = 500
"""If more than these were needed, nothing can be shown."""


def chanceOf(faults: int, average: float) -> float:
    """The probability that at least so many come, of so many on average."""
    if average <= 0:
        return 1.0 if faults <= 0 else 0.0
    if average > 700:
        return 1.0 if faults <= 500 else 0.0
    term = below = exp(-average)
    for number in range(1, faults):
        term *= average / number
        below += term
    return max(0.0, 1.0 - below) if faults > 0 else 1.0


@lru_cache(256)
def averageFor(faults: int, power: float) -> float:
    """
    The average of which at least so many come with this probability.

    :param power: above 0 and below 1.
    """
    if faults > MOST_FAULTS:
        return inf
    low, high = 0.0, 1.0
    while chanceOf(faults, high) < power:
        low, high = high, 2 * high
        if high > 2 * MOST_FAULTS:
            return inf
    for _ in range(40):
        middle = (low + high) / 2
        if chanceOf(faults, middle) < power:
            low = middle
        else:
            high = middle
    return high


class Expected:
    """
    How many faults a candidate would have shown.

    :param fault: of which each call fails with this probability.
    :ivar faults: on average.
    """

    __slots__ = ("_fault", "faults")

    def __init__(self, fault: float) -> None:
        self._fault = fault
        self.faults = 0.0

    def called(self, before: int, now: int) -> None:
        """A bucket of the candidate's, with so many calls, has so many now."""
        passes = 1.0 - self._fault
        self.faults += passes**before - passes**now
