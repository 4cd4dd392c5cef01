"""
What the connection to an origin asks of those around it: the request that it sends, and the pool that keeps it.

As protocols, so that the connection knows nothing of upstreams, targets and queues, and these may import it.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

from twisted.python.failure import Failure

from revproxy.body import Body
from revproxy.context import Response
from revproxy.dataplane.http.limits import Limits, Timeouts
from revproxy.headers import Headers
from revproxy.loop.deadlines import Deadlines

Connection = TypeVar("Connection", contravariant=True)


class Abortable(Protocol):
    """The connection, as far as the request knows it."""

    def abort(self) -> None:
        """Nobody waits for the answer any more."""


class SentRequest(Protocol):
    """
    A request that a connection sends. Of :meth:`answered` and :meth:`failed` one is called, once, unless the connection
    is told to abort.

    :ivar method: as bytes.
    :ivar head: the whole head, as it is to be sent.
    :ivar body: the body, or None.
    :ivar chunked: whether the head says that the body is chunked.
    :ivar upgrade: the protocols that 101 may switch to, as they are offered to the origin, or None.
    :ivar connection: set by the connection that sends it.
    :ivar share: what it takes up, as in :mod:`~revproxy.dataplane.http.shares`, which becomes the connection's.
    """

    method: bytes
    head: bytes
    body: Body | None
    chunked: bool
    upgrade: bytes | None
    connection: Abortable | None
    share: int

    def wholeBody(self) -> bytes:
        """The bytes of the body, which is complete."""

    def informational(self, status: int, headers: Headers) -> None:
        """A 1xx answer has come (RFC 9110 §15.2)."""

    def answered(self, response: Response) -> None:
        """The answer's head is here; its body may still be arriving."""

    def failed(self, reason: Failure) -> None:
        """There will be no answer."""


class ConnectionPool(Protocol[Connection]):
    """
    What keeps connections.

    :ivar poisoned: how often an origin sent bytes that belong to no answer; the connections count.
    """

    deadlines: Deadlines
    poisoned: int

    @property
    def limits(self) -> Limits:
        """Of answers' heads."""

    @property
    def timeouts(self) -> Timeouts:
        """How long what may take."""

    @property
    def idleTimeout(self) -> float:
        """Seconds a connection is kept unused."""

    @property
    def maxPause(self) -> float:
        """Seconds the receiver of an answer may take nothing."""

    def uploaded(self) -> None:
        """A request's body is whole, or nobody wants it any more."""

    def release(self, connection: Connection) -> None:
        """A connection is free, from just now on."""

    def becomesTunnel(self, connection: Connection) -> bool:
        """
        The origin has switched protocols.

        :returns: False if there are as many tunnels as there may be.
        """

    def lost(self, connection: Connection) -> None:
        """The origin has closed a connection that was idle."""

    def lostInUse(self, connection: Connection) -> None:
        """The origin has closed a connection that was idle and then used, without an answer."""

    def closed(self, connection: Connection) -> None:
        """A connection is no more."""
