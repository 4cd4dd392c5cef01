"""
What things of rollouts are called.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from math import log
from typing import Any

Facts = Mapping[str, Any]

ENDS = ("promoted", "rolled-back", "aborted", "superseded", "refused")
"""States in which a rollout is over."""

_NAMES = {
    "faults": "fails", "interrupts": "stops more requests", "interrupts-fewer": "stops fewer requests",
    "slow90": "among the slowest 10 %", "slow99": "among the slowest 1 %", "slow999": "among the slowest 0.1 %",
    "median": "slower throughout", "fingerprint": "raises something new", "stall": "holds the event loop",
    "content": "answers differently", "pair-time": "slower on the same requests", "leak": "remains in memory",
}  # fmt: skip

_CERTAIN = ("fingerprint", "stall", "leak")
"""Families that decide without odds."""

_MOST = 1e4
"""Odds that are more than this say no more."""

_BAR = 20
"""Characters from even odds to the threshold."""


def rolloutLine(found: Facts) -> str:
    """In one line, for where other things are told, too."""
    state, candidate = found["state"], found["candidate"]["version"]
    if state in ENDS:
        return f"{found['plugin']}: {candidate} {stateName(state)}: {found['because']}"
    parts = [whereabouts(found), *(["held"] if found["held"] else []), *_oddsText(found), *_leftText(found)]
    return f"{found['plugin']}: {candidate} in place of {versionName(found['running'])}: " + ", ".join(parts)


def waitsFor(name: str) -> str:
    """What may be typed of one that is held."""
    return f"it waits for somebody: revproxy rollout {name} resume | step | promote | abort"


def whereabouts(found: Facts) -> str:
    """State, and where in it."""
    state, step = found["state"], found["step"]
    if step is None or state in ENDS:
        return stateName(state)
    share = {"shadow": " of requests", "canary": " of clients"}.get(step["kind"], "")
    at = f" {shareText(step['share'])}{share}" if share else ""
    return f"{stateName(state)}{at}, step {step['index']} of {step['of']}"


def stateName(state: str) -> str:
    """A state, in words."""
    return {"preflight": "pre-flight", "rolled-back": "rolled back"}.get(state, state)


def _oddsText(found: Facts) -> list[str]:
    odds = found["verdict"]["odds"]
    return [f"odds {oddsText(odds)} against it"] if odds > 1 else []


def _leftText(found: Facts) -> list[str]:
    step = found["step"]
    left = 0 if step is None else step["left_seconds"]
    return [] if not left or found["held"] else [f"about {span(left)} left"]


def transition(told: Facts) -> str:
    """The line of a step from one state to another."""
    reason = f": {told['reason']}" if told["reason"] else ""
    by = "" if told["by"] in ("", "edge") else f", by {told['by']}"
    return f"{clockTime(told['at'])}  {stateName(told['from'] or 'new')} → {stateName(told['to'])}{by}{reason}"


def span(seconds: float) -> str:
    """A length of time in words as short as they can be: ``5.8 min``."""
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.2g} {unit}" if seconds < 10 * size else f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def clockTime(at: float) -> str:
    """Local time; with the day, unless that is today."""
    when = datetime.fromtimestamp(at)
    return when.strftime("%H:%M:%S" if when.date() == datetime.now().date() else "%Y-%m-%d %H:%M:%S")


def familyName(name: str) -> str:
    """What a family of evidence is called."""
    return _NAMES.get(name, name)


def highest(found: Facts) -> Facts | None:
    """The family with most evidence against the candidate, by how near it is to what decides."""
    return max(found.get("families", ()), key=lambda each: each["odds"] / each["threshold"], default=None)


def evidenceText(found: Facts) -> str:
    """How much speaks against the candidate, and how much decides; empty: nothing was looked at."""
    verdict, most = found["verdict"], highest(found)
    if verdict["kind"] == "regression" and verdict["family"] in _CERTAIN:
        return f"{'█' * _BAR} certain, whatever the odds: {familyName(verdict['family'])}"
    if most is None:
        return ""
    odds, threshold = most["odds"], most["threshold"]
    if odds <= 1:
        return f"{bar(0, threshold)} none against it"
    return (f"{bar(odds, threshold)} {oddsText(odds)} against it, {oddsText(threshold)} "
            f"{'decided' if found['state'] in ENDS else 'decides'}: {familyName(most['family'])}")  # fmt: skip


def bar(odds: float, threshold: float, width: int = _BAR) -> str:
    """Evidence on a scale of orders of magnitude: empty at even odds, full where it decides."""
    part = 0.0 if odds <= 1 else min(1.0, log(odds) / log(threshold))
    full = width if part >= 1 else int(part * width)
    return "█" * full + "░" * (width - full)


def shareText(share: float) -> str:
    """A share of a whole: ``5 %``."""
    return f"{share * 100:.3g} %"


def oddsText(odds: float) -> str:
    """As ``20 : 1``, or ``1 : 20`` where that is nearer to how people say it; as far as anybody reads them."""
    if odds <= 0:
        return "-"
    if odds > _MOST:
        return "over 10,000 : 1"
    if odds < 1 / _MOST:
        return "under 1 : 10,000"
    return f"{numberText(odds)} : 1" if odds >= 1 else f"1 : {numberText(1 / odds)}"


def numberText(value: float) -> str:
    """With two digits, or whole."""
    return f"{value:.2g}" if value < 10 else f"{value:.0f}" if value < 1e6 else f"{value:.1g}"


def versionName(facts: Facts | None) -> str:
    """Its number, or the beginning of its digest."""
    return "nothing" if facts is None else facts["version"] or facts["digest"][:12]
