"""
The connection to a client: HTTP/1.0 and HTTP/1.1 (RFC 9112).

One request at a time. While one is being answered, what the client sends ahead (pipelining) stays bytes, bounded, and
the socket is not read once the bound is reached. Nor is a further request begun while the client leaves too much of
what it was answered untaken; and a pipeline that is answered at once gives others their turn after a few requests.
The connection is in one of these states::

    HEAD ──▶ BODY ──▶ BUSY ──▶ HEAD …        a request without a body goes from HEAD to BUSY
                       │
      any ──▶ LINGER   └──▶ TUNNEL           refused or closing; after 101

``HEAD`` reads a head and begins an exchange. ``BODY`` feeds the request's body while the exchange is under way.
``BUSY`` waits for the answer to be written, and for the client to take it where much is queued. ``LINGER`` has closed
its own direction and discards what still arrives, so that the client reads our answer instead of a reset (RFC 9112
§9.6).

The file is long because the machine is one: every state shares the deadline, the bytes ahead and the question whether
the connection may be kept, and a transition has to be seen beside the others.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from twisted.internet.interfaces import IProtocol, IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from revproxy.body import Body
from revproxy.context import Peer, Request, Response
from revproxy.dataplane.http.forwarding import clientBehind
from revproxy.dataplane.http.interfaces import IClientStream, IExchange, IListener
from revproxy.dataplane.http1.bodycoding import ChunkedDecoder, LengthDecoder
from revproxy.dataplane.http1.heads import CHUNKED
from revproxy.dataplane.http1.partialhead import checkPartialHead, emptyLines
from revproxy.dataplane.http1.requesthead import RequestHead, parseRequestHead
from revproxy.dataplane.http1.responsewriter import (
    STATUS_LINES,
    ResponseWriter,
    declareLength,
    declareOmitted,
    responseHead,
)
from revproxy.errors import (
    BodyTooLarge,
    ClientGone,
    EdgeError,
    RequestTimeout,
    TargetTooLong,
)
from revproxy.headers import Headers
from revproxy.interfaces import IBodySource
from revproxy.loop.deadlines import NEVER


class State(Enum):
    """Where the connection is: see the top of the module."""

    HEAD = 0
    BODY = 1
    BUSY = 2
    TUNNEL = 3
    LINGER = 4
    CLOSED = 5


# Globals, for one look-up instead of two; compared with "is", which costs less than numbers did.
HEAD, BODY, BUSY, TUNNEL, LINGER, CLOSED = State


class Answer(Enum):
    """How far the answer to the running request is."""

    AWAITED = 0
    BEGUN = 1
    LAST = 2
    """Begun, and its head says that the connection ends with it."""


AWAITED, BEGUN, LAST = Answer

_JOIN_UP_TO = 65536
"""Bytes of a complete body that are copied behind its head, to save a system call."""

_AHEAD = 65536
"""Bytes that may be sent ahead of the answer before the socket is read no more."""

_UNTAKEN = 65536
"""Bytes that may be queued for a client before no further request of its is begun."""

_HEADS_PER_TURN = 16
"""Requests of one pipeline that are begun before other connections have their turn: a few milliseconds of work."""

_TURN = 0.004
"""Seconds after which they have it in any case: a target of 8 KB, or a resource, may take milliseconds by itself."""

_DRAIN_UP_TO = 262144
"""Bytes of an unwanted request body that are read for the sake of keeping the connection."""


@implementer(IProtocol, IClientStream, IBodySource)
class Http1Server:
    """
    One connection of one client.

    :ivar deadline: when it has waited too long, whatever it waits for now.
    """

    __slots__ = (
        "_advancing",
        "_ahead",
        "_answer",
        "_body",
        "_counted",
        "_decoder",
        "_edge",
        "_emptyLines",
        "_exchange",
        "_heldOff",
        "_isHead",
        "_keepAlive",
        "_listener",
        "_peer",
        "_received",
        "_request",
        "_scanned",
        "_state",
        "_trusted",
        "_tunnel",
        "_unsent",
        "_version",
        "_writer",
        "deadline",
        "served",
        "transport",
    )

    def __init__(self, listener: IListener) -> None:
        self._listener = listener
        self._edge = listener.edge
        self.transport: Any = None
        self.deadline = NEVER
        self.served = 0
        self._state: State = HEAD
        self._answer: Answer = AWAITED
        self._ahead = b""
        self._scanned = 0
        self._emptyLines = 0
        self._heldOff = False
        self._advancing = False
        self._peer: Peer | None = None
        self._counted = b""
        self._trusted = False
        self._exchange: IExchange | None = None
        self._request: Request | None = None
        self._body: Body | None = None
        self._decoder: ChunkedDecoder | LengthDecoder | None = None
        self._received = 0
        self._isHead = False
        self._keepAlive = True
        self._writer: ResponseWriter | None = None
        self._tunnel: Any = None
        self._unsent = 0
        # Of the request being answered, as the client sent it: a plugin may assign what it likes to its own view.
        self._version = "1.1"

    @property
    def listener(self) -> IListener:
        """What accepted it."""
        return self._listener

    # The connection's beginning and end

    def makeConnection(self, transport: Any) -> None:
        """The connection was accepted."""
        self.transport = transport
        edge = self._edge
        edge.connections.add(self)
        timeouts = edge.timeouts
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
        self.deadline = self._edge.deadlines.now() + self._edge.timeouts.header

    def connectionLost(self, reason: Failure) -> None:
        """The client is gone."""
        edge = self._edge
        self._state = CLOSED
        self._ahead = b""
        edge.connections.discard(self)
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

    @property
    def isReceiving(self) -> bool:
        """Whether it is the client's turn to send more of the request's body."""
        return self._state is BODY and (self._body is None or not self._body.isPaused)

    @property
    def chain(self) -> object:
        """That of the running request, or of the tunnel it has become; None if it is idle, or was broken off."""
        exchange = self._exchange
        return None if exchange is None or self._state is CLOSED else exchange.chain

    def bodyDeadline(self) -> float:
        """The time by which a body has to have gone on."""
        return self._edge.deadlines.now() + self._edge.timeouts.body

    def _receivingDeadline(self) -> float:
        """The time by which the body being received has to have gone on, or its trailer section has to be whole."""
        decoder = self._decoder
        if decoder is None or not decoder.trailing:
            return self.bodyDeadline()
        return self._edge.deadlines.now() + self._edge.timeouts.header

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

    # Reading

    def dataReceived(self, data: bytes) -> None:
        """Bytes of the client."""
        state = self._state
        if state is TUNNEL:
            self._tunnel.fromClient(data)
            return
        if state is LINGER or state is CLOSED:
            self._received += len(data)
            if self._received > _DRAIN_UP_TO:
                self.transport.abortConnection()
            return
        self._ahead = self._ahead + data if self._ahead else data
        if not self._advancing:
            self._advance()

    def _advance(self) -> None:
        """
        Go as far as the bytes at hand allow, or until others are to have their turn; then this is called again. A loop,
        so that answers given at once do not pile up as calls.
        """
        self._advancing = True
        heads = 0
        turnEnds = NEVER
        try:
            while self._ahead:
                state = self._state
                if state is HEAD:
                    if heads == 1:
                        # Most connections have one request at a time: they do not ask for the time.
                        turnEnds = self._edge.monotonic() + _TURN
                    elif heads == _HEADS_PER_TURN or (heads and self._edge.monotonic() > turnEnds):
                        self._holdOff()
                        self._edge.soon(self._advance)
                        return
                    heads += 1
                    if not self._readHead():
                        break
                elif state is BODY:
                    data, self._ahead = self._ahead, b""
                    if self._heldOff:
                        # Before the body is given away: whoever takes it may ask for a pause.
                        self._readOn()
                    self._readBody(data)
                elif state is BUSY:
                    if len(self._ahead) > _AHEAD:
                        self._holdOff()
                    break
                else:
                    self._ahead = b""
        except BaseException:
            # Called in a turn of its own, or by the end of an answer, nobody else would end the connection.
            self._advancing = False
            self.abort()
            raise
        self._advancing = False
        if self._heldOff and len(self._ahead) <= _AHEAD and not self._isUntaken:
            self._readOn()

    @property
    def _isUntaken(self) -> bool:
        """Whether the client has to take what it was answered before its next request is begun."""
        return self._state is BUSY and self._exchange is None

    def _holdOff(self) -> None:
        """Read no more for now: enough was sent ahead. Nor is the client's end, before its requests are answered."""
        self._heldOff = True
        self.transport.pauseProducing()

    def _readOn(self) -> None:
        """Enough of what was sent ahead is used up: read on, unless the receiver of a body has asked for a pause."""
        self._heldOff = False
        if self._state is not BODY or self._body is None or not self._body.isPaused:
            self.transport.resumeProducing()

    def _readHead(self) -> bool:
        """Begin an exchange if a head is complete; False if more bytes are needed."""
        data = self._ahead
        edge = self._edge
        limits = edge.limits
        end = data.find(b"\r\n\r\n", self._scanned) + 4
        try:
            if end < 4 or data[0] in b"\r\n":
                return self._partialHead(data)
            if end > limits.maxHeaderBytes:
                # What its beginning would have been told: how it was cut into segments makes no difference.
                checkPartialHead(data[: limits.maxHeaderBytes + 1], 0, limits)
            self._scanned = 0
            if end == len(data):
                self._ahead = b""
            else:
                self._ahead = data[end:]
                data = data[:end]
            head = parseRequestHead(data, limits.maxHeaders, limits.keepsUnderscores)
            if len(head.target) > limits.maxTargetBytes:
                raise TargetTooLong("the target is longer than the limit")
            if limits.maxBodyBytes is not None and head.length > limits.maxBodyBytes:
                raise BodyTooLarge("Content-Length is over the limit")
        except EdgeError as error:
            self._refuse(error)
            return False
        self._begin(head)
        return True

    def _partialHead(self, data: bytes) -> bool:
        """An incomplete head, or empty lines before one. :returns: whether there is anything else."""
        if data.startswith(b"\r\n"):
            count = emptyLines(data, self._emptyLines)
            self._emptyLines += count
            self._ahead = data[2 * count :]
            self._scanned = 0
            return bool(self._ahead)
        if data == b"\r":
            return False
        scanned = self._scanned
        checkPartialHead(data, scanned, self._edge.limits)
        if scanned == 0 and self.served:
            self.deadline = self._edge.deadlines.now() + self._edge.timeouts.header
        # Never 0 again: the time for the head runs from its first byte.
        self._scanned = max(1, len(data) - 3)
        if self._heldOff:
            self._readOn()
        return False

    def _begin(self, head: RequestHead) -> None:
        edge = self._edge
        listener = self._listener
        peer = self._peer or self._meet()
        self.served += 1
        self._version = head.version
        self._keepAlive = head.keepAlive and not (edge.draining or listener.draining)
        # The client's method, whatever a plugin makes of it: it decides whether the client expects a body.
        self._isHead = head.method == b"HEAD"
        scheme = listener.scheme
        if head.forwarding is not None and self._trusted:
            # From anyone else these fields are dropped here: nobody behind us could tell them from ours.
            head.fields += head.forwarding
            peer, scheme = clientBehind(head.forwarding, peer, scheme, listener.trusted)
        request = Request(
            head.method,
            head.target,
            head.host,
            head.version,
            scheme,
            head.section(head.fields),
            peer,
            None,
            self.transport.tlsInfo,
        )
        length = head.length
        if length:
            request._body = self._openBody(head)
        else:
            self._state = BUSY
            self.deadline = NEVER
        request.upgrade = head.upgrade
        if head.expectsContinue:
            request.expectsContinue = True
            if self._body is not None:
                self._body.onRead = self._continue
        request.wantsTrailers = head.wantsTrailers
        self._request = request
        self._received = length if length > 0 and self._state is BUSY else 0
        exchange = self._exchange = listener.newExchange(self, request, head.hostname)
        exchange.begin()

    def _continue(self) -> None:
        """A plugin reads the body before it is forwarded: ask for it here (RFC 9110 §10.1.1), and not again there."""
        request = self._request
        if request is not None and request.expectsContinue:
            self.sendInformational(100, Headers())
            request.expectsContinue = False
            request.headers.removeRaw(b"expect")

    def _meet(self) -> Peer:
        """Learn who the client is; once per connection."""
        address = self.transport.getPeer()
        host = getattr(address, "host", "")
        self._peer = peer = Peer(host, getattr(address, "port", 0), host)
        self._trusted = self._listener.trusts(host)
        return peer

    def _openBody(self, head: RequestHead) -> Body:
        length = head.length
        data = self._ahead
        if 0 < length <= len(data):
            # All of it is here already: no need to stream.
            self._state = BUSY
            self.deadline = NEVER
            self._ahead = data[length:]
            body = Body.of(data[:length])
            body.framed = True
            return body
        self._state = BODY
        self.deadline = self.bodyDeadline()
        if length == CHUNKED:
            limits = self._edge.limits
            self._decoder = ChunkedDecoder(head.trailer, limits.maxHeaderBytes, limits.maxHeaders)
            self._body = Body(self, None)
            self._body.announced = head.trailer
        else:
            self._decoder = LengthDecoder(length)
            self._body = Body(self, length)
            self._body.framed = True
        return self._body

    def _readBody(self, data: bytes) -> None:
        decoder = self._decoder
        assert decoder is not None
        wasTrailing = decoder.trailing
        try:
            pieces, rest = decoder.decode(data)
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            self._received += len(data)
            most = self._edge.limits.maxBodyBytes
            if most is not None and self._received > most:
                raise BodyTooLarge("the body is over the limit")
        except EdgeError as error:
            self._breakBody(error)
            return
        if data or decoder.trailing is not wasTrailing:
            # Only content is progress: not what frames it, nor fields of the trailer section.
            self.deadline = self._receivingDeadline()
        if data:
            if self._body is not None:
                self._body.feed(data)
            elif self._received > _DRAIN_UP_TO:
                self._stopReadingBody()
                return
        if decoder.finished:
            self._decoder = None
            self._ahead = rest
            self._bodyComplete(Headers(decoder.trailers) if decoder.trailers else None)

    def _bodyComplete(self, trailers: Headers | None) -> None:
        body, self._body = self._body, None
        wasAnswered = self._exchange is None
        if self._state is BODY:
            self._state = BUSY
            self.deadline = self._takingDeadline()
            # Its last piece may have been one too many for whoever takes it; the connection goes on being read.
            self.transport.resumeProducing()
        if body is not None:
            body.finish(trailers)
        if wasAnswered:
            # Otherwise the answer goes on from here when it is out, which may have been just now.
            self._next()

    def _breakBody(self, error: EdgeError) -> None:
        """The body is not what it should be: nothing after it can be understood."""
        self._keepAlive = False
        self._decoder = None
        self._ahead = b""
        body, self._body = self._body, None
        self._state = BUSY
        self.deadline = self._takingDeadline()
        if self._exchange is None:
            self._linger()
        elif body is not None:
            body.fail(Failure(error))

    def _stopReadingBody(self) -> None:
        """Too much of an unwanted body: rather lose the connection."""
        self._keepAlive = False
        if self._exchange is None:
            self._linger()

    # IBodySource, for the request body

    def pauseProducing(self) -> None:
        """The origin is slower than the client; so that this one does not send is no reason to end."""
        if self._state is BODY:
            self.deadline = self._takingDeadline()
            self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """The origin takes more."""
        if self._state is BODY:
            self.deadline = self._receivingDeadline()
            self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """Nobody wants the rest of the request body."""
        if self._state is BODY:
            self._body = None
            self._received = 0
            self.deadline = self._receivingDeadline()
            self.transport.resumeProducing()

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
        status = response.status
        if self._isHead or status == 304 or status == 204:
            if body is not None:
                declareOmitted(response.headers, status, body)
                body.stopProducing()
            data = b""
        elif body is None:
            data = b""
            declareLength(response.headers, 0)
        elif not body.complete or (body.trailers is not None and self._version == "1.1"):
            self._stream(response, body)
            return
        else:
            data = body.take()
            if not body.framed or body.changed:
                declareLength(response.headers, len(data))
        head = responseHead(status, response.rawReason, response.headers, self._connection())
        if len(data) <= _JOIN_UP_TO:
            head += data
            self.transport.write(head)
            self.answerSent(len(head))
        else:
            self.transport.write(head)
            self.transport.write(data)
            self.answerSent(len(head) + len(data))

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
            or not 0 <= self._decoder.left <= _DRAIN_UP_TO
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
            response.headers.removeRaw(b"content-length")
            if body.length is not None and body.trailers is None:
                framing = b"Content-Length: %d\r\n" % body.length
            elif self._version == "1.1":
                chunked = True
                framing = b"Transfer-Encoding: chunked\r\n"
                if body.announced:
                    framing += b"Trailer: " + body.announced + b"\r\n"
            else:
                # RFC 9112 §6.3: to a 1.0 client, the end of the connection is the end of the body.
                self._keepAlive = False
        head = responseHead(response.status, response.rawReason, response.headers, framing + self._connection())
        self._writer = ResponseWriter(self, body, head, chunked)
        self._writer.begin()

    def switchProtocols(self, response: Response, tunnel: Any) -> None:
        """Write a 101 answer; from then on bytes go both ways as they are (RFC 9110 §7.8)."""
        self._answer = BEGUN
        self._state = TUNNEL
        self.deadline = NEVER
        self._tunnel = tunnel
        head = responseHead(101, None, response.headers, b"Connection: Upgrade\r\n\r\n")
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
        exchange, self._exchange = self._exchange, None
        self._writer = None
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
