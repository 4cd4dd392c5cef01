"""
The treq client, and the agent under it. The one module that imports treq.

:class:`UpstreamClient` is a :class:`treq.client.HTTPClient`: treq as everybody knows it, over our pools, with a cookie
jar of that one request; that is what plugins get as ``context.client``. Clients' requests take its *transparent path*,
:meth:`UpstreamClient.send`: no cookie jar, no decoding, no redirects, target and headers as they are.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from treq.client import HTTPClient
from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IConsumer, IProtocol, IReactorTime
from twisted.python.failure import Failure
from twisted.web.client import URI, ResponseDone
from twisted.web.http_headers import Headers as TwistedHeaders
from twisted.web.iweb import UNKNOWN_LENGTH, IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from revproxy.body import HIGH_WATER, Body, IBodySink, IBodySource
from revproxy.context import Response
from revproxy.dataplane.upstream.outgoing import Outgoing
from revproxy.dataplane.upstream.target import Target
from revproxy.dataplane.upstream.upstream import Upstream
from revproxy.errors import Unavailable
from revproxy.headers import isToken


class UpstreamClient(HTTPClient):  # type: ignore[misc]
    """
    A treq client over our own pools.
    """

    def __init__(self, agent: PoolAgent, clock: IReactorTime, timeout: float | None = None) -> None:
        """
        :param timeout: seconds for requests that do not say ``timeout`` themselves.
        """
        super().__init__(agent)
        self._clock = clock
        self._timeout = timeout

    def send(self, outgoing: Outgoing) -> Deferred[Response]:
        """
        Send a request as it is.

        :returns: as :meth:`Outgoing.begin`.
        """
        return outgoing.begin()

    def request(self, method: str, url: Any, **options: Any) -> Deferred[Any]:
        """As :func:`treq.request`."""
        options.setdefault("reactor", self._clock)
        options.setdefault("timeout", self._timeout)
        # Each request has a client of its own: a shared cookie jar would give the cookies of one user to the next.
        sent: Deferred[Any] = HTTPClient(self._agent).request(method, url, **options)
        return sent


@implementer(IAgent)
class PoolAgent:
    """
    An agent over our pools: bounded connections, strict answers, no silent retries of what is not idempotent.
    """

    def __init__(self, upstreamFor: Callable[[bytes, str, int], Upstream], capacity: int = 64) -> None:
        """
        :param upstreamFor: makes an upstream for scheme, host and port.
        :param capacity: origins whose pools are kept; the least recently used goes first.
        """
        self._upstreamFor = upstreamFor
        self._capacity = capacity
        self._upstreams: OrderedDict[tuple[bytes, str, int], Upstream] = OrderedDict()
        self._closed = False

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: TwistedHeaders | None = None,
        bodyProducer: IBodyProducer | None = None,
    ) -> Deferred[IResponse]:
        """
        As :meth:`twisted.web.iweb.IAgent.request`.

        :raises ValueError: (in the Deferred) for what cannot be sent.
        """
        if self._closed:
            return fail(Unavailable("the edge stops"))
        parsed = URI.fromBytes(uri)
        if parsed.scheme not in (b"http", b"https"):
            return fail(ValueError(f"not an http URL: {uri!r}"))
        try:
            outgoing = _AgentRequest(self._upstream(parsed), method, parsed, headers, bodyProducer)
        except ValueError:
            return fail()
        return outgoing.go().addCallback(AgentResponse)

    def _upstream(self, uri: URI) -> Upstream:
        key = (uri.scheme, uri.host.decode("ascii").strip("[]"), uri.port)
        upstream = self._upstreams.get(key)
        if upstream is None:
            upstream = self._upstreams[key] = self._upstreamFor(*key)
            if len(self._upstreams) > self._capacity:
                self._upstreams.popitem(last=False)[1].close()
        else:
            self._upstreams.move_to_end(key)
        return upstream

    def close(self) -> None:
        """Give up all connections as they become idle, and send nothing more."""
        self._closed = True
        for upstream in self._upstreams.values():
            upstream.close()


class _AgentRequest(Outgoing):
    """A request made of what an agent is given."""

    __slots__ = ("_headers", "_producer", "_uri")

    def __init__(
        self,
        upstream: Upstream,
        method: bytes,
        uri: URI,
        headers: TwistedHeaders | None,
        producer: IBodyProducer | None,
    ) -> None:
        if not isToken(method):
            raise ValueError(f"not a method: {method!r}")
        self._uri = uri
        self._headers = headers or TwistedHeaders()
        self._producer = _ProducedBody(producer) if producer is not None else None
        super().__init__(upstream, method, self._producer.body if self._producer else None, None)
        for name, values in self._headers.getAllRawHeaders():
            for value in values:
                if not isToken(name) or any(octet in value for octet in (b"\r", b"\n", b"\0")):
                    raise ValueError(f"a header that cannot be sent: {name!r}")

    def go(self) -> Deferred[Response]:
        """
        Have the producer begin, and send it: once the body is whole, if that is small, as with those of clients.

        :returns: as :meth:`begin`.
        """
        produced = self._producer
        if produced is None:
            return self.begin()
        if produced.body._length is None or produced.body._length > HIGH_WATER:
            answered = self.begin()
            produced.start()
            return answered
        produced.start()
        whole = produced.body.read(HIGH_WATER).addErrback(produced.givenUp)
        return whole.addCallback(lambda _: self.begin())

    def aimAt(self, target: Target) -> None:
        """Write the head, which is the same for every target."""
        headers = self._headers
        parts = [self.method, b" ", self._uri.originForm, b" HTTP/1.1\r\n"]
        if not headers.hasHeader(b"host"):
            parts += (b"Host: ", self._uri.netloc, b"\r\n")
        for name, values in headers.getAllRawHeaders():
            if name.lower() not in (b"content-length", b"transfer-encoding", b"connection"):
                for value in values:
                    parts += (name, b": ", value, b"\r\n")
        if self.body is not None:
            if self.chunked:
                parts.append(b"Transfer-Encoding: chunked\r\n")
            else:
                parts.append(b"Content-Length: %d\r\n" % (self.body._length or 0))
        elif self.method in (b"POST", b"PUT", b"PATCH"):
            parts.append(b"Content-Length: 0\r\n")
        parts.append(b"\r\n")
        self.head = b"".join(parts)


class _Production(Enum):
    """How far a body producer has come."""

    AHEAD = auto()
    UNDER_WAY = auto()
    OVER = auto()


@implementer(IConsumer, IBodySource)
class _ProducedBody:
    """The body that an IBodyProducer writes."""

    def __init__(self, producer: IBodyProducer) -> None:
        length = producer.length
        self.body = Body(self, None if length is UNKNOWN_LENGTH else length)
        self._producer = producer
        self._production = _Production.AHEAD
        # Bytes that are still to come, where it said how many there are.
        self._owed = self.body._length

    def start(self) -> None:
        """Begin, unless the request has failed already."""
        if self._production is _Production.OVER:
            return
        self._production = _Production.UNDER_WAY
        finished = maybeDeferred(self._producer.startProducing, self)
        finished.addCallbacks(lambda _: self._over(None), self._over)

    def givenUp(self, failure: Failure) -> Failure:
        """
        Nobody waits for the body any more.

        :returns: why.
        """
        self.body.stopProducing()
        return failure

    def _over(self, failure: Failure | None) -> None:
        self._production = _Production.OVER
        if failure is None and self._owed:
            self.body.fail(Failure(ValueError(f"the producer gave {self._owed} bytes less than it said")))
        elif failure is None:
            self.body.finish()
        else:
            self.body.fail(failure)

    def write(self, data: bytes) -> None:
        """Part of IConsumer. More than was promised is never sent: the origin would take it for a request."""
        if self._owed is not None:
            self._owed -= len(data)
            if self._owed < 0:
                self.stopProducing()
                self.body.fail(Failure(ValueError("the producer gives more bytes than it said")))
                return
        self.body.feed(data)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Part of IConsumer; body producers are not obliged to call it."""

    def unregisterProducer(self) -> None:
        """Part of IConsumer."""

    def pauseProducing(self) -> None:
        """Part of IBodySource."""
        if self._production is not _Production.OVER:
            self._producer.pauseProducing()

    def resumeProducing(self) -> None:
        """Part of IBodySource."""
        if self._production is not _Production.OVER:
            self._producer.resumeProducing()

    def stopProducing(self) -> None:
        """Part of IBodySource."""
        before, self._production = self._production, _Production.OVER
        if before is _Production.UNDER_WAY:
            self._producer.stopProducing()


