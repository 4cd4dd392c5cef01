"""
What a mounted resource writes, as a response of ours.

To a ``twisted.web.server.Request`` this is its connection. What the resource writes becomes a response with a streaming
body: its producer is paused when the client is slow, ``notifyFinish`` fires when the client leaves.

Where ``twisted.web`` is lenient with a resource we are not: a resource that fails after its first byte, or writes
fewer or more bytes than its Content-Length says, has its response broken off, so that it cannot pass for whole.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import Request as TwistedRequest
from twisted.web.server import Site
from zope.interface import implementer

from revproxy.body import Body, IBodySource
from revproxy.context import Request, Response
from revproxy.dataplane.leaves.forms import Fields
from revproxy.errors import EdgeError
from revproxy.headers import HOP_BY_HOP, Field, Headers, isFieldValue, isToken
from revproxy.hostport import splitPort, withoutBrackets

_MOST_RANGES = 32
"""Ranges that one request may ask for, of what resources are told (RFC 9110 §17.15); with more it gets the whole."""


class ResourceFailed(EdgeError):
    """A mounted resource raised, or its response is not one that may be sent."""


class MountedRequest(TwistedRequest):  # type: ignore[misc]
    """
    The request that resources see. Only forms, and what happens on failure, differ from its base.

    :ivar form: the fields of the form in its body, which go over those of the query.
    """

    form: Fields = {}

    def process(self) -> None:
        """Its head is read: render."""
        self.args.update(self.form)
        super().process()

    def processingFailed(self, reason: Failure) -> Failure:
        """Rendering raised: 500 with our page, or the end of what was begun."""
        channel: Any = self.channel
        if channel is not None:
            channel.fail(reason)
        return reason


@implementer(IBodySource)
class Channel:
    """
    What a mounted request takes for its connection.

    :ivar answer: fires with the response when its head is there. Cancelling it tells the resource that the client
        has left.
    """

    factory = None
    _log = Logger()

    def __init__(self, site: Site, request: Request, reactor: IReactorTime) -> None:
        self.site = site
        self.answer: Deferred[Response] = Deferred(self._clientLeft)
        self._original = request
        self._reactor = reactor
        self._request: MountedRequest | None = None
        self._response: Response | None = None
        self._body: Body | None = None
        self._owed: int | None = None
        self._withoutBody = False
        self._producer: Any = None
        self._pulling = False
        self._pullCall: Any = None
        self._paused = False
        self._processing = False
        # Resources that look for the transport mean its addresses.
        self.transport = self

    def process(self, target: bytes, content: Any, form: Fields) -> None:
        """Have the resource render."""
        original = self._original
        request = self._request = MountedRequest(self)
        size = content.tell()
        for name, value in _forResource(original, size):
            request.requestHeaders.addRawHeader(name, value)
        request.content = content
        request.form = form
        request.parseCookies()
        self._processing = True
        try:
            request.requestReceived(original._rawMethod, target, b"HTTP/" + original.version.encode("ascii"))
        except Exception:
            self.fail(Failure())
        finally:
            self._processing = False
        if self._response is not None and not self.answer.called:
            self.answer.callback(self._response)

    # What the request asks of its channel

    def getPeer(self) -> IPv4Address | IPv6Address:
        """The client's address, as far as it is known."""
        return _address(self._original.peer.host, self._original.peer.port)

    def getHost(self) -> IPv4Address | IPv6Address:
        """The address that the client used: what URLs to this place are made from."""
        name, port = splitPort(self._original._rawHost.decode("latin-1"))
        return _address(withoutBrackets(name), int(port) if port else (443 if self.isSecure() else 80))

    def isSecure(self) -> bool:
        """Whether the client came over TLS."""
        return self._original.scheme == "https"

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Any) -> None:
        """The head of the response."""
        request = self._request
        assert request is not None
        # Framing is the edge's business.
        request.chunked = 0
        try:
            response = self._response = self._makeResponse(int(code), reason, headers)
        except ResourceFailed:
            self.fail(Failure())
            raise
        self._body = response._body
        if not self._processing:
            self.answer.callback(response)

    def _makeResponse(self, status: int, reason: bytes, headers: Any) -> Response:
        if not 200 <= status <= 599:
            raise ResourceFailed(f"status {status} is no final one")
        fields, length = _fieldsOf(headers)
        self._withoutBody = self._original._rawMethod == b"HEAD" or status in (204, 304)
        body = Body.of(b"") if self._withoutBody else Body(self, length)
        body.framed = length is not None
        self._owed = length
        if any(octet < 0x20 or octet == 0x7F for octet in reason):
            reason = b""
        return Response(status, reason, Headers(fields), body)

    def write(self, data: bytes) -> None:
        """Bytes of the response's body."""
        body = self._body
        if not data or body is None or self._withoutBody:
            return
        if self._owed is not None:
            self._owed -= len(data)
            if self._owed < 0:
                self.fail(Failure(ResourceFailed("more bytes than its Content-Length says")))
                return
        body.feed(data)

    def writeSequence(self, pieces: Any) -> None:
        """As :meth:`write`."""
        self.write(b"".join(pieces))

    def requestDone(self, request: Any) -> None:
        """The resource has finished."""
        self._request = None
        body = self._body
        if body is None or self._withoutBody:
            return
        if self._owed:
            body.fail(Failure(ResourceFailed("fewer bytes than its Content-Length says")))
        else:
            body.finish()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """The resource's producer waits when the client is slow."""
        self._producer = producer
        self._pulling = not streaming
        if self._pulling:
            self._pullLater()
        elif self._paused:
            producer.pauseProducing()

    def unregisterProducer(self) -> None:
        """It has produced all."""
        self._producer = None
        if self._pullCall is not None:
            self._pullCall.cancel()
            self._pullCall = None

    def _pullLater(self) -> None:
        # In turns with others, not in a loop: a client on a fast line would keep everybody else waiting.
        if self._pullCall is None and not self._paused:
            self._pullCall = self._reactor.callLater(0, self._pull)

    def _pull(self) -> None:
        self._pullCall = None
        try:
            self._producer.resumeProducing()
        except Exception:
            self.fail(Failure())
        if self._producer is not None:
            self._pullLater()

    def loseConnection(self) -> None:
        """The resource breaks off."""
        if self._request is not None:
            self.fail(Failure(ResourceFailed("it closed the connection")))

    abortConnection = loseConnection

    def fail(self, reason: Failure) -> None:
        """No response, or no more of it."""
        body = self._body
        self._disconnect(reason)
        if self.answer.called and body is not None:
            self._log.failure("a mounted resource failed in the middle of its response", reason)
            body.fail(reason)
        elif not self.answer.called:
            self._response = None
            self.answer.errback(reason)

    # IBodySource, for the response's body

    def pauseProducing(self) -> None:
        """The client is slow."""
        self._paused = True
        if self._producer is not None and not self._pulling:
            self._producer.pauseProducing()
        elif self._pullCall is not None:
            self._pullCall.cancel()
            self._pullCall = None

    def resumeProducing(self) -> None:
        """The client takes more."""
        self._paused = False
        if self._producer is not None:
            if self._pulling:
                self._pullLater()
            else:
                self._producer.resumeProducing()

    def stopProducing(self) -> None:
        """Nobody wants the rest."""
        self._disconnect(Failure(ConnectionLost("the client left")))

    def _clientLeft(self, answer: Deferred[Response]) -> None:
        self._disconnect(Failure(ConnectionLost("the client left")))

    def _disconnect(self, reason: Failure) -> None:
        """What follows a lost connection in ``twisted.web``: the producer is stopped, ``notifyFinish`` fails."""
        request, self._request = self._request, None
        self._body = None
        producer = self._producer
        if request is None:
            return
        self.unregisterProducer()
        request.producer = None
        if producer is not None:
            producer.stopProducing()
        request.connectionLost(reason)


