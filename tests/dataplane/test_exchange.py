"""One request's life, with an origin's side that is real and in memory."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from revproxy.context import Context
from revproxy.dataplane.chain import Chain
from revproxy.dataplane.leaves.proxy import ProxyLeaf
from revproxy.dataplane.upstream.treqclient import PoolAgent, UpstreamClient
from revproxy.dataplane.upstream.upstream import Upstream
from revproxy.errors import PluginQuarantined
from revproxy.interfaces import IMiddleware, IObserver, IResponseMiddleware
from tests.dataplane.doubles import ClientDouble, EdgeDouble
from tests.dataplane.origins import OK, Arrived, Origin

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
UPGRADE = b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"


@implementer(IMiddleware, IResponseMiddleware, IObserver)
class Onlooker:
    """Does on the way out what it is told; keeps the outcomes."""

    name = "onlooker"

    def __init__(self) -> None:
        self.outcomes: list[Any] = []
        self.onEntry: Any = lambda context: True
        self.onExit: Any = lambda context: None

    def handle(self, context: Context) -> Any:
        return self.onEntry(context)

    def handleResponse(self, context: Context) -> Any:
        return self.onExit(context)

    def finished(self, context: Context) -> None:
        self.outcomes.append(context.outcome)


class ExchangeCase(SynchronousTestCase):
    """Client, chain of one, origin."""

    def setUp(self) -> None:
        self.plugin = Onlooker()
        self.edge = EdgeDouble(self, middleware=[self.plugin])  # type: ignore[arg-type]
        self.origin = Origin(self.edge.clock)
        upstream = Upstream("app", [self.origin.target], self.edge.clock.seconds)
        client = UpstreamClient(PoolAgent(lambda *_: upstream), self.edge.clock)
        self.leaf = ProxyLeaf(client, upstream)
        self.client: ClientDouble = self.edge.connect()

    def render(self, exchange: Any) -> int:
        """Stands for the leaf while the edge is made."""
        return self.leaf.render(exchange)

    @property
    def connection(self) -> Arrived:
        return self.origin.arrived[-1]

    def assertOver(self, status: int, error: str | None = None) -> None:
        """Every book is closed: one record, one outcome, nothing running, no connection in use."""
        (record,), (outcome,) = self.edge.log.records, self.plugin.outcomes
        self.assertEqual([record.status, outcome.status], [status, status])
        if error is None:
            self.assertIsNone(record.error)
        else:
            self.assertIn(error, record.error or "")
        self.assertEqual(self.edge.active, 0)
        self.assertEqual(self.origin.pool.open, len(self.origin.pool.idle))


class EndTests(ExchangeCase):
    """However it ends, it ends once."""

    def test_answered(self) -> None:
        """An answer."""
        self.client.send(GET)
        self.connection.says(OK)
        self.assertTrue(self.client.received().endswith(b"hi"))
        self.assertOver(200)
        self.assertEqual(self.edge.log.records[0].upstream, "http://origin")

    def test_fields(self) -> None:
        """What plugins add for the log is in the record, also what they add on the way out; else there is nothing."""
        self.plugin.onEntry = lambda context: context.fields.update(tenant="a") or True
        self.plugin.onExit = lambda context: context.fields.update(cached=False)
        self.client.send(GET)
        self.connection.says(OK)
        self.plugin.onEntry, self.plugin.onExit = lambda context: True, lambda context: None
        self.client.send(GET)
        self.connection.says(OK)
        self.assertEqual([each.fields for each in self.edge.log.records], [{"tenant": "a", "cached": False}, None])

    def test_outOfService(self) -> None:
        """A plugin that is out of service: 503, and the log says why; the plugin is not blamed."""

        def closed(context: Context) -> bool:
            raise PluginQuarantined("onlooker 1.0: 5 errors in 10 s")

        self.plugin.onEntry = closed
        self.client.send(GET)
        answer = self.client.received()
        self.assertTrue(answer.startswith(b"HTTP/1.1 503 "), answer)
        self.assertNotIn(b"5 errors", answer)
        self.assertOver(503, "5 errors in 10 s")
        self.assertEqual(self.edge.log.records[0].pluginErrors, ())
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_leavesBeforeTheAnswer(self) -> None:
        """The client leaves: the origin's connection ends."""
        self.client.send(GET)
        self.client.leave()
        self.assertEqual(self.connection.end, "abort")
        self.assertOver(499, "ClientGone")

    def test_leavesInTheQueue(self) -> None:
        """The client leaves before its request could be sent: it never is."""
        self.origin.accepts = False
        self.client.send(GET)
        self.client.leave()
        self.origin.admits()
        self.assertEqual(self.connection.heard(), b"")
        self.assertOver(499, "ClientGone")

    def test_leavesInItsBody(self) -> None:
        """The client leaves while sending: the origin must not take the rest for whole."""
        self.client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        self.edge.pass_(2)
        self.client.leave()
        self.assertEqual(self.connection.end, "abort")
        self.assertFalse(self.connection.heard().endswith(b"0\r\n\r\n"))
        self.assertOver(499, "ClientGone")

    def test_leavesInTheAnswer(self) -> None:
        """The client leaves while reading: the rest is not fetched."""
        self.client.send(GET)
        self.connection.says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        self.client.leave()
        self.assertEqual(self.connection.end, "abort")
        self.assertOver(200, "ClientGone")

    def test_leavesWhileAPluginThinks(self) -> None:
        """What the plugin waits for is cancelled, on the way in and on the way out."""
        for direction in ("onEntry", "onExit"):
            self.setUp()
            cancelled: list[Any] = []
            setattr(self.plugin, direction, lambda context, told=cancelled: Deferred(told.append))
            self.client.send(GET)
            if direction == "onExit":
                self.connection.says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
            self.client.leave()
            self.assertEqual(len(cancelled), 1)
            self.assertOver(499, "ClientGone")

    def test_brokenOff(self) -> None:
        """The origin dies in the body: so does the client's connection."""
        self.client.send(GET)
        self.connection.says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        self.connection.leaves()
        self.assertEqual(self.client.end, "abort")
        self.client.leave()
        self.assertOver(200, "BadResponse")

    def test_refused(self) -> None:
        """No connection: 502, and the next request on the same connection is served."""
        self.origin.accepts = False
        self.client.send(GET)
        self.origin.refuses(ConnectionRefusedError())
        self.assertTrue(self.client.received().startswith(b"HTTP/1.1 502 "))
        self.assertOver(502, "ConnectFailed")
        self.origin.accepts = True
        self.client.send(GET)
        self.connection.says(OK)
        self.assertTrue(self.client.received().startswith(b"HTTP/1.1 200 "))

    def test_earlyAnswer(self) -> None:
        """413 while the client still sends: it gets the answer, and the rest goes nowhere."""
        self.client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\nabc")
        self.connection.says(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
        received = self.client.received()
        self.assertTrue(received.startswith(b"HTTP/1.1 413 ") and received.endswith(b"no"), received)
        self.assertIn(b"Connection: close", received)
        self.client.send(b"x" * 1000)
        self.assertOver(413)

    def test_replaced(self) -> None:
        """A plugin that puts another answer in place of the origin's: the origin's is not read to its end."""
        self.plugin.onExit = lambda context: context.respond(403, b"no") or None
        self.client.send(GET)
        self.connection.says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        self.assertTrue(self.client.received().endswith(b"no"))
        self.assertEqual(self.connection.end, "abort")
        self.assertOver(403)


class TunnelTests(ExchangeCase):
    """101 and plugins."""

    def test_tunnel(self) -> None:
        """Bytes both ways, then the books are closed once."""
        self.client.send(UPGRADE)
        self.connection.heard()
        self.connection.says(SWITCH + b"early")
        self.client.send(b"hello")
        self.assertEqual(self.connection.heard(), b"hello")
        self.assertTrue(self.client.received().endswith(b"early"))
        self.assertEqual(self.edge.log.records, [])
        self.connection.leaves()
        self.assertEqual(self.client.end, "close")
        self.assertOver(101)
        self.client.leave()
        self.assertOver(101)

    def test_clientLeaves(self) -> None:
        """The client's end is the origin's."""
        self.client.send(UPGRADE)
        self.connection.says(SWITCH)
        self.client.leave()
        self.assertEqual(self.connection.end, "close")
        self.connection.leaves()
        self.assertOver(101)

    def test_deafClient(self) -> None:
        """A client that takes nothing of what is queued when the origin has left is cut off."""
        self.client.send(UPGRADE)
        self.connection.says(SWITCH)
        self.connection.leaves()
        self.assertEqual(self.client.end, "close")
        self.edge.pass_(70)
        self.assertEqual(self.client.end, "abort")

    def test_replaced(self) -> None:
        """A plugin that answers instead of the 101: no tunnel, and the origin's connection ends."""
        self.plugin.onExit = lambda context: context.respond(403, b"no") or None
        self.client.send(UPGRADE)
        self.connection.says(SWITCH)
        self.assertTrue(self.client.received().startswith(b"HTTP/1.1 403 "))
        self.assertIsNotNone(self.connection.end)
        self.connection.leaves()
        self.assertOver(403)

    def test_otherStatus(self) -> None:
        """A plugin that makes another status of the 101: the same."""

        def exit_(context: Context) -> None:
            assert context.response is not None
            context.response.status = 200

        self.plugin.onExit = exit_
        self.client.send(UPGRADE)
        self.connection.says(SWITCH)
        self.assertTrue(self.client.received().startswith(b"HTTP/1.1 200 "))
        self.assertIsNotNone(self.connection.end)
        self.connection.leaves()
        self.assertOver(200)

    def test_forged(self) -> None:
        """A plugin that makes a 101 of another answer: there is nothing to switch to, so it is an error."""

        def exit_(context: Context) -> None:
            assert context.response is not None
            context.response.status = 101

        self.plugin.onExit = exit_
        self.client.send(UPGRADE)
        self.connection.says(OK)
        self.assertTrue(self.client.received().startswith(b"HTTP/1.1 500 "))
        self.assertOver(500, "101")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_leavesWhileAPluginThinks(self) -> None:
        """The client leaves between the 101 and the tunnel."""
        self.plugin.onExit = lambda context: Deferred()
        self.client.send(UPGRADE)
        self.connection.says(SWITCH)
        self.client.leave()
        self.assertIsNotNone(self.connection.end)
        self.connection.leaves()
        self.assertOver(499, "ClientGone")

    def test_brokenOffWithItsChain(self) -> None:
        """A tunnel belongs to the chain that its request went through: others may be broken off, this one ends."""
        self.client.send(UPGRADE)
        self.connection.says(SWITCH)
        self.assertTrue(self.client.received().startswith(b"HTTP/1.1 101 "))
        self.assertEqual(self.edge.active, 1)
        self.assertEqual(self.edge.edge.breakOffChains([Chain([])]), 0)
        self.assertIsNone(self.client.end)
        self.assertEqual(self.edge.edge.breakOffChains(self.edge.chains), 1)
        self.assertEqual(self.client.end, "abort")
        self.client.leave(rudely=True)
        self.assertEqual(self.connection.end, "close")
        self.connection.leaves()
        self.assertOver(101, "BrokenOff: the drain time of a replaced plugin is over")
