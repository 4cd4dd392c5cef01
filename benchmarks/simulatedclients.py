"""Traffic that was never sent: who asks, and when.

Four kinds. ``iid``: each request is another client's. ``clustered``: sessions of clients of whom some send much and
most little (Pareto), half a request in a second on average, for a minute on average. ``bursty``: theirs come five at a
time, and the load goes up and down. ``whale``: one client more, with a fifth of all requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from revproxy.plan.trial import BUCKETS

KINDS = ("iid", "clustered", "bursty", "whale")

PER_CLIENT = 0.5
"""Requests in a second, of a client while its session lasts, on average."""

SESSION = 60.0
"""Seconds that a session lasts, on average."""

BURST, BURST_SECONDS = 5, 0.3
"""Requests that come together, and within what time."""

WAVES = 2.0
"""The load is at most so many times what it is on average."""

WHALE = 0.2
"""The share of requests that is the whale's."""

Chance = np.random.Generator
Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Requests:
    """
    In the order in which they come.

    :ivar times: seconds since the beginning.
    :ivar clients: numbers of those who send them.
    :ivar buckets: of these.
    :ivar count: of clients.
    """

    times: Array
    clients: Array
    buckets: Array
    count: int


def draw(kind: str, rate: float, seconds: float, chance: Chance) -> Requests:
    """Draw the requests of so many seconds, so many in each on average."""
    if kind == "iid":
        times = chance.uniform(0, seconds, chance.poisson(rate * seconds))
        return _ordered(times, np.arange(len(times)), chance)
    isWhale = kind == "whale"
    times, clients = _sessions(rate * (1 - WHALE) if isWhale else rate, seconds, kind == "bursty", chance)
    if isWhale:
        more = chance.uniform(0, seconds, chance.poisson(rate * WHALE * seconds))
        number = clients.max(initial=-1) + 1
        times, clients = np.concatenate([times, more]), np.concatenate([clients, np.full(len(more), number)])
    return _ordered(times, clients, chance)


def _ordered(times: Array, clients: Array, chance: Chance) -> Requests:
    order = np.argsort(times, kind="stable")
    count = int(clients.max(initial=-1)) + 1
    clients = clients[order]
    return Requests(times[order], clients, chance.integers(0, BUCKETS, count)[clients], count)


def _sessions(rate: float, seconds: float, inBursts: bool, chance: Chance) -> tuple[Array, Array]:
    # Those that began before are there from the beginning.
    lead = 5 * SESSION
    count = chance.poisson(rate / PER_CLIENT / SESSION * (seconds + lead))
    begins = chance.uniform(-lead, seconds, count)
    ends = begins + chance.exponential(SESSION, count)
    # Pareto 1.5, of which the mean is three times the least; nobody is half of all.
    rates = np.minimum(PER_CLIENT / 3 * (1 + chance.pareto(1.5, count)), rate / 2)
    begins, ends = np.maximum(begins, 0), np.minimum(ends, seconds)
    size = BURST if inBursts else 1
    # Of bursts too many are drawn, for waves take their part of them.
    events = chance.poisson(rates * np.maximum(ends - begins, 0) * (WAVES if inBursts else 1) / size)
    clients = np.repeat(np.arange(count), events)
    times = begins[clients] + chance.uniform(size=len(clients)) * (ends - begins)[clients]
    if inBursts:
        clients, times = np.repeat(clients, size), np.repeat(times, size)
        times = times + chance.uniform(0, BURST_SECONDS, len(times))
        kept = chance.uniform(0, WAVES, len(times)) < np.exp(wave(seconds, 0.3, chance))[times.astype(int)]
        times, clients = times[kept], clients[kept]
    kept = times < seconds
    return times[kept], clients[kept]


def wave(seconds: float, deviation: float, chance: Chance) -> Array:
    """Something that goes up and down slowly (AR(1)), second by second, with this standard deviation."""
    keeps = 0.97
    steps = chance.normal(0, deviation * (1 - keeps**2) ** 0.5, int(seconds) + 2)
    level, levels = chance.normal(0, deviation), []
    for step in steps:
        level = keeps * level + step
        levels.append(level)
    return np.array(levels)
