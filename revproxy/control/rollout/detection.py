"""
How long until a bad candidate is found: reckoned beforehand, with averages in place of what comes by chance.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, inf

from revproxy.control.rollout.canaryjudge import FEWER, WEIGHTS
from revproxy.control.rollout.findings import THRESHOLD
from revproxy.control.rollout.labels import MARGIN
from revproxy.control.rollout.mixture import Mixture
from revproxy.control.rollout.power import MOST_FAULTS, averageFor
from revproxy.plan.trial import BUCKETS

WARM_CALLS, WARM_SECONDS = 100, 10.0
"""The first so many calls of an arm are not judged, for so long at most."""

UNEVEN = 1.4
"""
So many times as long as with clients who all send the same it takes with clients of whom some send much and most
little: a few of them are the candidate's, and each can show one fault.
"""

EARLY = 0.5
"""
The share of the running version's faults that is reckoned with where one asks when a bad candidate is found: the odds
decide when they are at their highest, and that is before they are there on average.
"""

LONGEST = 7 * 86400.0
"""Seconds; what takes longer is not shown at all."""


def faultsNeeded(share: float, running: float = 0.0) -> int:
    """
    How many faulty buckets of the candidate's decide.

    :param share: of clients, above 0 and below 1.
    :param running: so many of the running version's there are meanwhile.
    """
    mixture, odds = Mixture(), _oddsAt(share)
    mixture.saw(False, odds, round(running))
    for faults in range(MOST_FAULTS):
        if WEIGHTS["faults"] * mixture.odds(faults, odds) >= THRESHOLD:
            return faults
    return MOST_FAULTS + 1


def fewerNeeded(share: float) -> int | None:
    """
    How many of the running version's buckets must be stopped, and none of the candidate's, to decide.

    :returns: None: there are not so many.
    """
    mixture, odds = Mixture(), MARGIN * MARGIN / _oddsAt(share)
    for count in range(1, BUCKETS - _ours(share)):
        mixture.saw(True, odds)
        if WEIGHTS[FEWER] * mixture.odds() >= THRESHOLD:
            return count
    return None


def secondsUntilFound(
    rate: float, share: float, fault: float, background: float = 0.0, uneven: float = UNEVEN
) -> float:
    """
    After so long, in half of all cases, a candidate is found of which each call fails with the probability ``fault``;
    more than :data:`LONGEST`: it is not.

    :param rate: requests in a second, of both versions.
    :param background: the share of the running version's calls that fail.
    :param uneven: so many times as long as with clients who all send the same; 1: they do.
    """
    if fault <= MARGIN * background:
        return inf
    return _until(rate, share, fault, EARLY * background, lambda faults: averageFor(faults, 0.5), uneven)


def secondsUntilShown(rate: float, share: float, fault: float, power: float, background: float = 0.0) -> float:
    """After so long it would have been found with the probability ``power``; otherwise as `secondsUntilFound`."""
    return _until(rate, share, fault, background, lambda faults: averageFor(faults, power), UNEVEN)


def _until(
    rate: float, share: float, fault: float, background: float, averageOf: Callable[[int], float], uneven: float
) -> float:
    """
    :param averageOf: how many faults have to come on average, by how many decide.
    """
    if rate <= 0 or not 0 < share < 1:
        return inf
    ours, others = _ours(share), BUCKETS - _ours(share)

    def isEnough(seconds: float) -> bool:
        calls = rate * seconds
        running = others * (1 - exp(-calls * (1 - share) * background / others))
        return ours * (1 - exp(-calls * share * fault / ours)) >= averageOf(faultsNeeded(share, running))

    high = 1.0
    while not isEnough(high):
        high *= 2
        if high > LONGEST:
            return inf
    low = 0.0
    while high - low > 0.01 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if isEnough(middle) else (middle, high)
    return uneven * high + min(WARM_SECONDS, WARM_CALLS / (rate * share))


def _ours(share: float) -> int:
    """The candidate's buckets."""
    return min(BUCKETS - 1, max(1, round(BUCKETS * share)))


def _oddsAt(share: float) -> float:
    """Those that the next client is the candidate's, margin included."""
    return MARGIN * _ours(share) / (BUCKETS - _ours(share))
