"""Plugins that change what framing hangs on, or answer nonsense: both sides are still told the truth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from revproxy.context import Context, Headers, Response
from revproxy.errors import PluginFailed
from tests.dataplane.doubles import EdgeDouble, RecordingLeaf
from tests.dataplane.origins import OK
from tests.dataplane.test_exchange import GET, ExchangeCase, Onlooker

POST = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 40\r\n\r\n"
SECOND = b"GET /secret HTTP/1.1\r\nHost: x\r\n\r\n".ljust(40)


def assigns(**changes: Any) -> Callable[[Context], None]:
    """Assigns attributes of the response."""

    def assign(context: Context) -> None:
        for name, value in changes.items():
            setattr(context.response, name, value)

    return assign


class MethodTests(ExchangeCase):
    """The client's method, not the origin's, tells whether the client waits for a body."""

    def change(self, method: str) -> None:
        def onEntry(context: Context) -> bool:
            context.request.method = method
            return True

        self.plugin.onEntry = onEntry

    def test_toHead(self) -> None:
        """GET made HEAD: the length of what is not there would swallow the next answer."""
        self.change("HEAD")
        self.client.send(GET)
        self.connection.says(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n")
        self.assertEqual(self.client.received(), b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    def test_fromHead(self) -> None:
        """HEAD made GET: a body would be taken for the next answer."""
        self.change("GET")
        self.client.send(GET.replace(b"GET", b"HEAD"))
        self.connection.says(OK)
        self.assertEqual(self.client.received(), b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        self.assertOver(200)

    def test_head(self) -> None:
        """HEAD left alone: the length of what GET would get goes through."""
        self.client.send(GET.replace(b"GET", b"HEAD"))
        self.connection.says(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n")
        self.assertEqual(self.client.received(), b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n")


class StatusTests(ExchangeCase):
    """A status assigned on the way out."""

    def test_bodyless(self) -> None:
        """304 made 200: the length of what is not there is not said."""
        self.plugin.onExit = assigns(status=200)
        self.client.send(GET)
        self.connection.says(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 50\r\n\r\n")
        self.assertIn(b"\r\nContent-Length: 0\r\n", self.client.received())
        self.assertOver(200)

    def test_noStatus(self) -> None:
        """What is no final status is the plugin's failure: an interim one would leave the client waiting."""
        for status in (99, 100, 103, 199, 600, 1000, "200", None):
            self.setUp()
            self.plugin.onExit = assigns(status=status)
            self.client.send(GET)
            self.connection.says(OK)
            self.assertTrue(self.client.received().startswith(b"HTTP/1.1 500 "), status)
            self.assertOver(500, "PluginFailed")
            self.assertEqual(len(self.flushLoggedErrors(ValueError, TypeError)), 1)

    def test_onTheWayIn(self) -> None:
        """The same for who answers instead of the origin."""

        def onEntry(context: Context) -> bool:
            context.respond(200, "x")
            assigns(status=103)(context)
            return False

        self.plugin.onEntry = onEntry
        self.client.send(GET)
        self.assertTrue(self.client.received().startswith(b"HTTP/1.1 500 "))
        self.assertOver(500, "PluginFailed")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)


