"""What one version of a plugin has done so far, in figures."""

from __future__ import annotations

from twisted.python.failure import Failure

from revproxy.errors import PluginStalled, PluginTimeout

SAMPLE = 16
"""Self time is measured in one request of so many. To read a clock around every call would cost more than counting."""

LONG = 0.1
"""Seconds in one go from which a call is long: everybody else waits for it."""


class Counters:
    """
    What one version of a plugin has done, over all its routes and generations.

    The chain counts; whoever likes may read, at any time. All figures are exact but :attr:`seconds`.

    :ivar calls: requests that reached its ``handle``.
    :ivar errors: how often it raised, answered nonsense, did not answer in time or was ended by the guard.
    :ivar timeouts: how many of the errors were answers that did not come in time.
    :ivar stalls: how many of the errors were calls that held the reactor until the guard ended them.
    :ivar interrupts: requests it stopped by answering False, with a response.
    :ivar seconds: self time in ``handle`` and ``handleResponse``. Estimated: calls that answer at once are timed in one
        request of :data:`SAMPLE` and count that many times. Of coroutines every step is timed. Of those that answer
        with a Deferred, only what they do before they return it is in it.
    :ivar longCalls: how many of those that were timed were long; and ``longSeconds``, how long these took. Where there
        is one, all that come soon after it are timed: see `revproxy.dataplane.sampling`.
    """

    __slots__ = ("calls", "errors", "interrupts", "longCalls", "longSeconds", "seconds", "stalls", "timeouts")

    def __init__(self) -> None:
        self.calls = 0
        self.errors = 0
        self.timeouts = 0
        self.stalls = 0
        self.interrupts = 0
        self.seconds = 0.0
        self.longCalls = 0
        self.longSeconds = 0.0

    def failed(self, failure: Failure) -> None:
        """Its code has failed, in a request or outside of one."""
        self.errors += 1
        if failure.check(PluginTimeout):
            self.timeouts += 1
        elif failure.check(PluginStalled):
            self.stalls += 1

    def took(self, seconds: float, weight: int = 1) -> bool:
        """
        A call, or a step of one, was timed.

        :param weight: how many like it this one stands for.
        :returns: whether it was long.
        """
        self.seconds += seconds * weight
        if seconds < LONG:
            return False
        self.longCalls += 1
        self.longSeconds += seconds
        return True
