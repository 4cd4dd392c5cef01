"""
One connection of the API: HTTP/1.1 as twisted.web speaks it, within bounds of our own.

twisted.web keeps a whole body before a request begins, waits as long as bytes come now and then, and answers requests
that were sent together within each other. Here a request is looked at when its head is complete; a body has a limit,
and whatever is refused is read no further; the time for a request runs from the end of the one before; and each
request begins in a turn of the loop of its own (`revproxy.admin.beginnings`).
"""

# twisted.web carries few annotations.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.web.http import HTTPChannel
from zope.interface import implementer

from revproxy.admin.apirequest import ApiRequest, Site
from revproxy.admin.problem import Problem
from revproxy.admin.reply import problemReply

HEAD_LIMIT = 16384
"""Bytes of a request's head."""

FIELDS = 100
"""Of a request's head."""

IDLE_TIMEOUT = 60.0
"""Seconds that a client may take for a request, its silence before it included, and for taking its answer."""

LINGERING = 1.0
"""Seconds for which a client whose request was not read to its end may take the answer."""

DISCARDED = 1 << 20
"""Bytes that are read of it meanwhile, at most."""


@implementer(IHalfCloseableProtocol)
class ApiChannel(HTTPChannel):
    """
    :ivar callers: the connections of its door, of which it is one.
    :ivar isExtra: whether there was room for a rescue only.
    :ivar isKnown: whether whoever is there has shown who that is.
    """

    transport: Any
    requestFactory: Any
    timeOut: Any
    totalHeadersSize = HEAD_LIMIT
    maxHeaders = FIELDS
    MAX_LENGTH = HEAD_LIMIT

    def __init__(self, site: Site) -> None:
        super().__init__()
        self.callers = site.callers
        self._site = site
        self.requestFactory = self._request
        self.timeOut = IDLE_TIMEOUT
        self.isExtra = False
        self.isKnown = False
        self._isOver = False
        self._discarded = 0
        self._isHeld = False
        self._held: Callable[[], None] | None = None

    def _request(self, channel: Any, queued: Any = False) -> ApiRequest:
        return ApiRequest(self, self._site)

    def callLater(self, period: float, function: Any, *arguments: Any) -> Any:
        """Part of TimeoutMixin."""
        return self.callers.clock.callLater(period, function, *arguments)

    @property
    def isAnswering(self) -> bool:
        """Whether the client has asked something and waits for the answer."""
        return bool(self.requests) and not self._isOver and self.requests[0].isAsked

    def connectionMade(self) -> None:
        """A client has connected. If there are too many, this one or the one that was silent longest goes."""
        super().connectionMade()
        self.transport.isUrgent = self.callers.isUrgent
        self.callers.connected(self)

    def dataReceived(self, data: bytes) -> None:
        """Bytes of requests have come; they do not prolong the time for them."""
        if not self._isOver:
            super(HTTPChannel, self).dataReceived(data)
            return
        self._discarded += len(data)
        if self._discarded > DISCARDED:
            self.transport.abortConnection()

    def allHeadersReceived(self) -> None:
        """Look at the head before the body comes, or is asked for (``100-continue``)."""
        self.requests[-1].headReceived(self._command, self._path)
        if not self._isOver:
            super().allHeadersReceived()

    def lineReceived(self, line: bytes) -> None:
        """A line of a head; none is read after a refusal."""
        if not self._isOver:
            super().lineReceived(line)

    def rawDataReceived(self, data: bytes) -> None:
        """Bytes of a body; none is read after a refusal."""
        if not self._isOver:
            super().rawDataReceived(data)

    def allContentReceived(self) -> None:
        """A request is there, to its end."""
        if not self._isOver:
            super().allContentReceived()

    def requestDone(self, request: Any) -> None:
        """A request is answered."""
        self.callers.answered(self)
        super().requestDone(request)

    def lineLengthExceeded(self, line: bytes) -> None:
        """A line is as long as a head may be."""
        self.refuse(Problem(431, f"the head of a request has {HEAD_LIMIT} bytes at most"))

    def _respondToBadRequestAndDisconnect(self) -> None:
        """What came is no request."""
        if self._receivedHeaderSize > self.totalHeadersSize or self._receivedHeaderCount >= self.maxHeaders:
            text = f"the head of a request has {HEAD_LIMIT} bytes and {FIELDS} fields at most"
            self.refuse(Problem(431, text))
        else:
            self.refuse(Problem(400, "that is no HTTP/1.1 request"))

    def refuse(self, problem: Problem, lingers: bool = True) -> None:
        """
        Answer, whatever else was to come, and end the connection.

        :param lingers: whether a client that is still sending has a moment to take the answer: to close with bytes
            unread would take it from him.
        """
        if self._isOver:
            return
        reply = problemReply(problem)
        body = b"".join(reply.pieces)
        lines = [f"HTTP/1.1 {reply.status} Refused", "Connection: close", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in reply.headers.items()]
        self.transport.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        self.end(lingers)

    def end(self, lingers: bool = False) -> None:
        """Read nothing more, and end when what was answered is sent, or after :data:`LINGERING`."""
        self._isOver = True
        self.persistent = 0
        self.callers.leaving(self)
        self.setTimeout(LINGERING)
        self.transport.unregisterProducer()
        if lingers and hasattr(self.transport, "loseWriteConnection"):
            self.transport.loseWriteConnection()
        else:
            self.transport.loseConnection()

    def dismiss(self) -> None:
        """End, when what the client waits for is answered."""
        if self.isAnswering:
            self.persistent = 0
        else:
            self.end()

    # A client that does not take its answers

    def pauseProducing(self) -> None:
        """The client does not take its answers: no further request begins."""
        self._isHeld = True
        super().pauseProducing()

    def resumeProducing(self) -> None:
        """The client takes its answers again."""
        self._isHeld = False
        super().resumeProducing()
        held, self._held = self._held, None
        if held is not None:
            self.setTimeout(None)
            held()

    def mayBegin(self, begin: Callable[[], None]) -> bool:
        """
        Whether a request may begin now.

        :param begin: called when it may, else.
        """
        if self._isHeld:
            self._held = begin
            self.setTimeout(IDLE_TIMEOUT)
        return not self._isHeld

    def timeoutConnection(self) -> None:
        """Part of TimeoutMixin. Answers that the client has not taken yet are lost."""
        self.transport.abortConnection()

    def readConnectionLost(self) -> None:
        """The client sends nothing more; it may still want its answer."""
        if self.isAnswering and not self.requests[0].isStreaming:
            self.persistent = 0
        else:
            self.transport.abortConnection()

    def writeConnectionLost(self) -> None:
        """Part of IHalfCloseableProtocol."""

    def connectionLost(self, reason: Any = None) -> None:
        """The client is gone; what it has asked for goes on."""
        self._isOver = True
        self._held = None
        self.callers.gone(self)
        super().connectionLost(reason)


__all__ = ["ApiChannel"]
