"""Tests for :mod:`revproxy.dataplane.upstream.target`: what policies ask."""

from __future__ import annotations

from revproxy.body import Body
from revproxy.dataplane.upstream.target import Target
from tests.dataplane.origins import OK, Origin, OriginCase


class PredicateTests(OriginCase):
    """Whether there is something against a target."""

    def setUp(self) -> None:
        super().setUp()
        self.origin = Origin(self.clock, maxConnections=1, maxQueue=1)
        self.upstream = self.upstreamOf(self.origin)
        self.target: Target = self.origin.target

    def test_healthy(self) -> None:
        """It is not marked down, or its time has come."""
        self.assertTrue(self.target.isHealthy(0.0))
        self.target.downUntil = 5.0
        self.assertEqual([self.target.isHealthy(now) for now in (4.9, 5.0)], [False, True])
        self.assertEqual([self.target.isAvailable(now) for now in (4.9, 5.0)], [False, True])

    def test_full(self) -> None:
        """As many connections as there may be are in use, and as many requests wait as may."""
        self.assertFalse(self.target.isFull)
        self.ask()
        self.assertFalse(self.target.isFull)
        self.ask()
        self.assertTrue(self.target.isFull)
        self.assertEqual((self.target.isHealthy(0.0), self.target.isAvailable(0.0)), (True, False))
        self.origin.arrived[0].says(OK)
        self.assertFalse(self.target.isFull)

    def test_idle(self) -> None:
        """Where a connection is free, nobody has to wait, so it is not full without places to wait."""
        self.origin = Origin(self.clock, maxConnections=1, maxQueue=0)
        self.upstream = self.upstreamOf(self.origin)
        asked = self.ask(b"POST", Body.of(b"x"))
        self.assertTrue(self.origin.target.isFull)
        self.origin.arrived[0].says(OK)
        self.assertEqual(asked.got.status, 200)
        self.assertFalse(self.origin.target.isFull)
