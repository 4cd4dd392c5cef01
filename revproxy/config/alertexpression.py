"""
What ``when`` of an alert rule says: ``error_share > 2%``, or several of these joined by ``and``.

>>> parseExpression("error_share > 2% and rate > 1")
(Comparison(figure='error_share', isAbove=True, bound=0.02), Comparison(figure='rate', isAbove=True, bound=1.0))
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from revproxy.config.problems import quoted, suggestion
from revproxy.durations import durationText, parseDuration, parseShare

MAX_LENGTH = 300
"""Characters of an expression."""

MOST = 4
"""Comparisons in one."""

_WORD = re.compile(r"\s*([^\s<>=!]+|[<>=!]+)")


@dataclass(frozen=True, slots=True)
class Figure:
    """
    What can be compared.

    :ivar unit: ``"share"``, ``"duration"`` or ``"number"``.
    :ivar of: what it is known of; the first is meant where a rule says nothing.
    :ivar needsTraffic: whether there is none where there are no requests.
    :ivar isOverTime: whether a rule may say over what time.
    """

    unit: str
    of: tuple[str, ...]
    needsTraffic: bool = False
    isOverTime: bool = True


_REQUESTS = ("route", "upstream", "plugin", "edge")

FIGURES: Mapping[str, Figure] = {
    "error_share": Figure("share", _REQUESTS, needsTraffic=True),
    "p50": Figure("duration", _REQUESTS, needsTraffic=True),
    "p95": Figure("duration", _REQUESTS, needsTraffic=True),
    "p99": Figure("duration", _REQUESTS, needsTraffic=True),
    "rate": Figure("number", _REQUESTS),
    "loop_share": Figure("share", ("plugin",), isOverTime=False),
    "expires_in": Figure("duration", ("listener",), isOverTime=False),
}
"""By name."""

SUBJECTS = (*_REQUESTS, "listener")
"""What figures can be of."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """
    One figure beside its bound.

    :ivar figure: one of :data:`FIGURES`.
    :ivar isAbove: whether it is to be more than the bound; else less.
    :ivar bound: a fraction, seconds, or a number.
    """

    figure: str
    isAbove: bool
    bound: float

    def holds(self, value: float) -> bool:
        """Whether a value is what the rule is about."""
        return value > self.bound if self.isAbove else value < self.bound

    def __str__(self) -> str:
        return f"{self.figure} {'>' if self.isAbove else '<'} {valueText(self.figure, self.bound)}"


def valueText(figure: str, value: float) -> str:
    """A value as people write it."""
    unit = FIGURES[figure].unit
    if unit == "share":
        return f"{value * 100:.3g}%"
    if unit == "duration":
        return _shortDuration(value)
    return f"{value:.3g}"


def _shortDuration(seconds: float) -> str:
    if seconds <= 0:
        return "0s"
    if seconds < 1:
        return f"{seconds * 1000:.3g}ms"
    if seconds < 120:
        return durationText(float(f"{seconds:.3g}"))
    unit, name = next((unit, name) for unit, name in ((86400, "d"), (3600, "h"), (60, "m")) if seconds >= unit)
    return f"{seconds / unit:.3g}{name}"


def parseExpression(text: str) -> tuple[Comparison, ...]:
    """
    :raises ValueError: it is none; says at which character, what is wrong there, and how to write it.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"has {len(text)} characters, and {MAX_LENGTH} are allowed")
    words = _words(text)
    comparisons: list[Comparison] = []
    while words or not comparisons:
        if comparisons:
            at, word = words.pop(0)
            if word != "and":
                raise ValueError(f'at character {at}: expected "and", not {quoted(word)}')
        comparisons.append(_comparison(words, len(text) + 1))
    if len(comparisons) > MOST:
        raise ValueError(f"compares {len(comparisons)} figures, and {MOST} are allowed")
    _together(comparisons)
    return tuple(comparisons)


def _words(text: str) -> list[tuple[int, str]]:
    """Each with the character at which it begins, counted from 1."""
    return [(match.start(1) + 1, match[1]) for match in _WORD.finditer(text)]


_HOW = 'write FIGURE > VALUE or FIGURE < VALUE, such as "error_share > 2%"'


def _comparison(words: list[tuple[int, str]], end: int) -> Comparison:
    """The next three words, which are taken away."""
    (at, name), (signAt, sign), (boundAt, bound) = (words.pop(0) if words else (end, "") for _ in range(3))
    if not name:
        raise ValueError(f"at character {at}: a figure is missing; {_HOW}")
    if name not in FIGURES:
        raise ValueError(f"at character {at}: no figure is named {quoted(name)}{suggestion(name, FIGURES)}")
    if sign not in (">", "<"):
        what = f"not {quoted(sign)}" if sign else "and nothing follows"
        raise ValueError(f'at character {signAt}: expected ">" or "<", {what}; {_HOW}')
    if not bound:
        raise ValueError(f"at character {boundAt}: a value is missing; {_HOW}")
    try:
        return Comparison(name, sign == ">", _PARSERS[FIGURES[name].unit](bound))
    except ValueError as error:
        raise ValueError(f"at character {boundAt}: {error}") from None


def _number(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,15})?", text):
        raise ValueError(f"{quoted(text)} is no number of requests a second, such as 10 or 0.5")
    return float(text)


def _duration(text: str) -> float:
    try:
        return parseDuration(float(text) if re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,15})?", text) else text)
    except OverflowError:
        raise ValueError(f"{quoted(text)} is too long") from None


_PARSERS: Mapping[str, Callable[[str], float]] = {"share": parseShare, "duration": _duration, "number": _number}


def subjectsOf(comparisons: tuple[Comparison, ...] | list[Comparison]) -> tuple[str, ...]:
    """What all figures of an expression are known of, in the order of the first."""
    known = [FIGURES[each.figure].of for each in comparisons]
    return tuple(subject for subject in known[0] if all(subject in others for others in known))


def _together(comparisons: list[Comparison]) -> None:
    """:raises ValueError: they are of different things."""
    if not subjectsOf(comparisons):
        names = " and ".join(each.figure for each in comparisons)
        raise ValueError(f"{names} are figures of different things; write a rule for each")
