"""
Limits and time-outs of a worker, and how they become other ones.
"""

from __future__ import annotations

from collections.abc import Callable

from revproxy.config.settings import Config
from revproxy.plan.words import Prepare


class Bounds:
    """
    The limits and time-outs that are in force; see `Participant`.
    """

    def __init__(self, take: Callable[[Config], None]) -> None:
        """
        :param take: has all who read them read those of a configuration from now on.
        """
        self._take = take
        self._current: Config | None = None
        self._next: Config | None = None

    async def prepare(self, word: Prepare) -> None:
        """Any will do: the configuration was checked."""
        self._next = word.plan.config

    async def ready(self) -> None:
        """Nothing comes last."""

    def commit(self) -> None:
        """They hold from the next time that they are looked at."""
        if self._next is not None and self._next is not self._current:
            self._current = self._next
            self._take(self._next)
        self._next = None

    async def abandon(self) -> None:
        """Nothing has changed."""
        self._next = None
