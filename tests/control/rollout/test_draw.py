"""
Which clients are the candidate's.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.rollout.draw import bucketsOf, canaryOf, drawPermutation, drawSalt
from revproxy.plan.trial import BUCKETS


class DrawTests(SynchronousTestCase):
    """
    Buckets.
    """

    def test_drawn(self) -> None:
        """
        All buckets, in another order each time.
        """
        one, other = drawPermutation(), drawPermutation()
        self.assertEqual(sorted(one), list(range(BUCKETS)))
        self.assertNotEqual(one, other)
        self.assertNotEqual(drawSalt(), drawSalt())

    def test_shares(self) -> None:
        """
        As many as the share is; of a part, each version has at least one.
        """
        counts = {share: int.from_bytes(canaryOf(drawPermutation(), share)).bit_count() for share in (0.05, 0.5, 1.0)}
        self.assertEqual(counts, {0.05: 205, 0.5: 2048, 1.0: 4096})
        self.assertEqual((bucketsOf(0.0), bucketsOf(1e-9), bucketsOf(1 - 1e-9)), (0, 1, BUCKETS - 1))

    def test_ramp(self) -> None:
        """
        A larger share has all of a smaller one.
        """
        permutation = drawPermutation()
        few, many = canaryOf(permutation, 0.05), canaryOf(permutation, 0.25)
        self.assertEqual(bytes(one & other for one, other in zip(few, many, strict=True)), few)
