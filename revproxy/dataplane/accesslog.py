"""
The access log: one line per request, written off the request path.

A finished request costs one ``append``. All formatting happens later, in batches, in one delayed call that is shared by
every request that finished meanwhile; the bytes then go to a *sink*, which must not block (see
`revproxy.control.logfile`).

What a client sends ends up in these lines, so a line must not be forgeable: JSON strings are escaped by the encoder,
and in the combined format every byte that is not printable ASCII, and ``"`` and ``\\``, becomes ``\\xHH``.

The target is logged as it was sent, query included. Who puts secrets into queries finds them in the log; header values
other than Host, User-Agent and Referer are never logged.
"""

from __future__ import annotations

from collections.abc import Callable
from time import gmtime
from typing import Literal

import msgspec
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

__all__ = ["AccessLog", "AccessRecord", "formatCombined", "formatJSON"]

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MILLISECONDS = tuple(f".{n:03d}Z" for n in range(1000))
_SAFE = bytes(code for code in range(0x20, 0x7F) if code not in b'"\\')
_ESCAPES = {code: chr(code) if code in _SAFE else f"\\x{code:02x}" for code in range(256)}

_BATCH = 256
"""
Lines formatted in one turn of the loop: about 0.2 ms, so that no request waits noticeably for the log.
"""


class AccessRecord(msgspec.Struct, gc=False):
    """
    What is known of one request when it is over. A C-level struct: making one costs 0.2 µs.

    :ivar startedAt: when the head was complete, seconds since the epoch.
    :ivar duration: seconds from then to the last byte.
    :ivar id: the request id.
    :ivar peer: the client's address, without port, after trusted proxies were looked through.
    :ivar method: as on the wire.
    :ivar target: as on the wire.
    :ivar host: as on the wire.
    :ivar version: ``1.0`` or ``1.1``.
    :ivar scheme: ``http`` or ``https``.
    :ivar status: as sent; 499 when the client left before there was one.
    :ivar bytesIn: body bytes received.
    :ivar bytesOut: bytes of the answer that were written, head included.
    :ivar route: the route's name, empty when none matched.
    :ivar upstream: the target that answered or was tried last.
    :ivar upstreamSeconds: from sending the head there to receiving the answer's head.
    :ivar interruptedBy: the plugin that answered instead of the route.
    :ivar pluginErrors: plugins that failed in this request.
    :ivar pluginsSkipped: plugins that failed and were passed over because they are ``open``.
    :ivar error: a short cause when the request did not end well.
    :ivar userAgent: as on the wire; filled for the combined format only.
    :ivar referer: as on the wire.
    """

    startedAt: float
    duration: float
    id: str
    peer: str
    method: bytes
    target: bytes
    host: bytes
    version: str
    scheme: str
    status: int
    bytesIn: int = 0
    bytesOut: int = 0
    route: str = ""
    upstream: str | None = None
    upstreamSeconds: float | None = None
    interruptedBy: str | None = None
    pluginErrors: tuple[str, ...] = ()
    pluginsSkipped: tuple[str, ...] = ()
    error: str | None = None
    userAgent: bytes = b""
    referer: bytes = b""


class _Line(msgspec.Struct, gc=False, omit_defaults=True):
    """
    A record as it appears in JSON. The attributes are the keys that operators see, hence their spelling.
    """

    time: str
    id: str
    peer: str
    method: str
    scheme: str
    host: str
    target: str
    version: str
    status: int
    bytes_in: int
    bytes_out: int
    duration_us: int
    route: str = ""
    upstream: str | None = None
    upstream_us: int | None = None
    interrupted_by: str | None = None
    plugin_errors: tuple[str, ...] = ()
    plugins_skipped: tuple[str, ...] = ()
    error: str | None = None
    user_agent: str = ""
    referer: str = ""


_encoder = msgspec.json.Encoder()


