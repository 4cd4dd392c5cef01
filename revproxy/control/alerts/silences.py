"""
What nobody is to be told of, for a time.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from revproxy.control.alerts.labels import Matcher, parseMatchers

MOST = 200
"""Silences at one time."""

LONGEST = 30 * 86400.0
"""Seconds that one may last."""

MAX_REASON = 500
"""Characters of a reason."""


class Silence(msgspec.Struct, frozen=True):
    """
    :ivar matchers: all of them must match.
    :ivar by: who has said so; ``at``: when; ``until``: up to when.
    """

    id: str
    matchers: tuple[Matcher, ...]
    by: str
    reason: str
    at: float
    until: float

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an alert with these labels is not to be told."""
        return all(matcher.matches(labels) for matcher in self.matchers)

    def asDict(self) -> dict[str, Any]:
        """As JSON shows it."""
        return {
            "id": self.id,
            "matchers": [str(matcher) for matcher in self.matchers],
            "by": self.by,
            "reason": self.reason,
            "at": self.at,
            "until": self.until,
        }


class Silences:
    """
    Those of one edge.
    """

    def __init__(self) -> None:
        self._known: dict[str, Silence] = {}

    def __iter__(self) -> Iterator[Silence]:
        return iter(list(self._known.values()))

    def restore(self, silences: Iterable[Silence], now: float) -> None:
        """Those of before a restart, as far as they still hold."""
        self._known = {each.id: each for each in silences if each.until > now}

    def add(self, matchers: Sequence[str], seconds: float, by: str, reason: str, now: float) -> Silence:
        """
        :raises ValueError: it is none; says why.
        """
        parsed = parseMatchers(matchers)
        if not 0 < seconds <= LONGEST:
            raise ValueError("a silence lasts longer than nothing, and 30d at most; then it can be set again")
        if len(reason) > MAX_REASON:
            raise ValueError(f"the reason has {len(reason)} characters, and {MAX_REASON} are allowed")
        if len(self._known) >= MOST:
            raise ValueError(f"there are {MOST} silences already; end some of them: revproxy alerts unsilence ID")
        silence = Silence(secrets.token_hex(4), parsed, by, reason, now, now + seconds)
        self._known[silence.id] = silence
        return silence

    def remove(self, known: str) -> Silence | None:
        """:returns: the one that was ended; None if there is none with this id."""
        return self._known.pop(known, None)

    def expire(self, now: float) -> list[Silence]:
        """:returns: those that have ended by now, and are forgotten."""
        ended = [silence for silence in self._known.values() if silence.until <= now]
        for silence in ended:
            del self._known[silence.id]
        return ended

    def of(self, labels: Mapping[str, str]) -> Silence | None:
        """One that says that an alert with these labels is not to be told."""
        return next((silence for silence in self._known.values() if silence.matches(labels)), None)

    @property
    def next(self) -> float | None:
        """When the first one ends."""
        return min((silence.until for silence in self._known.values()), default=None)
