"""
Plugins that had too much of something: events, and what is counted of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final
from weakref import WeakKeyDictionary

from revproxy.errors import LimitName
from revproxy.plan.words import Notice
from revproxy.worker.lifecycle.instance import Version

AGAIN: Final = 60.0
"""Seconds after which it is told again that a version has too much of the same."""

WORDS: Final[Mapping[LimitName, str]] = {
    "wall": "time",
    "cpu": "processor time in one call",
    "cpu-share": "processor time",
    "memory": "memory",
    "concurrency": "at a time",
    "body": "bytes of a body that it reads",
    "reply": "bytes in its answer",
    "calls": "requests of its own",
    "log": "lines in the log",
    "stderr": "output",
    "labels": "values of labels",
}
"""What each limit bounds, as events call it."""


class LimitReports:
    """
    Of one worker's versions. Its event is ``limit-exceeded``: once in :data:`AGAIN` seconds at most for a version and
    a limit, with how often it was since the event before.
    """

    def __init__(self, now: Callable[[], float], tell: Callable[[Notice], None]) -> None:
        """:param now: seconds."""
        self._now = now
        self._tell = tell
        # By version and limit: when it was told, and how often it was since.
        self._told: WeakKeyDictionary[Version, dict[LimitName, tuple[float, int]]] = WeakKeyDictionary()

    def take(self, version: Version) -> dict[str, int]:
        """:returns: by limit, how often it had too much since this was asked last; if it had, that is told."""
        counts: dict[str, int] = {}
        for limit, (count, text) in version.counters.takeExceeded().items():
            counts[limit] = count
            self._tellOf(version, limit, count, text)
        return counts

    def _tellOf(self, version: Version, limit: LimitName, count: int, text: str) -> None:
        now, known = self._now(), self._told.setdefault(version, {})
        at, since = known.get(limit, (now - AGAIN, 0))
        count += since
        if now - at < AGAIN:
            known[limit] = at, count
            return
        known[limit] = now, 0
        times = "" if count == 1 else f", {count} times"
        text = f"{limit}: too much {WORDS[limit]}{times}: {text}"
        self._tell(Notice("limit-exceeded", text, version.name, version.id))

