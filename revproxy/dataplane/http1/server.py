"""
The connection to a client: HTTP/1.0 and HTTP/1.1 (RFC 9112).

One request at a time. While one is being answered, what the client sends ahead (pipelining) stays bytes, bounded, and
the socket is not read once the bound is reached. Nor is a further request begun while the client leaves too much of
what it was answered untaken; and a pipeline that is answered at once gives others their turn after a few requests.
Where the connection is, :mod:`~revproxy.dataplane.http1.connectionstate` tells.

The class is the half that answers and ends; :mod:`~revproxy.dataplane.http1.requestreader` is the half that reads. Both
have the state, the deadline and the question whether the connection may be kept in common, so one inherits the other.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from twisted.internet.interfaces import IProtocol, IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from revproxy.body import Body
from revproxy.context import Response
from revproxy.dataplane.http.interfaces import IClientStream, IListener
from revproxy.dataplane.http1.connectionstate import BODY, BUSY, CLOSED, HEAD, LINGER, TUNNEL
from revproxy.dataplane.http1.requestreader import DRAIN_UP_TO, RequestReader
from revproxy.dataplane.http1.responsewriter import (
    STATUS_LINES,
    ResponseWriter,
    declareLength,
    declareOmitted,
    responseHead,
)
from revproxy.errors import ClientGone, EdgeError, RequestTimeout
from revproxy.headers import Headers
from revproxy.interfaces import IBodySource
from revproxy.loop.deadlines import NEVER


class Answer(Enum):
    """How far the answer to the running request is."""

    AWAITED = 0
    BEGUN = 1
    LAST = 2
    """Begun, and its head says that the connection ends with it."""


AWAITED, BEGUN, LAST = Answer

_JOIN_UP_TO = 65536
"""Bytes of a complete body that are copied behind its head, to save a system call."""

_UNTAKEN = 65536
"""Bytes that may be queued for a client before no further request of its is begun."""


@implementer(IProtocol, IClientStream, IBodySource)
class Http1Server(RequestReader):
    """
    One connection of one client.
    """

    __slots__ = (
        "_answer",
        "_counted",
        "_unsent",
        "_writer",
    )

    def __init__(self, listener: IListener) -> None:
        """:param listener: what has accepted it."""
        super().__init__(listener)
        self._answer: Answer = AWAITED
        self._counted = b""
        self._writer: ResponseWriter | None = None
        self._unsent = 0

    # The connection's beginning and end

    def makeConnection(self, transport: Any) -> None:
        """The connection was accepted."""
        self.transport = transport
        edge = self._edge
        edge.connections.add(self)
        edge.accepted += 1
        timeouts = edge.timeouts
        self.since = edge.monotonic()
        self.deadline = edge.deadlines.now() + (timeouts.handshake if self._listener.tls else timeouts.header)
        edge.deadlines.watch(self)
        if transport.peerKnown:
            self._counted = self._listener.admitted(self._meet())

    def peerLearned(self) -> None:
        """A PROXY header says who the client is: one that has too many connections is turned away."""
        peer = self._meet()
        if self._listener.hasTooMany(peer.host):
            self._state = CLOSED
            self.transport.abortConnection()
        else:
            self._counted = self._listener.admitted(peer)

    def connectionMade(self) -> None:
        """Part of IProtocol; everything happens in :meth:`makeConnection`."""

    def handshakeCompleted(self) -> None:
        """TLS is up; the time for the first head begins."""
        edge = self._edge
        self.deadline = edge.deadlines.now() + edge.timeouts.header
        edge.handshakes += 1
        info = self.transport.tlsInfo
        if info is not None and info.resumed:
            edge.resumed += 1

    def connectionLost(self, reason: Failure) -> None:
        """The client is gone."""
        edge = self._edge
        self._state = CLOSED
        self._ahead = b""
        edge.connections.discard(self)
        if self._listener.tls and self.transport.tlsInfo is None:
            edge.failedHandshakes += 1
        edge.deadlines.forget(self)
        if self._counted:
            self._listener.departed(self._counted)
        body, self._body = self._body, None
        tunnel, self._tunnel = self._tunnel, None
        if tunnel is not None:
            tunnel.clientLost(reason)
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            written = 0
            if self._writer is not None:
                written = self._writer.written
                self._writer = None
            exchange.clientLost(self._received, written)
        if body is not None:
            # Last: who waits for the body has been cancelled by now, and takes this for no failure of its own.
            body.fail(Failure(ClientGone("the client left while sending the body")))
        edge.connectionClosed()

    def deadlineExpired(self) -> None:
        """Whatever this connection waited for has not come."""
        state = self._state
        if state is HEAD and self._exchange is None:
            if self._ahead:
                self._refuse(RequestTimeout("the head did not arrive in time"))
            elif self._stillSending():
                self.deadline = self.bodyDeadline()
            else:
                self.transport.loseConnection()
                self._expectGone()
        elif self._stillSending():
            self.deadline = self.bodyDeadline()
        elif state is LINGER or state is CLOSED:
            self.transport.abortConnection()
        elif state is BODY and self._exchange is None:
            self._linger()
        elif state is BODY and self._answer is AWAITED:
            body, self._body = self._body, None
            self._state = BUSY
            self._keepAlive = False
            self.deadline = NEVER
            if body is not None:
                body.fail(Failure(RequestTimeout("the request body did not go on in time")))
        else:
            self.transport.abortConnection()

    def _stillSending(self) -> bool:
        """Whether queued bytes have become fewer since it was asked before: a slow reader, but a reader."""
        unsent = self.transport.unsent
        before, self._unsent = self._unsent, unsent
        return unsent > 0 and (before == 0 or unsent < before)

    def _takingDeadline(self) -> float:
        """The time by which some of the answer has to have been taken, if it waits for that."""
        writer = self._writer
        return self.bodyDeadline() if writer is not None and writer.isPaused else NEVER

    def _expectGone(self) -> None:
        """It was told to close: give it a moment to take what is queued, then break it off."""
        self._state = CLOSED
        self.deadline = self._edge.deadlines.now() + self._edge.timeouts.linger

    def drain(self) -> None:
        """The edge stops: close now if idle, else after the running response."""
        self._keepAlive = False
        if self._state is HEAD and self._exchange is None and not self._ahead:
            self.transport.loseConnection()
            self._expectGone()

    # Writing: IClientStream

    def sendInformational(self, status: int, headers: Headers) -> None:
        """Pass on a 1xx answer; HTTP/1.0 clients do not know them (RFC 9110 §15.2)."""
        request = self._request
        if request is None or self._version == "1.0" or self._answer is not AWAITED or self._state is CLOSED:
            return
        self.transport.write(responseHead(status, None, headers, b"\r\n"))

    def sendResponse(self, response: Response) -> None:
        """Write an answer; tells the exchange when it is written, or that it never will be."""
        self._answer = BEGUN
        body = response._body
        status = response._status
        if self._isHead or status == 304 or status == 204:
            if body is not None:
                declareOmitted(response._headers, status, body)
                body.stopProducing()
            data = b""
        elif body is None:
            data = b""
            declareLength(response._headers, 0)
        elif not body.complete or (body.trailers is not None and self._version == "1.1"):
            self._stream(response, body)
            return
        else:
            data = body.take()
            if not body.framed or body.changed:
                declareLength(response._headers, len(data))
        head = responseHead(status, response._rawReason, response._headers, self._connection())
        if len(data) <= _JOIN_UP_TO:
            head += data
            self.transport.write(head)
            self.answerSent(len(head))
        else:
            self.transport.write(head)
            self.transport.write(data)
            self.answerSent(len(head) + len(data))

    @property
    def hasSent(self) -> bool:
        """Whether something of the answer was written."""
        return self._answer is not AWAITED and (self._writer is None or self._writer.written > 0)

    def _connection(self) -> bytes:
        """What the head says of the connection, and its end."""
        if not self._mayKeep():
            self._answer = LAST
            return b"Connection: close\r\n\r\n"
        if self._version == "1.0":
            return b"Connection: keep-alive\r\n\r\n"
        return b"\r\n"

    def _mayKeep(self) -> bool:
        """Whether another request can follow on this connection."""
        if not self._keepAlive or self._edge.draining:
            self._keepAlive = False
        elif self._state is BODY and (
            self._decoder is None
            or not 0 <= self._decoder.remaining <= DRAIN_UP_TO
            or (self._request is not None and self._request.expectsContinue)
        ):
            # The answer comes before the request is whole, and the rest is long or may never be sent.
            self._keepAlive = False
        return self._keepAlive

    def _stream(self, response: Response, body: Body) -> None:
        """Write an answer whose body is still arriving, or that has trailers."""
        framing = b""
        chunked = False
        if body.changed or not body.framed:
            response._headers.removeRaw(b"content-length")
            if body._length is not None and body.trailers is None:
                framing = b"Content-Length: %d\r\n" % body._length
            elif self._version == "1.1":
                chunked = True
                framing = b"Transfer-Encoding: chunked\r\n"
                if body._announced:
                    framing += b"Trailer: " + body._announced + b"\r\n"
            else:
                # RFC 9112 §6.3: to a 1.0 client, the end of the connection is the end of the body.
                self._keepAlive = False
        head = responseHead(response._status, response._rawReason, response._headers, framing + self._connection())
        self._writer = ResponseWriter(self, body, head, chunked)
        self._writer.begin()

    def switchProtocols(self, response: Response, tunnel: Any) -> None:
        """Write a 101 answer; from then on bytes go both ways as they are (RFC 9110 §7.8)."""
        self._answer = BEGUN
        self._state = TUNNEL
        self.deadline = NEVER
        self._tunnel = tunnel
        head = responseHead(101, None, response._headers, b"Connection: Upgrade\r\n\r\n")
        self.transport.write(head)
        self.transport.setTcpKeepAlive(True)
        ahead, self._ahead = self._ahead, b""
        self._heldOff = False
        tunnel.connectClient(self.transport, len(head), self._tunnelClosed)
        if ahead:
            tunnel.fromClient(ahead)
        self.transport.resumeProducing()

    def _tunnelClosed(self, bytesIn: int, bytesOut: int) -> None:
        """The tunnel is over and has closed the transport: the client has some time to take what is queued for it."""
        tunnel, self._tunnel = self._tunnel, None
        self._state = CLOSED
        self.deadline = self.bodyDeadline()
        self._received = bytesIn
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            if tunnel is not None and tunnel.reason is not None:
                exchange.breakingOff(tunnel.reason)
            exchange.responseSent(bytesIn, bytesOut)

    def abort(self) -> None:
        """Break off with a reset, so that what was sent does not pass for whole."""
        self._state = CLOSED
        self.transport.abortConnection()

    def breakOff(self, reason: str) -> None:
        """As :meth:`abort`, by the edge and not because of this request: the log gives the reason."""
        if self._exchange is not None:
            self._exchange.breakingOff(reason)
        self.abort()

    # What a ResponseWriter reports

    def answerHeldUp(self) -> None:
        """The client takes the answer more slowly than it comes: from now on it is watched for progress."""
        self._unsent = 0
        if not self.isReceiving:
            self.deadline = self.bodyDeadline()

    def answerGoesOn(self) -> None:
        """The client has taken what was queued of the answer."""
        if not self.isReceiving:
            self.deadline = NEVER

    def answerFailed(self, reason: Failure, written: int) -> None:
        """The body of the answer broke off: the client must not take what it has for whole."""
        self._writer = None
        if not written and self._exchange is not None and self._state is not CLOSED:
            self._answer = AWAITED
            self._exchange.responseWithheld(reason)
            return
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.responseFailed(reason, self._received, written)
        self.abort()

    def answerSent(self, written: int) -> None:
        """The answer has been handed to the transport in full."""
        exchange, self._exchange = self._exchange, None
        answer, self._answer = self._answer, AWAITED
        self._writer = None
        self.deadline = NEVER
        received = self._received
        if self._state is BODY and self._body is not None:
            self._body.detach()
            self._body.stopProducing()
            self._body = None
        if exchange is not None:
            exchange.responseSent(received, written)
        state = self._state
        if state is CLOSED:
            return
        if not self._keepAlive:
            if answer is LAST or self._version == "1.0":
                self._close()
            else:
                # It has not been told that this was the last one, and may be sending the next request.
                self._linger()
        elif state is BUSY:
            self._next()
        elif state is BODY:
            self.deadline = self.bodyDeadline()
            self.transport.resumeProducing()

    def _next(self) -> None:
        """Ready for the next request, once the client has taken what was queued for it."""
        self._request = None
        if self._edge.draining or not self._keepAlive:
            self._close()
            return
        transport = self.transport
        if transport.dataBuffer and transport.unsent > _UNTAKEN:
            self._state = BUSY
            self._unsent = transport.unsent
            self.deadline = self.bodyDeadline()
            self._holdOff()
            transport.registerDrained(_Untaken(self))
            return
        self._state = HEAD
        self._scanned = 0
        self._emptyLines = 0
        timeouts = self._edge.timeouts
        if self._ahead:
            self.deadline = self._edge.deadlines.now() + timeouts.header
            if not self._advancing:
                self._advance()
        else:
            self.deadline = self._edge.deadlines.now() + timeouts.idle

    def _close(self) -> None:
        """Close after the answer; linger if the client may still be sending."""
        if self._state is BODY or self._ahead:
            self._linger()
        else:
            self._state = CLOSED
            self.deadline = self.bodyDeadline()
            self.transport.loseConnection()

    def _linger(self) -> None:
        self._state = LINGER
        self._ahead = b""
        self._received = 0
        self._body = None
        self._decoder = None
        self.deadline = self._edge.deadlines.now() + self._edge.timeouts.linger
        self.transport.loseWriteConnection()
        self.transport.resumeProducing()

    def _refuse(self, error: EdgeError) -> None:
        """Answer a head that is no request, and close."""
        edge = self._edge
        body = error.text.encode() + b"\n"
        head = b"%bContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (
            STATUS_LINES[error.status],
            len(body),
        )
        self._keepAlive = False
        self.transport.write(head + body)
        edge.refused(self._peer or self._meet(), self._listener.scheme, error, len(head) + len(body))
        self._linger()


@implementer(IPushProducer)
class _Untaken:
    """Waits, as the transport's producer, until a client has taken all that is queued for it."""

    __slots__ = ("_server",)

    def __init__(self, server: Http1Server) -> None:
        self._server = server

    def pauseProducing(self) -> None:
        """Nothing is produced."""

    def stopProducing(self) -> None:
        """The connection is lost; :meth:`Http1Server.connectionLost` does the rest."""

    def resumeProducing(self) -> None:
        """All is taken."""
        server = self._server
        server.transport.unregisterProducer()
        server._readOn()
        server._next()
