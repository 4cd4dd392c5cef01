"""What two versions of a plugin do in calls that were never made.

Errors: a share of all calls, most of them of a few clients, and an outage of two seconds every two minutes that meets
everybody. Interrupts: 2 %, mostly of a few clients. Self time: a tenth of a millisecond, lognormal, with clients whose
calls take longer, a machine that is slower at times, and a long tail (Pareto) in 2 % of the calls.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.simulatedclients import Array, Chance, Requests, wave

USUAL = 1e-4
"""Seconds that a call takes."""

OUTAGE_EVERY, OUTAGE = 120.0, 2.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Plant:
    """What the candidate does otherwise.

    :ivar errors: the share of its calls that fail, beside those of both versions.
    :ivar errorClients: that meets this share of clients alone.
    :ivar later: seconds that each call takes more; ``slower``: so many times as long.
    :ivar stopsMore: the share of requests that it stops beside those that both stop; ``stopsNone``: it stops none.
    :ivar coldCalls: the first so many calls take five times as long.
    """

    errors: float = 0.0
    errorClients: float = 1.0
    later: float = 0.0
    slower: float = 1.0
    stopsMore: float = 0.0
    stopsNone: bool = False
    coldCalls: int = 0


@dataclass(frozen=True, slots=True)
class Calls:
    """What came of each request, in order."""

    faults: Array
    interrupts: Array
    seconds: Array


NOTHING = Plant()


def call(
    requests: Requests, isCandidates: Array, seconds: float, background: float, plant: Plant, chance: Chance
) -> Calls:
    """Let each request be served.

    :param isCandidates: which of them the candidate serves.
    :param seconds: how long all of it lasts.
    :param background: the share of calls that fail with both versions.
    """
    return Calls(
        _faults(requests, isCandidates, background, plant, chance),
        _interrupts(requests, isCandidates, plant, chance),
        _seconds(requests, isCandidates, seconds, plant, chance),
    )


def _faults(requests: Requests, isCandidates: Array, background: float, plant: Plant, chance: Chance) -> Array:
    # Three quarters of the background are 2 % of clients', the rest is everybody's; outages are a tenth of it.
    chances = np.where(chance.uniform(size=requests.count) < 0.02, background * 0.75 / 0.02, background * 0.15)
    failing = chances[requests.clients]
    outage = requests.times % OUTAGE_EVERY > OUTAGE_EVERY - OUTAGE
    failing = failing + outage * background * 0.1 * OUTAGE_EVERY / OUTAGE
    if plant.errors:
        met = chance.uniform(size=requests.count) < plant.errorClients
        failing = failing + isCandidates * met[requests.clients] * plant.errors
    return chance.uniform(size=len(failing)) < failing


def _interrupts(requests: Requests, isCandidates: Array, plant: Plant, chance: Chance) -> Array:
    chances = np.where(chance.uniform(size=requests.count) < 0.03, 0.5, 0.005)[requests.clients]
    ours = 0.0 * chances if plant.stopsNone else chances + plant.stopsMore
    return chance.uniform(size=len(chances)) < np.where(isCandidates, ours, chances)


def _seconds(requests: Requests, isCandidates: Array, seconds: float, plant: Plant, chance: Chance) -> Array:
    count = len(requests.times)
    logs = chance.normal(0, 0.8, count) + chance.normal(0, 0.5, requests.count)[requests.clients]
    logs = logs + wave(seconds, 0.2, chance)[requests.times.astype(int)]
    took = USUAL * np.exp(logs)
    took = np.where(chance.uniform(size=count) < 0.02, took * (1 + chance.pareto(1.2, count)), took)
    took = np.where(isCandidates, took * plant.slower + plant.later, took)
    cold = isCandidates & (np.cumsum(isCandidates) <= plant.coldCalls)
    return np.where(cold, took * 5, took)
