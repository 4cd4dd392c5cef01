"""What a shadow would tell of calls that were never made: the real answer, the control's, the candidate's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.simulatedclients import Array, Chance
from revproxy.plan.evidence import DifferenceCount, TrialPairs
from revproxy.worker.rollout.pairtimes import PairTimes

NOISY = ("header:x-request-id", "header:date", "body")
"""Fields that differ by themselves."""

NOISE = 0.03
"""In this share of answers."""

USUAL = 1e-3
"""Seconds that a call takes."""

FIRST = 15e-6
"""Seconds that whoever goes first takes more."""


@dataclass(frozen=True, slots=True)
class PairPlant:
    """What the candidate does otherwise.

    :ivar header: the share of its answers with a wrong header; ``raises``: of its calls that fail.
    :ivar later: seconds that each call takes more; ``slower``: so many times as long.
    :ivar tail: so many times as long take those above p95.
    """

    header: float = 0.0
    raises: float = 0.0
    later: float = 0.0
    slower: float = 1.0
    tail: float = 1.0


SAME = PairPlant()


def compare(count: int, plant: PairPlant, chance: Chance, times: PairTimes) -> TrialPairs:
    """
    So many pairs.

    :param times: the product's, of all pairs until now.
    """
    differences = []
    for field in NOISY:
        real, control, candidate = (chance.uniform(size=count) < NOISE for _ in range(3))
        # An answer with noise is like no other one.
        differences.append(_counted(field, "changed", candidate | real, control | real))
    for field, share in (("header:x-quota", plant.header), ("raised", plant.raises)):
        if share:
            differences.append(_counted(field, "added", chance.uniform(size=count) < share, np.zeros(count, bool)))
    base = np.exp(chance.normal(0, 0.8, count))
    control = base * _pairNoise(count, chance) * USUAL
    above = base > np.exp(0.8 * 1.645)
    candidate = base * _pairNoise(count, chance) * np.where(above, plant.tail, 1.0) * plant.slower * USUAL + plant.later
    isFirst = chance.uniform(size=count) < 0.5
    times.begin()
    for pair in zip(control + FIRST * ~isFirst, candidate + FIRST * isFirst, isFirst, strict=True):
        times.saw(*map(float, pair[:2]), bool(pair[2]))
    return TrialPairs(
        "simulated", False, count, differences=tuple(each for each in differences if each.candidate + each.control),
        slower=(times.slower[0], times.slower[1], times.slower[2]),
        faster=(times.faster[0], times.faster[1], times.faster[2]), timed=times.timed, logs=times.logs,
    )  # fmt: skip


def _counted(field: str, kind: str, candidate: Array, control: Array) -> DifferenceCount:
    return DifferenceCount(
        field, kind, int((candidate & ~control).sum()), int((control & ~candidate).sum()),
        int((candidate & control).sum()),
    )  # fmt: skip


def _pairNoise(count: int, chance: Chance) -> Array:
    """Two runs of the same call: a quarter apart, and 1 % of them have a hiccup."""
    noise = np.exp(chance.normal(0, 0.25, count))
    return np.where(chance.uniform(size=count) < 0.01, noise * (1 + chance.exponential(5, count)), noise)
