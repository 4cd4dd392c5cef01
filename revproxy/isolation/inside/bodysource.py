"""
A body that is at the edge: it comes when a plugin reads it, whole, and else never.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.python.failure import Failure
from zope.interface import implementer

from revproxy.body import Body
from revproxy.bodyends import IBodySource
from revproxy.errors import BodyTooLarge
from revproxy.isolation.frames import ReadBody
from revproxy.isolation.inside.asks import Asks


@implementer(IBodySource)
class EdgesBody:
    """
    Where such a body comes from.

    :ivar body: as the plugin has it.
    :ivar onResume: called when its filters have answered what they were waited for.
    """

    def __init__(self, asks: Asks, request: int, isResponse: bool, length: int, most: int) -> None:
        """
        :param length: bytes; -1: not known.
        :param most: bytes that the plugin may hold of it.
        """
        self._asks = asks
        self._request = request
        self._isResponse = isResponse
        self._most = most
        self._asked = -1
        self.onResume: Callable[[], None] = _nothing
        self.body = Body(self, None if length < 0 else length)
        self.body.readLimit = most
        self.body.onRead = self._wanted

    def _wanted(self) -> None:
        """A plugin has begun to wait for it."""
        self.fetch(self.body._limit)

    def fetch(self, limit: int) -> None:
        """Have it come, unless that is under way. :param limit: bytes."""
        if self._asked >= limit:
            return
        self._asked = limit
        asked = self._asks.ask(lambda number: ReadBody(number, self._request, self._isResponse, limit))
        asked.addCallbacks(self._came, self._failed, callbackArgs=(limit,), errbackArgs=(limit,))

    def _came(self, data: bytes, limit: int) -> None:
        self._asked = -1
        self.body.feed(data)
        self.body.finish()

    def _failed(self, failure: Failure, limit: int) -> None:
        if self._asked != limit:
            return  # more of it was asked for meanwhile
        self._asked = -1
        body = self.body
        if not failure.check(BodyTooLarge):
            body.fail(failure)
        elif body.isBeingRead:
            # It is at the edge as before: it can be forwarded, and replaced.
            body._readDone(failure)

    def over(self) -> None:
        """The request is over: nothing refers back to this."""
        self.body.onRead = None
        self.onResume = _nothing

    # IBodySource

    def pauseProducing(self) -> None:
        """What is at the edge comes by its own pace."""

    def resumeProducing(self) -> None:
        """Filters have answered."""
        self.onResume()

    def stopProducing(self) -> None:
        """It was replaced."""


def _nothing() -> None: ...
