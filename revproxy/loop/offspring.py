"""
All that a process has begun, and that these have begun: also processes that have left its group to outlive it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["endOffspring", "keepOffspring"]

_SUBREAPER = 36
_ROUNDS: Final = 50
"""Times that it is looked for more: what is ended may have begun another meanwhile."""


def keepOffspring() -> None:
    """
    From now on, what loses its parent among those that this process has begun becomes a child of this one's. On other
    systems than Linux nothing happens.
    """
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def endOffspring(parent: int) -> None:
    """
    End all that a process has begun, if it has said `keepOffspring`; without that, what has a parent. On other systems
    than Linux nothing happens.
    """
    ended: set[int] = set()
    for _ in range(_ROUNDS):
        news = set(_below(parent)) - ended
        if not news:
            return
        for each in news:
            with suppress(OSError):
                os.kill(each, signal.SIGKILL)
        ended |= news


def _below(parent: int) -> Iterator[int]:
    children: dict[int, list[int]] = {}
    with suppress(OSError):
        for entry in os.scandir("/proc"):
            if entry.name.isdigit():
                children.setdefault(_parentOf(entry.name), []).append(int(entry.name))
    waiting = [parent]
    while waiting:
        found = children.pop(waiting.pop(), [])
        waiting += found
        yield from found


def _parentOf(process: str) -> int:
    """0: it is gone, or the first of all."""
    try:
        # Its name, in parentheses, may have anything in it.
        return int(Path("/proc", process, "stat").read_bytes().rpartition(b")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return 0
