"""
Results whose failures are heard of, also where nobody waits for them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure


class HeardDeferred(Deferred[Any]):
    """
    A Deferred that tells a failure which nobody has handled when it is let go of, instead of Twisted's log.

    :ivar onUnhandled: given the failure, in whichever thread lets go of it; None: Twisted logs it, as always.
    """

    onUnhandled: Callable[[Failure], object] | None = None

    def arrive(self, value: Any) -> None:
        """What is waited for is here. A failure that nobody waits for any more, for it was cancelled, is told."""
        if not self.called:
            self.callback(value)  # a Failure goes on as one
        elif isinstance(value, Failure) and self.onUnhandled is not None and not value.check(CancelledError):
            self.onUnhandled(value)

    def __del__(self) -> None:
        # Twisted keeps an unhandled failure here, and logs it when this is let go of; no public way tells of it.
        kept = getattr(self, "_debugInfo", None)
        failure = getattr(kept, "failResult", None)
        if failure is None or self.onUnhandled is None:
            return
        kept.failResult = None  # type: ignore[union-attr]
        if not failure.check(CancelledError):
            self.onUnhandled(failure)
