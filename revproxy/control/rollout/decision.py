"""
What is done next with a rollout, by what a judge says and how long its step has lasted. Pure.

A step ends well by evidence. That nobody came, or that what was measured cannot be believed, is no evidence, and never
leads anywhere but to a person, or back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from revproxy.config.rolloutpolicy import OnInconclusive, Step
from revproxy.control.rollout.verdict import Verdict

What = Literal["stay", "next", "hold", "inconclusive", "roll-back"]
"""
To stay in the step; to go on; to stay until somebody says otherwise, for there is something to see; the same, or back,
for its time is over without any; to go back.
"""

TO_LOOK_AT = frozenset(("content", "pair-time"))
"""Families that a person is asked about: many differences are meant, and the copies cost no client anything."""


@dataclass(frozen=True, slots=True)
class Decision:
    """:ivar reason: for people; empty where it stays."""

    what: What
    reason: str = ""


STAY = Decision("stay")


def decide(
    step: Step,
    verdict: Verdict,
    elapsed: float,
    isHeld: bool,
    isSuspicious: bool,
    onInconclusive: OnInconclusive,
) -> Decision:
    """
    :param elapsed: seconds that the step has lasted, without those in which it was held.
    :param isHeld: whether somebody, or something, keeps it in its step.
    :param isSuspicious: whether something speaks against the candidate, if not enough to decide.
    """
    if verdict.kind == "regression" and verdict.family not in TO_LOOK_AT:
        return Decision("roll-back", verdict.reason)
    if isHeld:
        return STAY
    if verdict.kind in ("regression", "broken-measurement"):
        return Decision("hold", verdict.reason)
    if elapsed < step.atLeast:
        return STAY
    if verdict.kind == "no-regression":
        return Decision("next", verdict.reason)
    if verdict.kind == "undecided" and not isSuspicious and isTimeAll(step):
        return Decision("next", f"it has lasted {step.atLeast:g} s, and nothing speaks against it")
    if step.atMost is None or elapsed < step.atMost:
        return STAY
    return _overtime(step, verdict, isSuspicious, onInconclusive)


def isTimeAll(step: Step) -> bool:
    """Whether nothing but its time ends a step: it is to last so long, and to have had requests."""
    goal = step.until.pairs if step.kind == "shadow" else step.until.fault
    return goal is None and step.atLeast > 0


def _overtime(step: Step, verdict: Verdict, isSuspicious: bool, onInconclusive: OnInconclusive) -> Decision:
    """Its time is over. Who does without evidence for a candidate does not overlook what speaks against it."""
    text = f"nothing is shown after {step.atMost:g} s: {verdict.reason}"
    if onInconclusive == "roll_back":
        return Decision("roll-back", text)
    if onInconclusive == "promote" and verdict.kind == "undecided" and not isSuspicious:
        return Decision("next", f"{text}; on_inconclusive: promote")
    return Decision("inconclusive", text)


__all__ = ["STAY", "TO_LOOK_AT", "Decision", "decide", "isTimeAll"]
