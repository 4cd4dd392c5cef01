"""Tests for `revproxy.worker.underway`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.plan.counted import RouteNow
from revproxy.worker import underway
from revproxy.worker.underway import UnderWay
from tests.dataplane.doubles import EdgeDouble, RecordingLeaf

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class UnderWayTests(SynchronousTestCase):
    """`UnderWay`."""

    def setUp(self) -> None:
        self.leaf = RecordingLeaf()
        self.double = EdgeDouble(self.leaf)
        self.underWay = UnderWay(self.double.clock, self.double.edge)

    def routes(self) -> tuple[RouteNow, ...]:
        """What goes on now."""
        self.underWay.look()
        return self.underWay.routes

    def test_oldest(self) -> None:
        """How many requests a route has, and when the oldest began; idle connections do not count."""
        self.assertEqual(self.routes(), ())
        clients = [self.double.connect() for _ in range(4)]
        for client in clients[:3]:
            client.send(GET)
            self.double.clock.advance(2)
        self.assertEqual(self.routes(), (RouteNow("default", 3, 0.0),))
        self.leaf.answer(0)
        self.assertEqual(self.routes(), (RouteNow("default", 2, 2.0),))
        clients[1].leave()
        self.leaf.answer(2)
        self.assertEqual(self.routes(), ())

    def test_slices(self) -> None:
        """Many connections are looked at some at a time; what was found before stands until then."""
        self.patch(underway, "AT_ONCE", 2)
        for _ in range(5):
            self.double.connect().send(GET)
        self.assertEqual(self.routes(), ())
        self.assertEqual(self.routes(), (), "it is under way")
        self.assertEqual(len([call for call in self.double.clock.getDelayedCalls() if call.getTime() == 0]), 1)
        self.double.settle()
        self.assertEqual(self.underWay.routes, (RouteNow("default", 5, 0.0),))

    def test_stop(self) -> None:
        """Nothing is left to be called."""
        self.patch(underway, "AT_ONCE", 1)
        for _ in range(2):
            self.double.connect()
        calls = len(self.double.clock.getDelayedCalls())
        self.underWay.look()
        self.underWay.stop()
        self.assertEqual(len(self.double.clock.getDelayedCalls()), calls)
