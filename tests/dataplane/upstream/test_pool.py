"""Connections to one target: how many, which, and who waits for them."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionRefusedError, TimeoutError
from twisted.python.failure import Failure

from revproxy.body import Body
from revproxy.dataplane.http.limits import Timeouts
from revproxy.errors import ConnectFailed, ConnectionStale, ConnectTimedOut, Unavailable
from revproxy.testing import SourceDouble
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


class UploadsTests(OriginCase):
    """Requests whose body is not whole: two of four connections, and one of two places to wait."""

    def upload(self) -> tuple[Asked, SourceDouble]:
        source = SourceDouble(length=3)
        return self.ask(b"POST", source.body), source

    def test_half(self) -> None:
        """The third waits, the fourth is turned away; others are sent at once, and may wait."""
        uploads = [self.upload()[0] for _ in range(4)]
        self.assertEqual([len(self.origin.arrived), len(self.origin.pool.waiting.held)], [2, 1])
        self.assertFailed(uploads[3], Unavailable)
        others = [self.ask(), self.ask(b"POST", Body.of(b"abc")), self.ask()]
        self.assertEqual([len(self.origin.arrived), len(self.origin.pool.waiting.ready)], [4, 1])
        self.assertFailed(self.ask(), Unavailable)
        for connection in (self.origin.arrived[2], self.origin.arrived[3], self.origin.arrived[2]):
            connection.says(OK)
        self.assertEqual([one.got.status for one in others], [200] * 3)
        self.assertIsNone(uploads[2].got)

    def test_becomesWhole(self) -> None:
        """One that becomes whole while it is held is sent, past those who still upload."""
        self.upload(), self.upload()
        asked, source = self.upload()
        source.feed(b"abc")
        self.assertEqual(len(self.origin.arrived), 2)
        source.finish()
        self.assertTrue(self.origin.arrived[2].heard().endswith(b"abc"))
        self.assertEqual(self.origin.pool.shares.uploads, 2)
        self.origin.arrived[2].says(OK)
        self.assertEqual(asked.got.status, 200)
        self.assertEqual(len(self.origin.pool.waiting), 0)

    def test_neverWhole(self) -> None:
        """One that breaks off while it waits, in either line, is over at once: no connection is spent on it."""
        self.upload()
        self.origin.accepts = False
        ready, source = self.upload()
        source.fail(ValueError("broken"))
        self.assertFailed(ready, ValueError)
        self.assertEqual([len(self.origin.pool.waiting), self.origin.pool.shares.uploads], [0, 1])
        self.origin.admits()
        self.assertEqual(self.origin.arrived[1].heard(), b"")
        self.upload()
        held, source = self.upload()
        self.assertEqual(list(self.origin.pool.waiting.held), [held])
        source.fail(ValueError("broken"))
        self.assertFailed(held, ValueError)
        self.assertEqual([len(self.origin.pool.waiting), self.origin.pool.shares.uploads], [0, 2])
        self.assertIsNone(source.body.onEnd)

    def test_brokenAlready(self) -> None:
        """Nor is one sent whose body broke off before."""
        source = SourceDouble(length=3)
        source.fail(ValueError("broken"))
        self.assertFailed(self.ask(b"POST", source.body), ValueError)
        self.assertEqual(self.origin.arrived, [])

    def test_wholeBeforeItIsSent(self) -> None:
        """One that becomes whole while its connection is being made gives its share back."""
        self.origin.accepts = False
        _, source = self.upload()
        source.feed(b"abc")
        source.finish()
        self.assertEqual(self.origin.pool.shares.uploads, 1)
        self.origin.admits()
        self.assertEqual(self.origin.pool.shares.uploads, 0)

    def test_givesBack(self) -> None:
        """However an upload ends, the next takes its place."""

        def cancelled(asked: Asked, source: SourceDouble, at: int) -> None:
            asked.answer.addErrback(lambda _: None)
            asked.answer.cancel()

        ends: list[Callable[[Asked, SourceDouble, int], None]] = [
            cancelled,
            lambda asked, source, at: source.fail(RuntimeError("gone")),
            lambda asked, source, at: self.origin.arrived[at].leaves(),
            lambda asked, source, at: self.origin.arrived[at].says(OK),
            lambda asked, source, at: self.origin.arrived[at].says(b"nonsense"),
            lambda asked, source, at: source.feed(b"abc") or source.finish(),  # type: ignore[func-returns-value]
        ]
        self.origin = Origin(self.clock, maxConnections=9, maxQueue=20)
        self.upstream = self.upstreamOf(self.origin, maxFails=0)
        uploads = [self.upload() for _ in range(4 + len(ends))]
        self.assertEqual(len(self.origin.arrived), 4)
        for at, end in enumerate(ends):
            end(*uploads[at], at)
            self.assertEqual([len(self.origin.arrived), self.origin.pool.shares.uploads], [5 + at, 4], at)
        self.assertEqual(len(self.origin.pool.waiting), 0)

    def test_refused(self) -> None:
        """A connection that cannot be made gives back the share, and the one that was held is tried."""
        self.origin = Origin(self.clock, maxQueue=4)
        self.upstream = self.upstreamOf(self.origin)
        self.origin.accepts = False
        uploads = [self.upload()[0] for _ in range(3)]
        for _ in range(3):
            self.origin.refuses(ConnectionRefusedError())
        for one in uploads:
            self.assertFailed(one, ConnectFailed)
        shares = self.origin.pool.shares
        self.assertEqual([shares.connections, shares.uploads], [0, 0])

    def test_late(self) -> None:
        """Held for too long: not sent, and its place is free."""
        self.upload(), self.upload()
        asked, source = self.upload()
        self.pass_(6)
        self.assertFailed(asked, Unavailable)
        self.assertTrue(source.stopped)
        self.assertEqual(len(self.origin.pool.waiting), 0)
        self.assertIsNone(source.body.onEnd)

    def test_onlyOne(self) -> None:
        """Where there is one connection, an upload may have it."""
        self.origin = Origin(self.clock, maxConnections=1)
        self.upstream = self.upstreamOf(self.origin)
        asked, source = self.upload()
        source.feed(b"abc")
        source.finish()
        self.origin.arrived[0].says(OK)
        self.assertEqual(asked.got.status, 200)

    def test_timeGoesOn(self) -> None:
        """Who was held and then waits for a connection has the rest of his time, and who came later is behind him."""
        self.upload()
        second, _ = self.upload()
        self.ask(), self.ask()
        self.pass_(1)
        held, _ = self.upload()
        self.clock.advance(0.1)
        plain = self.ask()
        self.pass_(3)
        second.answer.addErrback(lambda _: None)
        self.origin.accepts = False
        second.answer.cancel()
        self.assertEqual(list(self.origin.pool.waiting.ready), [held, plain])
        self.pass_(2.5)
        self.assertIsInstance(held.got, Failure)


    def test_inOrderOfTime(self) -> None:
        """Who was held is behind those who have waited longer, and those who were held stay in order."""
        self.origin = Origin(self.clock, maxQueue=8)
        self.upstream = self.upstreamOf(self.origin)
        uploads = [self.upload() for _ in range(2)]
        self.ask(), self.ask()
        waiting: list[Asked] = []
        for begin in (self.ask, lambda: self.upload()[0], lambda: self.upload()[0], self.ask):
            waiting.append(begin())
            self.pass_(0.5)
        for _, source in uploads:
            source.feed(b"abc")
            source.finish()
        self.assertEqual(list(self.origin.pool.waiting.ready), waiting)


class ClosesTests(OriginCase):
    """Origins that close idle connections soon."""

    def closeAfter(self, seconds: float) -> None:
        """The origin closes one that has been idle for so long."""
        self.ask()
        connection = self.origin.arrived[-1]
        connection.says(OK)
        self.clock.advance(seconds)
        connection.leaves()

    def usesKept(self, method: bytes, age: float) -> bool:
        """Whether a request is sent on a connection that has been idle for so long."""
        for connection in list(self.origin.pool.idle):
            connection.abort()
        self.ask()
        connection = self.origin.arrived[-1]
        connection.says(OK)
        self.clock.advance(age)
        before = len(self.origin.arrived)
        asked = self.ask(method)
        kept = len(self.origin.arrived) == before
        self.origin.arrived[-1].says(OK)
        self.assertEqual(asked.got.status, 200)
        return kept

    def test_unknown(self) -> None:
        """As long as nothing is known, any that is there is used."""
        self.assertTrue(self.usesKept(b"POST", 29))

    def test_unsafe(self) -> None:
        """What may not be lost takes one that is much younger; what can be repeated any that is younger."""
        self.closeAfter(2)
        for method, age, kept in (
            (b"POST", 0.9, True),
            (b"POST", 1.1, False),
            (b"PUT", 1.1, False),
            (b"x", 1.1, False),
            (b"GET", 1.1, True),
            (b"GET", 2.1, False),
        ):
            self.assertEqual(self.usesKept(method, age), kept, (method, age))

    def test_atOnce(self) -> None:
        """One that closes at once: safe methods still take what has just become free."""
        self.closeAfter(0.001)
        for method, age, kept in ((b"POST", 0.001, False), (b"GET", 0.004, True), (b"GET", 0.006, False)):
            self.assertEqual(self.usesKept(method, age), kept, (method, age))

    def test_atOnceWithAQueue(self) -> None:
        """Nor does what has just become free go to others who wait: they get a fresh one."""
        self.closeAfter(0.001)
        for method, fresh in ((b"POST", 1), (b"GET", 0)):
            busy = [self.ask() for _ in range(4)]
            waits = self.ask(method)
            before = len(self.origin.arrived)
            connection = busy[0].connection
            assert connection is not None
            connection.dataReceived(OK)
            self.assertEqual(len(self.origin.arrived) - before, fresh)
            for arrived in self.origin.arrived:
                if arrived.end is None:
                    arrived.says(OK)
            self.assertEqual(waits.got.status, 200)
            for arrived in self.origin.arrived:
                arrived.protocol.abort()

    def test_onlyOneInItsPlace(self) -> None:
        """Where a fresh one is being made for who waits already, others that become free are kept."""
        self.closeAfter(0.001)
        self.ask(), self.ask()
        self.origin.accepts = False
        self.ask(b"POST")
        for connection in self.origin.arrived[1:]:
            connection.says(OK)
        self.assertEqual([len(self.origin.pool.idle), len(self.origin.attempts), self.origin.pool.open], [2, 1, 3])
        self.ask()
        self.assertEqual([len(self.origin.pool.idle), len(self.origin.attempts)], [1, 1])

    def test_onceMore(self) -> None:
        """What was lost on a kept connection goes on a fresh one, not on one that has just become free."""
        self.ask()
        self.origin.arrived[0].says(OK)
        lost, *_ = [self.ask() for _ in range(4)]
        self.origin.accepts = False
        self.origin.arrived[0].leaves()
        self.origin.arrived[1].says(OK)
        self.assertEqual(self.origin.arrived[1].heard().count(b"GET"), 1)
        self.origin.admits()
        self.origin.arrived[-1].says(OK)
        self.assertEqual(lost.got.status, 200)

    def test_raced(self) -> None:
        """A request lost on a kept connection teaches, too."""
        self.ask()
        self.origin.arrived[0].says(OK)
        self.clock.advance(2)
        lost = self.ask(b"POST")
        self.origin.arrived[0].leaves()
        self.assertFailed(lost, ConnectionStale)
        self.assertEqual(self.origin.pool.closes.shortest, 2)

    def test_racedSlowly(self) -> None:
        """What counts is how long the connection was unused, not how long the origin took to close it."""
        self.ask()
        self.origin.arrived[0].says(OK)
        self.clock.advance(2)
        self.ask(b"POST")
        self.clock.advance(3)
        self.origin.arrived[0].leaves()
        self.assertEqual(self.origin.pool.closes.shortest, 2)

    def test_fullAndLost(self) -> None:
        """What is sent once more takes the place of one that is idle where there is no room."""
        for _ in range(4):
            self.ask()
        for connection in self.origin.arrived:
            connection.says(OK)
        lost = self.ask()
        self.ask(), self.ask(), self.ask()
        self.origin.arrived[0].says(OK)
        self.origin.accepts = False
        self.origin.arrived[3].leaves()
        self.assertEqual([self.origin.pool.open, len(self.origin.attempts)], [4, 1])
        self.origin.admits()
        self.origin.arrived[4].says(OK)
        self.assertEqual(lost.got.status, 200)

    def test_seenInTime(self) -> None:
        """So does one that turns out to be closed as it is looked at."""
        self.ask()
        self.origin.arrived[0].says(OK)
        self.clock.advance(2)
        self.origin.arrived[0].transport.isQuiet = lambda: False  # type: ignore[method-assign]
        self.ask(b"POST")
        self.assertEqual([len(self.origin.arrived), self.origin.pool.closes.shortest], [2, 2])

    def test_ours(self) -> None:
        """Connections that we close tell nothing."""
        self.ask()
        self.origin.arrived[0].says(OK)
        self.pass_(31)
        self.assertEqual(self.origin.arrived[0].end, "close")
        self.origin.arrived[0].leaves()
        self.assertIsNone(self.origin.pool.closes.shortest)

    def test_givesWay(self) -> None:
        """With all connections idle and too old, one is closed for a fresh one."""
        self.closeAfter(2)
        for _ in range(4):
            self.ask()
        for connection in self.origin.arrived[1:]:
            connection.says(OK)
        self.clock.advance(1.5)
        asked = self.ask(b"POST")
        self.assertEqual([one.end for one in self.origin.arrived[1:]], ["close", None, None, None, None])
        self.origin.arrived[-1].says(OK)
        self.assertEqual(asked.got.status, 200)
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
