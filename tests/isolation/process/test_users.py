"""
Users that locked processes run as.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.isolation.process.users import Users


class UsersTests(SynchronousTestCase):
    """Three are set aside."""

    def test_eachOnce(self) -> None:
        """No two processes have the same, and more there are not."""
        users = Users(300_000, 300_002)
        self.assertEqual([users.take() for _ in range(4)], [300_000, 300_001, 300_002, None])

    def test_givenBack(self) -> None:
        """The number of one that has ended is used again, as late as can be."""
        users = Users(300_000, 300_002)
        first, second = users.take(), users.take()
        assert first is not None and second is not None
        users.give(second)
        users.give(first)
        self.assertEqual([users.take() for _ in range(4)], [300_002, second, first, None])
