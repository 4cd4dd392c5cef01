"""
How a locked process has ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from signal import SIGSYS, Signals


@dataclass(frozen=True, slots=True)
class Gone:
    """
    The end of a locked process.

    :ivar signal: which ended it; None: none did, or nobody knows.
    :ivar exitCode: with which it has ended by itself; None: it has not, or nobody knows.
    :ivar why: of the edge, in words, if that has ended it; else empty.
    :ivar isFault: False: it was to end, and nobody is to be blamed for that.
    """

    signal: int | None = None
    exitCode: int | None = None
    why: str = ""
    isFault: bool = True

    @property
    def isForbiddenCall(self) -> bool:
        """Whether it was killed for a system call that no plugin makes by mistake."""
        return self.signal == SIGSYS and not self.why

    @property
    def text(self) -> str:
        """In one line."""
        if self.why:
            return self.why
        if self.isForbiddenCall:
            return "it was killed for a system call that is never allowed (SIGSYS)"
        if self.signal is not None:
            return f"it was ended by {_named(self.signal)}"
        return f"it has ended with {self.exitCode}" if self.exitCode is not None else "it has ended"


def _named(signal: int) -> str:
    try:
        return Signals(signal).name
    except ValueError:
        return f"signal {signal}"
