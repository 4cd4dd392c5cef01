"""
The last requests: what is kept, and how they are searched.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.traffic.recentrequests import MOST_SEARCHES, SLICE, Found, RecentRequests, TooManySearches
from revproxy.control.traffic.requestfilter import RequestFilter
from revproxy.plan.words import Records
from tests.control.traffic.records import batch, numbered, record

ANY = RequestFilter()


class RunningClock(Clock):
    """
    A clock that goes on by itself, a little each time that somebody looks, and counts the turns of the loop.
    """

    step = 0.0
    turns = 0

    def seconds(self) -> float:
        """
        The time.
        """
        self.rightNow += self.step
        return float(super().seconds())

    def callLater(self, *arguments: Any) -> Any:
        """
        Counts.
        """
        self.turns += 1
        return super().callLater(*arguments)


class RecentCase(SynchronousTestCase):
    """
    A store of a thousand requests.
    """

    remember, rememberBytes = 1000, 1 << 20

    def setUp(self) -> None:
        self.clock = RunningClock()
        self.clock.rightNow = 2000.0
        self.recent = RecentRequests(self.clock, self.remember, self.rememberBytes)

    def search(self, wanted: RequestFilter = ANY, limit: int = 1000, before: int | None = None) -> Found:
        """
        All that is found.
        """
        answer = self.recent.search(wanted, limit, before)
        self.clock.advance(0)
        while not answer.called:
            self.clock.advance(0)
        return self.successResultOf(answer)

    def ids(self, *arguments: object) -> list[str]:
        """
        The ids of what is found.
        """
        return [one.id for _, one in self.search(*arguments).items]  # type: ignore[arg-type]


class KeepTests(RecentCase):
    """
    What is kept.
    """

    def test_newestFirst(self) -> None:
        """
        The newest come first, each with its number.
        """
        self.recent.take(numbered(1, 3))
        self.recent.take(numbered(4, 5))
        found = [(number, one.id) for number, one in self.search().items]
        self.assertEqual(found, [(number, str(number)) for number in (5, 4, 3, 2, 1)])

    def test_whole(self) -> None:
        """
        What comes out is what went in.
        """
        one = record("x", fields={"tenant": "a"}, pluginErrors=("p",), explained=b"\x90", upstreamSeconds=0.5)
        self.recent.take(batch(one))
        self.assertEqual(self.search().items, ((1, one),))

    def test_count(self) -> None:
        """
        No more are shown than are to be remembered, however they came; and hardly more are kept.
        """
        for first in range(1, 5001, 50):
            self.recent.take(numbered(first, first + 49))
        self.assertEqual(self.ids(ANY, 5000), [str(number) for number in range(5000, 4000, -1)])
        self.assertLess(self.recent.count, 1000 + 300)

    def test_oneByOne(self) -> None:
        """
        A request that comes alone takes no block of its own.
        """
        for number in range(1, 1501):
            self.recent.take(numbered(number, number))
        self.assertEqual(len(self.ids()), 1000)
        self.assertLess(len(self.recent._blocks), 8)

    def test_bytes(self) -> None:
        """
        Nor are there ever more bytes, whatever clients send.
        """
        for _ in range(100):
            self.recent.take(batch(*(record(target=b"/" + b"x" * 8000) for _ in range(10))))
            self.assertLessEqual(self.recent.size, 1 << 20)
        self.assertEqual(self.recent.size, sum(len(block.data) for block in self.recent._blocks))
        self.assertGreater(self.recent.count, 50)

    def test_hugeBatch(self) -> None:
        """
        Many at once are looked at in parts, in the same order.
        """
        self.recent.adopt(5000, 1 << 24)
        self.recent.take(numbered(1, 3000))
        self.assertEqual(self.ids(ANY, 5000), [str(number) for number in range(3000, 0, -1)])

    def test_batchSizes(self) -> None:
        """
        However MessagePack writes how many there are.
        """
        self.recent.adopt(200_000, 1 << 30)
        total = 0
        for size in (1, 15, 16, 255, 256, 65_535, 65_536):
            self.recent.take(numbered(1, size))
            total += size
            self.assertEqual(self.recent.count, total)
        self.assertEqual(len(self.ids(RequestFilter(id="1"), 10)), 7)

    def test_less(self) -> None:
        """
        When less is to be remembered, the rest goes at once; and nothing is kept where nothing is to be.
        """
        for first in range(1, 1001, 50):
            self.recent.take(numbered(first, first + 49))
        self.recent.adopt(10, 1 << 20)
        self.assertEqual(len(self.ids()), 10)
        self.recent.adopt(0, 1 << 20)
        self.assertEqual((self.recent.count, self.recent.size, self.ids()), (0, 0, []))
        self.recent.take(numbered(1, 10))
        self.assertEqual((self.recent.count, self.recent.last), (0, 1010))
        self.recent.adopt(1000, 1 << 20)
        self.recent.take(numbered(11, 12))
        self.assertEqual([number for number, _ in self.search().items], [1012, 1011])

    def test_dropped(self) -> None:
        """
        What workers could not tell of is counted; a word may have nothing else.
        """
        self.recent.told(0, Records(b"", 0, 7))
        self.recent.told(1, Records(batch(record()), 1, 2))
        self.assertEqual((self.recent.dropped, self.recent.count), (9, 1))


class SearchTests(RecentCase):
    """
    How it is searched.
    """

    def test_pages(self) -> None:
        """
        A search goes on where it was, whatever has come meanwhile.
        """
        self.recent.take(numbered(1, 300))
        self.recent.take(numbered(301, 700))
        page = self.search(ANY, 250)
        seen = [one.id for _, one in page.items]
        while page.next is not None:
            self.recent.take(batch(record("new")))
            page = self.search(ANY, 250, page.next)
            seen += [one.id for _, one in page.items]
        self.assertEqual(seen, [str(number) for number in range(700, 0, -1)])

    def test_lastPage(self) -> None:
        """
        There is no next page where nothing is on it.
        """
        self.recent.take(numbered(1, 10))
        self.assertEqual(self.search(ANY, 10).next, None)
        self.assertEqual(self.search(ANY, 9).next, 2)

    def test_trimmed(self) -> None:
        """
        Below a number whose requests are gone there is nothing.
        """
        for first in range(1, 5001, 50):
            self.recent.take(numbered(first, first + 49))
        self.assertEqual(self.search(ANY, 10, 3000), Found((), None))

    def test_filter(self) -> None:
        """
        Only what fits is shown.
        """
        self.recent.take(batch(record("a"), record("b", status=500), record("c", route="blog")))
        self.assertEqual(self.ids(RequestFilter.of({"status": "5xx"}, 0)), ["b"])
        self.assertEqual(self.ids(RequestFilter.of({"route": "shop"}, 0)), ["b", "a"])

    def test_find(self) -> None:
        """
        The newest with an id; clients may choose ids, so there may be others.
        """
        self.recent.take(batch(record("a", status=500), record("a", status=200), record("b")))
        answer = self.recent.find("a")
        self.clock.advance(0)
        found = self.successResultOf(answer)
        self.assertEqual([one.status for _, one in found.items], [200])
        self.assertEqual(found.next, 2)

    def test_since(self) -> None:
        """
        What was heard of before then is not looked at.
        """
        for second in range(5):
            self.clock.rightNow = 2000.0 + 100 * second
            for _ in range(3):
                self.recent.take(numbered(1, 100, startedAt=self.clock.rightNow - 1))
        steps = sum(1 for _ in self.recent._look(RequestFilter(since=2350.0), 1000, None, []))
        self.assertEqual(len(self.ids(RequestFilter(since=2350.0))), 300)
        self.assertLess(steps, 6)

    def test_slices(self) -> None:
        """
        The loop is others' again and again: no search holds it for longer than a slice and a step.
        """
        for first in range(1, 1001, 100):
            self.recent.take(numbered(first, first + 99))
        self.clock.step, self.clock.turns = SLICE / 2, 0
        found = self.search(RequestFilter(status=((500, 599),)), 10)
        self.assertEqual(found, Found((), None))
        self.assertGreaterEqual(self.clock.turns, 4)

    def test_many(self) -> None:
        """
        Several at once share a slice; one too many is refused, and its place is free when another is over.
        """
        self.recent.take(numbered(1, 1000))
        answers = [self.recent.search(ANY, 10) for _ in range(MOST_SEARCHES)]
        self.assertRaises(TooManySearches, self.recent.search, ANY, 10)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(0)
        for answer in answers:
            self.successResultOf(answer)
        self.assertEqual(len(self.ids(ANY, 10)), 10)

    def test_cancelled(self) -> None:
        """
        Whoever does not want to know any more takes no place.
        """
        self.recent.take(numbered(1, 10))
        for _ in range(MOST_SEARCHES + 1):
            answer: Deferred[Found] = self.recent.search(ANY, 10)
            answer.cancel()
            self.failureResultOf(answer, CancelledError)
        self.assertEqual(len(self.ids()), 10)
        self.clock.advance(0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_whileTrimmed(self) -> None:
        """
        What goes while a search is under way does it no harm.
        """
        for first in range(1, 1001, 100):
            self.recent.take(numbered(first, first + 99))
        self.clock.step = SLICE
        answer = self.recent.search(ANY, 2000)
        self.clock.advance(0)
        self.recent.adopt(0, 0)
        while not answer.called:
            self.clock.advance(0)
        self.successResultOf(answer)
