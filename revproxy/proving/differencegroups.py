"""
In what recorded calls differ when they are made again, and how often in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from math import comb
from typing import Final

from revproxy.config.rolloutpolicy import Expectation
from revproxy.plan.evidence import DifferenceCount
from revproxy.replay.difference import Difference

MOST_GROUPS: Final = 200
"""Ways to differ that are told apart."""

EXAMPLES: Final = 3

_LONGEST: Final = 200
"""Characters of what an example shows."""

_CHANCE: Final = 0.005
"""How unlikely it has to be that a field differs by itself."""

_Key = tuple[str, str]


class _Group:
    __slots__ = ("both", "candidate", "control", "examples")

    def __init__(self) -> None:
        self.candidate = self.control = self.both = 0
        self.examples: list[tuple[str, str, str]] = []


class DifferenceGroups:
    """
    Counts them, by field and kind.

    :ivar unnamed: differences of further kinds, for which there was no room.
    """

    def __init__(self) -> None:
        self.unnamed = 0
        self._groups: dict[_Key, _Group] = {}

    def add(self, request: str, candidate: Iterable[Difference], control: Iterable[Difference] = ()) -> None:
        """
        Of the calls of one request.

        :param request: what examples call it.
        :param candidate: in what the candidate differs from what was recorded; ``control``: the version that runs.
        """
        found = {(each.field, each.kind): each for each in candidate}
        others = {(each.field, each.kind) for each in control}
        for key in (*found, *(key for key in others if key not in found)):
            group = self._groupOf(key)
            if group is None:
                self.unnamed += 1
            elif key not in found:
                group.control += 1
            elif key in others:
                group.both += 1
            else:
                group.candidate += 1
                if len(group.examples) < EXAMPLES:
                    each = found[key]
                    group.examples.append((_short(request), _short(each.before), _short(each.after)))

    def counts(self) -> tuple[DifferenceCount, ...]:
        """All of them: what the candidate alone does comes first, the most frequent of it."""
        ordered = sorted(self._groups.items(), key=lambda each: (-each[1].candidate, each[0]))
        return tuple(
            DifferenceCount(field, kind, group.candidate, group.control, group.both, tuple(group.examples))
            for (field, kind), group in ordered
        )

    def _groupOf(self, key: _Key) -> _Group | None:
        if key not in self._groups and len(self._groups) >= MOST_GROUPS:
            return None
        return self._groups.setdefault(key, _Group())


def isNoise(count: DifferenceCount) -> bool:
    """
    Whether a field differs by itself: the version that runs differs in it, too, and by chance the candidate would
    do so as often as it did.
    """
    if not count.control and not count.both:
        return False
    if not count.candidate:
        return True
    if not count.control:
        return False
    among = count.candidate + count.control
    # The candidate alone, or the control alone: a coin says which, if it makes no difference.
    least = max(count.candidate, (among + 1) // 2)
    if among > 1000:  # far from what a coin does, or not: no need to be exact
        return (count.candidate - among / 2) < 2.58 * math.sqrt(among / 4)
    ways: int = sum(comb(among, k) for k in range(least, among + 1))
    return ways > _CHANCE * 2.0**among


def isExpected(count: DifferenceCount, expect: Sequence[Expectation]) -> bool:
    """Whether somebody has said that it is meant."""
    return any(each.isMet(count.field, count.kind) for each in expect)


def unexpected(counts: Iterable[DifferenceCount], expect: Sequence[Expectation]) -> tuple[DifferenceCount, ...]:
    """What the candidate does differently, and nobody has meant."""
    return tuple(
        each for each in counts if each.candidate and not isExpected(each, expect) and not isNoise(each)
    )


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


__all__ = ["DifferenceGroups", "isExpected", "isNoise", "unexpected"]
