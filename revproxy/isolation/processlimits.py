"""
How much a plugin in a locked process may take.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

MOST_BODY: Final = 16 << 20
"""Bytes of a body that a plugin may hold, where it says no less (``limits.body_bytes``)."""

DEFAULT_MEMORY: Final = 256 << 20
"""Bytes that a plugin may take, where it says nothing (``limits.memory_mb``)."""


MOST_CALLS: Final = 1_000
"""Calls of a plugin that may be under way at once, where it says nothing (``limits.concurrency``)."""


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """
    Of one instance.

    :ivar call: seconds that a call may wait, and that its code may compute in one go (``limits.timeout_ms``); None: no
        bound.
    :ivar step: seconds that the code of a step outside of requests, or the import, may compute in one go.
    :ivar load: seconds that a process may take to become the plugin; ``start``: that its ``start`` may take when it is
        begun anew.
    :ivar memory: bytes that it may take.
    :ivar body: bytes of a body that it may hold.
    :ivar calls: that may be under way at once.
    :ivar brokered: requests to upstreams, and operations on its store, in one second, and as many more in a burst.
    :ivar underWay: of these, how many may be under way at once.
    :ivar lines: of log in one second, and ten times as many in a burst.
    :ivar share: the part of one processor that it may use over a minute.
    """

    call: float | None = 1.0
    step: float = 5.0
    load: float = 10.0
    start: float = 10.0
    memory: int = DEFAULT_MEMORY
    body: int = MOST_BODY
    calls: int = MOST_CALLS
    brokered: float = 1_000.0
    underWay: int = 256
    lines: float = 100.0
    share: float = 0.9


class Rate:
    """
    So many in a second, and some more in a burst.

    >>> now = [0.0]
    >>> rate = Rate(2.0, 3, lambda: now[0])
    >>> [rate.takes() for _ in range(4)]
    [True, True, True, False]
    >>> now[0] = 0.5
    >>> rate.takes(), rate.takes()
    (True, False)
    """

    __slots__ = ("_free", "_most", "_now", "_perSecond", "_since")

    def __init__(self, perSecond: float, burst: float, now: Callable[[], float]) -> None:
        self._perSecond = perSecond
        self._most = burst
        self._now = now
        self._free = burst
        self._since = now()

    def takes(self) -> bool:
        """Whether one more fits, which then counts."""
        now = self._now()
        self._free = min(self._most, self._free + (now - self._since) * self._perSecond)
        self._since = now
        if self._free < 1:
            return False
        self._free -= 1
        return True
