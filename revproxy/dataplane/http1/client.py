"""
The connection to an origin: HTTP/1.1, one request at a time (RFC 9112).

An answer is as suspect as a request. Whatever is not exactly one well-framed answer to the request that was sent ends
the connection, and what has been passed on by then is marked as broken off: a truncated body never looks whole, and
bytes after an answer are never taken for the next one.

States::

    IDLE ──▶ HEAD ──▶ BODY ──▶ IDLE        HEAD ──▶ TUNNEL        any ──▶ CLOSED

The file is long because the machine is one: sending the request and reading the answer overlap, and each way out of
either has to give back the same things.
"""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from revproxy.body import Body
from revproxy.context import Response
from revproxy.dataplane.http.shares import PLAIN, UPLOAD
from revproxy.dataplane.http.tunnel import Tunnel
from revproxy.dataplane.http1.bodycoding import ChunkedDecoder, chunk, lastChunk, unsaid
from revproxy.dataplane.http1.clientroles import ConnectionPool, SentRequest
from revproxy.dataplane.http1.heads import CHUNKED, UNTIL_CLOSE
from revproxy.dataplane.http1.responsehead import ResponseHead, isOffered, parseResponseHead
from revproxy.errors import (
    BadRequest,
    BadResponse,
    ConnectionStale,
    EdgeError,
    TunnelsFull,
    UpstreamError,
    UpstreamTimeout,
)
from revproxy.headers import Headers
from revproxy.interfaces import IBodySink, IBodySource
from revproxy.loop.deadlines import NEVER

IDLE, HEAD, BODY, TUNNEL, CLOSED = range(5)

WITH_BODY = frozenset((b"POST", b"PUT", b"PATCH"))
"""Methods whose body means something to every origin (RFC 9110 §9.3); others may leave it unread."""

_INFORMATIONAL_LIMIT = 32
"""1xx answers to one request before it is taken for an attempt to keep us busy."""


class Switched(Response):
    """A 101 answer, with the tunnel that it opens."""

    __slots__ = ("tunnel",)

    def __init__(self, head: ResponseHead, tunnel: Tunnel) -> None:
        super().__init__(101, head.reason, Headers(head.fields), None)
        self.tunnel = tunnel


