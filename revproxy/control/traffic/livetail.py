"""
The requests that end now, for whoever watches.

Each of those who watch has a filter, and a row of what fitted it and was not taken yet. Rows are short: who does not
take what is in theirs misses what comes then, and is told how many that were. Nobody else waits for them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

from twisted.internet.task import Cooperator
from twisted.logger import Logger

from revproxy.control.traffic.block import Block
from revproxy.control.traffic.requestfilter import RequestFilter
from revproxy.requestrecord import RequestRecord

MOST_TAILS: Final = 32
"""Those who may watch at once."""

ROW: Final = 512
"""Requests that wait for one who watches."""

_PENDING: Final = 32
"""Blocks that are not looked at yet."""


class TooManyTails(Exception):
    """Nobody else may watch before another has gone."""


class Tail:
    """
    One who watches.

    :ivar onMore: called when there is something to take; not again before it is taken.
    """

    def __init__(self, wanted: RequestFilter, leave: Callable[[Tail], None]) -> None:
        self.onMore: Callable[[], None] = lambda: None
        self._wanted = wanted
        self._leave = leave
        self._row: deque[tuple[int, RequestRecord]] = deque()
        self._missed = 0
        self._isTold = False

    def take(self) -> tuple[list[tuple[int, RequestRecord]], int]:
        """Numbers and requests that have come since, the oldest first, and how many were missed after these."""
        row, missed = list(self._row), self._missed
        self._row.clear()
        self._missed = 0
        self._isTold = False
        return row, missed

    def stop(self) -> None:
        """Watch no more."""
        self._row.clear()
        self._leave(self)

    def offer(self, first: int, records: list[RequestRecord]) -> None:
        """Requests have ended. :param first: the number of the first of them."""
        for number, record in enumerate(records, first):
            if self._wanted.fits(record):
                if len(self._row) < ROW:
                    self._row.append((number, record))
                else:
                    self._missed += 1
        self._tell()

    def miss(self, count: int) -> None:
        """So many requests were not even looked at."""
        self._missed += count
        self._tell()

    def _tell(self) -> None:
        if (self._row or self._missed) and not self._isTold:
            self._isTold = True
            self.onMore()


class LiveTail:
    """
    All who watch.

    :ivar tails: each of them.
    """

    _log = Logger()

    def __init__(self, slices: Cooperator) -> None:
        """:param slices: has the loop a little at a time."""
        self.tails: list[Tail] = []
        self._slices = slices
        self._pending: deque[Block] = deque()
        self._isLooking = False

    def follow(self, wanted: RequestFilter) -> Tail:
        """
        Watch from now on.

        :raises TooManyTails: if :data:`MOST_TAILS` do.
        """
        if len(self.tails) >= MOST_TAILS:
            raise TooManyTails(f"{MOST_TAILS} are watching")
        tail = Tail(wanted, self._left)
        self.tails.append(tail)
        return tail

    def take(self, block: Block) -> None:
        """Requests have ended."""
        if not self.tails:
            return
        if len(self._pending) >= _PENDING:
            for tail in list(self.tails):
                tail.miss(block.count)
            return
        self._pending.append(block)
        if not self._isLooking:
            self._isLooking = True
            looking = self._slices.cooperate(self._look()).whenDone()
            looking.addErrback(lambda failure: self._log.failure("while requests were shown", failure))

    def _look(self) -> Iterator[Any]:
        """One step is one who watches, and a part of a block."""
        try:
            while self._pending:
                block = self._pending.popleft()
                for first, records in reversed(list(block.parts())):
                    for tail in list(self.tails):
                        tail.offer(first, records)
                        yield None
                yield None
        finally:
            self._isLooking = False

    def _left(self, tail: Tail) -> None:
        if tail in self.tails:
            self.tails.remove(tail)
        if not self.tails:
            self._pending.clear()
