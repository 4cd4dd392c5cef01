"""
What a client sends, over HTTP/1.0 and HTTP/1.1 (RFC 9112), becomes requests: the half of a connection that reads.
"""

from __future__ import annotations

from typing import Any

from twisted.python.failure import Failure
from zope.interface import implementer

from revproxy.body import Body
from revproxy.context import Peer, Request
from revproxy.dataplane.http.forwarding import Membership, clientBehind
from revproxy.dataplane.http.interfaces import IExchange, IListener
from revproxy.dataplane.http1.bodycoding import ChunkedDecoder, LengthDecoder
from revproxy.dataplane.http1.connectionstate import BODY, BUSY, CLOSED, HEAD, LINGER, TUNNEL, State
from revproxy.dataplane.http1.connectionview import ConnectionView
from revproxy.dataplane.http1.heads import CHUNKED
from revproxy.dataplane.http1.partialhead import checkPartialHead, emptyLines
from revproxy.dataplane.http1.requesthead import RequestHead, parseRequestHead
from revproxy.errors import BodyTooLarge, EdgeError, TargetTooLong
from revproxy.headers import Headers
from revproxy.interfaces import IBodySource
from revproxy.loop.deadlines import NEVER

_AHEAD = 65536
"""Bytes that may be sent ahead of the answer before the socket is read no more."""

_HEADS_PER_TURN = 16
"""Requests of one pipeline that are begun before other connections have their turn: a few milliseconds of work."""

_TURN = 0.004
"""Seconds after which they have it in any case: a target of 8 KB, or a resource, may take milliseconds by itself."""

DRAIN_UP_TO = 262144
"""Bytes of an unwanted request body that are read for the sake of keeping the connection."""


@implementer(IBodySource)
class RequestReader(ConnectionView):
    """
    Reads heads and bodies from the transport of one connection, and begins an exchange with each head.

    What the answers make of the connection is for :class:`~revproxy.dataplane.http1.server.Http1Server`, which is the
    other half.

    :ivar deadline: when it has waited too long, whatever it waits for now.
    :ivar served: requests that were begun.
    :ivar since: when it was accepted, by the edge's monotonic clock.
    """

    __slots__ = (
        "_advancing",
        "_ahead",
        "_believed",
        "_body",
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
        "_tunnel",
        "_version",
        "deadline",
        "served",
        "since",
        "transport",
    )

    def __init__(self, listener: IListener) -> None:
        self._listener = listener
        self._edge = listener.edge
        self.transport: Any = None
        self.deadline = NEVER
        self.served = 0
        self.since = 0.0
        self._state: State = HEAD
        self._ahead = b""
        self._scanned = 0
        self._emptyLines = 0
        self._heldOff = False
        self._advancing = False
        self._peer: Peer | None = None
        # The proxies whose word on their clients counts here; None if the peer is none of them.
        self._believed: Membership | None = None
        self._exchange: IExchange | None = None
        self._request: Request | None = None
        self._body: Body | None = None
        self._decoder: ChunkedDecoder | LengthDecoder | None = None
        self._received = 0
        self._isHead = False
        self._keepAlive = True
        self._tunnel: Any = None
        # Of the request being answered, as the client sent it: a plugin may assign what it likes to its own view.
        self._version = "1.1"

    def _meet(self) -> Peer:
        """Learn who the client is; once per connection."""
        address = self.transport.getPeer()
        host = getattr(address, "host", "")
        self._peer = peer = Peer(host, getattr(address, "port", 0), host)
        listener = self._listener
        self._believed = listener.trusted if listener.trusts(host) else None
        return peer

    @property
    def isReceiving(self) -> bool:
        """Whether it is the client's turn to send more of the request's body."""
        return self._state is BODY and (self._body is None or not self._body.isPaused)

    def bodyDeadline(self) -> float:
        """The time by which a body has to have gone on."""
        return self._edge.deadlines.now() + self._edge.timeouts.body

    def _receivingDeadline(self) -> float:
        """The time by which the body being received has to have gone on, or its trailer section has to be whole."""
        decoder = self._decoder
        if decoder is None or not decoder.trailing:
            return self.bodyDeadline()
        return self._edge.deadlines.now() + self._edge.timeouts.header

    # The other half

    def sendInformational(self, status: int, headers: Headers) -> None:
        """Part of IClientStream."""
        raise NotImplementedError

    def abort(self) -> None:
        """Part of IClientStream."""
        raise NotImplementedError

    def _takingDeadline(self) -> float:
        raise NotImplementedError

    def _next(self) -> None:
        raise NotImplementedError

    def _refuse(self, error: EdgeError) -> None:
        raise NotImplementedError

    def _linger(self) -> None:
        raise NotImplementedError

    # What arrives

    def dataReceived(self, data: bytes) -> None:
        """Bytes of the client."""
        state = self._state
        if state is TUNNEL:
            self._tunnel.fromClient(data)
            return
        if state is LINGER or state is CLOSED:
            self._received += len(data)
            if self._received > DRAIN_UP_TO:
                self.transport.abortConnection()
            return
        self._ahead = self._ahead + data if self._ahead else data
        if not self._advancing:
            self._advance()

    def _advance(self) -> None:
        """
        Go as far as the bytes at hand allow, or until others are to have their turn; then this is called again. A loop,
        so that answers given at once do not pile up as calls; and in one piece, because each request comes through it.
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

    # Heads

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
        if head.forwarding is not None and self._believed is not None:
            # From anyone else these fields are dropped here: nobody behind us could tell them from ours.
            head.fields += head.forwarding
            peer, scheme = clientBehind(head.forwarding, peer, scheme, self._believed)
        tracing = edge.tracing
        if tracing is None:
            trace = b""
            if head.traces is not None:
                head.fields += head.traces
        elif head.traces is None and tracing.fresh:
            trace = tracing.fresh.pop()
        else:
            trace = tracing.begin(head.traces, self._believed is not None, head.fields)
        section = head.section(head.fields)
        request = Request(
            head.method, head.target, head.host, head.version, scheme, section, peer, None, self.transport.tlsInfo
        )
        length = head.length
        if length:
            request._body = self._openBody(head)
        else:
            self._state = BUSY
            self.deadline = NEVER
        request._upgrade = head.upgrade
        if head.expectsContinue:
            request.expectsContinue = True
            if self._body is not None:
                self._body.onRead = self._continue
        request.wantsTrailers = head.wantsTrailers
        self._request = request
        self._received = length if length > 0 and self._state is BUSY else 0
        exchange = self._exchange = listener.newExchange(self, request, head.hostname)
        exchange.trace = trace
        exchange.begin()

    def _continue(self) -> None:
        """A plugin reads the body before it is forwarded: ask for it here (RFC 9110 §10.1.1), and not again there."""
        request = self._request
        if request is not None and request.expectsContinue:
            self.sendInformational(100, Headers())
            request.expectsContinue = False
            request._headers.removeRaw(b"expect")

    # Bodies

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
            self._body._announced = head.trailer
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
            elif self._received > DRAIN_UP_TO:
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

    # IBodySource, for the request's body

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
