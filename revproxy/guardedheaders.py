"""
A header section as a plugin with permissions sees it: a guard against mistakes, and no wall.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NoReturn

from revproxy.errors import NotPermitted
from revproxy.headers import Field, Headers, JoinedHeaders, _lower, joined
from revproxy.permit import FieldNames, Permit

_SET_COOKIE: Final = b"set-cookie"


class SeenFields(list[Field]):
    """Fields that are seen, all at once: to be looked at, and changed by `Headers.set` and its like."""

    __slots__ = ()

    def _refuse(self, *args: object, **kwargs: object) -> NoReturn:
        raise TypeError("with permissions, fields are changed by headers.set, add and remove, one by one")

    append = extend = insert = remove = pop = clear = sort = reverse = _refuse
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse


class GuardedHeaders(Headers):
    """
    Fields that may not be read are not there, and what may not be written raises `NotPermitted`.

    A field that may be set and not be read takes the place of those that are not seen, but for ``Set-Cookie``: each of
    them is a thing of its own, so that one more is added.
    """

    __slots__ = ("_headers", "_reads", "_writes")

    def __init__(self, headers: Headers, reads: FieldNames, writes: FieldNames) -> None:
        self._headers = headers
        self._reads = reads
        self._writes = writes

    # What fields are called here; JoinedHeaders have names of their own.

    _keyOf = staticmethod(_lower)
    """By its name in whatever case."""

    @property
    def fields(self) -> list[Field]:  # type: ignore[override]
        """Those that are seen, as on the wire. They are assigned as a whole, or looked at."""
        names, isAllBut = self._reads.names, self._reads.isAllBut
        return SeenFields([field for field in self._headers.fields if (field[0] in names) is not isAllBut])

    @fields.setter
    def fields(self, fields: Iterable[Field]) -> None:
        self.assign(fields)

    def assign(self, fields: Iterable[Field]) -> None:
        """
        Have these in the place of those that are seen. Those that are not seen stay, unless they are among these.

        :raises NotPermitted: a field would be changed that may not be written; nothing was changed.
        """
        new = [(self._rawKeyOf(lower), name, value) for lower, name, value in fields]
        before = self._headers.fields
        seen = [field for field in before if self._reads.has(field[0])]
        for name in dict.fromkeys(field[0] for field in (*seen, *new)):
            if not self._writes.has(name) and _valuesOf(seen, name) != _valuesOf(new, name):
                self._refuse(name)
        named = {field[0] for field in new} - {_SET_COOKIE}
        hidden = [field for field in before if not self._reads.has(field[0]) and field[0] not in named]
        self._headers.fields = new + hidden

    # Reading

    def get(self, name: str, default: str | None = None) -> str | None:
        """As :meth:`Headers.get`."""
        reads, key = self._reads, self._keyOf(name)
        if (key in reads.names) is reads.isAllBut:
            return default
        value = self._headers.find(key)
        return default if value is None else value.decode("latin-1").rstrip(" \t")

    def getAll(self, name: str) -> list[str]:
        """As :meth:`Headers.getAll`."""
        return self._headers.getAll(name) if self._reads.has(self._keyOf(name)) else []

    def find(self, lower: bytes) -> bytes | None:
        """As :meth:`Headers.find`."""
        return self._headers.find(lower) if self._reads.has(self._rawKeyOf(lower)) else None

    def copy(self) -> Headers:
        """A copy of what is seen, which is changed as one likes."""
        return type(self._headers)(list(self.fields))

    # Writing

    def set(self, name: str, value: str) -> None:
        """As :meth:`Headers.set`. :raises NotPermitted:"""
        key = self._permitted(name)
        if key == _SET_COOKIE and not self._reads.has(key):
            self._headers.add(name, value)
        else:
            self._headers.set(name, value)

    def add(self, name: str, value: str) -> None:
        """As :meth:`Headers.add`. :raises NotPermitted:"""
        self._permitted(name)
        self._headers.add(name, value)

    def remove(self, name: str) -> None:
        """As :meth:`Headers.remove`. :raises NotPermitted:"""
        self._permitted(name)
        self._headers.remove(name)

    def setRaw(self, lower: bytes, name: bytes, value: bytes) -> None:
        """As :meth:`Headers.setRaw`. :raises NotPermitted:"""
        self._permittedRaw(lower)
        self._headers.setRaw(lower, name, value)

    def removeRaw(self, lower: bytes) -> None:
        """As :meth:`Headers.removeRaw`. :raises NotPermitted:"""
        self._permittedRaw(lower)
        self._headers.removeRaw(lower)

    def _permitted(self, name: str) -> bytes:
        key = self._keyOf(name)
        writes = self._writes
        if (key in writes.names) is writes.isAllBut:
            self._refuse(key)
        return key

    def _permittedRaw(self, lower: bytes) -> None:
        if not self._writes.has(self._rawKeyOf(lower)):
            self._refuse(lower)

    def _rawKeyOf(self, lower: bytes) -> bytes:
        return lower

    @staticmethod
    def _refuse(lower: bytes) -> NoReturn:
        name = "-".join(part.capitalize() for part in lower.decode("latin-1").split("-"))
        raise NotPermitted(f"the change of the field {name}", f"write_headers: {name}")

    # The facades of one section are one thing.

    def __eq__(self, other: object) -> bool:
        return self._headers is (other._headers if isinstance(other, GuardedHeaders) else other)

    def __hash__(self) -> int:
        return hash(self._headers)


class GuardedJoinedHeaders(GuardedHeaders, JoinedHeaders):
    """The same, of a section in whose names hyphens and what is taken for them are one."""

    __slots__ = ()

    @staticmethod
    def _keyOf(name: str) -> bytes:  # type: ignore[override]
        return joined(_lower(name))

    def _rawKeyOf(self, lower: bytes) -> bytes:
        return joined(lower)


def guardedHeaders(headers: Headers, permit: Permit) -> Headers:
    """A section as a plugin sees it: itself, if the plugin may do with fields whatever it likes."""
    if permit.isAllFields:
        return headers
    if headers.__class__ is Headers or not isinstance(headers, JoinedHeaders):
        return GuardedHeaders(headers, permit.reads, permit.writes)
    return GuardedJoinedHeaders(headers, permit.joinedReads, permit.joinedWrites)


def unguarded(headers: Any) -> Any:
    """Headers for a message that a plugin has made: of guarded ones, a copy of what it sees."""
    return headers.copy() if isinstance(headers, GuardedHeaders) else headers


def _valuesOf(fields: Iterable[Field], lower: bytes) -> list[bytes]:
    return [field[2] for field in fields if field[0] == lower]
