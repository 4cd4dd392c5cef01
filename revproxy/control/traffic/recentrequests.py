"""
The last requests, to be searched.

They are kept as they come, encoded; a request is an object only while somebody looks at it. What workers tell is
gathered in blocks of a few hundred requests, and these go, the oldest first, when there are too many requests or bytes.
Each request has a number, which counts up from 1: a search goes on below the number that it had come to.

Searches share the loop: all of them together get a few milliseconds of it at a time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.task import Cooperator, TaskStopped
from twisted.python.failure import Failure

from revproxy.control.traffic.block import Block
from revproxy.control.traffic.livetail import LiveTail
from revproxy.control.traffic.requestfilter import RequestFilter
from revproxy.plan.words import Records
from revproxy.requestrecord import RequestRecord

MOST_SEARCHES: Final = 8
"""Searches at once."""

SLICE: Final = 0.002
"""Seconds that searches hold the loop for, and what they were at when these were over."""


class TooManySearches(Exception):
    """Another search has to wait until one of those under way is over."""


@dataclass(frozen=True, slots=True)
class Found:
    """
    What a search has found.

    :ivar items: numbers and requests, the newest first.
    :ivar next: the number below which there is more; None if there is not.
    """

    items: tuple[tuple[int, RequestRecord], ...]
    next: int | None


class RecentRequests:
    """
    The last requests of an edge.

    :ivar clock: by which they are heard of.
    :ivar count: how many there are; ``size``: their bytes.
    :ivar born: when it began to remember, in whole seconds: numbers of others are not those of this one.
    :ivar last: the number of the newest; 0 before the first.
    :ivar dropped: how many workers could not tell of.
    :ivar live: those who watch what ends now.
    """

    def __init__(self, clock: Any, remember: int, rememberBytes: int) -> None:
        """
        :param clock: provides `IReactorTime`.
        :param remember: how many are kept, at most; 0: none.
        :param rememberBytes: of all of them together.
        """
        self.count = 0
        self.size = 0
        self.last = 0
        self.born = int(clock.seconds())
        self.dropped = 0
        self.clock = clock
        self._remember = remember
        self._rememberBytes = rememberBytes
        self._blocks: deque[Block] = deque()
        self._searching = 0
        self._slices = Cooperator(self._sliceOver, lambda go: clock.callLater(0, go))
        self.live = LiveTail(self._slices)

    def adopt(self, remember: int, rememberBytes: int) -> None:
        """Keep so many from now on."""
        self._remember, self._rememberBytes = remember, rememberBytes
        self._trim()

    def told(self, worker: int, word: Records) -> None:
        """A worker tells of requests that are over."""
        self.dropped += word.dropped
        self.take(word.batch)

    def take(self, batch: bytes) -> None:
        """
        These are over.

        :param batch: an array of records, as MessagePack.
        """
        if not batch:
            return
        told = Block.of(batch, self.last + 1)
        self.last += told.count
        self.live.take(told)
        if not self._remember:
            return
        if not self._blocks or self._blocks[-1].isFull:
            self._seal()
            self._blocks.append(Block(told.first))
        self._blocks[-1].add(told, self.clock.seconds())
        self.count += told.count
        self.size += len(told.data)
        self._trim()

    def _seal(self) -> None:
        if self._blocks:
            self._blocks[-1].data = bytes(self._blocks[-1].data)

    def _trim(self) -> None:
        """Whole blocks go: there may be nearly a block more than are to be kept; but never more bytes."""
        blocks = self._blocks
        while blocks and (
            self.count - blocks[0].count >= self._remember or self.size > self._rememberBytes or not self._remember
        ):
            oldest = blocks.popleft()
            self.count -= oldest.count
            self.size -= len(oldest.data)

    # Searching

    def search(self, wanted: RequestFilter, limit: int, before: int | None = None) -> Deferred[Found]:
        """
        The newest requests that a filter fits.

        :param limit: how many, at most.
        :param before: a number; only those below it are looked at.
        :returns: cancelling it ends the search.
        :raises TooManySearches: if :data:`MOST_SEARCHES` are under way.
        """
        if self._searching >= MOST_SEARCHES:
            raise TooManySearches(f"{MOST_SEARCHES} searches are under way")
        found: list[tuple[int, RequestRecord]] = []
        task = self._slices.cooperate(self._look(wanted, limit + 1, before, found))
        self._searching += 1
        answer: Deferred[Found] = Deferred(lambda _: task.stop())

        def over(result: Any) -> None:
            self._searching -= 1
            if not isinstance(result, Failure):
                more = found[limit - 1][0] if len(found) > limit else None
                answer.callback(Found(tuple(found[:limit]), more))
            elif not result.check(TaskStopped):
                answer.errback(result)

        task.whenDone().addBoth(over)
        return answer

    def find(self, id: str) -> Deferred[Found]:
        """The newest request with an id; ``next`` tells whether older ones have it, too."""
        return self.search(RequestFilter(id=id), 1)

    def inSlices(self, steps: Iterator[None]) -> Deferred[Any]:
        """
        Do something that takes long as searches are done, a little at a time.

        :returns: cancelling it ends that.
        """
        task = self._slices.cooperate(steps)
        done: Deferred[Any] = Deferred(lambda _: task.stop())

        def over(result: Any) -> None:
            if not isinstance(result, Failure):
                done.callback(None)
            elif not result.check(TaskStopped):
                done.errback(result)

        task.whenDone().addBoth(over)
        return done

    def _look(
        self, wanted: RequestFilter, most: int, before: int | None, found: list[tuple[int, RequestRecord]]
    ) -> Iterator[None]:
        """One step is a part of a block."""
        oldest = self.last - min(self.count, self._remember) + 1
        for block in reversed(list(self._blocks)):
            if block.heardAt < wanted.since:
                return
            if before is not None and block.first >= before:
                continue
            if wanted.mayBeIn(block.data):
                for first, records in block.parts():
                    number = first + len(records)
                    for record in reversed(records):
                        number -= 1
                        if (before is None or number < before) and number >= oldest and wanted.fits(record):
                            found.append((number, record))
                            if len(found) == most:
                                return
                    yield
            yield

    def _sliceOver(self) -> Any:
        """Given to the Cooperator: asked after each step whether the loop is others' now."""
        end = self.clock.seconds() + SLICE
        return lambda: self.clock.seconds() >= end
