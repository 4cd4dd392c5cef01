"""Connections to one target: how many, which, and who waits for them."""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionRefusedError, TimeoutError

from revproxy.dataplane.limits import Timeouts
from revproxy.errors import ConnectFailed, ConnectTimedOut, Unavailable
from tests.dataplane.origins import OK, Asked, Origin, OriginCase


class ReuseTests(OriginCase):
    """Connections that are kept."""

    def test_reused(self) -> None:
        """One connection is enough for requests one after another."""
        for _ in range(5):
            asked = self.ask()
            self.origin.arrived[-1].says(OK)
            self.assertEqual(asked.got.status, 200)
        self.assertEqual([len(self.origin.arrived), self.origin.pool.open], [1, 1])
        self.assertEqual(self.origin.arrived[0].protocol.served, 5)

    def test_lastInFirstOut(self) -> None:
        """The connection used last is used next, so that the others may expire."""
        for _ in range(3):
            self.ask()
        first, second, third = self.origin.arrived
        for connection in (second, third, first):
            connection.heard()
            connection.says(OK)
        for _ in range(3):
            self.ask()
            self.assertTrue(first.heard())
            first.says(OK)
        self.pass_(20)
        self.ask()
        first.says(OK)
        self.pass_(11)
        self.assertEqual([second.end, third.end, first.end], ["close", "close", None])
        self.assertEqual(self.origin.pool.open, 1)

    def test_lostWhileIdle(self) -> None:
        """One that the origin closes is forgotten."""
        self.ask()
        self.origin.arrived[0].says(OK)
        self.origin.arrived[0].leaves()
        self.assertEqual([len(self.origin.pool.idle), self.origin.pool.open], [0, 0])


class BoundsTests(OriginCase):
    """No more connections than allowed, no more requests waiting than allowed."""

    def test_queue(self) -> None:
        """Four connections and two places to wait: the seventh request is turned away, the waiting ones are served."""
        asked = [self.ask() for _ in range(7)]
        self.assertEqual([len(self.origin.arrived), len(self.origin.pool.waiting)], [4, 2])
        self.assertFailed(asked[6], Unavailable)
        for connection in (*self.origin.arrived, *self.origin.arrived[:2]):
            connection.says(OK)
        self.assertEqual([one.got.status for one in asked[:6]], [200] * 6)
        self.assertEqual(len(self.origin.arrived), 4)
        self.assertEqual([len(self.origin.pool.idle), self.origin.pool.open], [4, 4])

    def test_inOrder(self) -> None:
        """Who waits longest is served first."""
        asked = [self.ask() for _ in range(6)]
        self.origin.arrived[2].says(OK)
        self.origin.arrived[2].says(OK)
        self.assertEqual([one.got is not None for one in asked], [False, False, True, False, True, False])

    def test_lostConnection(self) -> None:
        """A connection that is lost makes room for one to a request that waits."""
        asked = [self.ask(b"POST") for _ in range(5)]
        self.origin.arrived[0].leaves()
        self.assertEqual([len(self.origin.arrived), self.origin.pool.open], [5, 4])
        self.origin.arrived[4].says(OK)
        self.assertEqual(asked[4].got.status, 200)

    def test_waitsTooLong(self) -> None:
        """A request that gets no connection in time: 503, and it is not sent later."""
        asked = [self.ask() for _ in range(5)]
        self.pass_(6)
        self.assertFailed(asked[4], Unavailable)
        for connection in self.origin.arrived:
            connection.heard()
            connection.says(OK)
        self.assertEqual([connection.heard() for connection in self.origin.arrived], [b""] * 4)

    def test_withdrawn(self) -> None:
        """A request that is cancelled while it waits is not sent, and frees its place."""
        asked = [self.ask() for _ in range(6)]
        asked[4].answer.cancel()
        asked[4].got.trap(CancelledError)
        self.assertEqual(list(self.origin.pool.waiting), [asked[5]])
        self.origin.arrived[0].says(OK)
        self.origin.arrived[0].says(OK)
        self.assertEqual(asked[5].got.status, 200)
        self.pass_(10)
        self.assertEqual(self.origin.pool.open, 4)


