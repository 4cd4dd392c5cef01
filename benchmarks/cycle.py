"""``python -m benchmarks.cycle``: what Python alone costs per request.

One client connection and one origin connection in memory, the whole data plane between them, no kernel: the figure
moves with the code and not with the machine's load, so it shows what a change of a few per cent is worth. Then the
parts of it one by one. Pin it to a core (``taskset -c 1``) and look at the lowest.
"""

from __future__ import annotations

import time
import timeit
from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from zope.interface import implementer

from revproxy.body import Body
from revproxy.context import Context, Headers, Peer, Request, Response
from revproxy.dataplane.accessline import formatJSON
from revproxy.dataplane.accesslog import AccessLog
from revproxy.dataplane.chain import Chain
from revproxy.dataplane.edge import Edge
from revproxy.dataplane.exchange import Exchange
from revproxy.dataplane.exchangerecord import recordOf
from revproxy.dataplane.generation import Generation
from revproxy.dataplane.http.forwarding import upstreamHead
from revproxy.dataplane.http.limits import Limits, Timeouts
from revproxy.dataplane.http1.requesthead import parseRequestHead
from revproxy.dataplane.http1.responsehead import parseResponseHead
from revproxy.dataplane.http1.responsewriter import responseHead
from revproxy.dataplane.leaves.destinations import Destinations
from revproxy.dataplane.leaves.proxy import PRESERVE, Forwarded, ProxyLeaf
from revproxy.dataplane.link import Link
from revproxy.dataplane.listener import Listener
from revproxy.dataplane.recorder import Recorder
from revproxy.dataplane.routing import Route, Tree
from revproxy.dataplane.upstream.pool import Pool
from revproxy.dataplane.upstream.target import Target
from revproxy.dataplane.upstream.treqclient import PoolAgent, UpstreamClient
from revproxy.dataplane.upstream.upstream import Upstream
from revproxy.interfaces import IMiddleware
from revproxy.loop.deadlines import Deadlines

REQUEST = b"GET /abc HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"
HEAD = (
    b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sun, 22 Nov 2026 22:42:50 GMT\r\nContent-Type: text/plain\r\n"
    b"Content-Length: 12\r\nConnection: keep-alive\r\n\r\n"
)
BODY = b"hello world!"

_ROUNDS = 7
_BATCH = 20_000
_PLUGINS = 5


class Transport:
    """Takes everything and says nothing."""

    tlsInfo = None
    dataBuffer = b""
    offset = 0
    truncated = False
    _tempDataLen = 0
    peerKnown = True
    unsent = 0

    def write(self, data: bytes) -> None:
        """Part of ITransport."""

    def isQuiet(self) -> bool:
        """Part of our own."""
        return True

    def getPeer(self) -> IPv4Address:
        """Part of ITransport."""
        return IPv4Address("TCP", "127.0.0.1", 40000)


@implementer(IMiddleware)
class Plugin:
    """The least a plugin can do."""

    def __init__(self, name: str) -> None:
        self.name = name

    def handle(self, context: Context) -> bool:
        """Part of IMiddleware."""
        return True


