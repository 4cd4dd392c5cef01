"""
Results whose failures are heard of, also where nobody waits for them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, DebugInfo, Deferred
from twisted.python.failure import Failure


class _Kept(DebugInfo):
    """
    Where Twisted keeps a failure that nobody has handled yet: it logs it when this is let go of, and here it is told.

    Not in ``Deferred.__del__``: the collector ends the two in any order.

    :ivar onUnhandled: as of the Deferred.
    """

    onUnhandled: Callable[[Failure], object] | None = None

    def __del__(self) -> None:
        failure = self.failResult
        if failure is None:
            return
        if self.onUnhandled is None:
            super().__del__()
            return
        self.failResult = None
        if not failure.check(CancelledError):
            self.onUnhandled(failure)


class HeardDeferred(Deferred[Any]):
    """
    A Deferred that tells a failure which nobody has handled when it is let go of, instead of Twisted's log.
    """

    def __init__(self, canceller: Callable[[Deferred[Any]], None] | None = None) -> None:
        super().__init__(canceller)
        # No public way tells of such a failure. Twisted makes one of these when there is none.
        self._kept = self._debugInfo = _Kept()

    @property
    def onUnhandled(self) -> Callable[[Failure], object] | None:
        """Given the failure, in whichever thread lets go of it; None: Twisted logs it, as always."""
        return self._kept.onUnhandled

    @onUnhandled.setter
    def onUnhandled(self, heard: Callable[[Failure], object] | None) -> None:
        self._kept.onUnhandled = heard

    def arrive(self, value: Any) -> None:
        """What is waited for is here. A failure that nobody waits for any more, for it was cancelled, is told."""
        if not self.called:
            self.callback(value)  # a Failure goes on as one
        elif isinstance(value, Failure) and self.onUnhandled is not None and not value.check(CancelledError):
            self.onUnhandled(value)
