"""
The access log: one line per request, written off the request path.

A finished request costs one ``append``. All formatting happens later, in batches, in one delayed call that is shared by
every request that finished meanwhile; the bytes then go to a *sink*, which must not block (see
`revproxy.worker.logfile`). What a line looks like, `revproxy.dataplane.accessline` says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from revproxy.dataplane.accessline import formatCombined, formatJSON
from revproxy.dataplane.accessrecord import AccessRecord

__all__ = ["AccessLog"]

_BATCH = 256
"""
Lines formatted in one turn of the loop: about 0.2 ms, so that no request waits noticeably for the log. A quarter of
those that wait, where that is more: pipelines can end more requests in a turn than these.
"""

_MANY = 1024
"""
Records that are not kept until the interval is over: each holds what a client sent, which may be kilobytes.
"""


class AccessLog:
    """
    Collects records and hands formatted lines to a sink.

    :param sink: takes whole lines; must neither block nor raise.
    :param format: ``json`` or ``combined``.
    :param clock: where the shared delayed call is made.
    :param flushInterval: seconds a record waits at most before it is formatted, when the loop keeps up.
    :param maxBuffered: records held at most. Further ones are dropped, counted, and the count is reported when the
        buffer has been emptied.
    """

    _log = Logger()

    def __init__(
        self,
        sink: Callable[[bytes], None],
        format: Literal["json", "combined"],
        clock: IReactorTime,
        flushInterval: float = 0.5,
        maxBuffered: int = 32768,
    ) -> None:
        self._sink = sink
        self._format = {"json": formatJSON, "combined": formatCombined}[format]
        self._clock = clock
        self._flushInterval = flushInterval
        self._maxBuffered = maxBuffered
        self._buffer: list[AccessRecord] = []
        self._dropped = 0
        self._timer: IDelayedCall | None = None
        self._stopped = False

    def record(self, entry: AccessRecord) -> None:
        """
        Take a record. This is all that the request path pays for its log line.
        """
        waiting = len(self._buffer)
        if waiting >= self._maxBuffered:
            self._dropped += 1
            return
        self._buffer.append(entry)
        if self._timer is None:
            self._arrange()
        elif waiting == _MANY:
            self._timer.reset(0)

    def flush(self) -> None:
        """
        Format and hand over everything that is buffered, now.
        """
        while self._buffer:
            self._handOver()
        self._reportDropped()

    def stop(self) -> None:
        """
        Flush, and leave no delayed call behind. A record that still comes after this is handed over at once.
        """
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.flush()

    def _arrange(self) -> None:
        if self._stopped:
            self.flush()
        else:
            self._timer = self._clock.callLater(self._flushInterval, self._tick)

    def _tick(self) -> None:
        """
        One batch per turn of the loop, until nothing is left.
        """
        self._timer = None
        self._handOver()
        if self._buffer:
            self._timer = self._clock.callLater(0, self._tick)
        else:
            self._reportDropped()

    def _handOver(self) -> None:
        size = max(_BATCH, len(self._buffer) // 4)
        batch = self._buffer[:size]
        del self._buffer[:size]
        try:
            lines = self._format(batch)
        except Exception:
            # One that cannot be written must not cost the others their lines.
            lines = b"".join(map(self._alone, batch))
        self._sink(lines)

    def _alone(self, entry: AccessRecord) -> bytes:
        try:
            return self._format([entry])
        except Exception:
            self._log.failure("the access log cannot have a line of request {id}", id=entry.id)
            return b""

    def _reportDropped(self) -> None:
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            self._log.warn("{dropped} access log lines were dropped: the buffer was full", dropped=dropped)
