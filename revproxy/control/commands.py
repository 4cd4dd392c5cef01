"""
What can be asked of a running edge, for whoever carries it there: the control socket, later an HTTP API.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class CommandError(Exception):
    """A call cannot be carried out; the text is for whoever made it."""


class Commands(Protocol):
    """The calls of one edge, by name; :class:`revproxy.control.steering.Steering` is them."""

    async def call(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """
        :return: what JSON can say.
        :raises CommandError: if there is no such call, its arguments are wrong, or it cannot be carried out.
        """


__all__ = ["CommandError", "Commands"]
