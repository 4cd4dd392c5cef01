"""
Whose code runs now, told outside by a page of memory.
"""

from __future__ import annotations

from typing import Protocol


class Page(Protocol):
    """As `revproxy.isolation.holdpage.HoldPage`."""

    def enter(self, number: int) -> None:
        """The code of a call begins to run, or goes on."""

    def leave(self) -> None:
        """No call's code runs."""


class Holding:
    """
    Who holds the process.

    What a call has begun, it is to blame for later, too: a timer, or what is done with an answer that it has waited
    for. So whoever waits remembers :attr:`current`, and enters with that.

    :ivar current: the number of the call whose code runs; 0: no call's.
    """

    __slots__ = ("_page", "current")

    def __init__(self, page: Page) -> None:
        self._page = page
        self.current = 0

    def enter(self, number: int) -> None:
        """Code of this call runs from now on. :param number: 0: of no call."""
        self.current = number
        if number:
            self._page.enter(number)

    def leave(self) -> None:
        """Nobody's does."""
        if self.current:
            self.current = 0
            self._page.leave()
