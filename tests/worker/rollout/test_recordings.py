"""
What is taken down for somebody to keep it.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.plan.words import Record, Recorded
from revproxy.replay.recordedcall import RecordedExchange, RecordedResponse
from revproxy.replay.recordedrequest import RecordedRequest
from revproxy.worker.rollout import recordings
from revproxy.worker.rollout.recordings import Recordings
from tests.replay.recordings import call, pluginCall, request


class Taken:
    """A request that was taken down."""

    def __init__(self, made: RecordedRequest | None = None) -> None:
        self.made = made

    def recorded(self) -> RecordedRequest:
        if self.made is None:
            raise ValueError("of a plugin")
        return self.made


class RecordingsTests(SynchronousTestCase):
    """Of one worker."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.told: list[Recorded] = []
        self.chances: Iterator[float] = iter(())
        self.changes = 0
        self.recordings = Recordings(self.clock, self.told.append, lambda: next(self.chances))
        self.recordings.onChanged = self.changed

    def changed(self) -> None:
        self.changes += 1

    def take(self, route: str = "shop", chance: float = 0.0, made: RecordedRequest | None = None) -> int:
        """:returns: how many recordings have taken it."""
        self.chances = iter((chance,) * 4)
        takers = self.recordings.takers(route)
        for taker in takers:
            taker(Taken(made or request()))
        return len(takers)

    def test_nothing(self) -> None:
        """Without a recording nothing is wanted, and nothing waits."""
        self.assertFalse(self.recordings.isOf("shop"))
        self.assertEqual(self.recordings.takers("shop"), ())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_share(self) -> None:
        """Of the routes that are meant, a share; told after a second."""
        self.recordings.hear(Record("r-1", ("shop",), 0.25))
        self.assertTrue(self.recordings.isOf("shop"))
        self.assertFalse(self.recordings.isOf("blog"))
        self.assertEqual(self.take("blog"), 0)
        self.assertEqual(self.take(chance=0.25), 0)
        self.assertEqual(self.take(chance=0.24), 1)
        self.assertEqual(self.take(chance=0.0), 1)
        self.clock.advance(1)
        (word,) = self.told
        self.assertEqual((word.recording, word.count, word.dropped), ("r-1", 2, 0))
        self.assertEqual(msgspec.msgpack.decode(word.batch, type=list[RecordedRequest]), [request()] * 2)
        self.clock.advance(1)
        self.assertEqual(len(self.told), 1)

    def test_allRoutes(self) -> None:
        """Without names, all are meant."""
        self.recordings.hear(Record("r-1", (), 1.0))
        self.assertEqual([self.take("shop"), self.take("blog")], [1, 1])

    def test_end(self) -> None:
        """When it ends, what waits is told at once, and the clock has nothing more to do."""
        self.recordings.hear(Record("r-1", (), 1.0))
        self.take()
        self.recordings.hear(Record("r-1"))
        self.assertEqual([word.count for word in self.told], [1])
        self.assertFalse(self.recordings.isOf("shop"))
        self.clock.advance(1)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.changes, 2)

    def test_onlyChanges(self) -> None:
        """What was said already changes nothing; another share does."""
        for share in (0.5, 0.5, 0.1):
            self.recordings.hear(Record("r-1", (), share))
        self.recordings.hear(Record("unknown"))
        self.assertEqual(self.changes, 2)

    def test_tooMuch(self) -> None:
        """More than there is room for is dropped and counted; a second later there is room again."""
        self.patch(recordings, "MOST_BYTES", 1000)
        self.recordings.hear(Record("r-1", (), 1.0))
        big = request(origin=RecordedResponse(200, (), b"x" * 600))
        for _ in range(3):
            self.take(made=big)
        self.clock.advance(1)
        self.assertEqual([(word.count, word.dropped) for word in self.told], [(1, 2)])
        self.take(made=big)
        self.clock.advance(1)
        self.assertEqual([(word.count, word.dropped) for word in self.told], [(1, 2), (1, 0)])

    def test_bodies(self) -> None:
        """No body is longer than was asked for, and says so; what plugins were told is whole, or known not to be."""
        self.recordings.hear(Record("r-1", (), 1.0, bodyBytes=4))
        answer, exchange = RecordedResponse(200, (), b"123456"), RecordedExchange("GET", "http://a/", 200, (), b"12345")
        self.take(made=request(pluginCall(call(body=b"12345", response=answer, told=(exchange,))), origin=answer))
        self.clock.advance(1)
        (made,) = msgspec.msgpack.decode(self.told[0].batch, type=list[RecordedRequest])
        cut = RecordedResponse(200, (), b"1234", False)
        asked = made.calls[0].call
        self.assertEqual((made.origin, asked.response, asked.body, asked.isWhole), (cut, cut, b"1234", False))
        self.assertEqual((asked.told[0].body, asked.told[0].error), (b"", "not kept: its body had 5 bytes"))

    def test_failures(self) -> None:
        """What cannot be taken down is dropped, and nobody fails."""
        self.recordings.hear(Record("r-1", (), 1.0))
        self.chances = iter((0.0,))
        for taker in self.recordings.takers("shop"):
            taker(Taken())
        self.clock.advance(1)
        self.assertEqual([(word.count, word.dropped) for word in self.told], [(0, 1)])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_stop(self) -> None:
        """At the end of the edge all is told."""
        self.recordings.hear(Record("r-1", (), 1.0))
        self.take()
        self.recordings.stop()
        self.assertEqual([word.count for word in self.told], [1])
        self.assertEqual(self.clock.getDelayedCalls(), [])
