"""Answers that a plugin makes piece by piece: as the client takes them, in turns, and closed in the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from revproxy.context import Context
from revproxy.errors import Refused
from revproxy.interfaces import IMiddleware
from revproxy.testing import EdgeDouble, makeContext
from tests.dataplane.test_exchange import GET, ExchangeCase

PIECES = [b"abc", "dé", bytearray(b"f")]
CHUNKED = b"3\r\nabc\r\n3\r\nd\xc3\xa9\r\n1\r\nf\r\n0\r\n\r\n"


class PiecesCase(ExchangeCase):
    """A plugin that answers with an iterator."""

    def setUp(self) -> None:
        super().setUp()
        self.closed = 0
        self.made = 0
        self.waiting: list[Deferred[Any]] = []
        self.link = self.edge.chains[0].links[0]

    def answers(self, iterator: Callable[[], Any], **more: Any) -> None:
        """It answers so."""
        self.plugin.onEntry = lambda context: context.respond(200, iterator(), **more)

    def sync(self) -> Iterator[Any]:
        try:
            for piece in PIECES:
                self.made += 1
                yield piece
        finally:
            self.closed += 1

    async def later(self) -> AsyncIterator[Any]:
        try:
            for piece in PIECES:
                self.waiting.append(Deferred())
                await self.waiting[-1]
                self.made += 1
                yield piece
        finally:
            self.closed += 1

    def go(self) -> None:
        """What the plugin waits for is there."""
        self.waiting.pop(0).callback(None)
        self.edge.settle()

    def ask(self, request: bytes = GET) -> None:
        self.client.send(request)
        self.edge.settle()


class WholeTests(PiecesCase):
    """That go well."""

    def test_sync(self) -> None:
        """An iterator: chunked, in turns of the loop, and closed in the end."""
        self.answers(self.sync)
        self.client.send(GET)
        self.assertEqual(self.made, 1)
        self.edge.settle()
        head, _, body = self.client.received().partition(b"\r\n\r\n")
        self.assertIn(b"\r\nTransfer-Encoding: chunked", head)
        self.assertEqual((body, self.closed), (CHUNKED, 1))
        self.assertOver(200)
        self.assertEqual(self.edge.log.records[0].interruptedBy, "onlooker")

    def test_later(self) -> None:
        """An asynchronous one: each piece goes out when it is there, and the head with the first."""
        self.answers(self.later)
        self.ask()
        self.assertEqual(self.client.received(), b"")
        self.go()
        self.assertTrue(self.client.received().endswith(b"\r\n\r\n3\r\nabc\r\n"))
        self.go()
        self.go()
        self.assertTrue(CHUNKED.endswith(self.client.received()))
        self.assertEqual(self.closed, 1)
        self.assertOver(200)

    def test_old(self) -> None:
        """To an HTTP/1.0 client, the end of the connection is its end."""
        self.answers(self.sync)
        self.ask(GET.replace(b"1.1", b"1.0"))
        received = self.client.received()
        self.assertNotIn(b"Transfer-Encoding", received)
        self.assertTrue(received.endswith(b"\r\n\r\nabcd\xc3\xa9f"), received)
        self.assertEqual(self.client.end, "close")
        self.assertOver(200)

    def test_head(self) -> None:
        """HEAD: none is asked for."""
        for answer in (self.sync, self.later):
            self.setUp()
            self.answers(answer)
            self.ask(GET.replace(b"GET", b"HEAD"))
            self.assertTrue(self.client.received().startswith(b"HTTP/1.1 200 "))
            self.assertEqual(self.made, 0)
            self.assertOver(200)

    def test_empty(self) -> None:
        """None at all, and pieces without bytes."""
        for pieces in ([], [b"", ""]):
            self.setUp()
            self.answers(lambda pieces=pieces: iter(pieces))
            self.ask()
            self.assertTrue(self.client.received().endswith(b"\r\n\r\n0\r\n\r\n"))
            self.assertOver(200)

    def test_wayOut(self) -> None:
        """In the place of the origin's answer."""
        self.plugin.onExit = lambda context: context.respond(200, self.sync()) and None
        self.client.send(GET)
        self.connection.says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        self.edge.settle()
        self.assertTrue(self.client.received().endswith(CHUNKED))
        self.assertOver(200)

    def test_slowClient(self) -> None:
        """As long as the client takes nothing, nothing is made; others are not held up by one that never ends."""

        def endless() -> Iterator[bytes]:
            while True:
                self.made += 1
                yield b"x" * 30_000

        self.answers(endless)
        self.client.transport.stall()
        self.ask()
        made = self.made
        self.assertTrue(2 <= made <= 4, made)
        self.client.transport.take(10**6)
        for _ in range(3):
            self.edge.clock.advance(0)
        self.assertGreater(self.made, made)
        self.client.leave()
        made = self.made
        self.edge.settle()
        self.assertEqual(self.made, made)


