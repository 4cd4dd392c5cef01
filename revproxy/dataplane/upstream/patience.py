"""
How long a request's body is awaited before the origin hears of the request.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from revproxy.body import Body
from revproxy.errors import BodyTooLarge
from revproxy.loop.deadlines import Deadlines

AWAITED = 1.0
"""Seconds for which a body of unknown length is awaited; kept late by up to a sweep of the deadlines."""


class Patience:
    """
    How long a body of unknown length is awaited: :data:`AWAITED` seconds, and :data:`HIGH_WATER` bytes.

    :ivar deadline: as :class:`~revproxy.loop.deadlines.Deadlines` wants it.
    """

    __slots__ = ("_body", "_deadlines", "_isOver", "_reading", "deadline")

    def __init__(self, body: Body, reading: Deferred[bytes], deadlines: Deadlines) -> None:
        self._body = body
        self._reading = reading
        self._deadlines = deadlines
        self._isOver = False
        self.deadline = deadlines.now() + AWAITED
        deadlines.watch(self)

    def deadlineExpired(self) -> None:
        """It has taken too long."""
        self._isOver = True
        self._reading.cancel()

    def over(self, result: bytes | Failure) -> bytes | Failure:
        """It is whole, too large or late, all of which are good; or it has failed."""
        self._deadlines.forget(self)
        if not isinstance(result, Failure) or (self._isOver and result.check(CancelledError)):
            return b""
        error = result.value
        # What is over limits.max_body_bytes is an error of the same kind, but has failed.
        isTooLarge = isinstance(error, BodyTooLarge) and not self._body.brokenBy(error)
        return b"" if isTooLarge else result
