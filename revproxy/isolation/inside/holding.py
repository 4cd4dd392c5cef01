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

    As long as a call waits, it is to blame for whatever it has begun: a timer, or what is done with an answer that it
    has waited for. So whoever waits remembers :attr:`current`, and goes on with that. Once it is answered, nobody is:
    a timer of the plugin's own is no call's.

    :ivar current: the number of the call whose code runs; 0: no call's.
    """

    __slots__ = ("_page", "_waiting", "current")

    def __init__(self, page: Page) -> None:
        self._page = page
        self._waiting: set[int] = set()
        self.current = 0

    def enter(self, number: int) -> None:
        """Code of this call runs from now on. :param number: 0: of no call."""
        self.current = number
        if number:
            self._page.enter(number)

    def waits(self, number: int) -> None:
        """A call is not answered yet, and waits."""
        self._waiting.add(number)

    def over(self, number: int) -> None:
        """It is answered, or given up."""
        self._waiting.discard(number)

    def goOn(self, number: int) -> None:
        """What a call has begun goes on. :param number: what :attr:`current` was then."""
        self.enter(number if number in self._waiting else 0)

    def leave(self) -> None:
        """Nobody's does."""
        if self.current:
            self.current = 0
            self._page.leave()
