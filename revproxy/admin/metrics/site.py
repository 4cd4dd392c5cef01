"""
The listener's side of HTTP: ``/metrics``, and nothing else.

It is stock twisted.web with bounds, for whoever can reach it needs no token: so many connections, of which a silent one
gives way to a new one; so many seconds for each request from its first byte to its answer's last; no bodies; one
request in each turn of the loop; and what is asked for is made once for all who ask.
"""

# twisted.web carries few annotations.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.internet.task import SchedulerStopped
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.http import NOT_FOUND, SERVICE_UNAVAILABLE
from twisted.web.http_headers import Headers
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site
from zope.interface import implementer

from revproxy.admin.metrics.accept import takesGzip, takesOpenMetrics
from revproxy.admin.metrics.scraper import Chunks, Scrape, Scraper

CONNECTIONS = 16
"""At one time."""

PATIENCE = 10.0
"""Seconds after which one that still takes its answer gives way as well, where all others do the same."""

TIMEOUT = 60.0
"""Seconds that a client may take for a request, its silence before it included, and to take the answer."""

LEAST_COMPRESSED = 4096
"""Bytes; less is not worth it."""

PLAIN = b"text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS = b"application/openmetrics-text; version=1.0.0; charset=utf-8"

_log = Logger()


class MetricsSite(WrappingFactory):
    """
    What makes protocols of connections.
    """

    noisy = False

    def __init__(self, scraper: Scraper, clock: Any) -> None:
        """
        :param clock: provides `IReactorTime`.
        """
        super().__init__(_Site(_Root(scraper)))
        self.protocol = _Connection
        self.clock = clock
        self.open: dict[_Connection, None] = {}

    def logPrefix(self) -> str:
        """What the log calls the port."""
        return "metrics"

    def buildProtocol(self, addr: Any) -> Any:
        """A client connects; None where there is no place."""
        if len(self.open) >= CONNECTIONS:
            late = self.clock.seconds() - PATIENCE
            silent = next((each for each in self.open if not each.isAnswering), None)
            slow = next((each for each in self.open if each.askedAt <= late), None)
            leaves = silent or slow
            if leaves is None:
                return None
            leaves.end()
        return super().buildProtocol(addr)

    def endAll(self) -> None:
        """Nobody is answered any more."""
        for connection in list(self.open):
            connection.end()


class _Connection(ProtocolWrapper):
    """
    One client's, with a deadline.

    :ivar isAnswering: whether a request is there as a whole, and its answer is not.
    :ivar askedAt: since when that is so.
    """

    factory: MetricsSite
    isAnswering = False
    askedAt = 0.0
    _late: IDelayedCall | None = None

    def makeConnection(self, transport: Any) -> None:
        """It is there."""
        super().makeConnection(transport)
        self.factory.open[self] = None
        self._late = self.factory.clock.callLater(TIMEOUT, self._expired)

    def connectionLost(self, reason: Any = None) -> None:
        """It is gone."""
        self.factory.open.pop(self, None)
        if self._late is not None:
            self._late.cancel()
            self._late = None
        super().connectionLost(reason)

    def answering(self, isAnswering: bool) -> None:
        """A request is answered, or has been."""
        self.isAnswering, self.askedAt = isAnswering, self.factory.clock.seconds()
        # It goes to the end of those that may have to give way.
        if self.factory.open.pop(self, self) is None:
            self.factory.open[self] = None
        if self._late is not None and not isAnswering:
            self._late.reset(TIMEOUT)

    def end(self) -> None:
        """At once, whatever it has not taken yet."""
        self.factory.open.pop(self, None)
        transport: Any = self.transport
        transport.abortConnection()

    def _expired(self) -> None:
        self._late = None
        self.end()