@implementer(IProtocol, IBodySource, IBodySink)
class Http1Client:
    """
    One connection of a pool.

    To the request's body it is the sink, to the response's body the source.

    :ivar served: answers that were complete on this connection.
    :ivar idleSince: when the last of them was, or else the connection.
    :ivar unused: seconds from then until the request that is on it.
    :ivar share: what takes it up, as in :mod:`~revproxy.dataplane.http.shares`.
    :ivar deadline: when it has waited too long, whatever it waits for now.
    """

    __slots__ = (
        "_body",
        "_chunked",
        "_decoder",
        "_head",
        "_held",
        "_informational",
        "_isLast",
        "_outgoing",
        "_paused",
        "_pool",
        "_remaining",
        "_state",
        "_tunnel",
        "_uploading",
        "deadline",
        "idleSince",
        "served",
        "share",
        "transport",
        "unused",
    )

    def __init__(self, pool: ConnectionPool[Http1Client]) -> None:
        self._pool = pool
        self.transport: Any = None
        self.deadline = NEVER
        self.served = 0
        self.idleSince = 0.0
        self.unused = 0.0
        self.share = PLAIN
        self._isLast = False
        self._state = IDLE
        self._outgoing: SentRequest | None = None
        self._held = b""
        self._head: ResponseHead | None = None
        self._body: Body | None = None
        self._decoder: ChunkedDecoder | None = None
        self._remaining = 0
        self._informational = 0
        self._uploading: Body | None = None
        self._chunked = False
        self._paused = False
        self._tunnel: Tunnel | None = None

    def makeConnection(self, transport: Any) -> None:
        """The connection (and TLS, if there is any) is up."""
        self.transport = transport
        # Endpoints put a wrapper between us and the transport, which has done its work now.
        transport.protocol = self
        self._pool.deadlines.watch(self)

    def connectionMade(self) -> None:
        """Part of IProtocol; everything happens in :meth:`makeConnection`."""

    # The request

    def send(self, outgoing: SentRequest, now: float) -> None:
        """Send a request on this idle connection; the outgoing request is told of the answer."""
        pool = self._pool
        self._outgoing = outgoing
        outgoing.connection = self
        self._state = HEAD
        self._informational = 0
        self.unused = now - self.idleSince
        self.deadline = now + pool.timeouts.response
        body = outgoing.body
        if body is None:
            self.transport.write(outgoing.head)
            return
        self.share, outgoing.share = outgoing.share, PLAIN
        if body.complete and not outgoing.chunked:
            data = outgoing.wholeBody()
            self._isLast = bool(data) and outgoing.method not in WITH_BODY
            self.transport.write(outgoing.head + data if len(data) < 65536 else outgoing.head)
            if len(data) >= 65536:
                self.transport.write(data)
            self._uploaded()
        else:
            self._isLast = outgoing.method not in WITH_BODY
            self._uploading = body
            self._chunked = outgoing.chunked
            self.transport.write(outgoing.head)
            self.transport.registerProducer(body, True)
            body.attach(self)

    def bodyData(self, data: bytes) -> None:
        """Part of IBodySink: a piece of the request's body."""
        body = self._uploading
        if body is None:
            return
        if not self._paused:
            # Progress, unless the receiver of the answer wants us to wait anyway.
            timeouts = self._pool.timeouts
            self.deadline = self._pool.deadlines.now() + timeouts.response + timeouts.body
        self.transport.write(chunk(data) if self._chunked else data)

    def bodyFinished(self) -> None:
        """Part of IBodySink: the request is sent."""
        body, self._uploading = self._uploading, None
        if body is None:
            return
        if self._chunked:
            trailers = body.trailers
            outgoing = cast(SentRequest, self._outgoing)
            self.transport.write(lastChunk([] if trailers is None else unsaid(trailers.fields, outgoing.head)))
        self.transport.unregisterProducer()
        if self._state == HEAD:
            self.deadline = self._pool.deadlines.now() + self._pool.timeouts.response
        self._uploaded()

    def _uploaded(self) -> None:
        if self.share == UPLOAD:
            self.share = PLAIN
            self._pool.uploaded()

    def bodyFailed(self, reason: Failure) -> None:
        """Part of IBodySink: the client broke off, so the origin must not take what it has for whole."""
        if self._uploading is not None:
            self._uploading = None
            self._breakOff(reason)

    # The answer

    def dataReceived(self, data: bytes) -> None:
        """Bytes of the origin."""
        state = self._state
        if state == BODY:
            self._readBody(data)
        elif state == HEAD:
            try:
                self._readHead(self._held + data if self._held else data)
            except EdgeError as error:
                self._breakOff(Failure(error))
        elif state == TUNNEL:
            cast(Tunnel, self._tunnel).fromOrigin(data)
        elif state == IDLE:
            # Nobody asked: whatever it is, it must not become the answer to the next request.
            self._pool.poisoned += 1
            self._close()

    def _readHead(self, data: bytes) -> None:
        outgoing = self._outgoing
        assert outgoing is not None
        limits = self._pool.limits
        while True:
            end = data.find(b"\r\n\r\n") + 4
            if end < 4 or end > limits.maxHeaderBytes:
                if len(data) > limits.maxHeaderBytes:
                    raise BadResponse("the head is larger than the limit")
                if not data.startswith(b"HTTP/1."[: len(data)]):
                    raise BadResponse("this does not begin like a response")
                self._held = data
                return
            rest = b""
            if end != len(data):
                rest = data[end:]
                data = data[:end]
            head = parseResponseHead(data, outgoing.method, limits.maxHeaders)
            if head.status >= 200:
                break
            self._informational += 1
            if self._informational > _INFORMATIONAL_LIMIT:
                raise BadResponse("too many 1xx answers")
            if head.status == 101:
                self._switch(outgoing, head, rest)
                return
            outgoing.informational(head.status, Headers(head.fields))
            data = rest
            self._held = b""
            if not data:
                return
        self._held = b""
        self._answer(outgoing, head, rest)

    def _switch(self, outgoing: SentRequest, head: ResponseHead, rest: bytes) -> None:
        if not isOffered(head.upgrade, outgoing.upgrade) or self._uploading is not None:
            raise BadResponse("101 without having been asked for it")
        if not self._pool.becomesTunnel(self):
            raise TunnelsFull("there are as many tunnels to this target as there may be")
        head.fields.append((b"upgrade", b"Upgrade", head.upgrade or b""))
        self._state = TUNNEL
        self.deadline = NEVER
        self._outgoing = None
        self.transport.setTcpKeepAlive(True)
        pool = self._pool
        self._tunnel = tunnel = Tunnel(self.transport, self._clientLeft, pool.deadlines, pool.timeouts.tunnel)
        if rest:
            tunnel.fromOrigin(rest)
        outgoing.answered(Switched(head, tunnel))

    def _clientLeft(self) -> None:
        """The tunnel's client is gone: the origin has some time to take what is queued for it."""
        self.deadline = self._pool.deadlines.now() + self._pool.timeouts.body
        self.transport.loseConnection()

    def _answer(self, outgoing: SentRequest, head: ResponseHead, rest: bytes) -> None:
        """The final head is here, and perhaps the body too."""
        self._head = head
        length = head.length
        headers = Headers(head.fields)
        if length == len(rest):
            body = Body.of(rest)
            body.framed = head.declared == length
            self._complete(b"")
            outgoing.answered(Response(head.status, head.reason, headers, body))
            return
        if length == 0:
            # Bytes after an answer that has no body: the answer is good, the connection is not.
            body = Body.of(b"")
            body.framed = head.declared == length
            self._complete(rest)
            outgoing.answered(Response(head.status, head.reason, headers, body))
            return
        self._state = BODY
        self.deadline = self._pool.deadlines.now() + self._pool.timeouts.body
        if length == CHUNKED:
            limits = self._pool.limits
            self._decoder = ChunkedDecoder(head.trailer, limits.maxHeaderBytes, limits.maxHeaders)
        self._remaining = length
        body = self._body = Body(self, length if length > 0 else None)
        body.framed = length > 0
        body._announced = head.trailer
        if rest:
            self._readBody(rest)
            if self._state == CLOSED and not body.complete:
                # Wrong from the start: the client has got nothing yet and can be told so.
                outgoing.failed(Failure(BadResponse("the body is not framed as the head says")))
                return
        outgoing.answered(Response(head.status, head.reason, headers, body))

    def _readBody(self, data: bytes) -> None:
        remaining = self._remaining
        body = self._body
        assert body is not None
        if remaining > 0:
            size = len(data)
            if size < remaining:
                self._remaining = remaining - size
                self.deadline = self._pool.deadlines.now() + self._pool.timeouts.body
                body.feed(data)
                return
            rest = b""
            if size > remaining:
                rest = data[remaining:]
                data = data[:remaining]
            body.feed(data)
            self._bodyComplete(rest, None)
        elif remaining == UNTIL_CLOSE:
            self.deadline = self._pool.deadlines.now() + self._pool.timeouts.body
            body.feed(data)
        else:
            self._readChunks(body, data)

    def _readChunks(self, body: Body, data: bytes) -> None:
        decoder = self._decoder
        assert decoder is not None
        wasTrailing = decoder.trailing
        try:
            pieces, rest = decoder.decode(data)
        except BadRequest as error:
            self._breakOff(Failure(BadResponse(str(error))))
            return
        if pieces or decoder.trailing is not wasTrailing:
            # Only content is progress: not what frames it, nor fields of the trailer section.
            self.deadline = self._receivingDeadline()
        if pieces:
            body.feed(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if decoder.finished and self._body is not None:
            self._bodyComplete(rest, Headers(decoder.trailers) if decoder.trailers else None)

    def _receivingDeadline(self) -> float:
        """The time by which the body has to have gone on, or its trailer section has to be whole."""
        pool = self._pool
        trailing = self._decoder is not None and self._decoder.trailing
        return pool.deadlines.now() + (pool.timeouts.header if trailing else pool.timeouts.body)

    def _bodyComplete(self, rest: bytes, trailers: Headers | None) -> None:
        body, self._body = self._body, None
        if body is None:
            return
        self._decoder = None
        # Its last piece may have been one too many for the receiver; the next answer is to be read all the same.
        self._paused = False
        self.transport.resumeProducing()
        self._complete(rest)
        body.finish(trailers)

    def _complete(self, rest: bytes) -> None:
        """The answer is whole: keep the connection if nothing speaks against it."""
        head = self._head
        assert head is not None
        self._outgoing = None
        self._head = None
        self.served += 1
        if self._uploading is not None:
            # Answered before the request was whole; the origin may or may not read the rest, so who knows where
            # the next request would begin. The same goes for a body that the origin may not have looked at.
            self._isLast = True
            self._stopUploading()
        if rest:
            self._pool.poisoned += 1
        if rest or self._isLast or not head.keepAlive or head.length == UNTIL_CLOSE:
            self._close(gently=not rest)
        else:
            self._state = IDLE
            pool = self._pool
            self.idleSince = now = pool.deadlines.now()
            self.deadline = now + (pool.idleTimeout if head.idle is None else min(head.idle, pool.idleTimeout))
            pool.release(self)

    def _stopUploading(self) -> None:
        """Nobody wants the rest of the request's body, if there is any."""
        uploading, self._uploading = self._uploading, None
        if uploading is not None:
            self.transport.unregisterProducer()
            uploading.detach()
            uploading.stopProducing()

    # IBodySource, for the response's body

    def pauseProducing(self) -> None:
        """The client is slower than the origin."""
        if self._state == BODY:
            self._paused = True
            self.deadline = self._pool.deadlines.now() + self._pool.maxPause
            self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """The client takes more."""
        if self._state == BODY:
            self._paused = False
            self.deadline = self._receivingDeadline()
            self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """Nobody wants the rest of the answer."""
        if self._state == BODY:
            self._body = None
            self._close()

    # The end

    def abort(self) -> None:
        """Nobody waits for the answer any more."""
        self._outgoing = None
        self._body = None
        self._close()

    def retire(self) -> None:
        """It is idle and not to be used any more."""
        self._close(gently=True)

    def deadlineExpired(self) -> None:
        """What this connection waited for has not come."""
        if self._state == CLOSED:
            self.transport.abortConnection()
        elif self._state == IDLE:
            self.retire()
        else:
            self._breakOff(Failure(UpstreamTimeout("no answer, or no more of it, in time")))

    def _breakOff(self, reason: Failure) -> None:
        """The exchange on this connection fails."""
        outgoing, self._outgoing = self._outgoing, None
        body, self._body = self._body, None
        self._close()
        if body is not None:
            body.fail(reason)
        elif outgoing is not None:
            outgoing.failed(reason)

    def _close(self, gently: bool = False) -> None:
        """
        End the connection; nothing on it is worth waiting for.

        :param gently: say goodbye (FIN, close_notify) rather than reset.
        """
        self._stopUploading()
        if self._state != CLOSED:
            self._state = CLOSED
            self.deadline = NEVER
            if gently:
                # Should the goodbye itself not come through.
                self.deadline = self._pool.deadlines.now() + self._pool.timeouts.linger
                self.transport.loseConnection()
            else:
                self.transport.abortConnection()
            self._pool.closed(self)

    def connectionLost(self, reason: Failure) -> None:
        """The origin closed, or we did."""
        pool = self._pool
        pool.deadlines.forget(self)
        state, self._state = self._state, CLOSED
        if state == CLOSED:
            return
        if state == IDLE:
            pool.lost(self)
        pool.closed(self)
        outgoing, self._outgoing = self._outgoing, None
        body, self._body = self._body, None
        self._stopUploading()
        if state == TUNNEL:
            cast(Tunnel, self._tunnel).originLost(reason)
        elif body is not None:
            whole = self._remaining == UNTIL_CLOSE and reason.check(ConnectionDone) and not self.transport.truncated
            if whole:
                body.finish()
            else:
                body.fail(Failure(BadResponse("the origin closed in the middle of the body")))
        elif outgoing is not None:
            outgoing.failed(Failure(self._lostBeforeAnswer(reason)))

    def _lostBeforeAnswer(self, reason: Failure) -> EdgeError:
        if self._held or self._informational:
            return BadResponse("the origin closed in the middle of the head")
        if self.served:
            self._pool.lostInUse(self)
            return ConnectionStale("the kept connection was closed before an answer")
        return UpstreamError(f"the origin closed without an answer: {reason.getErrorMessage()}")
