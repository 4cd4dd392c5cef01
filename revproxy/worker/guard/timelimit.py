"""
Ends foreign code that does not come back while no reactor runs: imports before the start, and in ``revproxy check``.

Once the reactor runs, `revproxy.worker.guard.stallguard` does this, and more.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from revproxy.errors import PluginStalled


@contextmanager
def noLongerThan(seconds: float) -> Iterator[None]:
    """
    Raise `PluginStalled` in the midst of what runs in this block when it takes longer.

    Only in the main thread, and where nobody else uses ``SIGALRM``; otherwise nothing is bounded. As with every signal,
    one long call in C is not interrupted.
    """
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGALRM) != signal.SIG_DFL:
        yield
        return

    def rang(number: int, frame: FrameType | None) -> None:
        raise PluginStalled(f"it did not come back within {seconds:g} s")

    signal.signal(signal.SIGALRM, rang)
    # Again and again: the first may be swallowed.
    signal.setitimer(signal.ITIMER_REAL, seconds, 0.1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
