"""
What the process asks the edge for, until the `Reply` is there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from revproxy.isolation.frames import Reply, Up
from revproxy.isolation.inside.askederrors import errorOf
from revproxy.isolation.inside.holding import Holding

MOST_WAITING = 10_000
"""What may be asked and not answered; the edge has its own, lower bounds."""


class Asks:
    """
    Numbers what is asked, and knows who waits for which answer.
    """

    def __init__(self, send: Callable[[Up], None], holding: Holding) -> None:
        self._send = send
        self._holding = holding
        self._last = 0
        self._waiting: dict[int, tuple[Deferred[bytes], int]] = {}

    def ask(self, makeFrame: Callable[[int], Up]) -> Deferred[bytes]:
        """
        :param makeFrame: given the number of the question.
        :returns: the value of the `Reply`; fails with the error that it tells. Cancelling gives up the wait only.
        :raises RuntimeError: far too much is asked already.
        """
        if len(self._waiting) >= MOST_WAITING:
            raise RuntimeError(f"the edge is asked for {MOST_WAITING} things at a time at most")
        self._last += 1
        number = self._last
        waiting: Deferred[bytes] = Deferred(partial(self._forget, number))
        self._waiting[number] = waiting, self._holding.current
        self._send(makeFrame(number))
        return waiting

    def answered(self, reply: Reply) -> None:
        """What waits for it goes on, on the account of the call that has asked."""
        waiting, holder = self._waiting.pop(reply.number, (None, 0))
        if waiting is None:
            return
        self._holding.goOn(holder)
        try:
            if reply.kind:
                waiting.errback(Failure(errorOf(reply.kind, reply.text)))
            else:
                waiting.callback(reply.value)
        finally:
            self._holding.leave()

    def _forget(self, number: int, _: Any) -> None:
        self._waiting.pop(number, None)
