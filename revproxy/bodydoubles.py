"""
Doubles of what stands at the two ends of a body; :mod:`revproxy.testing` has them, too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from twisted.python.failure import Failure
from zope.interface import implementer

from revproxy.body import Body, IBodySink, IBodySource
from revproxy.headers import Headers

__all__ = ["SinkDouble", "SourceDouble"]


@implementer(IBodySource)
class SourceDouble:
    """
    Where a body comes from: gives its pieces one by one, as long as it is not paused.

    :param pieces: what :meth:`begin` gives, in order.
    :param length: bytes, as they are announced; None if they are not.
    :param trailers: come with the end.
    :ivar body: the body it feeds.
    :ivar calls: what it was asked: ``"pause"``, ``"resume"``, ``"stop"``, in order.
    :ivar paused: whether it has to wait.
    :ivar stopped: whether the rest is not wanted.
    :ivar pending: the pieces not given yet.
    """

    def __init__(
        self, pieces: Iterable[bytes] = (), length: int | None = None, trailers: Headers | None = None
    ) -> None:
        self.body = Body(self, length)
        self.calls: list[str] = []
        self.paused = False
        self.stopped = False
        self.pending = deque(pieces)
        self._trailers = trailers
        self._begun = False
        self._giving = False
        self._finished = False

    def begin(self) -> None:
        """Give pieces until paused or stopped, and then the end."""
        self._begun = True
        self._give()

    def feed(self, data: bytes) -> None:
        """Give one piece, whether asked to wait or not: what is on its way cannot be called back."""
        self.body.feed(data)

    def finish(self) -> None:
        """The body is complete."""
        self._finished = True
        self.body.finish(self._trailers)

    def fail(self, reason: Exception) -> None:
        """The rest will never come."""
        self._finished = True
        self.body.fail(Failure(reason))

    def pauseProducing(self) -> None:
        """Asked to wait, which it does."""
        self.calls.append("pause")
        self.paused = True

    def resumeProducing(self) -> None:
        """Asked to go on."""
        self.calls.append("resume")
        self.paused = False
        if self._begun:
            self._give()

    def stopProducing(self) -> None:
        """Told that the rest is not wanted."""
        self.calls.append("stop")
        self.stopped = True
        self.pending.clear()

    def _give(self) -> None:
        if self._giving:
            return
        self._giving = True
        try:
            while self.pending and not self.paused and not self.stopped:
                self.body.feed(self.pending.popleft())
        finally:
            self._giving = False
        if not self.pending and not self.paused and not self.stopped and not self._finished:
            self.finish()


@implementer(IBodySink)
class SinkDouble:
    """
    Where a body goes.

    :param body: is attached to at once, if given.
    :ivar pieces: what has arrived.
    :ivar finished: whether the body is complete.
    :ivar failure: why it never will be, or None.
    """

    def __init__(self, body: Body | None = None) -> None:
        self.pieces: list[bytes] = []
        self.finished = False
        self.failure: Failure | None = None
        if body is not None:
            body.attach(self)

    @property
    def data(self) -> bytes:
        """All that has arrived."""
        return b"".join(self.pieces)

    def bodyData(self, data: bytes) -> None:
        """
        Some bytes have arrived.

        :raises AssertionError: for none, and for any after the end.
        """
        assert data and not self.ended, "a sink gets no empty piece, and nothing after the end"
        self.pieces.append(data)

    def bodyFinished(self) -> None:
        """
        The body is complete.

        :raises AssertionError: if it has ended already.
        """
        assert not self.ended, "a body ends once"
        self.finished = True

    def bodyFailed(self, reason: Failure) -> None:
        """
        The body will never be complete.

        :raises AssertionError: if it has ended already.
        """
        assert not self.ended, "a body ends once"
        self.failure = reason

    @property
    def ended(self) -> bool:
        """Whether the body is complete or has failed."""
        return self.finished or self.failure is not None
