"""
The first process of a container.

To process 1 the kernel gives every process whose parent has ended, and it must take their exit statuses, or they stay
as zombies until no new process can be made. An edge cannot do that in passing: it would take those of processes that
plugins have started and wait for. So process 1 does nothing else, and passes on signals; the edge is its child.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from types import FrameType

__all__ = ["beChildOfFirst"]

PASSED_ON = (
    signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH,
)
"""What somebody may send process 1 and mean the edge."""


def beChildOfFirst() -> None:
    """
    If this is process 1: go on as a child of it. Process 1 ends with the child's status. To be called before there is a
    thread.
    """
    if os.getpid() != 1:
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
    child = os.fork()
    if child:
        os._exit(_serve(child))
    _ownGroup()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)


def _ownGroup() -> None:
    """A process group of its own, in the terminal's foreground: what is typed there reaches the child once."""
    with suppress(OSError):
        os.setpgid(0, 0)
        before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        try:
            if os.isatty(0):
                os.tcsetpgrp(0, os.getpgrp())
        finally:
            signal.signal(signal.SIGTTOU, before)


def _serve(child: int) -> int:
    """
    Pass on signals and take exit statuses, until the child has ended.

    :returns: its status; of one that a signal has ended, 128 and its number.
    """

    def passOn(number: int, frame: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            os.kill(child, number)

    for number in PASSED_ON:
        signal.signal(number, passOn)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    while True:
        ended, status = os.waitpid(-1, 0)  # begins again by itself when a signal has come
        if ended == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
