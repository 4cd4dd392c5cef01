"""
What a hostile client costs, in memory and in work, beside a well-behaved one that sends as many bytes.

Nothing here is timed: memory is what the allocator counts, work is the number of calls that the interpreter makes.
Clients that take connections to an origin hostage are in test_nobodyTakesAllConnections.py, TLS records in
tests/dataplane/net/test_sockettls.py.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.addresses import AddressSet
from revproxy.dataplane.http.limits import Timeouts
from revproxy.dataplane.leaves.fixed import RespondLeaf
from tests.behaviour.pipeline import Heard, OriginConnection, Pipeline, Wire
from tests.counting import calls
from tests.dataplane.doubles import ClientDouble, EdgeDouble, RecordingLeaf

MEGABYTE = 1 << 20
GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
TIMEOUTS = Timeouts(header=10, body=20, idle=30)


def growth(act: Callable[[], object]) -> int:
    """:returns: the most bytes that were held at one time while something happened, beyond those of before."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        act()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


class NeverReadingTests(SynchronousTestCase):
    """One connection that sends small requests for ever and reads no answer."""

    def flood(self, edge: EdgeDouble, client: ClientDouble) -> None:
        """Eight megabytes of requests, for as long as somebody reads them."""
        client.transport.stall()
        for _ in range(8 * MEGABYTE // len(GET * 256)):
            if not client.transport.reading:
                return
            client.send(GET * 256)
            edge.settle()

    def test_answersGivenAtOnce(self) -> None:
        """Once 64 KB wait to be taken no further request is begun, and the client is read no more."""
        for size in (10, 8192, 60_000):
            edge = EdgeDouble(RespondLeaf(200, b"x" * size, {}))
            client = edge.connect()
            held = growth(lambda edge=edge, client=client: self.flood(edge, client))  # type: ignore[misc]
            self.assertFalse(client.transport.reading, size)
            self.assertLess(len(client.transport.dataBuffer), 65536 + size + 500)
            self.assertLess(held, MEGABYTE)

    def test_oneRequestAtATime(self) -> None:
        """The same for a client that sends each request by itself and could be waiting for nothing."""
        edge = EdgeDouble(RespondLeaf(200, b"x" * 8192, {}))
        client = edge.connect()
        client.transport.stall()
        for _ in range(10_000):
            if client.transport.reading:
                client.send(GET)
        self.assertLess(len(client.transport.dataBuffer), 65536 + 9000)
        self.assertFalse(client.transport.reading)

    def test_answersOfAnOrigin(self) -> None:
        """The same for answers that an origin gives."""
        pipeline = Pipeline()
        pipeline.origin.wholeHeard = answerTenKilobytes  # type: ignore[method-assign]
        client = pipeline.connect()
        client.wire.stall()
        for _ in range(300):
            if client.wire.reading:
                client.send(GET * 256)
        self.assertFalse(client.wire.reading)
        self.assertLess(len(client.wire.dataBuffer), 65536 + 11_000)

    def test_itIsCut(self) -> None:
        """Who takes nothing is let go when the time for a body is over, however much more he sends."""
        edge = EdgeDouble(RespondLeaf(200, b"x" * 8192, {}), timeouts=TIMEOUTS)
        client = edge.connect()
        self.flood(edge, client)
        edge.pass_(19)
        self.assertIsNone(client.end)
        edge.pass_(2)
        self.assertEqual(client.end, "abort")

    def test_slowReaders(self) -> None:
        """Who takes a little now and then is a reader; when all is taken, the next requests are answered."""
        edge = EdgeDouble(RespondLeaf(200, b"x" * 8192, {}), timeouts=TIMEOUTS)
        client = edge.connect()
        client.transport.stall()
        client.send(GET * 20)
        edge.settle()
        served = edge.log.records.__len__
        self.assertEqual(served(), 8)
        for _ in range(10):
            edge.pass_(15)
            client.transport.take(5000)
        self.assertIsNone(client.end)
        self.assertEqual(served(), 8)
        client.transport.take()
        edge.settle()
        self.assertEqual(served(), 20)
        self.assertEqual(client.received().count(b"HTTP/1.1 200 OK"), 20)

    def test_leavesWhileItIsAwaited(self) -> None:
        """Who leaves while his answers wait leaves nothing behind."""
        edge = EdgeDouble(RespondLeaf(200, b"x" * 8192, {}))
        client = edge.connect()
        self.flood(edge, client)
        client.leave(rudely=True)
        edge.settle()
        self.assertEqual((edge.active, edge.edge.connections), (0, set()))

    def test_drainedWhileItIsAwaited(self) -> None:
        """An edge that stops does not begin what was sent ahead: the connection ends with what is queued."""
        edge = EdgeDouble(RespondLeaf(200, b"x" * 8192, {}))
        client = edge.connect()
        self.flood(edge, client)
        edge.edge.drain()
        begun = len(edge.log.records)
        client.transport.take()
        edge.settle()
        self.assertEqual(len(edge.log.records), begun)
        self.assertIsNotNone(client.end)


class BusyLeaf(RespondLeaf):
    """Answers at once, after work that takes some time by its clock."""

    def __init__(self, seconds: float) -> None:
        super().__init__(200, b"hi", {})
        self.seconds = seconds
        self.clock = Clock()

    def render(self, exchange: Any) -> int:
        self.clock.rightNow += self.seconds
        return super().render(exchange)


class PipelinesTests(SynchronousTestCase):
    """Requests sent ahead, and answered at once."""

    def test_othersHaveTheirTurn(self) -> None:
        """Of thousands of requests in one piece only a few are answered before others have their turn."""
        edge = EdgeDouble(RespondLeaf(200, b"hi", {}))
        edge.connect().send(GET * (131072 // len(GET)))
        self.assertLess(len(edge.log.records), 40)
        other = edge.connect()
        other.send(GET)
        self.assertIn(b"200 OK", other.received())
        self.assertLess(len(edge.log.records), 40)

    def test_eachTakesLong(self) -> None:
        """Where requests are more work than most, fewer of them are begun before others have their turn."""
        for milliseconds, most in ((0.1, 16), (1, 6), (3, 3), (20, 2)):
            leaf = BusyLeaf(milliseconds / 1000)
            edge = EdgeDouble(leaf)
            leaf.clock = edge.clock
            client = edge.connect()
            client.send(GET * 100)
            self.assertLessEqual(len(edge.log.records), most)
            self.assertGreater(len(edge.log.records), 1)
            edge.settle()
            self.assertEqual(client.received().count(b"HTTP/1.1 200 OK"), 100)

    def test_allAreAnswered(self) -> None:
        """In the end every one of them is answered, in order, and the connection goes on."""
        edge = EdgeDouble(RespondLeaf(200, b"hi", {}))
        client = edge.connect()
        client.send(GET * 4000)
        edge.settle()
        client.send(GET)
        edge.settle()
        self.assertEqual(client.received().count(b"HTTP/1.1 200 OK"), 4001)
        self.assertTrue(client.transport.reading)

    def test_endsItsDirection(self) -> None:
        """Who sends many requests and then no more is answered all of them before its end is looked at."""
        for size, stalls in ((2, False), (8192, True)):
            edge = EdgeDouble(RespondLeaf(200, b"x" * size, {}))
            wire = Wire(edge.clock, edge.listener.buildProtocol(IPv4Address("TCP", "192.0.2.1", 50000)))
            if stalls:
                wire.stall()
            wire.arrive(GET * 100)
            wire.leave()
            edge.settle()
            for _ in range(100 if stalls else 0):
                wire.take(len(wire.dataBuffer))
                edge.settle()
            self.assertEqual(bytes(wire.sent).count(b"HTTP/1.1 200 OK"), 100)
            self.assertEqual(edge.edge.connections, set())

    def test_moreComesInEachTurn(self) -> None:
        """However much a client has to send in each turn of the loop, it is not held before it can be answered."""
        edge = EdgeDouble(RespondLeaf(200, b"hi", {}))
        client = edge.connect()
        turns: list[Callable[[], None]] = []
        edge.edge.soon = turns.append  # type: ignore[method-assign]
        piece = GET * 2000
        sent = 0

        def flood() -> None:
            nonlocal sent
            for _ in range(100):
                if client.transport.reading:
                    client.send(piece)
                    sent += 2000
                if turns:
                    turns.pop()()
                client.transport.sent.clear()

        self.assertLess(growth(flood), MEGABYTE)
        self.assertLess(sent, 10_000)

    def test_moreComesMeanwhile(self) -> None:
        """What a client sends while others have their turn is bounded, and answered behind the rest."""
        edge = EdgeDouble(RespondLeaf(200, b"hi", {}))
        client = edge.connect()
        sent = 0
        while client.transport.reading:
            client.send(GET * 1000)
            sent += 1000
            self.assertLess(sent, 20_000)
        edge.settle()
        self.assertEqual(client.received().count(b"HTTP/1.1 200 OK"), sent)
        self.assertTrue(client.transport.reading)


class PiecesTests(SynchronousTestCase):
    """Bytes that cost more than they weigh."""

    def assertCheap(self, pieces: Iterable[bytes], ratio: float) -> None:
        """A megabyte of this costs so many times the calls of a megabyte of ordinary requests, at most."""
        self.assertLess(perMegabyte(pieces) / perMegabyte([GET * 16] * 100), ratio)

    def test_emptyLines(self) -> None:
        """Empty lines before a request: four are passed over, a fifth is refused, and no more is read."""
        edge = EdgeDouble(RespondLeaf(200, b"hi", {}))
        client = edge.connect()
        client.send(b"\r\n" * 4 + GET + b"\r\n\r\n" + GET)
        self.assertEqual(client.received().count(b"200 OK"), 2)
        client.send(b"\r\n" * 4)
        self.assertEqual(client.received(), b"")
        client.send(b"\r\n" * 500_000)
        self.assertIn(b"HTTP/1.1 400 Bad Request", client.received())
        self.assertCheap([b"\r\n" * 500_000], 0.01)


    def test_oneByteChunks(self) -> None:
        """A body in chunks of one byte, or of one and two in turn."""
        head = b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        for chunks in (b"1\r\nx\r\n", b"1\r\nx\r\n02\r\nxy\r\n", b"A\r\n0123456789\r\n"):
            body = [chunks * (65536 // len(chunks))] * 4
            self.assertCheap([head, *body], 0.1)

    def test_extensions(self) -> None:
        """Chunks that are mostly extensions: the connection is ended after some, and no more is looked at."""
        edge = EdgeDouble(RecordingLeaf())
        client = edge.connect()
        client.send(b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(1000):
            client.send((b"1;" + b"e" * 200 + b"\r\nx\r\n") * 10)
        self.assertEqual(edge.active, 1)
        self.assertFalse(client.server.isReceiving)


class HeadsTests(SynchronousTestCase):
    """Heads that are work, each on a connection of its own, beside a head that is none."""

    def assertCheap(self, head: bytes, status: bytes, ratio: float) -> None:
        """It is answered with this status, and costs so many times the calls of an ordinary request, at most."""
        trusted = AddressSet(["192.0.2.0/24"])
        edge = EdgeDouble(RespondLeaf(200, b"hi", {}), trusted=trusted)
        plain = edge.connect()
        plain.send(GET)
        ordinary = calls(lambda: edge.connect().send(GET))
        client = edge.connect()
        client.send(head)
        self.assertIn(status, client.received())
        self.assertLess(calls(lambda: edge.connect().send(head)) / ordinary, ratio)

    def test_manyLines(self) -> None:
        """Lines are counted before they are worked on, whatever they are called."""
        for line, count in ((b"TE: a\r\n", 4600), (b"Connection: a\r\n", 2000), (b"X_Forwarded_For: a\r\n", 1600)):
            self.assertCheap(b"GET /a HTTP/1.1\r\nHost: x\r\n" + line * count + b"\r\n", b" 431 ", 3)

    def test_manyHops(self) -> None:
        """Of a long way through trusted proxies only the end is walked."""
        for field in (
            b"X-Forwarded-For: " + b", ".join([b"192.0.2.9"] * 2900),
            b"Forwarded: " + b", ".join([b"for=192.0.2.9"] * 2000),
        ):
            self.assertCheap(b"GET /a HTTP/1.1\r\nHost: x\r\n%b\r\n\r\n" % field, b" 200 ", 50)


def perMegabyte(pieces: Iterable[bytes]) -> float:
    """:returns: calls for a megabyte of what a client sends in these pieces."""
    edge = EdgeDouble(RespondLeaf(200, b"hi", {}))
    client = edge.connect()
    given = list(pieces)

    def send() -> None:
        for piece in given:
            client.send(piece)
            client.transport.sent.clear()
        edge.settle()

    return calls(send) * MEGABYTE / sum(map(len, given))


def answerTenKilobytes(connection: OriginConnection, heard: Heard) -> None:
    """An origin's answer."""
    connection.wire.arrive(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n" + b"x" * 10_000)

