"""
Signals that ask a running edge for something, any number of times.

SIGHUP has two meanings. From an operator or a service manager it is "read the files again", as with other servers; from
the kernel it is "the terminal is gone", and an edge in the foreground of that terminal ends like any other program.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any


class Signals:
    """
    The signal handlers of an edge. A handler that was there before is called first, but for that of `EarlySignals`.

    :param reactor: in whose thread the functions are called.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._before: dict[int, Any] = {}

    def heed(self, number: int, call: Callable[[], object]) -> None:
        """
        Call a function in the reactor's thread whenever a signal has come. Use this in the main thread only.

        :param number: such as ``signal.SIGUSR1``.
        """
        before = self._before[number] = signal.getsignal(number)
        if isinstance(getattr(before, "__self__", None), EarlySignals):
            before = None  # its time is over

        def received(number: int, frame: FrameType | None) -> None:
            if callable(before):
                before(number, frame)
            self._reactor.callFromThread(call)

        signal.signal(number, received)

    def restore(self) -> None:
        """Put back the handlers that were there before. In the main thread only."""
        for number, before in self._before.items():
            signal.signal(number, before)
        self._before.clear()


class EarlySignals:
    """
    What signals do from the beginning of a process until the edge heeds them; by default they would kill it.

    SIGHUP and SIGUSR1 have nothing to do yet. SIGTERM and SIGINT end the process at once, in order: nothing has begun
    that had to be ended. What whoever has started us had ignored stays so.
    """

    def __init__(self, *numbers: int) -> None:
        """
        :param numbers: which of these four.
        """
        self._terminal = Terminal()
        for number in numbers:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._received)
        self._hasInterrupt = signal.getsignal(signal.SIGINT) == self._received

    def handOver(self) -> None:
        """The reactor is about to run, and heeds these from then on."""
        if self._hasInterrupt:
            # The reactor takes this signal from nobody else.
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _received(self, number: int, frame: FrameType | None) -> None:
        if number in (signal.SIGTERM, signal.SIGINT) or (
            number == signal.SIGHUP and self._terminal.isGone
        ):
            os._exit(0)


class Terminal:
    """
    The terminal that is standard input, if there is one whose end matters: not under ``nohup`` or ``trap '' HUP``.

    Make it before SIGHUP is heeded.
    """

    def __init__(self) -> None:
        self._wasOne = _isTerminal() and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN

    @property
    def isGone(self) -> bool:
        """Whether there was a terminal that matters, and it was hung up."""
        return self._wasOne and not _isTerminal()


def _isTerminal() -> bool:
    try:
        return os.isatty(0)
    except OSError:
        return False


__all__ = ["EarlySignals", "Signals", "Terminal"]
