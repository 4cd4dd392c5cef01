"""
Header fields as the edge tells them, and what a plugin has made of them.
"""

from __future__ import annotations

from revproxy.headers import Field, Headers
from revproxy.isolation.frames import Changed, Fields


class ToldHeaders(Headers):
    """
    Fields that the edge has told of: not all that there are.

    :ivar removed: names in lower case of those that the plugin has deleted, whether it saw any or not.
    """

    __slots__ = ("removed",)

    def __init__(self, fields: list[Field] | None = None) -> None:
        super().__init__(fields)
        self.removed: set[bytes] = set()

    def removeRaw(self, lower: bytes) -> None:
        """As :meth:`Headers.removeRaw`."""
        self.removed.add(lower)
        super().removeRaw(lower)


def headersOf(fields: Fields) -> Headers:
    """As plugins have them."""
    return ToldHeaders([(name.lower(), name, value) for name, value in fields])


def fieldsOf(headers: Headers) -> Fields:
    """As they are told."""
    return tuple((name, value) for _, name, value in headers.fields)


def changedFields(before: list[Field], headers: Headers) -> Changed:
    """By name, what there is to be now of each of which there was something else, or which was deleted unseen."""
    now = headers.fields
    removed: set[bytes] = getattr(headers, "removed", set())
    if before == now and not removed:
        return ()
    was, there = _grouped(before), _grouped(now)
    gone = sorted(name for name in removed if name not in was and name not in there)
    removed.clear()
    return (
        *((lower, tuple(there.get(lower, ()))) for lower in {**was, **there} if was.get(lower) != there.get(lower)),
        *((lower, ()) for lower in gone),
    )


def _grouped(fields: list[Field]) -> dict[bytes, list[tuple[bytes, bytes]]]:
    found: dict[bytes, list[tuple[bytes, bytes]]] = {}
    for lower, name, value in fields:
        found.setdefault(lower, []).append((name, value))
    return found
