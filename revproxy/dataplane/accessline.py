"""
One request as a line of the access log, in one of two formats.

What a client sends ends up in these lines, so a line must neither be forgeable nor endless, and must do nothing to the
terminal of whoever reads it. JSON strings are escaped by the encoder, C1 controls and DEL by us; in the combined format
every byte that is not printable ASCII, and ``"`` and ``\\``, becomes ``\\xHH``. No line is longer than
:data:`LINE_LIMIT`: what would be is cut, field by field, and says so.

The target is logged as it was sent, query included. Clients who put secrets into queries find them in the log; what
the edge knows to be one (`revproxy.secrets`), for a plugin has put it there, is masked. Header values other than Host,
User-Agent and Referer are never logged.
"""

from __future__ import annotations

from time import gmtime
from typing import Any

import msgspec

from revproxy.logfields import LogValue
from revproxy.requestrecord import RequestRecord
from revproxy.secrets import areHidden, masked

__all__ = ["LINE_LIMIT", "formatCombined", "formatJSON"]

LINE_LIMIT = 16 * 1024
"""Bytes of a line at most, its line feed included, whatever was sent."""

_BOUNDS = {
    "id": 512,
    "peer": 256,
    "method": 128,
    "host": 512,
    "target": 8192,
    "version": 64,
    "route": 512,
    "upstream": 512,
    "interrupted_by": 128,
    "plugin_errors": 512,
    "plugins_skipped": 512,
    "error": 1024,
    "user_agent": 1024,
    "referer": 1024,
    "fields": 512,
}
"""By key, the bytes that a value has at most in a line that would be too long; with all else they stay below it."""

_WIDEST = 6
"""Bytes that one character takes at most, as ``\\u0000``."""

_CONTROLS = tuple((chr(code).encode(), b"\\u%04x" % code) for code in range(0x7F, 0xA0))
"""DEL and C1, which the encoder leaves as they are and terminals obey."""

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MILLISECONDS = tuple(f".{n:03d}Z" for n in range(1000))

_TRACE_ID = slice(3, 35)
"""Where a trace has its id."""


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
    fields: dict[str, LogValue] | None = None
    trace_id: str = ""
    cut: tuple[str, ...] = ()


_encoder = msgspec.json.Encoder()


def formatJSON(records: list[RequestRecord]) -> bytes:
    """
    One JSON object per line. Keys whose value is empty or unknown are left out; ``cut`` names those that are not whole.
    """
    lines = _jsonLines(records)
    try:
        out = _encoder.encode_lines(lines)
    except UnicodeEncodeError:
        # A lone surrogate, out of some exception's text, must not cost the other lines of the batch.
        lines = [_printable(line) for line in lines]
        out = _encoder.encode_lines(lines)
    # C1 controls are C2 80 to C2 9F. What is wrong is looked for in the whole batch: plain lines pay next to nothing.
    if b"\xc2" in out or b"\x7f" in out or not _allBounded(out):
        return b"".join(map(_fitted, lines, out.splitlines()))
    return out


def _allBounded(out: bytes) -> bool:
    """
    Whether no line is too long. Goes from line end to line end in strides of a whole limit.
    """
    at, end = 0, len(out)
    while end - at > LINE_LIMIT:
        at = out.rfind(b"\n", at, at + LINE_LIMIT) + 1
        if not at:
            return False
    return True


def _fitted(line: _Line, encoded: bytes) -> bytes:
    """
    The line with its end; cut if it has to be, and without any control character.
    """
    if len(encoded) < LINE_LIMIT:
        encoded = _escapedControls(encoded)
    if len(encoded) >= LINE_LIMIT:
        encoded = _encoded(_cutLine(line))
    return encoded + b"\n"


def _encoded(value: object) -> bytes:
    return _escapedControls(_encoder.encode(value))


def _escapedControls(encoded: bytes) -> bytes:
    if b"\xc2" in encoded or b"\x7f" in encoded:
        for raw, escape in _CONTROLS:
            encoded = encoded.replace(raw, escape)
    return encoded


def _cutLine(line: _Line) -> _Line:
    """
    The same with every value within its bound.
    """
    line = msgspec.structs.replace(line)
    cut = []
    for key, bound in _BOUNDS.items():
        value = getattr(line, key)
        kept: Any
        if isinstance(value, dict):
            kept = _cutFields(value, bound)
        else:
            kept = _cutNames(value, bound) if isinstance(value, tuple) else _cutText(value, bound)
        if kept is not value:
            setattr(line, key, kept)
            cut.append(key)
    line.cut = tuple(cut)
    return line


