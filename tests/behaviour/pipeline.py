"""
The whole data plane in memory: client connection, chain, pool, origin connection. No socket, and a clock that is told.

Bytes written by one end arrive at the other in a turn of the loop of their own, as on a socket; so a protocol is never
called back from within its own write.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import h11
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from revproxy.dataplane.chain import Chain
from revproxy.dataplane.edge import Edge
from revproxy.dataplane.generation import Generation
from revproxy.dataplane.http.limits import Limits, Timeouts
from revproxy.dataplane.leaves.proxy import ProxyLeaf
from revproxy.dataplane.listener import Listener
from revproxy.dataplane.routing import Route, Tree
from revproxy.dataplane.upstream.pool import Pool
from revproxy.dataplane.upstream.target import Target
from revproxy.dataplane.upstream.treqclient import PoolAgent, UpstreamClient
from revproxy.dataplane.upstream.upstream import Upstream
from revproxy.loop.deadlines import Deadlines

HEAD = re.compile(
    rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [\x21-\x7e]+ HTTP/1\.1\r\n"
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+: ([\x21-\x7e\x80-\xff]([\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?\r\n)*\r\n"
)
"""What a request head must look like to an origin that knows RFC 9112 and forgives nothing."""


class Wire:
    """
    The edge's transport of one connection; whoever is at the other end uses the lower half.

    :ivar sent: what the edge has written and nobody has taken yet.
    :ivar end: None, ``"half"``, ``"close"`` or ``"abort"``: how the edge ended it.
    """

    bufferSize = 65536
    tlsInfo = None
    peerKnown = True
    truncated = False
    disconnecting = False

    def __init__(self, clock: Clock, protocol: Any, onWrite: Callable[[], None] = lambda: None) -> None:
        self.sent = bytearray()
        self.end: str | None = None
        self.lost = False
        self.reading = True
        self.protocol = protocol
        self.producer: Any = None
        self.dataBuffer = b""
        self.offset = 0
        self._tempDataLen = 0
        self._clock = clock
        self._onWrite = onWrite
        self._arriving: list[Any] = []
        self._stalled = False
        self._producerPaused = False
        protocol.makeConnection(self)

    # The edge's side

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", "192.0.2.1", 50000)

    def setTcpKeepAlive(self, enabled: bool) -> None:
        pass

    def write(self, data: bytes) -> None:
        assert type(data) is bytes, type(data)
        if self.end is not None or self.lost or not data:
            return
        if not self._stalled:
            self.sent += data
            self._clock.callLater(0, self._onWrite)
            return
        self.dataBuffer += data
        if self.producer is not None and len(self.dataBuffer) > self.bufferSize and not self._producerPaused:
            self._producerPaused = True
            self.producer.pauseProducing()

    def writeSequence(self, pieces: list[bytes]) -> None:
        self.write(b"".join(pieces))

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert self.producer is None and streaming
        self.producer = producer
        self._producerPaused = False
        if self.lost:
            producer.stopProducing()

    @property
    def unsent(self) -> int:
        return len(self.dataBuffer)

    def registerDrained(self, producer: Any) -> None:
        self.registerProducer(producer, True)
        self._producerPaused = True

    def unregisterProducer(self) -> None:
        self.producer = None
        if self.end == "close":
            self._clock.callLater(0, self._lose, ConnectionDone())

    def isQuiet(self) -> bool:
        return not self._arriving

    def pauseProducing(self) -> None:
        self.reading = False

    def resumeProducing(self) -> None:
        if self.end in (None, "half") and not self.reading:
            self.reading = True
            self._clock.callLater(0, self._deliver)

    def stopProducing(self) -> None:
        self.loseConnection()

    def loseWriteConnection(self) -> None:
        self.end = self.end or "half"

    def loseConnection(self) -> None:
        if self.end in (None, "half"):
            self.end = "close"
            self.reading = False
            if self.producer is None:
                self._clock.callLater(0, self._lose, ConnectionDone())

    def abortConnection(self) -> None:
        self.end = "abort"
        self.reading = False
        self._clock.callLater(0, self._lose, ConnectionLost())

    # The other side

    def arrive(self, data: bytes) -> None:
        """The other side has sent bytes."""
        self._arriving.append(data)
        self._clock.callLater(0, self._deliver)

    def stall(self) -> None:
        """The other side reads no more."""
        self._stalled = True

    def take(self, size: int) -> None:
        """The other side reads so many of the bytes that wait for it."""
        self.sent += self.dataBuffer[:size]
        self.dataBuffer = self.dataBuffer[size:]
        if not self.dataBuffer and self.producer is not None and self._producerPaused:
            self._producerPaused = False
            self.producer.resumeProducing()

    def leave(self, reason: Exception | None = None, truncated: bool = False) -> None:
        """The other side has closed (``ConnectionDone``) or vanished, after what it has sent."""
        self._arriving.append(reason or ConnectionDone())
        self.truncated = truncated
        self._clock.callLater(0, self._deliver)

    def _deliver(self) -> None:
        while self._arriving and self.reading and not self.lost:
            event = self._arriving.pop(0)
            if isinstance(event, bytes):
                self.protocol.dataReceived(event)
            else:
                self._lose(event)

    def _lose(self, reason: Exception) -> None:
        if self.lost:
            return
        self.lost = True
        self.reading = False
        producer, self.producer = self.producer, None
        if producer is not None:
            producer.stopProducing()
        self.protocol.connectionLost(Failure(reason))


class Heard:
    """
    One request as the origin understood it.

    :ivar whole: whether it was complete.
    """

    def __init__(self, request: h11.Request) -> None:
        self.method = bytes(request.method)
        self.target = bytes(request.target)
        self.headers = [(bytes(name), bytes(value)) for name, value in request.headers]
        self.body = b""
        self.trailers: list[tuple[bytes, bytes]] = []
        self.whole = False

    def get(self, name: bytes) -> bytes | None:
        """The value of the only field of that (lower-case) name."""
        values = [value for given, value in self.headers if given == name]
        assert len(values) <= 1, self.headers
        return values[0] if values else None

    @property
    def meaning(self) -> tuple[bytes, bytes, bytes]:
        """What it comes down to: method, target, body."""
        return self.method, self.target, self.body


class OriginConnection:
    """One connection of an origin that reads with h11, after a look of its own at each head."""

    def __init__(self, origin: Origin, protocol: Any) -> None:
        self._origin = origin
        self._parser = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        self._atHead = b""
        self._heard: Heard | None = None
        self.bytes = bytearray()
        self.index = len(origin.connections)
        self.number = 0
        origin.connections.append(self)
        self.wire = Wire(origin.clock, protocol, self._read)

    def _read(self) -> None:
        data = bytes(self.wire.sent)
        self.wire.sent.clear()
        if not data:
            return
        self.bytes += data
        if self._origin.deaf:
            self._origin.bytesHeard(self)
            return
        if self._heard is None:
            self._atHead += data
        self._parser.receive_data(data)
        while True:
            event = self._parser.next_event()
            if isinstance(event, h11.Request):
                match = HEAD.match(self._atHead)
                assert match, f"the origin got a head it would misread: {self._atHead!r}"
                self._heard = Heard(event)
                self._origin.heard.append(self._heard)
                self._origin.headHeard(self, self._heard)
            elif isinstance(event, h11.Data):
                assert self._heard is not None
                self._heard.body += event.data
            elif isinstance(event, h11.EndOfMessage):
                heard, self._heard = self._heard, None
                assert heard is not None
                heard.trailers = [(bytes(name), bytes(value)) for name, value in event.headers]
                heard.whole = True
                self._atHead = bytes(self._parser.trailing_data[0])
                self._origin.wholeHeard(self, heard)
                self.number += 1
            elif event is h11.PAUSED:
                self._parser = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
                if not self._atHead:
                    return
                self._parser.receive_data(self._atHead)
            else:
                return


class Origin:
    """
    Records what it hears and answers each whole request with 200 and a body that names the request.

    Replace ``wholeHeard``, ``headHeard`` for other manners. When ``deaf`` nothing is understood, and ``bytesHeard`` is
    called.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.deaf = False
        self.connections: list[OriginConnection] = []
        self.heard: list[Heard] = []
        self.refusing = False

    def connect(self, build: Callable[[], Any]) -> Deferred[Any]:
        """The pool wants a connection."""
        if self.refusing:
            return fail(ConnectionRefusedError())
        protocol = build()
        OriginConnection(self, protocol)
        return succeed(protocol)

    def headHeard(self, connection: OriginConnection, heard: Heard) -> None:
        """A head has come."""

    def bytesHeard(self, connection: OriginConnection) -> None:
        """Something has come, and the origin is deaf."""

    def wholeHeard(self, connection: OriginConnection, heard: Heard) -> None:
        """A request is whole."""
        connection.wire.arrive(answerTo(heard.method, heard.target))

    @property
    def wholes(self) -> list[tuple[bytes, bytes, bytes]]:
        """The requests that came whole: method, target, body."""
        return [heard.meaning for heard in self.heard if heard.whole]