class HeadersTests(ExchangeCase):
    """A header section assigned as a whole: the length went with the old one."""

    def test_request(self) -> None:
        """The origin is told where the body ends: it would take it for a request."""

        def onEntry(context: Context) -> bool:
            context.request.headers = Headers.of({"X": "1"})
            return True

        self.plugin.onEntry = onEntry
        for pieces in ((POST + SECOND,), (POST, SECOND)):
            self.setUp()
            self.plugin.onEntry = onEntry
            for piece in pieces:
                self.client.send(piece)
            head, _, body = self.connection.heard().partition(b"\r\n\r\n")
            self.assertEqual(body, SECOND)
            self.assertEqual(head.count(b"\r\nContent-Length: 40"), 1, head)

    def test_expect(self) -> None:
        """Without Expect the origin will not ask for the body: the edge does, or both would wait."""

        def replaces(context: Context) -> bool:
            context.request.headers = Headers()
            return True

        def removes(context: Context) -> bool:
            context.request.headers.remove("Expect")
            return True

        for onEntry in (replaces, removes):
            self.setUp()
            self.plugin.onEntry = onEntry
            self.client.send(POST[:-2] + b"Expect: 100-continue\r\n\r\n")
            self.assertEqual(self.client.received(), b"HTTP/1.1 100 Continue\r\n\r\n")
            self.client.send(SECOND)
            self.assertTrue(self.connection.heard().endswith(b"\r\n\r\n" + SECOND))

    def test_response(self) -> None:
        """So is the client."""
        for pieces in ((OK,), (OK[:-1], OK[-1:])):
            self.setUp()
            self.plugin.onExit = assigns(headers=Headers.of({"X": "1"}))
            self.client.send(GET)
            for piece in pieces:
                self.connection.says(piece)
            self.assertEqual(self.client.received(), b"HTTP/1.1 200 OK\r\nX: 1\r\nContent-Length: 2\r\n\r\nhi")
            self.assertOver(200)


class NonsenseTests(ExchangeCase):
    """What is no answer at all."""

    def test_noResponse(self) -> None:
        """The client gets a 500, at once and no other."""

        def leaving(response: Any) -> Callable[[Context], None]:
            def onExit(context: Context) -> None:
                context.response = response

            return onExit

        for response in (None, "hello", Response(200, None, Headers(), "hello")):  # type: ignore[arg-type]
            self.setUp()
            self.plugin.onExit = leaving(response)
            self.client.send(GET)
            self.connection.says(OK)
            self.assertTrue(self.client.received().startswith(b"HTTP/1.1 500 "))
            self.assertOver(500, "PluginFailed")
            self.assertEqual(self.edge.log.records[0].pluginErrors, ("onlooker",))
            self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_later(self) -> None:
        """Also when it thinks about it."""
        thought: Deferred[None] = Deferred()

        async def onExit(context: Context) -> None:
            await thought
            context.response = None

        self.plugin.onExit = onExit
        self.client.send(GET)
        self.connection.says(OK)
        thought.callback(None)
        self.assertTrue(self.client.received().startswith(b"HTTP/1.1 500 "))
        self.assertOver(500, "PluginFailed")
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_onTheWayIn(self) -> None:
        """The same for who answers instead of the origin."""

        def onEntry(context: Context) -> bool:
            context.response = "hello"  # type: ignore[assignment]
            return False

        self.plugin.onEntry = onEntry
        self.client.send(GET)
        self.assertTrue(self.client.received().startswith(b"HTTP/1.1 500 "))
        self.assertOver(500, "PluginFailed")
        self.flushLoggedErrors(TypeError)

    def test_unwritable(self) -> None:
        """An answer that cannot be written breaks the connection off: nobody waits for ever."""
        for says in (OK, b"nonsense"):
            self.setUp()
            self.plugin.onExit = assigns(_headers=None)
            self.client.send(GET)
            self.connection.says(says)
            self.assertEqual(self.client.end, "abort")
            self.client.leave()
            self.assertEqual(self.edge.active, 0)
            self.assertTrue(self.flushLoggedErrors(AttributeError))


class LeafTests(SynchronousTestCase):
    """A leaf that raises."""

    def test_raises(self) -> None:
        """The client gets a 500; the next request on its connection is answered."""

        class Raising(RecordingLeaf):
            def render(self, exchange: Any) -> int:
                if not self.exchanges:
                    self.exchanges.append(exchange)
                    raise RuntimeError("no")
                return super().render(exchange)

        leaf = Raising()
        edge = EdgeDouble(leaf)
        client = edge.connect()
        client.send(GET + GET)
        self.assertTrue(client.received().startswith(b"HTTP/1.1 500 "))
        leaf.answer(1, b"hi")
        self.assertTrue(client.received().endswith(b"hi"))
        self.assertEqual(edge.active, 0)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class LateTests(ExchangeCase):
    """A plugin that goes on changing a request that waits for a connection."""

    def test_queued(self) -> None:
        """It is refused: the head that tells the length is made already."""
        kept: list[Context] = []

        def onEntry(context: Context) -> bool:
            kept.append(context)
            return True

        self.plugin.onEntry = onEntry
        self.origin.accepts = False
        self.client.send(POST + SECOND)
        body = kept[0].request.body
        self.assertRaises(RuntimeError, body.replace, b"longer " * 20)
        self.assertRaises(RuntimeError, body.addFilter, lambda data, last: data * 2)
        self.origin.admits()
        self.assertTrue(self.connection.heard().endswith(b"\r\nContent-Length: 40\r\n\r\n" + SECOND))


