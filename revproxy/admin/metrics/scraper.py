"""
Makes what Prometheus reads, when somebody asks: one slice in each turn of the event loop, once for all who wait.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Cooperator
from twisted.python.failure import Failure

from revproxy.admin.metrics.exposition import Exposition, Source

FRESH = 0.1
"""Seconds that what was made is given to others: however often somebody asks, it is not made more often."""

Chunks = tuple[bytes, ...]


class Scrape:
    """
    What was made once.

    :ivar chunks: one after the other, all of it.
    """

    def __init__(self, chunks: Chunks, inThread: Callable[..., Deferred[Any]]) -> None:
        self.chunks = chunks
        self._inThread = inThread
        self._compressed: Chunks | None = None
        self._waiting: list[Deferred[Chunks]] | None = None

    def compressed(self) -> Deferred[Chunks]:
        """The same for ``Content-Encoding: gzip``. Compressed in a thread, once for all who ask."""
        answer: Deferred[Chunks] = Deferred()
        if self._compressed is not None:
            answer.callback(self._compressed)
        elif self._waiting is not None:
            self._waiting.append(answer)
        else:
            self._waiting = [answer]
            self._inThread(_gzip, self.chunks).addBoth(self._done)
        return answer

    def _done(self, result: Any) -> None:
        waiting, self._waiting = self._waiting or [], None
        if not isinstance(result, Failure):
            self._compressed = result
        for answer in waiting:
            answer.callback(result)  # a Failure goes on as one


class Scraper:
    """
    Of one edge.
    """

    def __init__(
        self,
        clock: Any,
        gather: Callable[[], Deferred[Any]],
        settle: Callable[[], Iterator[None]],
        sources: Callable[[], Sequence[Source]],
        inThread: Callable[..., Deferred[Any]],
    ) -> None:
        """
        :param clock: provides `IReactorTime`.
        :param gather: fires when all is told that was counted; must not take long.
        :param settle: gives steps to be taken after that, one in each turn of the loop.
        :param sources: where all series come from, asked after these.
        :param inThread: runs a function, with arguments, in a thread.
        """
        self._gather = gather
        self._settle = settle
        self._sources = sources
        self._inThread = inThread
        self._exposition = Exposition()
        self._cooperator = Cooperator(
            terminationPredicateFactory=lambda: lambda: True,  # one slice in each turn
            scheduler=lambda call: clock.callLater(0, call),
        )
        self._waiting: dict[bool, list[Deferred[Scrape]]] = {}
        self._made: dict[bool, Scrape] = {}
        self._ends: dict[bool, IDelayedCall] = {}
        self._clock = clock

    def scrape(self, openMetrics: bool) -> Deferred[Scrape]:
        """
        All figures there are.

        :param openMetrics: otherwise it is Prometheus' own text format.
        """
        answer: Deferred[Scrape] = Deferred()
        if openMetrics in self._made:
            answer.callback(self._made[openMetrics])
        elif openMetrics in self._waiting:
            self._waiting[openMetrics].append(answer)
        else:
            self._waiting[openMetrics] = [answer]
            Deferred.fromCoroutine(self._make(openMetrics)).addBoth(self._answer, openMetrics)
        return answer

    def stop(self) -> None:
        """Make nothing any more; whoever waits is told so."""
        self._cooperator.stop()
        for later in self._ends.values():
            later.cancel()

    async def _make(self, openMetrics: bool) -> Scrape:
        await self._gather()
        await self._cooperator.coiterate(self._settle())
        chunks: list[bytes] = []
        await self._cooperator.coiterate(self._into(chunks, openMetrics))
        scrape = self._made[openMetrics] = Scrape(tuple(chunks), self._inThread)
        self._ends[openMetrics] = self._clock.callLater(FRESH, self._forget, openMetrics)
        return scrape

    def _forget(self, openMetrics: bool) -> None:
        del self._made[openMetrics], self._ends[openMetrics]

    def _into(self, chunks: list[bytes], openMetrics: bool) -> Iterator[None]:
        for chunk in self._exposition.slices(self._sources(), openMetrics):
            chunks.append(chunk)
            yield

    def _answer(self, result: Any, openMetrics: bool) -> None:
        for answer in self._waiting.pop(openMetrics):
            answer.callback(result)  # a Failure goes on as one


def _gzip(chunks: Chunks) -> Chunks:
    compressing = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    made = [*map(compressing.compress, chunks), compressing.flush()]
    return tuple(filter(None, made))
