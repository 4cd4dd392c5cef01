"""
A body on its way through the filters that the plugin has added: the edge sends piece by piece, and waits for each.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.python.failure import Failure
from zope.interface import implementer

from revproxy.body import Body
from revproxy.bodyends import IBodySink
from revproxy.isolation.frames import Filter, Piece
from revproxy.isolation.inside.bodysource import EdgesBody

Answer = Callable[[int, Piece | Failure | None], None]
"""Given the number of a `Filter` or `Pull`, and what came of it; None: it is waited for."""


@implementer(IBodySink)
class Filtering:
    """
    One body's.
    """

    def __init__(self, source: EdgesBody, answer: Answer) -> None:
        self._body: Body = source.body
        self._answer = answer
        self._made: list[bytes] = []
        self._queue: deque[Filter] = deque()
        self._isFeeding = False
        self._failure: Failure | None = None
        source.onResume = self._settle
        self._body.attach(self)

    def pass_(self, frame: Filter) -> None:
        """A piece has come."""
        self._queue.append(frame)
        if len(self._queue) == 1:
            self._feed()

    def _feed(self) -> None:
        frame = self._queue[0]
        self._isFeeding = True
        try:
            self._body.feed(frame.data)
            if frame.isLast:
                self._body.finish()
        finally:
            self._isFeeding = False
        self._settle()
        if self._queue and self._queue[0] is frame:
            self._answer(frame.number, None)

    def _settle(self) -> None:
        """Answer, if the filters have."""
        filters = self._body._filters
        if self._isFeeding or not self._queue or (filters is not None and filters.isBusy and self._failure is None):
            return
        frame = self._queue.popleft()
        made, self._made = b"".join(self._made), []
        if self._failure is not None:
            self._answer(frame.number, self._failure)
        else:
            self._answer(frame.number, Piece(frame.number, made, frame.isLast))
        if self._queue:
            self._feed()

    # IBodySink

    def bodyData(self, data: bytes) -> None:
        """It has passed them."""
        self._made.append(data)

    def bodyFinished(self) -> None:
        """All of it has."""
        self._settle()

    def bodyFailed(self, reason: Failure) -> None:
        """One of them has failed."""
        self._failure = reason
        self._settle()