def _address(host: str, port: int) -> IPv4Address | IPv6Address:
    try:
        six = ip_address(host).version == 6
    except ValueError:
        six = False
    return IPv6Address("TCP", host, port) if six else IPv4Address("TCP", host, port)


def _forResource(request: Request, size: int) -> list[tuple[bytes, bytes]]:
    """The header section for the resource; the length is that of the body as it is now."""
    # Proxy: CGI and WSGI would make of it the variable that names a proxy to many clients.
    fields = [
        (name, value)
        for lower, name, value in request.headers.fields
        if lower not in (b"content-length", b"expect", b"proxy")
        and (lower != b"range" or value.count(b",") < _MOST_RANGES)
    ]
    if request.hasBody:
        fields.append((b"Content-Length", b"%d" % size))
    return fields


def _fieldsOf(headers: Any) -> tuple[list[Field], int | None]:
    """
    :returns: the resource's header section without fields of the connection, and its Content-Length.
    :raises ResourceFailed: for what cannot be sent.
    """
    fields: list[Field] = []
    length: int | None = None
    for name, values in headers.getAllRawHeaders():
        lower = name.lower()
        if lower in HOP_BY_HOP:
            continue
        if not isToken(name):
            raise ResourceFailed("a field name that cannot be sent")
        for value in values:
            if not isFieldValue(value):
                raise ResourceFailed(f"a value of {lower.decode('ascii')} that cannot be sent")
            fields.append((lower, name, value))
        if lower == b"content-length":
            if len(values) != 1 or not values[0].isdigit():
                raise ResourceFailed("Content-Length is no number")
            length = int(values[0])
    return fields, length
