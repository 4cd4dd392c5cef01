"""An edge that drains, that breaks off, and whose settings change."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.limits import Limits, Timeouts
from tests.dataplane.doubles import EdgeDouble, RecordingLeaf

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


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
        self.assertEqual(self.double.active, 0)

    def test_full(self) -> None:
        """No more connections than allowed; one that ends makes room."""
        clients = [self.double.connect() for _ in range(3)]
        self.assertIsNone(self.double.listener.buildProtocol(None))  # type: ignore[arg-type]
        self.assertEqual(self.double.edge.turnedAway, 1)
        clients[0].leave()
        self.double.connect()
