"""
One request on its way to an upstream.

When a target fails, its requests go to the next, if they can: nothing of the request was sent yet, or it is idempotent
(RFC 9110 §9.2.2), has no body or a small one that is still here, and not a byte of an answer came.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from revproxy.body import HIGH_WATER, Body
from revproxy.context import Response
from revproxy.dataplane.http.shares import PLAIN
from revproxy.dataplane.http1.clientroles import Abortable
from revproxy.dataplane.upstream.onetarget import OneTarget
from revproxy.dataplane.upstream.target import Target
from revproxy.dataplane.upstream.upstream import Upstream
from revproxy.errors import (
    BadResponse,
    ConnectFailed,
    ConnectionStale,
    ConnectTimedOut,
    Unavailable,
    UpstreamError,
    UpstreamTimeout,
)
from revproxy.headers import Headers
from revproxy.loop.deadlines import NEVER

IDEMPOTENT = frozenset((b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"))
"""Methods that may be repeated (RFC 9110 §9.2.2)."""


class Outgoing:
    """
    One request on its way to an upstream, over as many targets as it takes. Subclasses write the head.

    :ivar head: the request's head for the current target, as bytes.
    :ivar chunked: whether that head says that the body is chunked. Decided once, with the head: a body that still
        arrives may learn its length later.
    :ivar connection: the connection it was sent on.
    :ivar target: the target it was sent to last.
    :ivar refreshed: whether it was lost on a kept connection once, and so goes on a fresh one.
    :ivar share: what it takes up of a target's connections while it waits for one, as in
        :mod:`~revproxy.dataplane.http.shares`; from then on it is the connection's.
    :ivar upgrade: the protocols that 101 may switch to, as they are offered to the origin, or None.
    :ivar deadline: how long it may wait for a connection; NEVER while it does not.
    """

    __slots__ = (
        "_answer",
        "_tried",
        "_upstream",
        "body",
        "chunked",
        "connection",
        "deadline",
        "head",
        "method",
        "refreshed",
        "share",
        "target",
        "upgrade",
    )

    def __init__(
        self,
        upstream: Upstream | OneTarget,
        method: bytes,
        body: Body | None,
        upgrade: bytes | None,
    ) -> None:
        self._upstream = upstream
        self.method = method
        self.head = b""
        self.body = body
        self.chunked = False
        self.upgrade = upgrade
        self.connection: Abortable | None = None
        self.target: Target | None = None
        self.deadline = NEVER
        self.share = PLAIN
        self._tried: list[Target] = []
        self.refreshed = False
        self._answer: Deferred[Response] | None = None

    def aimAt(self, target: Target) -> None:
        """It goes to this target next: write :attr:`head` as that gets it. Called for each target that is tried."""
        raise TypeError(f"{type(self).__name__} does not write a head")

    def informational(self, status: int, headers: Headers) -> None:
        """A 1xx answer has come (RFC 9110 §15.2); not wanted here."""

    def lost(self, target: Target, reason: Failure) -> None:
        """The target did not answer; told before another is tried, or none. Of no interest here."""

    def begin(self) -> Deferred[Response]:
        """
        Send it.

        :returns: the answer, whose body may still be arriving. Cancelling ends the connection it was sent on.
        """
        answer = self._answer = Deferred(self._cancelled)
        self._next(None)
        return answer

    def _next(self, reason: Failure | None) -> None:
        target = self._upstream.pick(self._tried)
        if target is None:
            self._errback(reason or Failure(Unavailable("no target to try")))
            return
        self.target = target
        self._tried.append(target)
        body = self.body
        if body is not None:
            body.sealed = True
            self.chunked = (body.changed or not body.framed) and (body._length is None or body.trailers is not None)
        self.aimAt(target)
        target.pool.send(self)

    def wholeBody(self) -> bytes:
        """The bytes of the body, which is complete. They are kept where they may have to be sent once more."""
        body = self.body
        assert body is not None
        mayRepeat = self.method in IDEMPOTENT and (body._length or 0) <= HIGH_WATER
        return body.keep() if mayRepeat else body.take()

    def answered(self, response: Response) -> None:
        """The connection has an answer."""
        assert self.target is not None
        self.connection = None
        if self.body is not None and self.body.isAtHand:
            self.body.detach()
        self._upstream.succeeded(self.target)
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.callback(response)

    def failed(self, reason: Failure) -> None:
        """The connection, or the pool, has none: try again where that is safe."""
        target = self.target
        assert target is not None
        self.connection = None
        self.deadline = NEVER
        if self._answer is None:
            return
        error = reason.value
        unsent = isinstance(error, (ConnectFailed, ConnectTimedOut, Unavailable))
        repeatable = self.method in IDEMPOTENT and (self.body is None or self.body.isAtHand)
        stale = isinstance(error, ConnectionStale)
        self.lost(target, reason)
        if stale and repeatable and not self.refreshed:
            self.refreshed = True
            target.pool.sendFresh(self)
            return
        if isinstance(error, (UpstreamError, UpstreamTimeout)) and not stale:
            self._upstream.failedAt(target, reason)
        lostEarly = isinstance(error, UpstreamError) and not isinstance(error, BadResponse) and repeatable
        if unsent or lostEarly:
            self._next(reason)
        else:
            self._errback(reason)

    def deadlineExpired(self) -> None:
        """No connection came free, or could be made, in time."""
        assert self.target is not None
        self.failed(Failure(self.target.pool.overdue(self)))

    def _errback(self, reason: Failure) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            self._release()
            answer.errback(reason)

    def _release(self) -> None:
        """Nobody will read the request's body any more."""
        if self.body is not None:
            self.body.detach()
            self.body.stopProducing()

    def _cancelled(self, _: Deferred[Any]) -> None:
        self._answer = None
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.abort()
        elif self.target is not None:
            self.target.pool.withdraw(self)
        self._release()