def answerTo(method: bytes, target: bytes) -> bytes:
    """The origin's answer to a request."""
    body = b"answer to " + target
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    return head if method == b"HEAD" else head + body


class Client:
    """One client's connection."""

    def __init__(self, pipeline: Pipeline, listener: Listener) -> None:
        self._pipeline = pipeline
        protocol = listener.buildProtocol(IPv4Address("TCP", "192.0.2.1", 50000))
        self.server = protocol
        self.wire = Wire(pipeline.clock, protocol)

    def send(self, data: bytes) -> None:
        """Bytes, and what comes of them at once."""
        self.wire.arrive(data)
        self._pipeline.settle()

    def sendBytewise(self, data: bytes) -> None:
        """Each byte in a segment of its own."""
        for at in range(len(data)):
            self.wire.arrive(data[at : at + 1])
            self._pipeline.settle()

    @property
    def got(self) -> bytes:
        """All that the edge has sent."""
        return bytes(self.wire.sent)

    @property
    def closed(self) -> bool:
        """Whether the edge has ended the connection, or its direction of it."""
        return self.wire.end is not None

    def statuses(self) -> list[int]:
        """The status of each answer, 1xx included; by the status lines, so bodies must not look like one."""
        return [int(status) for status in re.findall(rb"(?:\A|(?<=\n)|(?<=[^\r\n]))HTTP/1\.1 (\d\d\d) ", self.got)]


