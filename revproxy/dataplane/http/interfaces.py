"""
What the parts of the data plane ask of each other, whatever version of HTTP a client speaks.

A codec (a server's protocol for one version) knows of the rest only what is here: so there can be another one beside
it, and the rest needs to know neither. :class:`IClientStream` and :class:`ILeaf` are declared by what provides them;
the others are protocols of :mod:`typing`, which the type checker compares with the classes that they stand for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from twisted.web.resource import IResource
from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from revproxy.context import Context, Headers, Peer, Request, Response
    from revproxy.dataplane.http.forwarding import Membership
    from revproxy.dataplane.http.limits import Limits, Timeouts
    from revproxy.dataplane.http.tracing import Tracing
    from revproxy.errors import EdgeError


class IClientStream(Interface):
    """The connection side of one exchange: where the answer is written."""

    hasSent = Attribute("Whether something of the answer was written.")

    def sendInformational(status: int, headers: Headers) -> None:
        """Pass on a 1xx answer (RFC 9110 §15.2); left out for HTTP/1.0."""

    def sendResponse(response: Response) -> None:
        """Write the answer; ``exchange.responseSent`` or ``exchange.responseFailed`` is called when that is over."""

    def switchProtocols(response: Response, tunnel: Any) -> None:
        """Write a 101 answer and join the client's connection with the tunnel (RFC 9110 §7.8)."""

    def abort() -> None:
        """Break off: the client must not take what it has for whole."""


class ILeaf(IResource):
    """
    A node of the resource tree that answers. ``render`` is given the ``Exchange`` as its request and returns
    ``NOT_DONE_YET``; it calls ``exchange.answered`` or ``exchange.failed``, once.
    """


class IExchange(Protocol):
    """
    One request and its answer, as the connection sees it. Exactly one of the last three ends it.

    :ivar chain: the :class:`~revproxy.dataplane.chain.Chain` that it goes through; None until its route is found.
    :ivar trace: the trace it belongs to, assigned before it begins; empty without.
    :ivar context: what plugins see of it.
    :ivar began: when its head was complete, by the edge's monotonic clock.
    """

    trace: bytes

    @property
    def chain(self) -> Any: ...

    @property
    def context(self) -> Context: ...

    @property
    def began(self) -> float: ...

    def begin(self) -> None:
        """The head of the request is read: find the route, and answer sooner or later."""

    def breakingOff(self, reason: str) -> None:
        """The edge, and not the client, is about to end the connection, for this reason."""

    def responseSent(self, bytesIn: int, bytesOut: int) -> None:
        """The last byte of the answer is with the transport."""

    def responseWithheld(self, reason: Failure) -> None:
        """The body of the answer broke off before anything was written: there is to be another answer."""

    def responseFailed(self, reason: Failure, bytesIn: int, bytesOut: int) -> None:
        """The body of the answer broke off."""

    def clientLost(self, bytesIn: int, bytesOut: int) -> None:
        """The connection is gone before the end."""


class IClientConnection(Protocol):
    """
    The connection of one client, as the edge and its listener see it.

    :ivar served: requests that were begun on it.
    :ivar listener: what accepted it.
    :ivar chain: the :class:`~revproxy.dataplane.chain.Chain` of the running request, or of the tunnel it has become;
        None for neither.
    :ivar exchange: the running request, or the one that became a tunnel; None for neither.
    :ivar since: when it was accepted, by the edge's monotonic clock.
    :ivar peer: the address of the client, or empty.
    :ivar protocol: the version of HTTP that it speaks.
    :ivar stateName: what it is at, for people.
    """

    served: int
    since: float

    @property
    def peer(self) -> str: ...

    @property
    def protocol(self) -> str: ...

    @property
    def stateName(self) -> str: ...

    @property
    def exchange(self) -> IExchange | None: ...

    @property
    def listener(self) -> object: ...

    @property
    def chain(self) -> Any: ...

    def drain(self) -> None:
        """Close now if idle, else after the running answer."""

    def breakOff(self, reason: str) -> None:
        """End it at once; the log gives the reason."""


class IWaiting(Protocol):
    """
    What has a deadline.

    :ivar deadline: when it has waited too long, by the clock of :class:`IDeadlines`.
    """

    deadline: float

    def deadlineExpired(self) -> None:
        """The deadline has passed."""


class IDeadlines(Protocol):
    """Shared deadlines: :class:`revproxy.loop.deadlines.Deadlines`."""

    def now(self) -> float:
        """Seconds of a clock that is never set back."""

    def watch(self, waiting: IWaiting) -> None:
        """Tell it from now on when its deadline has passed."""

    def forget(self, waiting: IWaiting) -> None:
        """Tell it no more; unknown is no error."""


class IEdge(Protocol):
    """
    What all connections share.

    :ivar accepted: how many connections there were.
    :ivar connections: every open client connection; each enters and leaves by itself.
    :ivar handshakes: TLS handshakes that were completed; ``resumed``: of these, with an earlier session;
        ``failedHandshakes``: that were not.
    :ivar draining: whether no connection is to be kept after its answer.
    :ivar tracing: gives requests their traces; None: fields about them are like any other.
    """

    accepted: int
    connections: set[IClientConnection]
    draining: bool
    failedHandshakes: int
    handshakes: int
    resumed: int
    limits: Limits
    timeouts: Timeouts
    tracing: Tracing | None

    @property
    def deadlines(self) -> IDeadlines: ...

    def monotonic(self) -> float:
        """Seconds of a clock that is never set back: for durations."""

    def soon(self, function: Callable[[], None]) -> None:
        """Call this in the next turn of the loop."""

    def refused(self, peer: Peer, scheme: str, error: EdgeError, bytesOut: int) -> None:
        """A head was no acceptable request: count and log it."""

    def connectionClosed(self) -> None:
        """A client connection has ended, and is no longer in :attr:`connections`."""


class IListener(Protocol):
    """
    What the connections that one endpoint accepts have in common.

    :ivar draining: whether its connections are to end.
    :ivar scheme: ``"http"`` or ``"https"``.
    :ivar tls: whether a handshake comes first.
    :ivar trusted: peers whose forwarding fields are believed.
    """

    draining: bool
    scheme: str
    tls: bool
    trusted: Membership | None

    @property
    def edge(self) -> IEdge: ...

    def trusts(self, host: str) -> bool:
        """Whether what this peer says about its client is believed."""

    def hasTooMany(self, host: str) -> bool:
        """Whether a client has as many connections as one may have."""

    def admitted(self, peer: Peer) -> bytes:
        """A client is let in. :returns: what to tell :meth:`departed`; empty if it is not counted."""

    def departed(self, key: bytes) -> None:
        """The connection of a client that was counted has ended."""

    def newExchange(self, stream: Any, request: Request, hostname: bytes) -> IExchange:
        """
        What answers one request.

        :param stream: an :class:`IClientStream`.
        :param hostname: the request's host in lower case, without port.
        """
