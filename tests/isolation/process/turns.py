"""
A reactor for tests whose clock is advanced and whose descriptors are real.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock


class Turns(Clock):
    """
    :ivar readers, writers: whom somebody has added.
    """

    def __init__(self) -> None:
        super().__init__()
        self.readers: set[Any] = set()
        self.writers: set[Any] = set()
        self.addReader, self.removeReader = self.readers.add, self.readers.discard
        self.addWriter, self.removeWriter = self.writers.add, self.writers.discard

    def turn(self) -> None:
        """What is due now, and what can be read and written without waiting."""
        self.advance(0)
        for each in select.select(list(self.readers), [], [], 0)[0]:
            if each in self.readers:
                each.doRead()
        for each in select.select([], list(self.writers), [], 0)[1]:
            if each in self.writers:
                each.doWrite()

    def until(self, condition: Callable[[], Any], turns: int = 10_000) -> None:
        """:raises AssertionError: it has not come true."""
        for _ in range(turns):
            if condition():
                return
            self.turn()
        raise AssertionError("it has not come true")
