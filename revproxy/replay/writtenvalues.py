"""
What plugins leave for each other in ``context.values``, as far as it can be written down.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

MOST_ITEMS: Final = 1_000
"""Items of a value, all that is in it counted."""

DEEPEST: Final = 20
"""Lists and mappings within each other."""

_PLAIN: Final = frozenset((str, int, float, bool, type(None)))


class Unwritable(Exception):
    """A value is none of what JSON has, or too much of it."""


def written(values: Mapping[str, Any] | None) -> tuple[dict[str, Any], tuple[str, ...]]:
    """
    A copy of what JSON can hold of them; tuples stay what they are.

    :returns: it, and the keys of the others.
    """
    if not values:
        return {}, ()
    kept, others = {}, []
    for key, value in values.items():
        if value.__class__ in _PLAIN:
            kept[key] = value
            continue
        try:
            kept[key] = _Copying().copy(value, 0)
        except Unwritable:
            others.append(str(key))
    return kept, tuple(others)


class _Copying:
    """Of one value."""

    def __init__(self) -> None:
        self._items = 0

    def copy(self, value: Any, depth: int) -> Any:
        """:raises Unwritable:"""
        kind = value.__class__
        if kind in _PLAIN:
            return value
        if kind is dict or kind is list or kind is tuple:
            self._items += 1 + len(value)
            if depth >= DEEPEST or self._items > MOST_ITEMS:
                raise Unwritable
            if kind is dict:
                return {self._key(key): self.copy(each, depth + 1) for key, each in value.items()}
            return kind(self.copy(each, depth + 1) for each in value)
        raise Unwritable

    @staticmethod
    def _key(key: Any) -> str:
        if key.__class__ is not str:
            raise Unwritable
        return str(key)
