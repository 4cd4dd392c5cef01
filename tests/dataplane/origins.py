"""Doubles for the origin's side: connections to origins, with no socket, and requests that are on their way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from revproxy.body import Body
from revproxy.dataplane.http.limits import Limits, Timeouts
from revproxy.dataplane.http1.client import Http1Client
from revproxy.dataplane.upstream.outgoing import Outgoing
from revproxy.dataplane.upstream.pool import Pool
from revproxy.dataplane.upstream.target import Target
from revproxy.dataplane.upstream.upstream import Upstream
from revproxy.headers import Headers
from revproxy.loop.deadlines import Deadlines
from tests.dataplane.doubles import TransportDouble

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


class Arrived:
    """
    One connection as the origin sees it.

    :ivar transport: the edge's end.
    """

    def __init__(self, protocol: Http1Client) -> None:
        self.protocol = protocol
        self.transport = OriginTransport()
        protocol.makeConnection(self.transport)

    def says(self, data: bytes) -> None:
        """The origin sends."""
        self.protocol.dataReceived(data)

    def saysSlowly(self, data: bytes) -> None:
        """Byte by byte."""
        for at in range(len(data)):
            self.protocol.dataReceived(data[at : at + 1])

    def leaves(self, *, rudely: bool = False, truncated: bool = False) -> None:
        """The connection ends."""
        self.transport.truncated = rudely or truncated
        producer, self.transport.producer = self.transport.producer, None
        if isinstance(producer, TransportDouble):
            producer.loseConnection()
        elif producer is not None:
            producer.stopProducing()
        self.transport.end = self.transport.end or "close"
        self.protocol.connectionLost(Failure(ConnectionLost() if rudely else ConnectionDone()))

    def heard(self) -> bytes:
        """What the origin has got since the last look."""
        data = bytes(self.transport.sent)
        self.transport.sent.clear()
        return data

    @property
    def end(self) -> str | None:
        """How the edge has ended it."""
        return self.transport.end


class OriginTransport(TransportDouble):
    """An eager transport to an origin."""

    truncated = False
    disconnecting = False
    protocol: Any = None

    def stopProducing(self) -> None:
        self.loseConnection()


class Origin:
    """
    An origin that accepts every connection at once, unless told otherwise, and a pool of connections to it.

    :ivar arrived: its connections, in order.
    :ivar attempts: Deferreds of connections being made, while ``accepts`` is False.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        deadlines: Deadlines | None = None,
        limits: Limits | None = None,
        timeouts: Timeouts | None = None,
        url: str = "http://origin",
        weight: int = 1,
        **options: Any,
    ) -> None:
        self.arrived: list[Arrived] = []
        self.attempts: list[tuple[Deferred[Any], Callable[[], Http1Client]]] = []
        self.accepts = True
        bounds = {"maxConnections": 4, "maxQueue": 2, "idleTimeout": 30.0, **options}
        self.deadlines = deadlines or Deadlines(clock, 0.5)
        self.pool = Pool(self._connect, self.deadlines, limits or Limits(), timeouts or Timeouts(), **bounds)
        self.target = Target(url, url.partition("//")[2].encode(), weight, self.pool)

    def _connect(self, build: Callable[[], Http1Client]) -> Deferred[Any]:
        if not self.accepts:
            attempt: Deferred[Any] = Deferred()
            self.attempts.append((attempt, build))
            return attempt
        return succeed(self._accept(build))

    def _accept(self, build: Callable[[], Http1Client]) -> Http1Client:
        arrived = Arrived(build())
        self.arrived.append(arrived)
        return arrived.protocol

    def admits(self) -> None:
        """The oldest connection being made is there."""
        attempt, build = self.attempts.pop(0)
        attempt.callback(self._accept(build))

    def refuses(self, reason: Exception) -> None:
        """The oldest connection being made fails."""
        self.attempts.pop(0)[0].errback(reason)


class Asked(Outgoing):
    """
    A request with a head as plain as can be.

    :ivar informed: statuses of the 1xx answers.
    :ivar got: its answer, or the failure, or None.
    """

    def __init__(
        self, upstream: Upstream, method: bytes = b"GET", body: Body | None = None, upgrade: bytes | None = None
    ) -> None:
        super().__init__(upstream, method, body, upgrade)
        self.informed: list[int] = []
        self.got: Any = None

    def aimAt(self, target: Target) -> None:
        framing = b""
        if self.body is not None:
            framing = b"Transfer-Encoding: chunked\r\n" if self.chunked else b"Content-Length: %d\r\n" % (
                self.body.length or 0
            )
        self.head = b"%b / HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (self.method, target.host, framing)

    def informational(self, status: int, headers: Headers) -> None:
        self.informed.append(status)

    def go(self) -> Asked:
        """Send it; what comes of it is in ``got``."""
        self.answer = self.begin()
        self.answer.addBoth(self._keep)
        return self

    def _keep(self, result: Any) -> None:
        self.got = result


class OriginCase(SynchronousTestCase):
    """A clock, one origin, and an upstream of it."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.origin = Origin(self.clock)
        self.upstream = self.upstreamOf(self.origin)

    def upstreamOf(self, *origins: Origin, **options: Any) -> Upstream:
        """Several origins as one."""
        return Upstream("app", [origin.target for origin in origins], self.clock.seconds, **options)

    def ask(self, method: bytes = b"GET", body: Body | None = None, upgrade: bytes | None = None) -> Asked:
        """Send a request."""
        return Asked(self.upstream, method, body, upgrade).go()

    def pass_(self, seconds: float) -> None:
        """Time passes, in steps of half a second."""
        for _ in range(int(seconds * 2)):
            self.clock.advance(0.5)

    def assertFailed(self, asked: Asked, kind: type[Exception]) -> str:
        """:return: the message."""
        self.assertIsInstance(asked.got, Failure)
        self.assertIs(asked.got.type, kind, asked.got)
        return str(asked.got.value)
