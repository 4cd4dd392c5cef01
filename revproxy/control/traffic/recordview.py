"""
A request as people and programs see it: with the keys of the access log's JSON lines.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from revproxy.control.traffic.chainstory import armText
from revproxy.requestrecord import RequestRecord
from revproxy.secrets import areHidden, masked

SHORT: Final = 1024
"""Characters of a value where many requests are told of."""

LONG: Final = 8192
"""The same of one request."""


def asDict(number: int, record: RequestRecord, most: int = SHORT) -> dict[str, Any]:
    """
    What is known of a request, as JSON can say it. Keys that say nothing are left out, but for those that all have.

    :param number: it counts up over all requests of this edge since it began.
    :param most: characters of a text that a client, or a plugin, has chosen; ``cut`` names those that had more.
    """
    cut: list[str] = []

    def text(key: str, value: str | bytes) -> str:
        shown = value.decode("latin-1") if isinstance(value, bytes) else value
        if len(shown) <= most:
            return shown
        cut.append(key)
        return f"{shown[:most]}\u2026({len(shown)} characters)"

    shown = {
        "number": number,
        "time": timeText(record.startedAt),
        "at": round(record.startedAt, 6),
        "id": record.id,
        "peer": record.peer,
        "method": text("method", record.method),
        "scheme": record.scheme,
        "host": text("host", record.host),
        "target": text("target", _unsecret(record.target)),
        "version": record.version,
        "status": record.status,
        "bytes_in": record.bytesIn,
        "bytes_out": record.bytesOut,
        "duration_us": int(record.duration * 1e6),
        "route": record.route,
        "plan": record.generation,
        "explained": bool(record.explained),
    }
    optional = {
        "upstream": record.upstream,
        "upstream_name": record.pool,
        "upstream_us": None if record.upstreamSeconds is None else int(record.upstreamSeconds * 1e6),
        "attempts": record.attempts if record.attempts > 1 else None,
        "interrupted_by": record.interruptedBy,
        "plugin_errors": list(record.pluginErrors),
        "plugins_skipped": list(record.pluginsSkipped),
        "error": None if record.error is None else text("error", record.error),
        "fields": record.fields,
        "trace_id": record.trace[3:35].decode("latin-1"),
        "arms": [{"plugin": met.plugin, "version": met.version, "arm": armText(met)} for met in record.arms],
    }
    shown.update({key: value for key, value in optional.items() if value})
    if cut:
        shown["cut"] = cut
    return shown


def timeText(at: float) -> str:
    """A time in UTC, with milliseconds, as the access log has it."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _unsecret(target: bytes) -> str:
    text = target.decode("latin-1")
    return masked(text) if areHidden() else text
