"""
One alert as a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec


class State(StrEnum):
    """
    What is known of an alert::

                    holds                  for so long               over
        (nothing) ─────────▶ PENDING ─────────────────▶ FIRING ─────────────▶ RESOLVED
            ▲                   │                        │  ▲
            └─── over, or ──────┘            no traffic  ▼  │ holds
                 no traffic                            SILENT ── over, or for too long ──▶ RESOLVED

    :cvar SILENT: it fired, and there is no traffic that could tell whether it still would. For receivers it fires.
    """

    PENDING = "pending"
    FIRING = "firing"
    SILENT = "no-traffic"
    RESOLVED = "resolved"

    @property
    def isTold(self) -> bool:
        """Whether receivers are to know of it as firing."""
        return self in (State.FIRING, State.SILENT)


class Alert(msgspec.Struct, frozen=True):
    """
    :ivar rule: name of the rule.
    :ivar labels: what it is; see `revproxy.control.alerts.labels`.
    :ivar summary: one sentence for people, the same each time; ``text``: what was the case last, with values.
    :ivar since: when it began to hold, in seconds since the epoch; ``lastAt``: when it held last.
    :ivar firedAt: when it began to fire; None if it does not.
    :ivar silentAt: since when there is no traffic; None if there is.
    :ivar endedAt: when it was resolved; None if it was not; ``why``: why it was.
    """

    fingerprint: str
    rule: str
    labels: Mapping[str, str]
    summary: str
    text: str
    state: State
    since: float
    lastAt: float
    firedAt: float | None = None
    silentAt: float | None = None
    endedAt: float | None = None
    why: str = ""

    def asDict(self) -> dict[str, Any]:
        """As JSON shows it."""
        return {
            "fingerprint": self.fingerprint,
            "rule": self.rule,
            "state": self.state.value,
            "labels": dict(self.labels),
            "summary": self.summary,
            "text": self.text,
            "since": self.since,
            "fired_at": self.firedAt,
            "ended_at": self.endedAt,
            "why": self.why,
        }


@dataclass(frozen=True, slots=True)
class Sighting:
    """
    What a rule is about was seen.

    :ivar labels: of the alert, all of them.
    :ivar summary: and ``text``: as of the alert.
    :ivar wait: seconds that it must hold before it fires.
    """

    rule: str
    labels: Mapping[str, str]
    summary: str
    text: str
    wait: float = 0.0
