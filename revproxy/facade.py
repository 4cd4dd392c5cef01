"""
Parts of facades: attributes and methods of what stands behind one, which is in its slot ``_of``.

Each may ask its facade first whether that is permitted, by the name of a method of `revproxy.permit.Permit`.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter, methodcaller
from typing import Any

Ask = Callable[[Any, str], None]
"""Asks a permit, and is told what for. Raises `revproxy.errors.NotPermitted`."""


def shown(name: str) -> Any:
    """An attribute that is read and assigned as behind the facade."""

    def assign(self: Any, value: Any) -> None:
        setattr(self._of, name, value)

    return property(attrgetter(f"_of.{name}"), assign)


def guarded(name: str, what: str, see: Ask | None, change: Ask | None) -> Any:
    """
    An attribute that takes permission.

    :param what: it is called in errors: ``request.host``.
    :param see: asks whether it may be read; None: always. ``change``: likewise, whether it may be assigned.
    """
    read = attrgetter(f"_of.{name}")

    def look(self: Any) -> Any:
        if see is not None:
            see(self._permit, what)
        return read(self)

    def assign(self: Any, value: Any) -> None:
        if change is not None:
            change(self._permit, f"the change of {what}")
        setattr(self._of, name, value)

    return property(read if see is None else look, assign)


def calling(name: str, what: str = "", may: Ask | None = None) -> Any:
    """
    A method that is called behind the facade.

    :param may: asks whether that is permitted; None: it is. ``what``: it is called in errors.
    """

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if may is not None:
            may(self._permit, what)
        return methodcaller(name, *args, **kwargs)(self._of)

    call.__name__ = name
    return call


def writing(field: str) -> Ask:
    """Asks whether a field, or a part of the head, may be changed. :param field: its name in lower case."""
    return lambda permit, what: permit.write(field, what)
