"""
What is waited for, and how long.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred


def notLonger(waiting: Deferred[Any], seconds: float, reactor: Any) -> Deferred[Any]:
    """
    What foreign code answers, or a time-out, which cancels it.

    A coroutine may catch its cancellation and go on: nobody waits for it any longer, and its answer is dropped.
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
