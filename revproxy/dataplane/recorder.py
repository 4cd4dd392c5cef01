"""
What becomes of requests that are over: one buffer for all who want to know, and one batch of them at a time.

A finished request costs one ``append``. All work happens later, in batches, in one delayed call that is shared by every
request that finished meanwhile. Whoever takes batches must not block. If the loop does not come to it, a request in
some hundreds pays for a batch at its end, so that nothing is lost however many there are, and few are held: a record
holds what a client sent, which may be kilobytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from revproxy.requestrecord import RequestRecord

__all__ = ["Recorder", "Take"]

Take = Callable[[list[RequestRecord]], None]
"""Takes a batch, whose list it leaves as it is."""

BATCH = 256
"""Records that are taken in one turn of the loop: well below a millisecond, with everything on."""

MOST_BYTES = 32 * 1024
"""Bytes of targets that are taken in one turn of the loop: what looks into them takes long for long ones."""

MOST = 1024
"""Records that wait at most."""


class Recorder:
    """
    Collects records, and hands them over in batches.

    :ivar takers: who is given each batch, in this order. May be assigned after :meth:`flush`.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, takers: Sequence[Take] = (), interval: float = 0.5) -> None:
        """
        :param clock: where the shared delayed call is made.
        :param interval: seconds a record waits at most, when the loop keeps up.
        """
        self.takers = tuple(takers)
        self._clock = clock
        self._interval = interval
        self._buffer: list[RequestRecord] = []
        self._timer: IDelayedCall | None = None
        self._stopped = False

    def record(self, entry: RequestRecord) -> None:
        """Take a record. This is all that the request path pays."""
        buffer = self._buffer
        buffer.append(entry)
        waiting = len(buffer)
        if self._timer is None:
            self._arrange()
        elif waiting == BATCH:
            self._timer.reset(0)
        elif waiting >= MOST:
            self._handOver()

    def flush(self) -> None:
        """Hand over everything that is buffered, now."""
        while self._buffer:
            self._handOver()

    def stop(self) -> None:
        """Flush, and leave no delayed call behind. A record that still comes after this is handed over at once."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.flush()

    def _arrange(self) -> None:
        if self._stopped:
            self.flush()
        else:
            self._timer = self._clock.callLater(self._interval, self._tick)

    def _tick(self) -> None:
        """One batch per turn of the loop; what is less than one waits for others."""
        self._timer = None
        count = self._handOver()
        if self._buffer and self._timer is None:
            # What was left behind because of its bytes has waited its time, too.
            seconds = self._interval if count == BATCH > len(self._buffer) else 0
            self._timer = self._clock.callLater(seconds, self._tick)

    def _handOver(self) -> int:
        """:returns: how many that were."""
        batch = self._buffer[:BATCH]
        size = 0
        for at, record in enumerate(batch):
            size += len(record.target) + len(record.referer)
            if size > MOST_BYTES and at:
                del batch[at:]
                break
        del self._buffer[: len(batch)]
        for take in self.takers:
            try:
                take(batch)
            except Exception:
                self._log.failure("a batch of {count} requests that are over", count=len(batch))
        return len(batch)