def formatJSON(records: list[AccessRecord]) -> bytes:
    """
    One JSON object per line. Keys whose value is empty or unknown are left out.
    """
    lines = _jsonLines(records)
    try:
        return _encoder.encode_lines(lines)
    except UnicodeEncodeError:
        # A lone surrogate, out of some exception's text, must not cost the other lines of the batch.
        return _encoder.encode_lines([_printable(line) for line in lines])


def _jsonLines(records: list[AccessRecord]) -> list[_Line]:
    """
    Written as one loop without calls of our own: this is the part that grows with the traffic.
    """
    lines: list[_Line] = []
    second, prefix = -1, ""
    for r in records:
        now = int(r.startedAt)
        if now != second:
            second, prefix = now, "{:04d}-{:02d}-{:02d}T{:02d}:{:02d}:{:02d}".format(*gmtime(now)[:6])
        waited = r.upstreamSeconds
        lines.append(
            _Line(
                prefix + _MILLISECONDS[int((r.startedAt - now) * 1000)],
                r.id,
                r.peer,
                r.method.decode("latin-1"),
                r.scheme,
                r.host.decode("latin-1"),
                r.target.decode("latin-1"),
                r.version,
                r.status,
                r.bytesIn,
                r.bytesOut,
                int(r.duration * 1e6),
                r.route,
                r.upstream,
                None if waited is None else int(waited * 1e6),
                r.interruptedBy,
                r.pluginErrors,
                r.pluginsSkipped,
                r.error,
                r.userAgent.decode("latin-1"),
                r.referer.decode("latin-1"),
            )
        )
    return lines


def _printable(line: _Line) -> _Line:
    """
    The same line with every string free of surrogates.
    """

    def clean(value: object) -> object:
        if isinstance(value, str):
            return value.encode("utf-8", "backslashreplace").decode("utf-8")
        if isinstance(value, tuple):
            return tuple(clean(item) for item in value)
        return value

    return _Line(*(clean(value) for value in msgspec.structs.astuple(line)))  # type: ignore[arg-type]


def formatCombined(records: list[AccessRecord]) -> bytes:
    """
    The combined format of Apache and nginx; the user field is always ``-``, times are UTC.
    """
    lines: list[bytes] = []
    second, stamp = -1, b""
    for r in records:
        now = int(r.startedAt)
        if now != second:
            second, stamp = now, _combinedTime(now)
        peer = r.peer.encode("latin-1", "backslashreplace")
        version = r.version.encode("latin-1", "backslashreplace")
        wire: tuple[bytes, ...] = (peer, r.method, r.target, version, r.referer, r.userAgent)
        if b"".join(wire).translate(None, _SAFE):
            wire = tuple(map(_escape, wire))
        peer, method, target, version, referer, agent = wire
        lines.append(
            b'%b - - [%b] "%b %b HTTP/%b" %d %d "%b" "%b"\n'
            % (peer or b"-", stamp, method, target, version, r.status, r.bytesOut, referer or b"-", agent or b"-")
        )
    return b"".join(lines)


def _combinedTime(second: int) -> bytes:
    """
    ``22/Nov/2026:22:13:02 +0000``, whatever the locale.
    """
    year, month, day, hour, minute, sec = gmtime(second)[:6]
    return b"%02d/%b/%04d:%02d:%02d:%02d +0000" % (day, _MONTHS[month - 1].encode(), year, hour, minute, sec)


def _escape(wire: bytes) -> bytes:
    """
    Every byte that could end a field, a line or a terminal's patience as ``\\xHH``.
    """
    return wire.decode("latin-1").translate(_ESCAPES).encode("ascii")


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
        if len(self._buffer) >= self._maxBuffered:
            self._dropped += 1
            return
        self._buffer.append(entry)
        if self._timer is None:
            self._arrange()

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
        batch = self._buffer[:_BATCH]
        del self._buffer[:_BATCH]
        self._sink(self._format(batch))

    def _reportDropped(self) -> None:
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            self._log.warn("{dropped} access log lines were dropped: the buffer was full", dropped=dropped)
