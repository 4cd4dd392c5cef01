"""
A call to come. Twisted's own is in the module of its reactors, which brings sockets, processes and the resolving of
names: three megabytes that a locked process has no use for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import IDelayedCall
from zope.interface import implementer


@implementer(IDelayedCall)
class Timer:
    """
    As `twisted.internet.base.DelayedCall`.

    :ivar time: when it is to be made, unless it was put off by then.
    :ivar holder: the number of the call that has set it.
    :ivar called: whether it was made; ``cancelled``: whether it never will be.
    """

    debug = False

    def __init__(
        self,
        time: float,
        func: Callable[..., Any],
        args: Sequence[object],
        kw: dict[str, object],
        cancel: Callable[[Any], None],
        reset: Callable[[Any], None],
        seconds: Callable[[], float] = monotonic,
    ) -> None:
        """
        :param cancel: called before it is cancelled; ``reset``: when it comes earlier than before.
        """
        self.time, self.func, self.args, self.kw = time, func, args, kw
        self.canceller = cancel
        self.resetter = reset
        self.seconds = seconds
        self.cancelled = self.called = 0
        self.delayed_time = 0.0
        self.holder = 0

    def getTime(self) -> float:
        """When it is to be made."""
        return self.time + self.delayed_time

    def active(self) -> bool:
        """Whether it is still to come."""
        return not (self.cancelled or self.called)

    def cancel(self) -> None:
        """:raises AlreadyCancelled, AlreadyCalled: it is too late."""
        self._check()
        self.canceller(self)
        self.cancelled = 1
        del self.func, self.args, self.kw

    def reset(self, secondsFromNow: float) -> None:
        """:raises AlreadyCancelled, AlreadyCalled: it is too late."""
        self._check()
        time = self.seconds() + secondsFromNow
        if time < self.time:
            self.delayed_time = 0.0
            self.time = time
            self.resetter(self)
        else:
            self.delayed_time = time - self.time

    def delay(self, secondsLater: float) -> None:
        """:raises AlreadyCancelled, AlreadyCalled: it is too late."""
        self._check()
        self.delayed_time += secondsLater
        if self.delayed_time < 0.0:
            self.activate_delay()
            self.resetter(self)

    def activate_delay(self) -> None:
        """It stands at the time that it was put off to."""
        self.time += self.delayed_time
        self.delayed_time = 0.0

    def _check(self) -> None:
        if self.cancelled:
            raise AlreadyCancelled
        if self.called:
            raise AlreadyCalled

    def __lt__(self, other: Timer) -> bool:
        return self.time < other.time

    def __le__(self, other: Timer) -> bool:
        return self.time <= other.time
