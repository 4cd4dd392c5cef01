"""
Tells control of requests that are over: their records, encoded, some hundreds at a time.

What clients send is bounded in what travels, each value by itself, and header values do not travel at all. Text that
cannot be written (half of a surrogate pair, out of some exception) is escaped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from twisted.logger import Logger

from revproxy.plan.words import Records
from revproxy.requestrecord import RequestRecord

TARGET = 2048
"""Bytes of a request target that travel."""

NAME = 256
"""Bytes, or characters, of a host, an id, a peer, a plugin."""

METHOD = 32
"""Bytes of a method."""

ERROR = 512
"""Characters of an error."""

NAMES = 16
"""Plugins that are named as failed or passed over."""

MOST_BYTES = 256 * 1024
"""Bytes of one word, but for a record that is larger by itself."""

_encoder = msgspec.msgpack.Encoder()


class RecordReports:
    """
    Tells batches.

    :ivar lost: requests of which no record could be told, since that was taken last.
    """

    _log = Logger()

    def __init__(self, tell: Callable[[Records], None]) -> None:
        self.lost = 0
        self._tell = tell
        self._untold = 0

    def take(self, batch: list[RequestRecord]) -> None:
        """Tell them. One loop without calls of our own, unless something is long."""
        self._put([
            r
            if len(r.target) <= TARGET
            and len(r.host) <= NAME
            and len(r.id) <= NAME
            and len(r.method) <= METHOD
            and r.error is None
            and not r.userAgent
            and not r.referer
            and not r.pluginErrors
            and not r.pluginsSkipped
            else _bounded(r)
            for r in batch
        ])

    def takeLost(self) -> int:
        """:returns: :attr:`lost`, which begins anew."""
        lost, self.lost = self.lost, 0
        return lost

    def _put(self, batch: list[RequestRecord]) -> None:
        try:
            encoded = _encoder.encode(batch)
        except Exception:
            encoded, batch = self._each(batch)
        if len(encoded) > MOST_BYTES and len(batch) > 1:
            half = len(batch) // 2
            self._put(batch[:half])
            self._put(batch[half:])
            return
        untold, self._untold = self._untold, 0
        if batch or untold:
            self._tell(Records(encoded, len(batch), untold))

    def _each(self, batch: list[RequestRecord]) -> tuple[bytes, list[RequestRecord]]:
        """One that cannot be written must not cost the others their places."""
        kept = []
        for record in batch:
            try:
                record = _writable(record)
                _encoder.encode(record)
            except Exception:
                self.lost += 1
                self._untold += 1
                self._log.failure("there can be no record of request {id}", id=record.id)
            else:
                kept.append(record)
        return _encoder.encode(kept), kept


def _bounded(r: RequestRecord) -> RequestRecord:
    """The same with every value within its bound."""
    return msgspec.structs.replace(
        r,
        id=r.id[:NAME],
        peer=r.peer[:NAME],
        method=r.method[:METHOD],
        target=r.target[:TARGET],
        host=r.host[:NAME],
        pluginErrors=r.pluginErrors[:NAMES],
        pluginsSkipped=r.pluginsSkipped[:NAMES],
        error=None if r.error is None else r.error[:ERROR],
        userAgent=b"",
        referer=b"",
    )


def _writable(r: RequestRecord) -> RequestRecord:
    def clean(value: Any) -> Any:
        if isinstance(value, str):
            return value.encode("utf-8", "backslashreplace").decode("utf-8")
        if isinstance(value, tuple):
            return tuple(map(clean, value))
        if isinstance(value, dict):
            return {clean(name): clean(each) for name, each in value.items()}
        return value

    return RequestRecord(*map(clean, msgspec.structs.astuple(r)))
