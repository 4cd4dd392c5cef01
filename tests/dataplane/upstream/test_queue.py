"""Tests for :mod:`revproxy.dataplane.upstream.queue`; how a pool uses it is tested with that."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.body import Body
from revproxy.dataplane.upstream.queue import Queue
from revproxy.loop.deadlines import NEVER, Deadlines
from revproxy.testing import SourceDouble
from tests.dataplane.origins import Asked, OriginCase


class QueueTests(OriginCase, SynchronousTestCase):
    """Two lines."""

    def setUp(self) -> None:
        super().setUp()
        self.over: list[Asked] = []
        self.clock = Clock()
        self.queue = Queue(Deadlines(self.clock, 0.5), 5.0, 4, self.over.append)  # type: ignore[arg-type]

    def request(self, body: Body | None = None) -> Asked:
        return Asked(self.upstream, b"POST", body)

    def test_order(self) -> None:
        """First come, first served; who has lost his connection is first. Whoever waits has a deadline, and only he."""
        first, second, again = self.request(), self.request(), self.request()
        for outgoing in (first, second):
            self.queue.join(outgoing, first=False)
        self.queue.join(again, first=True)
        self.assertEqual([outgoing.deadline for outgoing in self.queue], [5.0] * 3)
        self.assertEqual([self.queue.next() for _ in range(3)], [again, first, second])
        self.assertEqual([outgoing.deadline for outgoing in (again, first, second)], [NEVER] * 3)
        self.assertEqual(len(self.queue), 0)
        self.clock.advance(1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_held(self) -> None:
        """The held have half of the places at most."""
        bodies = [SourceDouble().body for _ in range(3)]
        self.assertEqual([self.queue.hold(self.request(body)) for body in bodies], [True, True, False])
        self.assertFalse(self.queue.isFull)
        for _ in range(2):
            self.queue.join(self.request(), first=False)
        self.assertTrue(self.queue.isFull)
        self.assertFalse(self.queue.hold(self.request(bodies[2])))

    def test_timeRunsOn(self) -> None:
        """Who goes from one line to the other stands there by the time he has waited."""
        held, later = self.request(SourceDouble().body), self.request()
        self.queue.hold(held)
        self.clock.advance(1)
        self.queue.join(later, first=False)
        self.assertIs(self.queue.admit(), held)
        self.queue.join(held, first=False)
        self.assertEqual(list(self.queue.ready), [held, later])
        self.assertEqual([held.deadline, later.deadline], [5.0, 6.0])

    def test_bodyIsWhole(self) -> None:
        """Who is held and has his whole body waits for no upload any more; who is ready keeps his place."""
        sources = [SourceDouble(), SourceDouble()]
        held, ready = (self.request(source.body) for source in sources)
        self.queue.hold(held)
        self.queue.join(ready, first=False)
        for source in sources:
            source.finish()
        self.assertEqual(self.over, [held])
        self.assertEqual(list(self.queue), [ready])

    def test_bodyFails(self) -> None:
        """Who never will have it waits for nothing, in whichever line."""
        sources = [SourceDouble(), SourceDouble()]
        held, ready = (self.request(source.body) for source in sources)
        self.queue.hold(held)
        self.queue.join(ready, first=False)
        for source in sources:
            source.fail(ValueError())
        self.assertEqual(self.over, [held, ready])
        self.assertEqual(len(self.queue), 0)

    def test_leave(self) -> None:
        """Whoever does not want to wait any more leaves, from either line; not to wait is no error."""
        source = SourceDouble()
        held, ready = self.request(source.body), self.request()
        self.queue.hold(held)
        self.queue.join(ready, first=False)
        for outgoing in (held, ready, held):
            self.queue.leave(outgoing)
            self.assertEqual(outgoing.deadline, NEVER)
        self.assertEqual(len(self.queue), 0)
        source.finish()
        self.assertEqual(self.over, [])
