"""
Users that locked processes run as.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.isolation.process.users import Users


class UsersTests(SynchronousTestCase):
    """Three are set aside."""

    def make(self, first: int, last: int) -> Users:
        """Nobody has one of them after the test."""
        users = Users(first, last)
        self.addCleanup(lambda: [users.give(uid) for uid in range(first, last + 1)])
        return users

    def test_othersAreSetAside(self) -> None:
        """When others are set aside, those that are taken stay so, until they are given back."""
        before, after = self.make(300_000, 300_002), self.make(300_001, 300_002)
        self.assertEqual([before.take(), before.take()], [300_000, 300_001])
        self.assertEqual([after.take(), after.take()], [300_002, None])
        self.assertIsNone(before.take())
        before.give(300_001)
        self.assertEqual([after.take(), before.take()], [300_001, None])

    def test_eachOnce(self) -> None:
        """No two processes have the same, and more there are not."""
        users = self.make(300_000, 300_002)
        self.assertEqual([users.take() for _ in range(4)], [300_000, 300_001, 300_002, None])

    def test_givenBack(self) -> None:
        """The number of one that has ended is used again, as late as can be."""
        users = self.make(300_000, 300_002)
        first, second = users.take(), users.take()
        assert first is not None and second is not None
        users.give(second)
        users.give(first)
        self.assertEqual([users.take() for _ in range(4)], [300_002, second, first, None])
