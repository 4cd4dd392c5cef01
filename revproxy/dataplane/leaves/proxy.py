"""The leaf that passes a request on to an upstream, through the treq client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.python.failure import Failure
from twisted.web.server import NOT_DONE_YET

from revproxy.body import HIGH_WATER, Body
from revproxy.context import Request
from revproxy.dataplane.http.forwarding import upstreamHead
from revproxy.dataplane.leaves.lastrecipient import COUNTED, answerAsLast
from revproxy.dataplane.leaves.leaf import Leaf
from revproxy.dataplane.link import NOTED
from revproxy.dataplane.routing import stripped
from revproxy.dataplane.story import lost
from revproxy.dataplane.upstream.onetarget import OneTarget
from revproxy.dataplane.upstream.outgoing import Outgoing
from revproxy.dataplane.upstream.patience import Patience
from revproxy.dataplane.upstream.target import Target
from revproxy.dataplane.upstream.upstream import Upstream
from revproxy.errors import ConnectionStale, printable
from revproxy.explained import Try
from revproxy.headers import Headers
from revproxy.secrets import masked

if TYPE_CHECKING:
    from revproxy.dataplane.exchange import Exchange
    from revproxy.dataplane.upstream.treqclient import UpstreamClient

PRESERVE = "preserve"
"""Host policy: the origin sees the Host that the client sent."""
TARGET = "target"
"""Host policy: the origin sees its own name."""


class ProxyLeaf(Leaf):
    """
    Passes requests on to one upstream.
    """

    def __init__(
        self,
        client: UpstreamClient,
        upstream: Upstream | OneTarget,
        *,
        hostPolicy: str = PRESERVE,
        strip: bytes = b"",
    ) -> None:
        """
        :param hostPolicy: :data:`PRESERVE`, :data:`TARGET`, or the name to send.
        :param strip: a path prefix to take off the target.
        """
        super().__init__()
        self._client = client
        self.upstream = upstream
        self._strip = strip
        self._keepsHost = hostPolicy == PRESERVE
        self._host = None if hostPolicy in (PRESERVE, TARGET) else hostPolicy.encode("latin-1")

    def render(self, exchange: Exchange) -> int:
        """As :meth:`Leaf.render`; the origin answers."""
        request = exchange.context._request
        if request._rawMethod in COUNTED:
            answer = answerAsLast(request, exchange.methods)
            if answer is not None:
                exchange.answered(answer)
                return NOT_DONE_YET
        body = request._body
        if request.expectsContinue and request._headers.find(b"expect") is None and body is not None and body.onRead:
            # A plugin took the field out: the origin will not say 100, so nobody would.
            body.onRead()
        if body is None or body.complete or request.expectsContinue or (body._length or 0) > HIGH_WATER:
            self._forward(exchange)
        else:
            self._await(exchange, body)
        return NOT_DONE_YET

    def _await(self, exchange: Exchange, body: Body) -> None:
        """
        Have the whole body before the origin hears of the request, if it is small.

        Clients that send it slowly would otherwise take up the connections to the origin. Where nobody knows how long
        it will be, the client may be waiting for an answer before it sends more: so not for long. With
        ``Expect: 100-continue`` the origin has to speak first.
        """
        body.readLimit = None
        reading = body.read(HIGH_WATER)
        if body._length is None:
            patience = Patience(body, reading, exchange.deadlines)
            reading.addBoth(patience.over)
        exchange.wait(reading, lambda data: self._forward(exchange))

    def _forward(self, exchange: Exchange) -> None:
        exchange.waitForOrigin(self._client.send(Forwarded(self, exchange)))

    def headFor(
        self,
        request: Request,
        target: Target,
        chunked: bool,
        trace: bytes = b"",
        attempt: int = 1,
        shown: bytes = b"",
    ) -> bytes:
        """The request's head as this target gets it; the rest as :func:`upstreamHead` has it."""
        host = self._host
        if host is None and (not self._keepsHost or not request._rawHost):
            host = target.host
        path = request._rawTarget
        if self._strip:
            path = stripped(path, self._strip)
        return upstreamHead(request, path, host, chunked, trace, attempt, shown)


class Forwarded(Outgoing):
    """A client's request on its way to an upstream."""

    __slots__ = ("_exchange", "_leaf")

    def __init__(self, leaf: ProxyLeaf, exchange: Exchange) -> None:
        request = exchange.context._request
        super().__init__(leaf.upstream, request._rawMethod, request._body, request._upgrade)
        self._leaf = leaf
        self._exchange = exchange

    def aimAt(self, target: Target) -> None:
        """Write the head for it, and note in the exchange that it is tried."""
        exchange = self._exchange
        exchange.upstream = target.url
        exchange.pool = self._upstream.name
        exchange.attempts += 1
        self.head = self._leaf.headFor(
            exchange.context._request, target, self.chunked, exchange.trace, exchange.attempts, exchange.shown
        )

    def informational(self, status: int, headers: Headers) -> None:
        """A 1xx answer goes on to the client."""
        self._exchange.informational(status, headers)

    def lost(self, target: Target, reason: Failure) -> None:
        """Note it for whoever asks why; that a kept connection was closed is no reason to keep what is noted."""
        text = printable(masked(f"{type(reason.value).__name__}: {reason.getErrorMessage()}"), NOTED)
        exchange = self._exchange
        one = Try(target.url, text, exchange.attempts, exchange.elapsed)
        lost(exchange.context, one, "" if reason.check(ConnectionStale) else "retried")