class _Request(Request):
    """A request whose body nobody wants, and nobody keeps."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.responseHeaders = Headers({b"Server": [b"revproxy"], b"X-Content-Type-Options": [b"nosniff"]})

    def gotLength(self, length: int | None) -> None:
        """Part of `twisted.web`. Nothing is kept."""
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        """Part of `twisted.web`. Nothing is kept."""

    def setHeader(self, name: str | bytes, value: str | bytes) -> None:
        """Part of `twisted.web`. It would tell which Twisted this is."""
        if name not in (b"server", b"Server"):
            super().setHeader(name, value)

    def process(self) -> None:
        """All of it is there. It is begun in a turn of the loop of its own: others may have come with it."""
        connection = self._connection()
        connection.answering(True)
        connection.factory.clock.callLater(0, self._begin)

    def _begin(self) -> None:
        if not self._disconnected:
            super().process()

    def finish(self) -> None:
        """All of the answer has been handed over; another request may come before this returns."""
        self._connection().answering(False)
        super().finish()

    def _connection(self) -> _Connection:
        connection: Any = self.channel.transport
        assert isinstance(connection, _Connection)
        return connection


class _Site(Site):
    """No log of requests, no tracebacks, no forms."""

    noisy = False
    displayTracebacks = False

    def __init__(self, root: Resource) -> None:
        super().__init__(root, requestFactory=_Request, parsePOSTFormSubmission=False, timeout=None)

    def startFactory(self) -> None:
        """Part of `twisted.web`, where it opens a log, and a clock ticks for it."""

    def stopFactory(self) -> None:
        """Part of `twisted.web`; see :meth:`startFactory`."""

    def log(self, request: Any) -> None:
        """Part of `twisted.web`. A line for each scrape is of no use."""


class _Root(Resource):
    """
    Everything that can be asked for.
    """

    isLeaf = True

    def __init__(self, scraper: Scraper) -> None:
        super().__init__()
        self._scraper = scraper

    def render_GET(self, request: Request) -> Any:
        """Answer it; `Resource` does the same for HEAD."""
        if request.path != b"/metrics":
            return _said(request, NOT_FOUND, b"there is /metrics here, and nothing else\n")
        accept = b",".join(request.requestHeaders.getRawHeaders(b"accept", ()))
        openMetrics = takesOpenMetrics(accept)
        request.responseHeaders.setRawHeaders(b"content-type", [OPEN_METRICS if openMetrics else PLAIN])
        request.responseHeaders.setRawHeaders(b"vary", [b"Accept, Accept-Encoding"])
        request.responseHeaders.setRawHeaders(b"cache-control", [b"no-store"])
        answering = Deferred.fromCoroutine(self._answer(request, openMetrics))
        request.notifyFinish().addErrback(lambda failure: answering.cancel())
        answering.addErrback(_failed, request)
        return NOT_DONE_YET

    async def _answer(self, request: Request, openMetrics: bool) -> None:
        scrape = await self._scraper.scrape(openMetrics)
        chunks = await self._chunksFor(request, scrape)
        request.responseHeaders.setRawHeaders(b"content-length", [b"%d" % sum(map(len, chunks))])
        producer = _Chunks(request, iter(chunks))
        request.registerProducer(producer, True)
        producer.resumeProducing()

    async def _chunksFor(self, request: Request, scrape: Scrape) -> Chunks:
        """Compressed for whoever is elsewhere: on one machine, that costs more than it saves."""
        accepts = b",".join(request.requestHeaders.getRawHeaders(b"accept-encoding", ()))
        isLarge = sum(map(len, scrape.chunks)) >= LEAST_COMPRESSED
        if not isLarge or not takesGzip(accepts) or _isHere(request):
            return scrape.chunks
        request.responseHeaders.setRawHeaders(b"content-encoding", [b"gzip"])
        return await scrape.compressed()


@implementer(IPushProducer)
class _Chunks:
    """Hands over one after the other, as the client takes them."""

    def __init__(self, request: Request, chunks: Iterator[bytes]) -> None:
        self._request = request
        self._chunks = chunks
        self._isPaused = False

    def resumeProducing(self) -> None:
        """There is room for more."""
        self._isPaused = False
        for chunk in self._chunks:
            self._request.write(chunk)
            if self._isPaused:
                return
        self._request.unregisterProducer()
        self._request.finish()

    def pauseProducing(self) -> None:
        """There is no room for more, for now."""
        self._isPaused = True

    def stopProducing(self) -> None:
        """The client is gone."""
        self._isPaused = True


def _isHere(request: Request) -> bool:
    host = getattr(request.getClientAddress(), "host", None)
    return host is None or ip_address(host.partition("%")[0]).is_loopback


def _failed(failure: Failure, request: Request) -> None:
    if failure.check(CancelledError):
        return  # the client is gone
    if not failure.check(SchedulerStopped):
        _log.failure("metrics cannot be told", failure)
    if not request._disconnected and not request.startedWriting:
        request.write(_said(request, SERVICE_UNAVAILABLE, b"this cannot be told now; the edge's log has more\n"))
        request.finish()


def _said(request: Request, status: int, text: bytes) -> bytes:
    request.setResponseCode(status)
    request.responseHeaders.removeHeader(b"content-encoding")
    request.responseHeaders.setRawHeaders(b"content-type", [b"text/plain; charset=utf-8"])
    request.responseHeaders.setRawHeaders(b"content-length", [b"%d" % len(text)])
    return text
