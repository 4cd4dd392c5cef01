"""What one version of a plugin has done so far, in figures."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from twisted.python.failure import Failure

from revproxy.errors import LimitExceeded, LimitName, PluginStalled, PluginTimeout, WrongAnswer

SAMPLE = 16
"""Self time is measured in one request of so many. To read a clock around every call would cost more than counting."""

LONG = 0.1
"""Seconds in one go from which a call is long: everybody else waits for it."""


HANDLE, RESPONSE, FINISHED, BODY, OUTSIDE = "handle", "handleResponse", "finished", "body", "outside"
"""Phases: in which method a plugin's code is called; in filters and iterators of bodies; and outside of requests."""


class PhaseFigures:
    """
    What one version has done in one phase, since these were taken last.

    :ivar failures: by kind, how many: ``timeout``, ``stall``, ``answer`` for what is none, or ``error``.
    :ivar skipped: by why, how many requests passed without it: it has failed (``on_error``), or is out of service
        (``gate``).
    :ivar seconds: self time, estimated as that of `Counters`.
    :ivar buckets: so many calls took how long; empty where nobody counts that.
    """

    __slots__ = ("buckets", "failures", "interrupts", "seconds", "skipped")

    def __init__(self) -> None:
        self.failures: dict[str, int] = {}
        self.skipped: dict[str, int] = {}
        self.interrupts = 0
        self.seconds = 0.0
        self.buckets: list[int] = []


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
    :ivar responses: calls of its ``handleResponse``; ``observed``: of its ``finished``.
    :ivar passed: calls of what stands in its place that did not reach it: these are none of its own.
    :ivar inFlight: how many of its answers are awaited now.
    :ivar longCalls: how many of those that were timed were long; and ``longSeconds``, how long these took. Where there
        is one, all that come soon after it are timed: see `revproxy.dataplane.sampling`.
    """

    __slots__ = (
        "_bounds",
        "_exceeded",
        "_phases",
        "calls",
        "errors",
        "inFlight",
        "interrupts",
        "longCalls",
        "longSeconds",
        "observed",
        "passed",
        "responses",
        "seconds",
        "stalls",
        "timeouts",
    )

    def __init__(self, bounds: Sequence[float] = ()) -> None:
        """
        :param bounds: seconds, of the buckets in which calls are counted by how long they took; none, if left out.
        """
        self._bounds = bounds
        self._phases: dict[str, PhaseFigures] = {}
        self._exceeded: dict[LimitName, tuple[int, str]] = {}
        self.responses = 0
        self.observed = 0
        self.passed = 0
        self.inFlight = 0
        self.calls = 0
        self.errors = 0
        self.timeouts = 0
        self.stalls = 0
        self.interrupts = 0
        self.seconds = 0.0
        self.longCalls = 0
        self.longSeconds = 0.0

    def failed(self, failure: Failure, phase: str) -> None:
        """Its code has failed, in a request or outside of one."""
        self.errors += 1
        kind = "error"
        error = failure.value
        if failure.check(PluginTimeout):
            self.timeouts += 1
            kind = "timeout"
            self.exceeded("wall", str(error))
        elif failure.check(PluginStalled):
            self.stalls += 1
            kind = "stall"
            self.exceeded("cpu", str(error))
        elif isinstance(error, LimitExceeded):
            self.exceeded(error.limit, str(error))
        elif failure.check(WrongAnswer):
            kind = "answer"
        failures = self._in(phase).failures
        failures[kind] = failures.get(kind, 0) + 1

    def exceeded(self, limit: LimitName, text: str) -> None:
        """
        It had too much of something. Failures that say so themselves are counted by :meth:`failed`.

        :param text: how much, and how much it may have.
        """
        count, _ = self._exceeded.get(limit, (0, ""))
        self._exceeded[limit] = count + 1, text

    def takeExceeded(self) -> dict[LimitName, tuple[int, str]]:
        """:returns: by limit, how often it had too much since this was asked last, and what there is to say of it."""
        exceeded, self._exceeded = self._exceeded, {}
        return exceeded

    def interrupted(self, phase: str) -> None:
        """It has answered a request instead of its route."""
        self.interrupts += 1
        self._in(phase).interrupts += 1

    def skipped(self, phase: str, why: str) -> None:
        """A request passed without it."""
        skipped = self._in(phase).skipped
        skipped[why] = skipped.get(why, 0) + 1

    def lasted(self, seconds: float, phase: str, weight: int = 1) -> None:
        """A call took so long in all. :param weight: how many like it this one stands for."""
        if self._bounds:
            buckets = self._in(phase).buckets
            if not buckets:
                buckets += [0] * (len(self._bounds) + 1)
            buckets[bisect_left(self._bounds, seconds)] += weight

    def takePhases(self) -> dict[str, PhaseFigures]:
        """:returns: what it has done by phase, which begins anew."""
        phases, self._phases = self._phases, {}
        return phases

    def _in(self, phase: str) -> PhaseFigures:
        return self._phases.get(phase) or self._phases.setdefault(phase, PhaseFigures())

    def took(self, seconds: float, phase: str, weight: int = 1) -> bool:
        """
        A call, or a step of one, was timed.

        :param weight: how many like it this one stands for.
        :returns: whether it was long.
        """
        self.seconds += seconds * weight
        self._in(phase).seconds += seconds * weight
        if seconds < LONG:
            return False
        self.longCalls += 1
        self.longSeconds += seconds
        return True
