"""
The page that says which call holds a locked process.
"""

from __future__ import annotations

import os
from time import monotonic

from twisted.trial.unittest import SynchronousTestCase

from revproxy.isolation.holdpage import SIZE, Hold, HoldPage, pageFile


class HoldPageTests(SynchronousTestCase):
    """Both ends of one page."""

    def setUp(self) -> None:
        """One of them writes, the other reads."""
        self.fd = pageFile()
        self.addCleanup(os.close, self.fd)
        self.inside, self.outside = HoldPage(self.fd), HoldPage(self.fd)

    def test_nobodyAtFirst(self) -> None:
        """Before the first call nobody holds it."""
        self.assertIsNone(self.outside.held())

    def test_callThatHolds(self) -> None:
        """Who has entered is seen outside, with the time."""
        before = monotonic()
        self.inside.enter(7)
        held = self.outside.held()
        assert held is not None
        self.assertEqual(held.number, 7)
        self.assertTrue(before <= held.since <= monotonic())

    def test_callThatLeaves(self) -> None:
        """Who has left holds it no more."""
        self.inside.enter(7)
        self.inside.leave()
        self.assertIsNone(self.outside.held())

    def test_theNextOne(self) -> None:
        """The next one has its own time."""
        self.inside.enter(7)
        first = self.outside.held()
        self.inside.enter(8)
        second = self.outside.held()
        assert isinstance(first, Hold) and isinstance(second, Hold)
        self.assertEqual(second.number, 8)
        self.assertGreater(second.since, first.since)

    def test_nobodyCanMakeItShorter(self) -> None:
        """A page that could become shorter would end the edge with SIGBUS."""
        for size in (0, 2 * SIZE):
            with self.assertRaises(PermissionError):
                os.ftruncate(self.fd, size)

    def test_closed(self) -> None:
        """The memory is given back once; nothing can be asked then."""
        self.outside.close()
        with self.assertRaises(ValueError):
            self.outside.held()
