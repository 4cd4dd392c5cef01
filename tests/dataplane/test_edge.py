"""Generations that wait for their last request, and an edge that drains."""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.edge import Generation
from revproxy.dataplane.limits import Limits, Timeouts
from revproxy.dataplane.routing import Tree
from tests.dataplane.doubles import EdgeDouble, RecordingLeaf

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class GenerationTests(SynchronousTestCase):
    """`whenIdle`."""

    def setUp(self) -> None:
        self.generation = Generation(1, Tree([]))

    def test_unused(self) -> None:
        """At once when nobody uses it."""
        self.successResultOf(self.generation.whenIdle())

    def test_used(self) -> None:
        """After the last, for all who wait."""
        self.generation.active = 2
        waiting = [self.generation.whenIdle(), self.generation.whenIdle()]
        self.generation.release()
        self.assertNoResult(waiting[0])
        self.generation.release()
        for one in waiting:
            self.successResultOf(one)

    def test_cancelled(self) -> None:
        """Who gives up the wait is not called."""
        self.generation.active = 1
        waiting = self.generation.whenIdle()
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.generation.release()
        self.assertEqual(self.generation.active, 0)


class DrainTests(SynchronousTestCase):
    """`Edge.drain`."""

    def setUp(self) -> None:
        self.leaf = RecordingLeaf()
        self.double = EdgeDouble(self.leaf, timeouts=Timeouts(drain=10), limits=Limits(maxConnections=3))

    def test_nobody(self) -> None:
        """At once, and nobody is let in any more."""
        self.successResultOf(self.double.edge.drain())
        self.assertIsNone(self.double.listener.buildProtocol(None))  # type: ignore[arg-type]
        self.assertEqual(self.double.clock.getDelayedCalls(), [])

    def test_running(self) -> None:
        """Idle ones close now, running ones after their answer; then it is over, and nothing is scheduled."""
        idle, running = self.double.connect(), self.double.connect()
        running.send(GET)
        drained = self.double.edge.drain()
        self.assertEqual([idle.end, running.end], ["close", None])
        idle.leave()
        self.leaf.answer(0, b"hi")
        self.assertIn(b"Connection: close\r\n", running.received())
        self.assertNoResult(drained)
        running.leave()
        self.successResultOf(drained)
        self.double.pass_(1)
        self.assertEqual(self.double.clock.getDelayedCalls(), [])

    def test_hardStop(self) -> None:
        """After the drain time the rest is broken off."""
        running = self.double.connect()
        running.send(GET)
        drained = self.double.edge.drain()
        self.double.pass_(9)
        self.assertIsNone(running.end)
        self.double.pass_(1.5)
        self.assertEqual(running.end, "abort")
        running.leave()
        self.successResultOf(drained)
        self.assertEqual(self.double.generation.active, 0)

    def test_full(self) -> None:
        """No more connections than allowed; one that ends makes room."""
        clients = [self.double.connect() for _ in range(3)]
        self.assertIsNone(self.double.listener.buildProtocol(None))  # type: ignore[arg-type]
        self.assertEqual(self.double.edge.turnedAway, 1)
        clients[0].leave()
        self.double.connect()