class Edges:
    """A data plane with one route, one client and one origin connection, and so many plugins."""

    def __init__(self, plugins: int = 0) -> None:
        clock = Clock()
        clock.seconds = time.time  # type: ignore[method-assign]
        self.deadlines = Deadlines(clock, 0.5, time.monotonic)
        self.origins: list[Any] = []
        pool = Pool(
            self._connect, self.deadlines, Limits(), Timeouts(), maxConnections=8, maxQueue=8, idleTimeout=30.0
        )
        upstream = Upstream("origin", [Target("http://127.0.0.1:9000", b"127.0.0.1:9000", 1, pool)], time.monotonic)
        client = UpstreamClient(PoolAgent(lambda *_: upstream), clock)
        self.leaf = ProxyLeaf(client, upstream)
        self.destinations = Destinations(client, {"origin": (upstream, PRESERVE)})
        links = [self._link(f"plugin{number}") for number in range(plugins)]
        self.generation = Generation(1, Tree([Route("/", b"", b"/", self.leaf)]), [Chain(links)])
        self.log = Recorder(clock, [AccessLog(lambda data: None, "json").take])
        edge = Edge(clock, self.deadlines, self.generation, Limits(), Timeouts(), self.log, monotonic=time.monotonic)
        self.listener = Listener(edge, tls=False)
        self.server = self.listener.buildProtocol(IPv4Address("TCP", "127.0.0.1", 40000))
        self.server.makeConnection(Transport())

    def _link(self, name: str) -> Link:
        return Link(
            Plugin(name),
            name,
            "1.0",
            open=False,
            timeout=None,
            deadlines=self.deadlines,
            makeClient=object,
            services={}.__getitem__,
            destinations=self.destinations,
        )

    def _connect(self, build: Callable[[], Any]) -> Deferred[Any]:
        protocol = build()
        protocol.makeConnection(Transport())
        self.origins.append(protocol)
        return succeed(protocol)

    def requests(self, count: int) -> None:
        """That many requests and their answers, and the log lines of all."""
        answer = HEAD + BODY
        for number in range(count):
            self.server.dataReceived(REQUEST)
            self.origins[0].dataReceived(answer)
            if not number % 256:
                self.log.flush()


def parts(edges: Edges) -> dict[str, Callable[[], Any]]:
    """What a request is made of, each as a function to time."""
    head = parseRequestHead(REQUEST, 100)
    answer = parseResponseHead(HEAD, b"GET", 100)
    peer = Peer("127.0.0.1", 40000, "127.0.0.1")

    def request() -> Request:
        return Request(head.method, head.target, head.host, "1.1", "http", Headers(head.fields), peer)

    one = request()
    exchange = Exchange(edges.listener.edge, None, edges.server, one, b"127.0.0.1")
    records = [recordOf(exchange, 200, 0.001, 0, 150) for _ in range(256)]

    def deferred() -> None:
        waiting: Deferred[Any] = Deferred(repr)  # type: ignore[arg-type]
        waiting.addCallbacks(len, len)
        waiting.callback([])

    return {
        "read the request's head": lambda: parseRequestHead(REQUEST, 100),
        "Request, Headers": request,
        "Exchange, Context": lambda: Exchange(edges.listener.edge, None, edges.server, one, b"127.0.0.1"),
        "(of that: Context)": lambda: Context(one),
        "find the route": lambda: edges.generation.find(b"127.0.0.1", b"/abc"),
        "Outgoing": lambda: Forwarded(edges.leaf, exchange),
        "write the request's head": lambda: upstreamHead(one, b"/abc", None, False),
        "Deferred: make, chain, fire": deferred,
        "read the answer's head": lambda: parseResponseHead(HEAD, b"GET", 100),
        "Body, Response, Headers": lambda: Response(200, b"OK", Headers(answer.fields), Body.of(BODY)),
        "write the answer's head": lambda: responseHead(200, b"OK", Headers(answer.fields), b"\r\n"),
        "log: record": lambda: recordOf(exchange, 200, 0.001, 0, 150),
        "log: 256 lines of JSON": lambda: formatJSON(records),
    }


def microseconds(function: Callable[[], Any], count: int) -> float:
    """The lowest of several rounds, per call."""
    return min(timeit.repeat(function, number=count, repeat=_ROUNDS)) / count * 1e6


def main() -> None:
    """Measure and print."""
    edges = Edges()
    for one, name in ((edges, "a proxied GET, Python alone"), (Edges(_PLUGINS), f"with {_PLUGINS} plugins")):
        one.requests(1000)
        whole = microseconds(lambda: one.requests(_BATCH), 1) / _BATCH  # noqa: B023
        print(f"{whole:7.2f} µs  {name}")
    for name, function in parts(edges).items():
        print(f"{microseconds(function, _BATCH // 256 if '256' in name else _BATCH):7.2f} µs    {name}")


if __name__ == "__main__":
    main()