@implementer(IResponse)
class AgentResponse:
    """An answer as an agent gives it."""

    request = None
    previousResponse: IResponse | None = None

    def __init__(self, response: Response) -> None:
        self._response = response
        self.version = (b"HTTP", 1, 1)
        self.code = response.status
        self.phrase = response.reason.encode("latin-1")
        self.headers = TwistedHeaders()
        for _, name, value in response.headers.fields:
            self.headers.addRawHeader(name, value)
        length = response.body._length
        self.length: Any = UNKNOWN_LENGTH if length is None else length

    def deliverBody(self, protocol: IProtocol) -> None:
        """Give the body to a protocol, with ``ResponseDone`` at its end."""
        body = self._response.body
        delivery = _Delivery(protocol, body)
        protocol.makeConnection(delivery)  # type: ignore[arg-type]
        body.attach(delivery)

    def setPreviousResponse(self, response: IResponse) -> None:
        """Part of IResponse: the answer that redirected here."""
        self.previousResponse = response


@implementer(IBodySink)
class _Delivery:
    """A body's sink that is a protocol, and the transport that this protocol sees."""

    disconnecting = False

    def __init__(self, protocol: IProtocol, body: Body) -> None:
        self._protocol = protocol
        self.pauseProducing = body.pauseProducing
        self.resumeProducing = body.resumeProducing
        self._body = body

    def stopProducing(self) -> None:
        """The rest is not wanted: the connection ends, and the protocol hears of it."""
        if not self.disconnecting:
            self.disconnecting = True
            self._body.detach()
            self._body.stopProducing()
            self._protocol.connectionLost(Failure(ConnectionAborted()))

    loseConnection = stopProducing
    abortConnection = stopProducing

    def bodyData(self, data: bytes) -> None:
        self._protocol.dataReceived(data)

    def bodyFinished(self) -> None:
        self._protocol.connectionLost(Failure(ResponseDone()))

    def bodyFailed(self, reason: Failure) -> None:
        self._protocol.connectionLost(reason)
