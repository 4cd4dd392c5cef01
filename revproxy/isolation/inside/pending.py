"""
What a locked process was asked and answers later.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from revproxy.errors import asException
from revproxy.isolation.frames import Fields, Waiting
from revproxy.isolation.inside.holding import Holding

Interim = tuple[tuple[int, Fields], ...]
"""1xx answers."""


class Pending:
    """
    By their numbers.
    """

    def __init__(self, send: Callable[[Waiting], None], holding: Holding) -> None:
        self._send = send
        self._holding = holding
        self._deferreds: dict[int, Deferred[Any]] = {}
        self._requests: dict[int, int] = {}

    @property
    def request(self) -> int:
        """The number of the request whose code runs now; 0: that of none."""
        return self._requests.get(self._holding.current, 0)

    def isOf(self, number: int, request: int) -> None:
        """What is done for a number is done for a request."""
        self._requests[number] = request

    def begin(
        self,
        number: int,
        waiting: Deferred[Any],
        done: Callable[[Any], None],
        broke: Callable[[BaseException], None],
        interim: Callable[[], Interim] = lambda: (),
    ) -> None:
        """
        Answer when a Deferred has fired, and say so if that is not yet.

        :param done: called with its result, ``broke``: with why there is none; neither, if it is given up.
        :param interim: gives the 1xx answers that there are if it is not yet.
        """
        self._deferreds[number] = waiting
        waiting.addBoth(self._arrived, number, done, broke)
        if number in self._deferreds:
            self.waits(number, interim())

    def _arrived(
        self, result: Any, number: int, done: Callable[[Any], None], broke: Callable[[BaseException], None]
    ) -> None:
        if self._deferreds.pop(number, None) is None:
            return  # nobody waits for it any more
        self.over(number)
        if not isinstance(result, Failure):
            done(result)
            return
        error = asException(result).value
        assert error is not None, "Twisted makes no Failure without one"
        if isinstance(error, CancelledError):
            # By the plugin: to the edge, cancelled means that the client has left.
            error = RuntimeError("the middleware's own Deferred was cancelled")
        broke(error)

    def waits(self, number: int, interim: Interim = ()) -> None:
        """Say that it is not answered yet, and holds nobody up."""
        self._holding.waits(number)
        self._send(Waiting(number, interim))

    def over(self, number: int) -> None:
        """It is answered."""
        self._requests.pop(number, None)
        self._holding.over(number)

    def giveUp(self, number: int) -> None:
        """Nobody waits for it any more."""
        waiting = self._deferreds.pop(number, None)
        self.over(number)
        if waiting is not None:
            self._holding.enter(number)
            try:
                waiting.cancel()
            finally:
                self._holding.leave()
