"""
A reactor for tests whose clock is advanced and whose descriptors are real.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from time import monotonic
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

    def turn(self, seconds: float = 0) -> None:
        """
        What is due now, and what can be read and written.

        :param seconds: of the machine's clock, that may be waited for a descriptor. Our own clock stands.
        """
        self.advance(0)
        readable, writable, _ = select.select(list(self.readers), list(self.writers), [], seconds)
        for each in readable:
            if each in self.readers:
                each.doRead()
        for each in writable:
            if each in self.writers:
                each.doWrite()

    def until(self, condition: Callable[[], Any], seconds: float = 60) -> None:
        """
        Turns, until something has come true.

        :param seconds: of the machine's clock.
        :raises AssertionError: it has not.
        """
        end = monotonic() + seconds
        while not condition():
            assert monotonic() < end, f"it has not come true in {seconds} s"
            self.turn(0.02)
