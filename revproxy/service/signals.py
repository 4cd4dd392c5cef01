"""
Signals that ask a running edge for something, as often as somebody likes.

SIGHUP has two meanings. From an operator, or a service manager, it is "look at the files", as with other servers; from
the kernel, "the terminal is gone", and an edge in the foreground of that is to end like any other program.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any


class Signals:
    """
    The handlers of one edge. What others did with a signal before still happens.

    :param reactor: where they are called.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._before: dict[int, Any] = {}

    def heed(self, number: int, call: Callable[[], object]) -> None:
        """Call that whenever the signal has come. In the main thread."""
        before = self._before[number] = signal.getsignal(number)

        def received(number: int, frame: FrameType | None) -> None:
            if callable(before):
                before(number, frame)
            self._reactor.callFromThread(call)

        signal.signal(number, received)

    def restore(self) -> None:
        """Heed none any more."""
        for number, before in self._before.items():
            signal.signal(number, before)
        self._before.clear()


class Terminal:
    """
    The terminal that standard input is, if it is one, and its end was not to be ignored (``nohup``, ``trap '' HUP``).

    To be made before SIGHUP is heeded.
    """

    def __init__(self) -> None:
        self._wasOne = _isTerminal() and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN

    @property
    def isGone(self) -> bool:
        """Whether there was one that matters, and it was hung up."""
        return self._wasOne and not _isTerminal()


def _isTerminal() -> bool:
    try:
        return os.isatty(0)
    except OSError:
        return False


__all__ = ["Signals", "Terminal"]
