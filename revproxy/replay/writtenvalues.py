"""
What plugins leave for each other in ``context.values``, as far as it can be written down.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from revproxy.errors import printable

MOST_ITEMS: Final = 1_000
"""Items of a value, all that is in it counted."""

DEEPEST: Final = 20
"""Lists and mappings within each other."""

_PLAIN: Final = frozenset((float, bool, type(None)))
LONGEST_NAME: Final = 100

_LARGEST: Final = 1 << 63
"""Whole numbers from there on, not everybody can write."""


class Unwritable(Exception):
    """A value is none of what JSON has, or too much of it."""


def written(values: Mapping[str, Any] | None) -> tuple[dict[str, Any], tuple[str, ...]]:
    """
    A copy of what JSON can hold of them; tuples stay what they are. Nothing of foreign objects is asked.

    :returns: it, and the keys of the others, as `nameOf` has them.
    """
    if not values:
        return {}, ()
    kept: dict[str, Any] = {}
    others = []
    for key, value in values.items():
        try:
            if len(kept) >= MOST_ITEMS:
                raise Unwritable
            kept[_key(key)] = _Copying().copy(value, 0)
        except Unwritable:
            others.append(nameOf(key))
    return kept, tuple(others)


def nameOf(key: object) -> str:
    """What a key of values is called: a text is itself; what is none, as an interface, is known by its class alone."""
    if type(key) is str:
        return key if _isWritable(key) else printable(key, LONGEST_NAME)
    return f"({printable(str(type.__getattribute__(type(key), '__name__')), LONGEST_NAME)})"


def _isWritable(text: str) -> bool:
    """Whether it has no halves of surrogate pairs, which UTF-8 does not have."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class _Copying:
    """Of one value."""

    def __init__(self) -> None:
        self._items = 0

    def copy(self, value: Any, depth: int) -> Any:
        """:raises Unwritable:"""
        kind = type(value)  # what an object says of its class may be anything
        if kind in _PLAIN or (kind is str and _isWritable(value)) or (kind is int and -_LARGEST <= value < _LARGEST):
            return value
        if kind is dict or kind is list or kind is tuple:
            self._items += 1 + len(value)
            if depth >= DEEPEST or self._items > MOST_ITEMS:
                raise Unwritable
            if kind is dict:
                return {_key(key): self.copy(each, depth + 1) for key, each in value.items()}
            return kind(self.copy(each, depth + 1) for each in value)
        raise Unwritable


def _key(key: Any) -> str:
    if type(key) is str and _isWritable(key):
        return key
    raise Unwritable