class BrokenBodyTests(ExchangeCase):
    """A body that breaks off under a plugin that reads it is not that plugin's failure."""

    def setUp(self) -> None:
        super().setUp()

        async def onEntry(context: Context) -> bool:
            await context.request.body.read(1000)
            return True

        self.plugin.onEntry = onEntry

    @property
    def failures(self) -> int:
        return self.edge.chains[0].links[0].counters.errors

    def test_slow(self) -> None:
        """Too slow: 408."""
        self.client.send(POST + b"a")
        self.edge.pass_(70)
        self.assertTrue(self.client.received().startswith(b"HTTP/1.1 408 "))
        self.assertOver(408, "RequestTimeout")
        self.assertEqual(self.failures, 0)

    def test_malformed(self) -> None:
        """Malformed: 400, and the connection ends."""
        self.client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\naX")
        self.assertTrue(self.client.received().startswith(b"HTTP/1.1 400 "))
        self.assertIsNotNone(self.client.end)
        self.assertOver(400, "BadRequest")
        self.assertEqual(self.failures, 0)

    def test_left(self) -> None:
        """The client left: nothing is written, nobody blamed."""
        self.client.send(POST + b"a")
        self.client.leave()
        self.assertEqual(self.client.received(), b"")
        self.assertOver(499, "ClientGone")
        self.assertEqual(self.failures, 0)

    def test_response(self) -> None:
        """The origin dies: 502."""

        async def onExit(context: Context) -> None:
            assert context.response is not None
            await context.response.body.read(1000)

        self.plugin.onExit = onExit
        self.client.send(GET)
        self.connection.says(OK[:-1])
        self.connection.leaves()
        self.assertTrue(self.client.received().startswith(b"HTTP/1.1 502 "))
        self.assertOver(502, "BadResponse")
        self.assertEqual(self.failures, 0)

    def test_own(self) -> None:
        """An EdgeError of its own is a failure like any other."""

        async def onEntry(context: Context) -> bool:
            raise PluginFailed("mine")

        self.plugin.onEntry = onEntry
        self.client.send(GET)
        self.assertOver(500, "PluginFailed")
        self.assertEqual(self.failures, 1)
        self.assertEqual(len(self.flushLoggedErrors(PluginFailed)), 1)


class IdTests(SynchronousTestCase):
    """``context.id`` is sent in a header of error pages."""

    def test_injection(self) -> None:
        """What would be more than a value is refused, as the plugin's failure."""
        for id in ("", "a\r\nSet-Cookie: b=c", "a\0", "é", "x" * 256):
            plugin = Onlooker()

            def onEntry(context: Context, id: str = id) -> bool:
                context.id = id
                return True

            plugin.onEntry = onEntry
            client = EdgeDouble(RecordingLeaf(), middleware=[plugin]).connect()
            client.send(GET)
            self.assertTrue(client.received().startswith(b"HTTP/1.1 500 "))
            self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)


class VersionTests(ExchangeCase):
    """The client's version, whatever a plugin assigns, tells how it is written to."""

    def test_older(self) -> None:
        """An HTTP/1.1 client gets no Connection: keep-alive and no body without an end."""

        def onEntry(context: Context) -> bool:
            context.request.version = "1.0"
            return True

        self.plugin.onEntry = onEntry
        self.client.send(GET)
        self.connection.says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
        self.assertEqual(
            self.client.received(), b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"
        )
