"""
One thing that was looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "failing"]

STATES: tuple[State, ...] = ("ok", "warning", "failing")
"""From well to ill."""


@dataclass(frozen=True, slots=True)
class Check:
    """
    :ivar name: one word for what was looked at; several may have it.
    :ivar text: what was found.
    :ivar advice: what to do; empty if nothing is to be done.
    """

    name: str
    state: State
    text: str
    advice: str = ""

    def asDict(self) -> dict[str, str]:
        """As JSON shows it."""
        return {"name": self.name, "state": self.state, "text": self.text, "advice": self.advice}


def worst(checks: list[Check]) -> State:
    """How the illest of them is; of none, well."""
    return max((check.state for check in checks), key=STATES.index, default="ok")