class EndTests(PiecesCase):
    """That do not."""

    def test_clientLeaves(self) -> None:
        """It is closed, and nobody is blamed."""
        for answer in (self.sync, self.later):
            self.setUp()
            self.answers(answer)
            self.client.send(GET)
            self.client.leave()
            self.edge.settle()
            self.assertEqual((self.closed, self.link.counters.errors, self.edge.active), (1, 0, 0))
            self.assertLessEqual(self.made, 1)
            self.assertIn("ClientGone", self.edge.log.records[0].error or "")

    def test_notSent(self) -> None:
        """What is not sent after all, since another answer has taken its place, is closed with the request."""

        class Made:
            def __next__(made) -> bytes:
                return b"x"

            def close(made) -> None:
                self.closed += 1

        def failing(context: Context) -> bool:
            context.respond(200, Made())  # type: ignore[arg-type]
            raise LookupError

        def changing(context: Context) -> bool:
            context.respond(200, Made())  # type: ignore[arg-type]
            return context.respond(200, "y")

        def waiting(context: Context) -> Deferred[bool]:
            context.respond(200, Made())  # type: ignore[arg-type]
            return Deferred()

        for answer in (failing, changing, waiting):
            self.setUp()
            self.plugin.onEntry = answer
            self.client.send(GET)
            self.client.leave()
            self.assertEqual((self.closed, self.edge.active), (1, 0), answer)
            self.flushLoggedErrors(LookupError)

    def test_fails(self) -> None:
        """At its first piece: 500. Later: it is broken off. Booked either way."""

        def failing(pieces: int) -> Iterator[bytes]:
            yield from [b"abc"] * pieces
            raise LookupError("no")

        async def failingLater(pieces: int) -> AsyncIterator[bytes]:
            for piece in failing(pieces):
                yield piece

        for make in (failing, failingLater):
            for pieces, status in ((0, 500), (2, 200)):
                self.setUp()
                self.answers(lambda make=make, pieces=pieces: make(pieces))
                self.ask()
                self.assertTrue(self.client.received().startswith(b"HTTP/1.1 %d " % status))
                if pieces:
                    self.assertEqual(self.client.end, "abort")
                    self.client.leave()
                self.assertOver(status, "PluginFailed: onlooker 1.0: no")
                self.assertEqual(self.edge.log.records[0].pluginErrors, ("onlooker",))
                self.assertEqual(self.link.counters.errors, 1)
                self.assertEqual(len(self.flushLoggedErrors(LookupError)), 1)

    def test_nonsense(self) -> None:
        """Pieces that are none."""
        for piece in (5, None, {"a": 1}):
            self.setUp()
            self.answers(lambda piece=piece: iter([b"abc", piece]))
            self.ask()
            self.client.leave()
            self.assertOver(200, "a piece of a body is bytes")
            self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_refuses(self) -> None:
        """It may refuse before its first piece."""

        def refusing() -> Iterator[bytes]:
            raise Refused(404, "No such thing.\n")
            yield b""

        self.answers(refusing)
        self.ask()
        self.assertTrue(self.client.received().startswith(b"HTTP/1.1 404 "))
        self.assertOver(404)
        self.assertEqual(self.link.counters.errors, 0)

    def test_tooLong(self) -> None:
        """A piece has the time of a body, and not that of a call."""
        self.link.timeout, self.link.pieceTimeout = 1.0, 5.0
        self.answers(self.later)
        self.ask()
        self.edge.pass_(3)
        self.go()
        self.assertIn(b"abc", self.client.received())
        self.edge.pass_(6)
        self.assertEqual((self.client.end, self.closed), ("abort", 1))
        self.client.leave()
        self.assertOver(200, "no answer within 5.0 s")
        self.assertEqual(self.link.counters.timeouts, 1)
        self.flushLoggedErrors()

    def test_closingFails(self) -> None:
        """What it raises when it is closed is booked, too."""

        def unwilling() -> Iterator[bytes]:
            try:
                yield b"abc"
            finally:
                raise LookupError("no")

        self.answers(unwilling)
        self.client.send(GET)
        self.client.leave()
        self.assertEqual(self.link.counters.errors, 1)
        self.assertEqual(len(self.flushLoggedErrors(LookupError)), 1)


class DoubleTests(SynchronousTestCase):
    """In authors' tests, and by itself."""

    def test_double(self) -> None:
        """The double takes all."""

        @implementer(IMiddleware)
        class Streaming:
            name = "streaming"

            def __init__(self, pieces: Callable[[], Any]) -> None:
                self.pieces = pieces

            def handle(self, context: Context) -> bool:
                return context.respond(200, self.pieces())

        async def later() -> AsyncIterator[bytes]:
            for piece in (b"a", b"b"):
                yield piece

        for pieces in (lambda: iter([b"a", b"b"]), later):
            self.assertEqual(EdgeDouble(Streaming(pieces)).get().body, b"ab")

    def test_read(self) -> None:
        """It can be read, and filtered."""
        context = makeContext()
        context.respond(200, iter([b"a", b"b"]))
        assert context.response is not None
        context.response.body.addFilter(lambda data, last: data.upper())
        self.assertEqual(self.successResultOf(context.response.body.read(9)), b"AB")

    def test_outside(self) -> None:
        """Only a plugin that is being called can answer so; what is no iterator is refused."""
        context = makeContext()
        self.assertRaises(TypeError, context.respond, 200, [b"a"])
        context._toolbox = None
        self.assertRaises(RuntimeError, context.respond, 200, iter([b"a"]))
