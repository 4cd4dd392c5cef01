"""
What can be asked of a running edge, for whoever carries it there: the control socket, later an HTTP API.

A command is a call by name with arguments that JSON can say. :class:`revproxy.control.steering.Steering` carries them
out; each of its methods' annotations are the types that the arguments must have.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from revproxy.errors import printable

TEXT_LIMIT = 256
"""Characters of a name or version in a request."""

RESCUES = frozenset(("disable", "rollback", "pin"))
"""Commands that wait for nobody; see `revproxy.control.precedence`."""


class CommandError(Exception):
    """A command cannot be carried out; the text is for whoever gave it."""


class NotThere(CommandError):
    """It is about something that there is not."""


class Commands(Protocol):
    """The commands that one edge takes."""

    async def call(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """
        Carry out a command.

        :return: what JSON can say.
        :raises CommandError: there is no such command, its arguments are wrong, or it cannot be carried out.
        """


_KINDS: Mapping[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    str: "a text",
    str | None: "a text or null",
}


def checkArguments(name: str, call: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    """
    Compare a command's arguments with the method that they are for.

    :param name: of the command, for messages.
    :raises CommandError: one is missing, unknown, of another type, or longer than :data:`TEXT_LIMIT`.
    """
    signature = inspect.signature(call, eval_str=True)
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise CommandError(printable(f"{name}: {error}", 200)) from None
    for key, value in arguments.items():
        wanted = signature.parameters[key].annotation
        if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
            raise CommandError(f'{name}: "{key}" is to be {_KINDS[wanted]}')
        if isinstance(value, str) and len(value) > TEXT_LIMIT:
            raise CommandError(f'{name}: "{key}" has {len(value)} characters, {TEXT_LIMIT} are the most')


__all__ = ["RESCUES", "TEXT_LIMIT", "CommandError", "Commands", "NotThere", "checkArguments"]
