"""
An answer as HTTP/1.1 writes it: its head, and the one that writes a body piece by piece.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from revproxy.body import Body
from revproxy.dataplane.http1.bodycoding import chunk, lastChunk
from revproxy.errors import REASONS
from revproxy.headers import Headers
from revproxy.interfaces import IBodySink
from revproxy.loop.deadlines import NEVER

if TYPE_CHECKING:
    from revproxy.dataplane.http1.server import Http1Server

STATUS_LINES = {code: b"HTTP/1.1 %d %b\r\n" % (code, phrase.encode()) for code, phrase in REASONS.items()}


def responseHead(status: int, reason: bytes | None, headers: Headers, end: bytes) -> bytes:
    """
    Status line and header section (RFC 9112 §4), as bytes.

    :param reason: None for the registered one.
    :param end: fields of the connection and of the framing, and the empty line.
    """
    if reason is None:
        line = STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
    else:
        line = b"HTTP/1.1 %d %b\r\n" % (status, reason)
    parts = [line]
    for _, name, value in headers.fields:
        parts += (name, b": ", value, b"\r\n")
    parts.append(end)
    return b"".join(parts)


def declareLength(headers: Headers, length: int | None) -> None:
    """Have exactly this Content-Length, or none."""
    headers.removeRaw(b"content-length")
    if length is not None:
        headers.fields.append((b"content-length", b"Content-Length", b"%d" % length))


@implementer(IBodySink, IPushProducer)
class ResponseWriter:
    """
    Writes one answer whose body arrives piece by piece.

    To its body it is the sink, to the transport the producer.

    :ivar isPaused: whether it waits until the client has taken what is queued.
    :ivar written: bytes so far, head included.
    """

    __slots__ = ("_body", "_chunked", "_head", "_server", "_transport", "isPaused", "written")

    def __init__(self, server: Http1Server, body: Body, head: bytes, chunked: bool) -> None:
        self._server = server
        self._transport = server.transport
        self._body = body
        self._head = head
        self._chunked = chunked
        self.isPaused = False
        self.written = 0

    def begin(self) -> None:
        """Write the head, with what there is of the body behind it."""
        self._transport.registerProducer(self, True)
        self._body.attach(self)
        if self._head:
            head, self._head = self._head, b""
            self._write(head)

    def bodyData(self, data: bytes) -> None:
        """Part of IBodySink."""
        if self._chunked:
            data = chunk(data)
        if self._head:
            data, self._head = self._head + data, b""
        self._write(data)

    def bodyFinished(self) -> None:
        """Part of IBodySink."""
        if self._chunked:
            trailers = self._body.trailers
            self.bodyEnd(lastChunk(trailers.fields if trailers is not None else []))
        elif self._head:
            self.bodyEnd(b"")
        self._transport.unregisterProducer()
        self._server._sent(self.written)

    def bodyEnd(self, data: bytes) -> None:
        """The last bytes, with the head if it has not gone yet."""
        if self._head:
            data, self._head = self._head + data, b""
        self._write(data)

    def bodyFailed(self, reason: Failure) -> None:
        """Part of IBodySink: the client must not take what it has for whole."""
        server = self._server
        exchange, server._exchange = server._exchange, None
        server._writer = None
        self._transport.unregisterProducer()
        if exchange is not None:
            exchange.responseFailed(reason, server._received, self.written)
        server.abort()

    def _write(self, data: bytes) -> None:
        self.written += len(data)
        self._transport.write(data)

    def pauseProducing(self) -> None:
        """The client reads more slowly than the origin sends: from now on it is watched for progress."""
        server = self._server
        self.isPaused = True
        server._unsent = 0
        if not server.isReceiving:
            server.deadline = server.bodyDeadline()
        self._body.pauseProducing()

    def resumeProducing(self) -> None:
        """The client has read what was queued."""
        server = self._server
        self.isPaused = False
        if not server.isReceiving:
            server.deadline = NEVER
        self._body.resumeProducing()

    def stopProducing(self) -> None:
        """The connection is lost; :meth:`Http1Server.connectionLost` does the rest."""
        self._body.detach()
        self._body.stopProducing()