class ConnectTests(OriginCase):
    """Connections being made."""

    def setUp(self) -> None:
        super().setUp()
        self.origin.accepts = False

    def test_oneEach(self) -> None:
        """Each request has a connection made, up to the limit; each connection takes who waits longest."""
        asked = [self.ask() for _ in range(6)]
        self.assertEqual(len(self.origin.attempts), 4)
        self.origin.admits()
        self.assertIs(self.origin.arrived[0].protocol._outgoing, asked[0])

    def test_refused(self) -> None:
        """What the endpoint says is the cause; nothing is left behind."""
        asked = self.ask()
        self.origin.refuses(ConnectionRefusedError())
        self.assertIn("refused", self.assertFailed(asked, ConnectFailed))
        self.assertEqual([self.origin.pool.open, len(self.origin.pool.waiting)], [0, 0])

    def test_timedOut(self) -> None:
        """An endpoint that gives up: 504."""
        asked = self.ask()
        self.origin.refuses(TimeoutError())
        self.assertFailed(asked, ConnectTimedOut)

    def test_neither(self) -> None:
        """An endpoint that neither connects nor gives up does not keep a request waiting."""
        asked = self.ask()
        self.pass_(6)
        self.assertFailed(asked, ConnectTimedOut)
        self.origin.admits()
        self.assertEqual(len(self.origin.pool.idle), 1)

    def test_unused(self) -> None:
        """A connection that comes when nobody waits any more is kept, for a while."""
        asked = self.ask()
        asked.answer.cancel()
        asked.got.trap(CancelledError)
        self.origin.admits()
        self.assertEqual([len(self.origin.pool.idle), self.origin.pool.open], [1, 1])
        self.pass_(32)
        self.assertEqual(self.origin.pool.open, 0)

    def test_takenByAnother(self) -> None:
        """A connection that comes free first serves who waits; the one being made is kept for the next."""
        self.origin.accepts = True
        first = self.ask()
        self.origin.accepts = False
        second = self.ask()
        self.origin.arrived[0].says(OK)
        self.origin.arrived[0].says(OK)
        self.assertEqual([first.got.status, second.got.status], [200, 200])
        self.origin.admits()
        self.assertEqual([len(self.origin.pool.idle), self.origin.pool.open], [2, 2])

    def test_manyRefused(self) -> None:
        """A long queue before a dead origin is told, one by one, without a deep stack."""
        self.origin = Origin(self.clock, maxConnections=2, maxQueue=3000)
        self.upstream = self.upstreamOf(self.origin)
        self.origin.accepts = False
        asked = [self.ask() for _ in range(3000)]
        while self.origin.attempts:
            self.origin.refuses(ConnectionRefusedError())
        for one in asked:
            self.assertFailed(one, ConnectFailed)
        self.assertEqual(self.origin.pool.open, 0)


class CloseTests(OriginCase):
    """A pool that is given up."""

    def test_idle(self) -> None:
        """Unused connections end now."""
        self.ask()
        self.origin.arrived[0].says(OK)
        self.origin.pool.close()
        self.assertIsNotNone(self.origin.arrived[0].end)
        self.assertEqual(self.origin.pool.open, 0)

    def test_running(self) -> None:
        """Requests under way, and those that wait, are answered; then their connections end."""
        asked = [self.ask() for _ in range(6)]
        self.origin.pool.close()
        for connection in (*self.origin.arrived, *self.origin.arrived[:2]):
            connection.says(OK)
        self.assertEqual([one.got.status for one in asked], [200] * 6)
        self.assertEqual(self.origin.pool.open, 0)

    def test_connecting(self) -> None:
        """A connection that is being made for a request still serves it; one for nobody is given up."""
        self.origin.accepts = False
        first, second = self.ask(), self.ask()
        second.answer.cancel()
        second.got.trap(CancelledError)
        self.origin.pool.close()
        self.assertEqual(self.origin.pool.open, 1)
        self.origin.attempts = [attempt for attempt in self.origin.attempts if not attempt[0].called]
        self.origin.admits()
        self.origin.arrived[0].says(OK)
        self.assertEqual(first.got.status, 200)
        self.assertEqual(self.origin.pool.open, 0)

    def test_late(self) -> None:
        """Later requests, of a generation that was replaced before they came so far, are served; nothing is kept."""
        self.origin.pool.close()
        asked = [self.ask() for _ in range(3)]
        for connection in list(self.origin.arrived):
            connection.says(OK)
        self.assertEqual([one.got.status for one in asked], [200] * 3)
        self.assertEqual(self.origin.pool.open, 0)


class TimeoutsTests(OriginCase):
    """The clock."""

    def test_nothingLeft(self) -> None:
        """When all is quiet, nothing is scheduled any more."""
        self.origin = Origin(self.clock, timeouts=Timeouts(), idleTimeout=5.0)
        self.upstream = self.upstreamOf(self.origin)
        self.ask()
        self.origin.arrived[0].says(OK)
        self.pass_(7)
        self.origin.arrived[0].leaves()
        self.pass_(1)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertIsInstance(self.ask(), Asked)
