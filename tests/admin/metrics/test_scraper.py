"""
When what Prometheus reads is made, and for whom.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock, SchedulerStopped
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from revproxy.admin.metrics.exposition import SLICE, Source
from revproxy.admin.metrics.family import Family
from revproxy.admin.metrics.scraper import FRESH, Scrape, Scraper

FAMILY = Family("app_open", "gauge", "What is open.", ("number",))


class CountingClock(Clock):
    """
    :ivar turns: how often something was to be done in the next turn of the loop.
    """

    turns = 0

    def callLater(self, when: float, what: Callable[..., object], *arguments: Any, **named: Any) -> Any:
        self.turns += not when
        return super().callLater(when, what, *arguments, **named)


class ScraperTests(SynchronousTestCase):
    """
    With a figure of four slices, and a thread that works when it is told to.
    """

    def setUp(self) -> None:
        self.clock = CountingClock()
        self.happened: list[str] = []
        self.gathered: Deferred[Any] = Deferred()
        self.jobs: list[tuple[Callable[..., Any], Any, Deferred[Any]]] = []
        self.points = 4 * SLICE - 10
        self.scraper = Scraper(self.clock, self._gather, self._settle, self._sources, self._inThread)

    def _gather(self) -> Deferred[Any]:
        self.happened.append("gather")
        return self.gathered

    def _settle(self) -> Iterator[None]:
        self.happened.append("settle")
        yield

    def _sources(self) -> list[Source]:
        self.happened.append("sources")
        return [Source(FAMILY, lambda: (((str(number),), (1,)) for number in range(self.points)))]

    def _inThread(self, function: Callable[..., Any], argument: Any) -> Deferred[Any]:
        self.jobs.append((function, argument, Deferred()))
        return self.jobs[-1][2]

    def scrape(self, openMetrics: bool = False) -> list[Any]:
        """:returns: with what was answered, once it was."""
        answers: list[Any] = []
        self.scraper.scrape(openMetrics).addBoth(answers.append)
        return answers

    def turns(self) -> int:
        """:returns: how many turns of the loop it takes until nothing happens at once."""
        before = self.clock.turns
        self.clock.advance(0)
        return self.clock.turns - before

    def test_order(self) -> None:
        """
        What workers have counted is asked for, then added up, then written, one slice in each turn of the loop.
        """
        answers = self.scrape()
        self.assertEqual(self.happened, ["gather"])
        self.gathered.callback(None)
        count = self.turns()
        self.assertEqual(self.happened, ["gather", "settle", "sources"])
        self.assertGreaterEqual(count, 4)
        self.assertEqual(b"".join(answers[0].chunks).count(b"\n"), self.points + 2)
        self.assertEqual(len(answers[0].chunks), 4)

    def test_shared(self) -> None:
        """
        Whoever asks meanwhile gets the same; each format is another one.
        """
        first, second, other = self.scrape(), self.scrape(), self.scrape(True)
        self.gathered.callback(None)
        self.turns()
        self.assertIs(first[0], second[0])
        self.assertIsNot(first[0], other[0])
        self.assertEqual(self.happened.count("sources"), 2)

    def test_fresh(self) -> None:
        """
        For a moment it is given to others as it is; then it is forgotten.
        """
        self.gathered.callback(None)
        first = self.scrape()
        self.turns()
        self.clock.advance(FRESH * 0.9)
        self.assertIs(self.scrape()[0], first[0])
        self.clock.advance(FRESH * 0.2)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        later = self.scrape()
        self.turns()
        self.assertIsNot(later[0], first[0])

    def test_givenUp(self) -> None:
        """
        Who goes does not disturb those who stay.
        """
        gone = self.scraper.scrape(False)
        gone.addErrback(lambda failure: None)
        stays = self.scrape()
        gone.cancel()
        self.gathered.callback(None)
        self.turns()
        self.assertIsInstance(stays[0], Scrape)

    def test_fails(self) -> None:
        """
        What goes wrong is told to all, and the next try is another one.
        """
        answers = [self.scrape(), self.scrape()]
        self.gathered.errback(RuntimeError("no"))
        for told in answers:
            self.assertTrue(told[0].check(RuntimeError))
        self.gathered = succeed(None)
        again = self.scrape()
        self.turns()
        self.assertIsInstance(again[0], Scrape)

    def test_stopped(self) -> None:
        """
        At the end, nobody waits for ever, and nothing is left to happen.
        """
        self.gathered.callback(None)
        done = self.scrape(True)
        self.turns()
        self.gathered = Deferred()
        answers = self.scrape()
        self.scraper.stop()
        self.gathered.callback(None)
        self.assertTrue(done[0])
        self.assertTrue(answers[0].check(SchedulerStopped))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_compressed(self) -> None:
        """
        It is compressed in a thread, once for all who want that.
        """
        self.gathered.callback(None)
        answers = self.scrape()
        self.turns()
        scrape, told = answers[0], list[Any]()
        for _ in range(2):
            scrape.compressed().addBoth(told.append)
        [(function, argument, job)] = self.jobs
        job.callback(function(argument))
        scrape.compressed().addBoth(told.append)
        self.assertEqual(len(self.jobs), 1)
        self.assertEqual(len(told), 3)
        self.assertEqual(zlib.decompress(b"".join(told[0]), 16 + zlib.MAX_WBITS), b"".join(scrape.chunks))

    def test_notCompressed(self) -> None:
        """
        A thread that fails is told of, and asked once more.
        """
        self.gathered.callback(None)
        answers = self.scrape()
        self.turns()
        told: list[Any] = []
        answers[0].compressed().addBoth(told.append)
        self.jobs[0][2].errback(Failure(MemoryError()))
        self.assertTrue(told[0].check(MemoryError))
        answers[0].compressed().addBoth(told.append)
        self.assertEqual(len(self.jobs), 2)
