"""
Waiting for foreign code, but not for ever.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred


class Bounded(Deferred[Any]):
    """
    An answer whose time is seen to by whoever gives it: nobody else has to.

    It fails with what a coroutine may catch, and with a ``CancelledError`` only if it was cancelled.

    :cvar isBounded: of its class: that an answer is one is asked of each request, and ``isinstance`` takes as long as
        two calls where classes are abstract, as Deferreds are.
    """

    isBounded = True


def notLonger(waiting: Deferred[Any], seconds: float, reactor: Any) -> Deferred[Any]:
    """
    What a Deferred of foreign code fires with, if it does so in time; else it is cancelled.

    A coroutine may catch its cancellation and go on: nobody waits for it any longer, and its result is dropped.
    Cancelling what is returned cancels the foreign Deferred.

    :param seconds: how long it may take.
    :param reactor: provides `IReactorTime`.
    :returns: fires with the result or the failure; after ``seconds`` with
        :class:`twisted.internet.defer.TimeoutError`.
    """
    if waiting.called and not waiting.paused:
        return waiting
    outer: Deferred[Any] = Deferred(lambda _: waiting.cancel())

    def arrived(result: Any) -> None:
        if not outer.called:
            outer.callback(result)  # a Failure goes on as one

    outer.addTimeout(seconds, reactor)
    waiting.addBoth(arrived)
    return outer
