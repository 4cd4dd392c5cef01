"""Bytes both ways, no more of them than the other side takes."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.http.tunnel import Tunnel
from revproxy.loop.deadlines import Deadlines
from tests.dataplane.origins import OriginTransport

DONE = Failure(ConnectionDone())


class TunnelTests(SynchronousTestCase):
    """Two transports."""

    def setUp(self) -> None:
        self.origin, self.client = OriginTransport(), OriginTransport()
        self.over: list[Any] = []
        self.clock = Clock()
        self.deadlines = Deadlines(self.clock, 0.5)
        self.tunnel = Tunnel(self.origin, self.origin.loseConnection, self.deadlines, 60)

    def join(self) -> None:
        self.tunnel.connectClient(self.client, 10, lambda *counts: self.over.append(counts))

    def test_counts(self) -> None:
        """Bytes are counted, those of the 101 too, and told once."""
        self.tunnel.fromOrigin(b"ear")
        self.join()
        self.tunnel.fromOrigin(b"ly")
        self.tunnel.fromClient(b"hello!")
        self.assertEqual([bytes(self.client.sent), bytes(self.origin.sent)], [b"early", b"hello!"])
        self.tunnel.originLost(DONE)
        self.tunnel.clientLost(DONE)
        self.assertEqual(self.over, [(6, 15)])

    def test_backpressure(self) -> None:
        """A side that takes nothing stops the other, and starts it again."""
        for slow, fast, send in (
            (self.client, self.origin, self.tunnel.fromOrigin),
            (self.origin, self.client, self.tunnel.fromClient),
        ):
            if not self.origin.producer:
                self.join()
            slow.stall()
            send(b"x" * 70000)
            self.assertFalse(fast.reading)
            slow.take()
            self.assertTrue(fast.reading)

    def test_earlyMuch(self) -> None:
        """What came before the client was joined counts against it, too."""
        self.client.stall()
        self.tunnel.fromOrigin(b"x" * 70000)
        self.join()
        self.assertFalse(self.origin.reading)
        self.client.take()
        self.assertTrue(self.origin.reading)

    def test_originFirst(self) -> None:
        """The origin has left before the client was joined: the client is closed when it is."""
        self.tunnel.originLost(DONE)
        self.join()
        self.assertEqual([self.client.end, len(self.over)], ["close", 1])

    def test_ends(self) -> None:
        """The end of one side is the other's, after what is queued."""
        self.join()
        self.tunnel.clientLost(DONE)
        self.assertEqual([self.origin.end, self.origin.producer], ["close", None])
        self.setUp()
        self.join()
        self.tunnel.originLost(DONE)
        self.assertEqual([self.client.end, self.client.producer], ["close", None])

    def test_idle(self) -> None:
        """What nothing passes through is ended on both sides, after what is queued; why is told."""
        self.join()
        self.pass_(59)
        self.assertEqual(self.over, [])
        self.pass_(4)
        self.assertEqual([self.client.end, self.origin.end, len(self.over)], ["close", "close", 1])
        self.assertEqual(self.tunnel.reason, "nothing passed through the tunnel for 60 s")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_notIdle(self) -> None:
        """Any byte counts, of either side, and so does one that a slow side takes at last."""
        self.join()
        self.client.stall()
        for send in (self.tunnel.fromClient, self.tunnel.fromOrigin, lambda data: self.client.take(1)):
            self.pass_(50)
            send(b"xyz")
        self.pass_(55)
        self.assertEqual(self.over, [])
        self.pass_(10)
        self.assertEqual(len(self.over), 1)

    def test_idleBeforeJoined(self) -> None:
        """One that no client was joined to in time closes the client that comes late."""
        self.pass_(70)
        self.assertEqual(self.origin.end, "close")
        self.join()
        self.assertEqual([self.client.end, len(self.over)], ["close", 1])

    def pass_(self, seconds: float) -> None:
        """Time passes, in steps of half a second."""
        self.clock.pump([0.5] * int(seconds * 2))
