"""
An answer as HTTP/1.1 writes it: its head at once, and its body piece by piece.
"""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from revproxy.body import Body
from revproxy.dataplane.http1.bodycoding import chunk, lastChunk
from revproxy.errors import REASONS
from revproxy.headers import Headers
from revproxy.interfaces import IBodySink

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


def declareOmitted(headers: Headers, status: int, body: Body) -> None:
    """
    Have the Content-Length that an answer without its body may have: to HEAD, or with 204 or 304 (RFC 9110 §8.6).

    :param body: what is not going to be sent.
    """
    if status == 204 or body.changed:
        # What a plugin makes of no body does not tell the length of what GET would get.
        headers.removeRaw(b"content-length")
    elif not body.framed and body.complete and body._length:
        declareLength(headers, body._length)


class IAnswering(Protocol):
    """
    The connection whose answer a :class:`ResponseWriter` writes. Of the last two, one is called, once.

    :ivar transport: takes the bytes.
    """

    transport: Any

    def answerHeldUp(self) -> None:
        """The client does not take what is queued."""

    def answerGoesOn(self) -> None:
        """The client has taken what was queued."""

    def answerSent(self, written: int) -> None:
        """The transport has the whole answer. :param written: bytes, head included."""

    def answerFailed(self, reason: Failure, written: int) -> None:
        """The body has broken off after so many bytes, head included."""


@implementer(IBodySink, IPushProducer)
class ResponseWriter:
    """
    Writes one answer whose body arrives piece by piece.

    To its body it is the sink, to the transport the producer.

    :ivar isPaused: whether it waits until the client has taken what is queued.
    :ivar written: bytes so far, head included.
    """

    __slots__ = ("_body", "_chunked", "_connection", "_head", "_transport", "isPaused", "written")

    def __init__(self, connection: IAnswering, body: Body, head: bytes, chunked: bool) -> None:
        """
        :param head: goes out with the first bytes of the body, if there are any yet.
        :param chunked: whether the body is sent in the chunked transfer coding.
        """
        self._connection = connection
        self._transport = connection.transport
        self._body = body
        self._head = head
        self._chunked = chunked
        self.isPaused = False
        self.written = 0

    def begin(self) -> None:
        """
        Write the head, with what there is of the body behind it.

        As long as a plugin may yet refuse the answer, or fail, the head waits for the first bytes of the body.
        """
        self._transport.registerProducer(self, True)
        self._body.attach(self)
        if self._head and not self._body.isOpen:
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
        self._connection.answerSent(self.written)

    def bodyEnd(self, data: bytes) -> None:
        """The last bytes, with the head if it has not gone yet."""
        if self._head:
            data, self._head = self._head + data, b""
        self._write(data)

    def bodyFailed(self, reason: Failure) -> None:
        """Part of IBodySink: the client must not take what it has for whole."""
        self._head = b""
        self._transport.unregisterProducer()
        self._connection.answerFailed(reason, self.written)

    def _write(self, data: bytes) -> None:
        self.written += len(data)
        self._transport.write(data)

    def pauseProducing(self) -> None:
        """The client reads more slowly than the origin sends."""
        self.isPaused = True
        self._connection.answerHeldUp()
        self._body.pauseProducing()

    def resumeProducing(self) -> None:
        """The client has read what was queued."""
        self.isPaused = False
        self._connection.answerGoesOn()
        self._body.resumeProducing()

    def stopProducing(self) -> None:
        """The connection is lost; the connection does the rest."""
        self._body.detach()
        self._body.stopProducing()
