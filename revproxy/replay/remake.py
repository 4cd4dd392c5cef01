"""
A call made once more on a copy: what a middleware does with a request that another has had.

It runs on doubles of all that it could touch. Requests of its own are answered as they were before; what it logs,
counts, stores or sets in motion through them goes nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred

from revproxy.replay.outcome import Outcome
from revproxy.replay.recordedcall import RecordedCall


class Remake:
    """
    Of one middleware.
    """

    def __init__(self, middleware: Any, name: str, clock: Any, seconds: float) -> None:
        """
        :param middleware: or what guards it; nobody else calls it.
        :param name: of the plugin.
        :param clock: an `IReactorTime`.
        :param seconds: that a call may take; the outcome of one that takes longer is not comparable.
        """
        raise NotImplementedError

    def again(self, calls: Sequence[RecordedCall]) -> Deferred[tuple[Outcome, ...]]:
        """
        Make the calls of one request, ``handle`` and perhaps ``handleResponse``, on one context.

        :returns: their outcomes, in order; none of an answer if it has stopped the request itself. Does not fail.
            Cancelling gives up what is waited for.
        """
        raise NotImplementedError
