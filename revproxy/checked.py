"""
Attributes that look at what is assigned to them: a mistake is told where it is made, and not where it is found.

Reading one runs no Python code of its own, for plugins read far more often than they assign. What the edge itself
assigns is sound, and goes to the slot behind the attribute.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

T = TypeVar("T")


class Checked(Generic[T]):
    """What :func:`checked` makes, for type checkers; it is a plain property."""

    if TYPE_CHECKING:

        def __get__(self, owner: object, kind: type | None = None) -> T: ...

        def __set__(self, owner: object, value: T) -> None: ...


def checked(slot: str, check: Callable[[Any], T]) -> Checked[T]:
    """
    An attribute whose value is in a slot.

    :param check: gives what is to be kept of a value that is assigned, or raises.
    """

    def assign(self: Any, value: Any) -> None:
        setattr(self, slot, check(value))

    return property(attrgetter(slot), assign)  # type: ignore[return-value]


def kept(slot: str, advice: str = "") -> Checked[Any]:
    """
    An attribute whose value is in a slot, and that only the edge assigns.

    :param advice: what to do instead.
    """

    def refuse(self: Any, value: Any) -> NoReturn:
        told = f"the edge keeps {slot.lstrip('_')} of a {type(self).__name__}; it is not assigned"
        raise AttributeError(f"{told}: {advice}" if advice else told)

    return property(attrgetter(slot), refuse)  # type: ignore[return-value]


def only(kind: type[T], advice: str) -> Callable[[Any], T]:
    """
    A check for values of one kind.

    :param advice: follows what it is not: what to do instead.
    """

    def check(value: Any) -> T:
        if not isinstance(value, kind):
            raise TypeError(f"{told(value)} is no {kind.__name__}: {advice}")
        return value

    return check


def oneOf(*values: str) -> Callable[[Any], str]:
    """A check for one of a few words."""
    words = " or ".join(map(repr, values))

    def check(value: Any) -> str:
        if value not in values:
            raise ValueError(f"it is {words}, not {value!r}")
        return str(value)

    return check


def told(value: Any) -> str:
    """A value in an error: what it is, for its content may be a secret, or long."""
    return "None" if value is None else f"a value of type {type(value).__name__}"


def text(value: Any, what: str) -> str:
    """:raises TypeError: if it is no str; ``what`` says what it was to be."""
    if not isinstance(value, str):
        raise TypeError(f"{what} is text (str), not {told(value)}")
    return value


def finalStatus(status: Any) -> int:
    """
    The status of an answer.

    :raises TypeError: if it is no int.
    :raises ValueError: if it is not from 200 to 599: those below are sent before an answer, not as one.
    """
    if not isinstance(status, int) or isinstance(status, bool):
        raise TypeError(f"a status is an int, not {told(status)}")
    if not 200 <= status <= 599:
        raise ValueError(f"a final status is from 200 to 599, not {status}")
    return int(status)


def content(data: object, name: str = "a body") -> bytes:
    """
    Bytes to be sent.

    :raises TypeError: if they are none; the text says how to make some.
    """
    if isinstance(data, bytes):
        return data
    if isinstance(data, (bytearray, memoryview)):
        return bytes(data)
    if isinstance(data, str):
        raise TypeError(f'{name} is bytes, not text (str): text.encode("utf-8")')
    if isinstance(data, (dict, list, tuple, int, float)):
        raise TypeError(f"{name} is bytes, not {told(data)}: json.dumps(…).encode()")
    raise TypeError(f"{name} is bytes, not {told(data)}")
