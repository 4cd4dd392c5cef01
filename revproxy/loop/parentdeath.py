"""
Processes that do not outlive the one that has begun them.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

__all__ = ["endWith"]

_PDEATHSIG = 1


def endWith(parent: int) -> None:
    """
    Have this process end with the one that has begun it, however that ends: more exactly, with the thread that has. It
    ends at once if that has gone already. What this one begins does not end so, unless it says the same. On other
    systems than Linux nothing happens.
    """
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
