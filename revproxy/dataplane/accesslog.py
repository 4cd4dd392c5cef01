"""
The access log: one line per request, written off the request path.

It takes batches of a `revproxy.dataplane.recorder.Recorder`; the bytes go to a *sink*, which must not block (see
`revproxy.worker.logfile`). What a line looks like, `revproxy.dataplane.accessline` says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from twisted.logger import Logger

from revproxy.dataplane.accessline import formatCombined, formatJSON
from revproxy.requestrecord import RequestRecord

__all__ = ["AccessLog"]


class AccessLog:
    """
    Hands formatted lines to a sink.
    """

    _log = Logger()

    def __init__(self, sink: Callable[[bytes], None], format: Literal["json", "combined"]) -> None:
        """
        :param sink: takes whole lines; must neither block nor raise.
        """
        self._sink = sink
        self._format = {"json": formatJSON, "combined": formatCombined}[format]

    def take(self, batch: list[RequestRecord]) -> None:
        """Write the lines of a batch."""
        try:
            lines = self._format(batch)
        except Exception:
            # One that cannot be written must not cost the others their lines.
            lines = b"".join(map(self._alone, batch))
        self._sink(lines)

    def _alone(self, entry: RequestRecord) -> bytes:
        try:
            return self._format([entry])
        except Exception:
            self._log.failure("the access log cannot have a line of request {id}", id=entry.id)
            return b""
