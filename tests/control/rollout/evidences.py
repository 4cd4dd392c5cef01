"""
What workers could tell, for tests of the judge.
"""

from __future__ import annotations

import random

from revproxy.plan.evidence import ArmCounts, BucketTime, Family, First, TrialEvidence
from revproxy.plan.trial import BUCKETS


def drawn(*counts: int, seed: int = 1) -> list[bytes]:
    """
    Bits of the first so many buckets of a permutation, for each of the counts.
    """
    buckets = random.Random(seed).sample(range(BUCKETS), BUCKETS)
    return [bits(buckets[:count]) for count in counts]


def bits(buckets: list[int]) -> bytes:
    """
    A bit for each of these.
    """
    made = bytearray(BUCKETS // 8)
    for bucket in buckets:
        made[bucket >> 3] |= 1 << (bucket & 7)
    return bytes(made)


def labels(canary: bytes) -> list[bool]:
    """
    By bucket, whether it is the candidate's.
    """
    return [bool(canary[bucket >> 3] >> (bucket & 7) & 1) for bucket in range(BUCKETS)]


def split(canary: bytes) -> tuple[list[int], list[int]]:
    """
    The candidate's buckets, and the running version's.
    """
    isCandidates = labels(canary)
    return (
        [bucket for bucket in range(BUCKETS) if isCandidates[bucket]],
        [bucket for bucket in range(BUCKETS) if not isCandidates[bucket]],
    )


def told(
    canary: bytes, at: float, calls: dict[int, int], family: Family = "faults", firsts: tuple[int, ...] = ()
) -> TrialEvidence:
    """
    Calls of buckets, a tenth of a millisecond each, and what happened in some of them first.
    """
    isCandidates = labels(canary)
    requests = [0, 0]
    for bucket, count in calls.items():
        requests[isCandidates[bucket]] += count
    return TrialEvidence(
        "t", ArmCounts(requests=requests[0]), ArmCounts(requests=requests[1]),
        tuple(First(at, family, bucket, isCandidates[bucket]) for bucket in firsts),
        tuple(BucketTime(bucket, isCandidates[bucket], count, -9.2 * count) for bucket, count in calls.items()),
    )  # fmt: skip
