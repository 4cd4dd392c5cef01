"""A thousand requests of every kind and every end, in random order: afterwards nothing of them is left."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from revproxy.body import Body
from revproxy.context import Context, Request, Response
from revproxy.dataplane.exchange import Exchange
from revproxy.dataplane.http.tunnel import Tunnel
from revproxy.dataplane.http1.client import Http1Client
from revproxy.dataplane.http1.responsewriter import ResponseWriter
from revproxy.dataplane.http1.server import Http1Server
from revproxy.dataplane.leaves.fixed import RespondLeaf
from revproxy.dataplane.leaves.proxy import ProxyLeaf
from revproxy.dataplane.link import PendingAnswer
from revproxy.dataplane.routing import Route
from revproxy.dataplane.upstream.outgoing import Outgoing
from revproxy.dataplane.upstream.treqclient import PoolAgent, UpstreamClient
from revproxy.dataplane.upstream.upstream import Upstream
from revproxy.errors import BodyTooLarge, EdgeError
from revproxy.interfaces import IMiddleware, IObserver, IResponseMiddleware
from tests.dataplane.doubles import ClientDouble, EdgeDouble
from tests.dataplane.origins import OK, Arrived, Origin

POST = b"POST / HTTP/1.1\r\nHost: x\r\n"
REQUESTS = (
    b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n",
    b"HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
    POST + b"Content-Length: 5\r\n\r\nhello",
    POST + b"Content-Length: 500000\r\n\r\nhello",
    POST + b"Expect: 100-continue\r\nContent-Length: 50\r\n\r\n",
    POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"garbage\r\n\r\n",
)
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
ANSWERS = (
    OK,
    OK[:-1],
    CHUNKS,
    CHUNKS + b"0\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
    b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 70000,
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
    b"i",
    b"x" * 30000,
)
KINDS = (
    *(Body, Context, Exchange, Http1Client, Http1Server, Outgoing, Request, Response, ResponseWriter, Tunnel),
    PendingAnswer,
)


@implementer(IMiddleware, IResponseMiddleware, IObserver)
class Fickle:
    """Does something else with each request."""

    name = "fickle"

    def __init__(self, random: Random) -> None:
        self.random = random
        self.thoughts: list[Deferred[Any]] = []

    def think(self) -> Deferred[Any]:
        self.thoughts.append(Deferred())
        return self.thoughts[-1]

    async def read(self, body: Body) -> bool:
        await body.read(100000)
        return True

    def handle(self, context: Context) -> Any:
        match self.random.randrange(9):
            case 0:
                context.request.body.addFilter(lambda data, last: data.upper())
            case 1:
                return self.read(context.request.body)
            case 2:
                context.request.body.replace(b"other")
            case 3:
                return context.respond(403, "no")
            case 4:
                return self.think()
            case 5:
                raise LookupError("in")
        return True

    def handleResponse(self, context: Context) -> Any:
        assert context.response is not None
        match self.random.randrange(9):
            case 0:
                context.response.body.addFilter(lambda data, last: data + b"!")
            case 1:
                return self.read(context.response.body)
            case 2:
                context.respond(200, "other")
            case 3:
                return self.think()
            case 4:
                raise LookupError("out")
            case 5:
                context.response = None
                return self.think()
        return None

    def finished(self, context: Context) -> None:
        pass


class NothingStaysTests(SynchronousTestCase):
    """Whatever happens to requests, it ends, and takes everything with it."""

    def setUp(self) -> None:
        self.random = Random(1)
        self.plugin = Fickle(self.random)
        self.edge = EdgeDouble(self, middleware=[self.plugin])  # type: ignore[arg-type]
        self.origin = Origin(self.edge.clock, maxQueue=50, maxConnections=6)
        upstream = Upstream("app", [self.origin.target], self.edge.clock.seconds)
        self.leaf = ProxyLeaf(UpstreamClient(PoolAgent(lambda *_: upstream), self.edge.clock), upstream)
        self.clients: list[ClientDouble] = []

    def render(self, exchange: Any) -> int:
        """Stands for the leaf while the edge is made."""
        return self.leaf.render(exchange)

    def test_thousand(self) -> None:
        """No exchange, connection, deadline, producer or object is left."""
        sent = 0
        while sent < 1000:
            sent += self.clientsAct()
            self.originsAct()
            if self.plugin.thoughts and self.random.randrange(2):
                thought = self.plugin.thoughts.pop(self.random.randrange(len(self.plugin.thoughts)))
                if not thought.called:
                    thought.callback(True)
            if not self.random.randrange(20):
                self.edge.clock.advance(0.5)
        self.end()
        edge, pool = self.edge.edge, self.origin.pool
        self.assertEqual((self.edge.active, edge.connections, edge.deadlines._watched), (0, set(), set()))
        self.assertEqual((pool.open, pool.idle, len(pool.waiting), pool._live), (0, [], 0, set()))
        self.assertEqual((pool._connecting, pool.deadlines._watched), (set(), set()))
        self.assertEqual([one for one in self.origin.arrived if one.transport.producer is not None], [])
        self.assertGreater(len(self.edge.log.records), 300)
        self.flushLoggedErrors(LookupError, BodyTooLarge, TypeError)
        self.origin.arrived.clear()
        gc.collect()
        left = Counter(type(one).__name__ for one in gc.get_objects() if isinstance(one, KINDS)) - self.before
        self.assertEqual(left, Counter())

    def run(self, result: Any) -> Any:
        gc.collect()
        self.before = Counter(type(one).__name__ for one in gc.get_objects() if isinstance(one, KINDS))
        return super().run(result)

    def clientsAct(self) -> int:
        """One client does something. :returns: how many requests it began."""
        if not self.clients or not self.random.randrange(5):
            self.clients.append(self.edge.connect())
        client = self.random.choice(self.clients)
        sent = 0
        match self.random.randrange(12):
            case 0:
                self.leave(client)
            case 1:
                client.transport.stall()
            case 2:
                client.transport.take()
            case _ if client.transport.reading and client.end is None:
                client.send(self.random.choice(REQUESTS))
                sent = 1
        for one in self.clients[:]:
            if one.end in ("abort", "close") and not self.random.randrange(3):
                self.leave(one)
        return sent

    def leave(self, client: ClientDouble) -> None:
        self.clients.remove(client)
        client.leave()

    def originsAct(self) -> None:
        """One connection to the origin does something; some that were ended are over."""
        arrived = self.origin.arrived
        open = [one for one in arrived if one.end in (None, "half")]
        if open:
            one = self.random.choice(open)
            if not self.random.randrange(8):
                self.lose(one)
            elif one.transport.reading:
                one.says(self.random.choice(ANSWERS))
        for one in arrived[:]:
            if one.end in ("abort", "close") and not self.random.randrange(3):
                self.lose(one)

    def lose(self, arrived: Arrived) -> None:
        self.origin.arrived.remove(arrived)
        arrived.leaves(rudely=bool(self.random.randrange(2)))

    def end(self) -> None:
        """Everybody leaves, and time passes."""
        for client in self.clients[:]:
            self.leave(client)
        for thought in self.plugin.thoughts:
            thought.cancel()
        self.plugin.thoughts.clear()
        for _ in range(300):
            self.edge.clock.advance(0.5)
            for one in self.origin.arrived[:]:
                if one.end in ("abort", "close"):
                    self.lose(one)


class NoCyclesTests(SynchronousTestCase):
    """
    What is over is gone at once, without the garbage collector, which runs rarely.

    An exchange that holds an error that holds the frames that hold the exchange stays until then, with the head of
    its request and all that was worked out about it.
    """

    def left(self, edge: EdgeDouble, act: Callable[[], None]) -> Counter[str]:
        """What there is more of after something, of what belongs to requests."""
        gc.collect()
        gc.disable()
        try:
            before = self.count()
            for _ in range(5):
                act()
            edge.settle()
            return self.count() - before
        finally:
            gc.enable()

    def count(self) -> Counter[str]:
        """Of what is alive, that belongs to requests."""
        kinds = (Exchange, Request, EdgeError)
        return Counter(type(one).__name__ for one in gc.get_objects() if isinstance(one, kinds))

    def test_refused(self) -> None:
        """Requests that are answered with an error at once."""
        leaf = RespondLeaf(200, b"hi", {})
        routes = [Route("a", b"", b"/a", leaf, methods=frozenset((b"GET",))), Route("b", b"", b"/a/b", leaf)]
        edge = EdgeDouble(routes=routes)
        for line in (b"GET /c", b"PUT /a", b"GET /x/..;/a/b", b"GET /a%", b"BAD"):

            def ask(line: bytes = line) -> None:
                client = edge.connect()
                client.send(line + b" HTTP/1.1\r\nHost: x\r\n\r\n")
                self.assertIn(b"HTTP/1.1 4", client.received())
                client.leave()

            self.assertEqual(self.left(edge, ask), Counter(), line)

    def test_byPlugins(self) -> None:
        """Requests with which a plugin fails, on the way in or out."""

        @implementer(IMiddleware, IResponseMiddleware)
        class Failing:
            name = "failing"

            def handle(self, context: Context) -> bool:
                if context.request.path == "/in":
                    raise LookupError("in")
                return True

            def handleResponse(self, context: Context) -> None:
                raise LookupError("out")

        edge = EdgeDouble(RespondLeaf(200, b"hi", {}), middleware=[Failing()])
        for path in (b"/in", b"/out"):

            def ask(path: bytes = path) -> None:
                client = edge.connect()
                client.send(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path)
                self.assertIn(b"HTTP/1.1 500", client.received())
                client.leave()
                self.flushLoggedErrors(LookupError)

            self.assertEqual(self.left(edge, ask), Counter(), path)

    def test_byTheOrigin(self) -> None:
        """Requests to which an origin gives no answer that is one, or half of one."""
        for answer in (b"rubbish\r\n\r\n", CHUNKS + b"rubbish\r\n", b"HTTP/1.1 101 no\r\nUpgrade: x\r\n\r\n"):
            edge = EdgeDouble(self)  # type: ignore[arg-type]
            origin = Origin(edge.clock)
            upstream = Upstream("app", [origin.target], edge.clock.seconds)
            self.leaf = ProxyLeaf(UpstreamClient(PoolAgent(lambda *_, one=upstream: one), edge.clock), upstream)

            def ask(edge: EdgeDouble = edge, origin: Origin = origin, answer: bytes = answer) -> None:
                client = edge.connect()
                client.send(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
                origin.arrived[-1].says(answer)
                client.leave()
                origin.arrived.pop().leaves()

            self.assertEqual(self.left(edge, ask), Counter(), answer)

    def render(self, exchange: Any) -> int:
        """Stands for the leaf while the edge is made."""
        return self.leaf.render(exchange)
