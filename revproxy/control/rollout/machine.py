"""
The life of a rollout, as a table: in which state it is, and what may become of that.

    waiting ──▶ preflight ──▶ shadow ──▶ canary ──▶ promoted
       │            │           │  ⟲       │  ⟲
       │            │           └────┬─────┘
       │            │                └──▶ rolled-back
       └────────────┴──────┴─────────┴──▶ aborted, superseded, refused

A policy may leave steps out, and have several shadows and canaries; none comes after one of a later kind. What is over
stays so. Whether it is time for the next step is for others to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec
from automat import TypeMachineBuilder

WAITING = "waiting"
GOING = ("", WAITING, "preflight", "shadow", "canary")
"""The states in which it is not over; at first it is in none."""

ENDS = ("promoted", "rolled-back", "aborted", "superseded", "refused")
"""The states in which it is over."""

HELD = "held"
"""No state of its own: it stays in its step. So called where it is told how that came, and ended."""

MOST_TRANSITIONS = 200
"""Are kept: the first, and the last ones."""


class Transition(msgspec.Struct, frozen=True):
    """
    From one state to another, from one step to the next of its kind, or from a state to :data:`HELD` and back.

    :ivar at: seconds since the epoch.
    :ivar before: empty: it was not there; ``after``: the states.
    :ivar by: who wanted it: ``edge``: nobody, it was seen.
    """

    at: float
    before: str
    after: str
    reason: str
    by: str


class Passage:
    """
    Through which states it came.

    :ivar state: in which it is.
    :ivar transitions: the first first.
    """

    def __init__(
        self, now: Callable[[], float], state: str = "", transitions: tuple[Transition, ...] = ()
    ) -> None:
        """:param now: seconds since the epoch."""
        self._now = now
        self.state = state
        self.transitions = list(transitions)

    def enter(self, state: str, reason: str, by: str) -> None:
        """It is in this state from now on."""
        self._tell(self.state, state, reason, by)
        self.state = state

    def hold(self, reason: str, by: str) -> None:
        """It stays in its state until somebody says otherwise."""
        self._tell(self.state, HELD, reason, by)

    def resume(self, reason: str, by: str) -> None:
        """It is held no more."""
        self._tell(HELD, self.state, reason, by)

    def _tell(self, before: str, after: str, reason: str, by: str) -> None:
        self.transitions.append(Transition(self._now(), before, after, reason, by))
        if len(self.transitions) > MOST_TRANSITIONS:
            del self.transitions[1]


class Life(Protocol):
    """
    What may become of it. Each with the reason, and with who wanted it; `automat.NoTransition` is raised where that
    cannot be.
    """

    def preflight(self, reason: str, by: str) -> None:
        """It is looked at before it meets any request."""

    def shadow(self, reason: str, by: str) -> None:
        """It is tried on copies of requests."""

    def canary(self, reason: str, by: str) -> None:
        """It serves some clients."""

    def promote(self, reason: str, by: str) -> None:
        """It serves all."""

    def rollBack(self, reason: str, by: str) -> None:
        """It is worse, or has shown nothing."""

    def abort(self, reason: str, by: str) -> None:
        """Somebody ended it, or what it was held against is gone."""

    def supersede(self, reason: str, by: str) -> None:
        """Another version has taken its place."""

    def refuse(self, reason: str, by: str) -> None:
        """It cannot be made ready, or did not pass its pre-flight."""


_builder = TypeMachineBuilder(Life, Passage)

_STATES = {name: _builder.state(name) for name in (WAITING, "preflight", "shadow", "canary", *ENDS)}

_INPUTS: Mapping[str, Callable[..., None]] = {
    "preflight": Life.preflight, "shadow": Life.shadow, "canary": Life.canary, "promoted": Life.promote,
    "rolled-back": Life.rollBack, "aborted": Life.abort, "superseded": Life.supersede, "refused": Life.refuse,
}  # fmt: skip
"""By the state that an input leads to."""

_ANYTIME = ("promoted", "aborted", "superseded", "refused")
"""``promoted``, too: somebody may want that at any time."""

_TABLE: Mapping[str, tuple[str, ...]] = {
    WAITING: ("preflight", "shadow", "canary", *_ANYTIME),
    "preflight": ("shadow", "canary", *_ANYTIME),
    "shadow": ("shadow", "canary", "rolled-back", *_ANYTIME),
    "canary": ("canary", "rolled-back", *_ANYTIME),
}
"""By state, those that may come next."""


def _entering(state: str) -> Callable[[Life, Passage, str, str], None]:
    def entered(life: Life, passage: Passage, reason: str, by: str) -> None:
        passage.enter(state, reason, by)

    return entered


for _before, _nexts in _TABLE.items():
    for _after in _nexts:
        _STATES[_before].upon(_INPUTS[_after]).to(_STATES[_after])(_entering(_after))

_machine = _builder.build()


def lifeOf(passage: Passage) -> Life:
    """The life of a rollout that has come so far; one that was nowhere waits."""
    return _machine(passage, _STATES[passage.state or WAITING])


def moveOn(life: Life, state: str, reason: str, by: str) -> None:
    """Lead it into a state, by its name. :raises automat.NoTransition: it cannot come there."""
    getattr(life, _INPUTS[state].__name__)(reason, by)


__all__ = ["ENDS", "GOING", "HELD", "WAITING", "Life", "Passage", "Transition", "lifeOf", "moveOn"]
