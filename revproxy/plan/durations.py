"""
How durations are counted: in buckets that are fine enough for percentiles, and of which those of OpenTelemetry and of
Prometheus can be made.

A duration is in the first bucket whose bound is not less. The last bucket is for what is above all bounds.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

STANDARD = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Seconds: the bounds that OpenTelemetry advises for ``http.server.request.duration``."""

SELF_TIME = (5e-6, 1.25e-5, 3e-5, 7.5e-5, 2e-4, 5e-4, 1.25e-3, 3e-3, 7.5e-3, 0.02, 0.05, 0.125, 0.4, 1.0)
"""Seconds: the bounds for what a plugin's own code takes in one call."""

_STEPS = (1.0, 1.25, 1.6, 2.0, 2.5, 3.15, 4.0, 5.0, 6.3, 8.0)

FINE = tuple(sorted({*STANDARD, 100.0, *(float(f"{step}e{power}") for power in range(-5, 2) for step in _STEPS)}))
"""Seconds: from 10 µs to 100 s, a quarter apart, with all of :data:`STANDARD` among them."""


def fine(seconds: float) -> int:
    """:returns: the bucket of :data:`FINE` that a duration is in."""
    return bisect_left(FINE, seconds)


_COARSE = tuple(bisect_left(STANDARD, bound) for bound in FINE) + (len(STANDARD),)


def standard(buckets: Mapping[int, int] | Iterable[tuple[int, int]]) -> list[int]:
    """
    :param buckets: by the number of a bucket of :data:`FINE`, how many.
    :returns: how many are in each bucket of :data:`STANDARD`, and above; not added up.
    """
    counts = [0] * (len(STANDARD) + 1)
    for bucket, count in buckets.items() if isinstance(buckets, Mapping) else buckets:
        counts[_COARSE[bucket]] += count
    return counts


def quantiles(
    buckets: Mapping[int, int], wanted: Sequence[float], bounds: Sequence[float] = FINE
) -> list[float | None]:
    """
    About how much so many do not exceed; within a bucket they are taken to be spread evenly.

    :param buckets: by the number of a bucket, how many; that above all bounds has the last number.
    :param wanted: shares, between 0 and 1, ascending: 0.5 is the median.
    :returns: seconds, for each of them; the last bound for what is above all of them. None if there is nothing.
    """
    total = sum(buckets.values())
    if total <= 0:
        return [None] * len(wanted)
    found: list[float | None] = []
    below, ranks = 0, [share * total for share in wanted]
    for bucket in sorted(buckets):
        count = buckets[bucket]
        if count <= 0:
            continue
        while len(found) < len(ranks) and below + count >= ranks[len(found)]:
            found.append(_within(bucket, (ranks[len(found)] - below) / count, bounds))
        below += count
    return found + [bounds[-1]] * (len(ranks) - len(found))


def _within(bucket: int, share: float, bounds: Sequence[float]) -> float:
    if bucket >= len(bounds):
        return bounds[-1]
    low = bounds[bucket - 1] if bucket else 0.0
    return low + (bounds[bucket] - low) * share
