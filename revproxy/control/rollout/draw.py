"""
Which clients are the candidate's: drawn anew for each rollout, so that it is not always the same ones.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence

from revproxy.plan.trial import BUCKETS

SALT_BYTES = 16


def drawSalt() -> bytes:
    """What the hash of clients is keyed with."""
    return os.urandom(SALT_BYTES)


def drawPermutation() -> tuple[int, ...]:
    """All buckets, in an order that nobody knows beforehand: the first of them become the candidate's."""
    buckets = list(range(BUCKETS))
    random.SystemRandom().shuffle(buckets)
    return tuple(buckets)


def bucketsOf(share: float) -> int:
    """How many of the buckets a share of clients is; at least one of each arm, unless it is none or all of them."""
    if share <= 0.0 or share >= 1.0:
        return BUCKETS if share >= 1.0 else 0
    return min(BUCKETS - 1, max(1, round(BUCKETS * share)))


def canaryOf(permutation: Sequence[int], share: float) -> bytes:
    """
    A bit for each bucket, as `revproxy.plan.trial.Trial.canary` has it. A larger share has all buckets of a smaller
    one: nobody goes back to the running version because there are more.
    """
    bits = bytearray(BUCKETS // 8)
    for bucket in permutation[: bucketsOf(share)]:
        bits[bucket >> 3] |= 1 << (bucket & 7)
    return bytes(bits)


__all__ = ["bucketsOf", "canaryOf", "drawPermutation", "drawSalt"]