def _cutText(text: str | None, bound: int) -> str | None:
    """
    The beginning of a text, and how long it was. Of what came on the wire a character is a byte.
    """
    if text is None or (len(text) <= bound and len(_encoded(text)) - 2 <= bound):
        return text
    kept = text[:bound]
    if len(_encoded(kept)) - 2 > bound:
        kept = text[: bound // _WIDEST]
    return f"{kept}\u2026({len(text)} characters)"


def _cutNames(names: tuple[str, ...], bound: int) -> tuple[str, ...]:
    """
    The first of the names, and how many there were.
    """
    room = bound
    for index, name in enumerate(names):
        room -= len(name) * _WIDEST + 3
        if room < 0:
            return (*names[:index], f"\u2026({len(names)} plugins)")
    return names


def _cutFields(fields: dict[str, LogValue], bound: int) -> dict[str, LogValue]:
    """
    The first of the fields, whole.
    """
    kept: dict[str, LogValue] = {}
    for name, value in fields.items():
        bound -= len(_encoded(name)) + len(_encoded(value)) + 2
        if bound < 0:
            return kept
        kept[name] = value
    return fields


def _jsonLines(records: list[RequestRecord]) -> list[_Line]:
    """
    Written as one loop without calls of our own, unless there are secrets: this is the part that grows with the
    traffic.
    """
    lines: list[_Line] = []
    masking = areHidden()
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
                masked(r.target.decode("latin-1")) if masking else r.target.decode("latin-1"),
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
                r.userAgent.decode("latin-1") if r.userAgent else "",
                r.referer.decode("latin-1") if r.referer else "",
                r.fields or None,
                r.trace[_TRACE_ID].decode("latin-1") if r.trace else "",
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


_SAFE = bytes(code for code in range(0x20, 0x7F) if code not in b'"\\')
_UNPRINTED = {0x5C: "\ue05c", 0x22: "\ue022", 0x09: "\ue009", 0x0A: "\ue00a", 0x0D: "\ue00d"}
_COMBINED = b'%b - - [%b] "%b %b HTTP/%b" %d %d "%b" "%b"\n'
_WIRE_BOUNDS = (256, 128, 8192, 64, 2048, 2048)
"""Bytes of peer, method, target, version, referer and agent in a line that would be too long."""


def formatCombined(records: list[RequestRecord]) -> bytes:
    """
    The combined format of Apache and nginx; the user field is always ``-``, times are UTC.
    """
    lines: list[bytes] = []
    masking = areHidden()
    second, stamp = -1, b""
    for r in records:
        now = int(r.startedAt)
        if now != second:
            second, stamp = now, _combinedTime(now)
        peer = r.peer.encode("latin-1", "backslashreplace")
        version = r.version.encode("latin-1", "backslashreplace")
        target = _maskedWire(r.target) if masking else r.target
        wire: tuple[bytes, ...] = (peer, r.method, target, version, r.referer, r.userAgent)
        if b"".join(wire).translate(None, _SAFE):
            wire = tuple(map(_escape, wire))
        peer, method, target, version, referer, agent = wire
        lines.append(
            _COMBINED
            % (peer or b"-", stamp, method, target, version, r.status, r.bytesOut, referer or b"-", agent or b"-")
        )
    out = b"".join(lines)
    if _allBounded(out):
        return out
    return b"".join(
        line if len(line) <= LINE_LIMIT else _cutCombined(r) for r, line in zip(records, lines, strict=True)
    )


def _maskedWire(wire: bytes) -> bytes:
    return masked(wire.decode("latin-1")).encode("latin-1")


def _combinedTime(second: int) -> bytes:
    """
    ``22/Nov/2026:22:13:02 +0000``, whatever the locale.
    """
    year, month, day, hour, minute, sec = gmtime(second)[:6]
    return b"%02d/%b/%04d:%02d:%02d:%02d +0000" % (day, _MONTHS[month - 1].encode(), year, hour, minute, sec)


def _escape(wire: bytes) -> bytes:
    """
    Every byte that could end a field, a line or a terminal's patience as ``\\xHH``.

    By way of the interpreter's own escapes, which are twenty times as fast as a table; those it would write in two
    characters go through as private ones, ``\\ue0HH``.
    """
    text = wire.decode("latin-1")
    for code, private in _UNPRINTED.items():
        text = text.replace(chr(code), private)
    return text.encode("unicode_escape").replace(b"\\ue0", b"\\x")


def _cutCombined(r: RequestRecord) -> bytes:
    """
    The line with every value within its bound.
    """
    peer, version = (text.encode("latin-1", "backslashreplace") for text in (r.peer, r.version))
    wire = (peer, r.method, _maskedWire(r.target), version, r.referer, r.userAgent)
    peer, method, target, version, referer, agent = map(_cutBytes, wire, _WIRE_BOUNDS)
    stamp = _combinedTime(int(r.startedAt))
    return _COMBINED % (
        peer or b"-", stamp, method, target, version, r.status, r.bytesOut, referer or b"-", agent or b"-"
    )


def _cutBytes(wire: bytes, bound: int) -> bytes:
    escaped = _escape(wire[: bound + 1])
    if len(escaped) <= bound:
        return escaped
    kept = _escape(wire[:bound])
    if len(kept) > bound:
        kept = _escape(wire[: bound // 4])
    return b"%b...(%d bytes)" % (kept, len(wire))
