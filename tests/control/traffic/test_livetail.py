"""
Watching the requests that end.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.traffic.livetail import MOST_TAILS, ROW, Tail, TooManyTails
from revproxy.control.traffic.recentrequests import RecentRequests
from revproxy.control.traffic.requestfilter import RequestFilter
from tests.control.traffic.records import batch, numbered, record


class LiveTailTests(SynchronousTestCase):
    """
    What those who watch get.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.recent = RecentRequests(self.clock, 1000, 1 << 20)
        self.told = 0

    def follow(self, **values: str) -> Tail:
        """
        Watch.
        """
        tail = self.recent.live.follow(RequestFilter.of(values, 0))
        tail.onMore = self.tell
        return tail

    def tell(self) -> None:
        """
        There is more.
        """
        self.told += 1

    def ids(self, tail: Tail) -> list[str]:
        """
        What is taken.
        """
        self.clock.advance(0)
        return [one.id for _, one in tail.take()[0]]

    def test_fits(self) -> None:
        """
        Each gets what fits, from when it began, the oldest first and with its number.
        """
        self.recent.take(numbered(1, 3))
        everything, failures = self.follow(), self.follow(status="5xx")
        self.recent.take(batch(record("4"), record("5", status=503)))
        self.clock.advance(0)
        self.assertEqual([(number, one.id) for number, one in everything.take()[0]], [(4, "4"), (5, "5")])
        self.assertEqual(self.ids(failures), ["5"])

    def test_toldOnce(self) -> None:
        """
        It is told once that there is more, until that is taken; and of nothing that does not fit.
        """
        tail = self.follow(status="5xx")
        for _ in range(3):
            self.recent.take(batch(record(status=500)))
            self.clock.advance(0)
        self.assertEqual(self.told, 1)
        tail.take()
        self.recent.take(batch(record()))
        self.clock.advance(0)
        self.assertEqual(self.told, 1)
        self.recent.take(batch(record(status=500)))
        self.clock.advance(0)
        self.assertEqual(self.told, 2)

    def test_slow(self) -> None:
        """
        Who takes nothing has a row that is no longer than it may be, and learns how many were missed. Nobody waits.
        """
        slow, quick = self.follow(), self.follow()
        seen = 0
        for first in range(1, 2001, 100):
            self.recent.take(numbered(first, first + 99))
            seen += len(self.ids(quick))
        self.assertEqual(seen, 2000)
        row, missed = slow.take()
        self.assertEqual((len(row), missed), (ROW, 2000 - ROW))
        self.assertEqual(slow.take(), ([], 0))

    def test_flood(self) -> None:
        """
        What comes faster than it can be looked at is counted, and not kept.
        """
        tail = self.follow()
        for _ in range(100):
            self.recent.take(numbered(1, 100))
        self.clock.advance(0)
        row, missed = tail.take()
        self.assertEqual(len(row) + missed, 10_000)
        self.assertEqual(len(row), ROW)

    def test_stop(self) -> None:
        """
        Who watches no more gets nothing more; then nothing is decoded.
        """
        tail = self.follow()
        self.recent.take(numbered(1, 3))
        tail.stop()
        tail.stop()
        self.clock.advance(0)
        self.assertEqual((tail.take(), self.told), (([], 0), 0))
        self.recent.take(numbered(1, 3))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nothingRemembered(self) -> None:
        """
        One can watch where nothing is remembered.
        """
        self.recent.adopt(0, 0)
        tail = self.follow()
        self.recent.take(numbered(1, 2))
        self.assertEqual(self.ids(tail), ["1", "2"])

    def test_most(self) -> None:
        """
        So many may watch, and no more.
        """
        tails = [self.follow() for _ in range(MOST_TAILS)]
        self.assertRaises(TooManyTails, self.follow)
        tails[0].stop()
        self.follow()

    def test_raises(self) -> None:
        """
        What goes wrong with one who is told is in the log, and watching goes on.
        """
        self.follow().onMore = lambda: 1 / 0
        self.recent.take(numbered(1, 1))
        self.clock.advance(0)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        tail = self.follow()
        self.recent.take(numbered(2, 2))
        self.assertEqual(self.ids(tail), ["2"])