class Pipeline:
    """An edge with one route, to one origin."""

    def __init__(self, limits: Limits | None = None, timeouts: Timeouts | None = None, connections: int = 8) -> None:
        self.clock = clock = Clock()
        self.limits = limits or Limits()
        self.timeouts = timeouts or Timeouts()
        self.origin = Origin(clock)
        self.deadlines = Deadlines(clock, 0.5)
        self.pool = Pool(
            self.origin.connect,
            self.deadlines,
            self.limits,
            self.timeouts,
            maxConnections=connections,
            maxQueue=1024,
            idleTimeout=30,
        )
        upstream = Upstream("app", [Target("http://origin", b"origin", 1, self.pool)], clock.seconds)
        leaf = ProxyLeaf(UpstreamClient(PoolAgent(lambda *_: upstream), clock), upstream)
        self.chain = Chain([])
        generation = Generation(1, Tree([Route("all", b"", b"/", leaf)]), [self.chain])
        self.edge = Edge(clock, self.deadlines, generation, self.limits, self.timeouts, None)
        self.listener = Listener(self.edge, tls=False)

    def connect(self) -> Client:
        """A client connects."""
        return Client(self, self.listener)

    def connectTLS(self) -> Client:
        """A client connects where TLS is spoken, and says nothing yet."""
        return Client(self, Listener(self.edge, tls=True))

    def settle(self) -> None:
        """Let happen what happens at once."""
        for _ in range(10000):
            calls = self.clock.getDelayedCalls()
            if not any(call.getTime() <= self.clock.seconds() for call in calls):
                return
            self.clock.advance(0)
        raise AssertionError("it does not come to rest")

    def wait(self, seconds: float) -> None:
        """Time passes."""
        for _ in range(int(seconds * 2)):
            self.clock.advance(0.5)
            self.settle()

    def end(self) -> None:
        """Wait until every connection has run into its deadline. :raises AssertionError: if something stays."""
        self.wait(200)
        assert not self.edge.connections, self.edge.connections
        assert self.chain.active == 0, "an exchange never ended"
        assert not self.pool.waiting
        assert self.pool.open == 0, f"{self.pool.open} connections to the origin stay"
