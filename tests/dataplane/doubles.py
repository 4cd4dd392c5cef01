"""Doubles for the data plane: a client and its connection, with no socket."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.web.server import NOT_DONE_YET

from revproxy.body import Body
from revproxy.context import Headers, Response
from revproxy.dataplane.chain import Chain
from revproxy.dataplane.counters import Counters
from revproxy.dataplane.edge import Edge
from revproxy.dataplane.generation import Generation
from revproxy.dataplane.http.interfaces import ILeaf
from revproxy.dataplane.http.limits import Limits, Timeouts
from revproxy.dataplane.http1.server import Http1Server
from revproxy.dataplane.leaves.leaf import Leaf
from revproxy.dataplane.link import Link
from revproxy.dataplane.listener import Listener
from revproxy.dataplane.routing import Route, Tree
from revproxy.destination import Destinations
from revproxy.loop.deadlines import Deadlines
from revproxy.testing import DestinationsDouble, SourceDouble

_ADDED_DATE = re.compile(rb"Date: \w{3}, \d\d \w{3} 1970 [\d:]{8} GMT\r\n")


class TransportDouble:
    """
    An eager transport whose kernel takes everything at once, until the client stops reading.

    :ivar sent: what the client has got.
    :ivar reading: whether the server reads.
    :ivar end: None, ``"half"`` (our direction is closed), ``"close"`` or ``"abort"``.
    """

    bufferSize = 65536
    peerKnown = True

    def __init__(self, host: str = "192.0.2.1", tlsInfo: Any = None) -> None:
        self.sent = bytearray()
        self.writes = 0
        self.reading = True
        self.end: str | None = None
        self.tlsInfo = tlsInfo
        self.tcpKeepAlive = False
        self.producer: Any = None
        self.dataBuffer = b""
        self.offset = 0
        self._tempDataLen = 0
        self._stalled = False
        self._producerPaused = False
        self._peer = IPv4Address("TCP", host, 50000)

    def getPeer(self) -> IPv4Address:
        return self._peer

    def isQuiet(self) -> bool:
        return True

    def setTcpKeepAlive(self, enabled: bool) -> None:
        self.tcpKeepAlive = enabled

    def write(self, data: bytes) -> None:
        assert isinstance(data, bytes)
        if self.end is not None:
            return
        self.writes += 1
        if not self._stalled:
            self.sent += data
            return
        self.dataBuffer += data
        if self.producer is not None and len(self.dataBuffer) > self.bufferSize and not self._producerPaused:
            self._producerPaused = True
            self.producer.pauseProducing()

    def stall(self) -> None:
        """The client stops reading."""
        self._stalled = True

    def take(self, size: int | None = None) -> None:
        """The client reads so much of what is queued; all of it, and what follows, if None."""
        if size is None:
            self._stalled = False
            size = len(self.dataBuffer)
        self.sent += self.dataBuffer[:size]
        self.dataBuffer = self.dataBuffer[size:]
        if not self.dataBuffer and self.producer is not None and self._producerPaused:
            self._producerPaused = False
            self.producer.resumeProducing()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert self.producer is None, "two producers"
        assert streaming, "a push producer"
        self.producer = producer
        self._producerPaused = False

    @property
    def unsent(self) -> int:
        return len(self.dataBuffer)

    def registerDrained(self, producer: Any) -> None:
        self.registerProducer(producer, True)
        self._producerPaused = True

    def unregisterProducer(self) -> None:
        self.producer = None

    def pauseProducing(self) -> None:
        self.reading = False

    def resumeProducing(self) -> None:
        if self.end in (None, "half"):
            self.reading = True

    def loseWriteConnection(self) -> None:
        self.end = self.end or "half"

    def loseConnection(self) -> None:
        if self.end in (None, "half"):
            self.end = "close"

    def abortConnection(self) -> None:
        self.end = "abort"


class RecorderDouble:
    """Keeps the records."""

    def __init__(self) -> None:
        self.records: list[Any] = []

    def record(self, record: Any) -> None:
        self.records.append(record)


class RecordingLeaf(Leaf):
    """
    Remembers its exchanges and answers when told to; what it was sent of the bodies is in ``bodies``.

    :ivar exchanges: in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.exchanges: list[Any] = []

    def render(self, exchange: Any) -> int:
        self.exchanges.append(exchange)
        return NOT_DONE_YET

    def answer(self, index: int, body: bytes = b"", status: int = 200) -> None:
        """Answer one of them, with a body that is there."""
        self.exchanges[index].answered(Response(status, None, Headers(), Body.of(body)))

    def stream(self, index: int, source: SourceDouble, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        """Answer one of them, with a body to come."""
        fields = [(name.lower(), name, value) for name, value in headers]
        source.body.framed = any(field[0] == b"content-length" for field in fields)
        self.exchanges[index].answered(Response(200, None, Headers(fields), source.body))


def makeLink(
    instance: Any,
    deadlines: Deadlines,
    *,
    name: str = "plugin",
    open: bool = False,
    timeout: float | None = None,
    counters: Counters | None = None,
    onFailure: Callable[[Failure], None] | None = None,
    destinations: Destinations | None = None,
) -> Link:
    """A link of a chain, with nothing in its toolbox."""
    return Link(
        instance,
        name,
        "1.0",
        open=open,
        timeout=timeout,
        deadlines=deadlines,
        makeClient=object,
        services={}.__getitem__,
        destinations=DestinationsDouble() if destinations is None else destinations,
        counters=counters,
        onFailure=onFailure,
    )


class EdgeDouble:
    """
    An edge whose clock is a :class:`Clock`, with one route to a leaf, or the routes given.

    :ivar log: its access log.
    """

    def __init__(
        self,
        leaf: ILeaf | None = None,
        *,
        routes: Sequence[Route] | None = None,
        limits: Limits | None = None,
        timeouts: Timeouts | None = None,
        tls: bool = False,
        trusted: Any = None,
        guards: Any = None,
        middleware: Sequence[Any] = (),
        explains: int | None = None,
    ) -> None:
        self.clock = Clock()
        self.log = RecorderDouble()
        deadlines = Deadlines(self.clock, 0.5)
        links = [makeLink(plugin, deadlines, name=plugin.name) for plugin in middleware]
        self.chains = [Chain(links, explains=explains), *(Chain([], explains=explains) for _ in routes or ())]
        if routes is None:
            assert leaf is not None
            routes = [Route("default", b"", b"/", leaf)]
        self.generation = Generation(1, Tree(routes), self.chains)
        self.edge = Edge(
            self.clock,
            deadlines,
            self.generation,
            limits or Limits(),
            timeouts or Timeouts(),
            self.log,  # type: ignore[arg-type]
        )
        self.listener = Listener(self.edge, tls=tls, trusted=trusted, guards=guards)

    @property
    def active(self) -> int:
        """How many exchanges have begun and not ended."""
        return sum(chain.active for chain in self.chains)

    def connect(self, host: str = "192.0.2.1", tlsInfo: Any = None) -> ClientDouble:
        """A client connects."""
        return ClientDouble(self, TransportDouble(host, tlsInfo))

    def admits(self, host: str) -> bool:
        """Whether one more client from there would be let in."""
        return self.listener.buildProtocol(IPv4Address("TCP", host, 50001)) is not None

    def settle(self) -> None:
        """Let happen what waits for the next turn of the loop."""
        while any(call.getTime() <= self.clock.seconds() for call in self.clock.getDelayedCalls()):
            self.clock.advance(0)

    def pass_(self, seconds: float) -> None:
        """Time passes, in steps of half a second."""
        for _ in range(int(seconds * 2)):
            self.clock.advance(0.5)


class ClientDouble:
    """One client and its connection."""

    def __init__(self, edge: EdgeDouble, transport: TransportDouble) -> None:
        self.transport = transport
        server = edge.listener.buildProtocol(transport.getPeer())
        assert isinstance(server, Http1Server)
        self.server = server
        self.server.makeConnection(transport)

    def send(self, data: bytes) -> None:
        """Some bytes."""
        self.server.dataReceived(data)

    def sendSlowly(self, data: bytes) -> None:
        """Byte by byte."""
        for at in range(len(data)):
            self.server.dataReceived(data[at : at + 1])

    def leave(self, *, rudely: bool = False) -> None:
        """The connection ends."""
        producer, self.transport.producer = self.transport.producer, None
        if producer is not None:
            producer.stopProducing()
        self.transport.end = self.transport.end or "close"
        self.server.connectionLost(Failure(ConnectionLost() if rudely else ConnectionDone()))

    def received(self) -> bytes:
        """What has come since the last look, without the Date the edge adds: the clocks of tests stand in 1970."""
        data = bytes(self.transport.sent)
        self.transport.sent.clear()
        return _ADDED_DATE.sub(b"", data)

    @property
    def end(self) -> str | None:
        """How the server has ended the connection."""
        return self.transport.end
