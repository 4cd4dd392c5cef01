"""
What the commands print about requests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

Facts = Mapping[str, Any]

COLUMNS = ("time", "status", "ms", "client", "request", "route", "id", "note")

_WIDTHS = (12, 3, 8, 15)
_LONGEST = 100


def cells(request: Facts) -> Sequence[str]:
    """A line of a table."""
    asked = f"{request['method']} {request['host']}{request['target']}"
    return (
        timeOfDay(request["at"]),
        str(request["status"]),
        milliseconds(request["duration_us"]),
        request["peer"],
        asked if len(asked) <= _LONGEST else f"{asked[:_LONGEST]}…",
        request["route"] or "-",
        request["id"],
        note(request),
    )


def line(request: Facts) -> str:
    """A line by itself."""
    first = [cell.ljust(width) for cell, width in zip(cells(request), _WIDTHS, strict=False)]
    _, _, _, _, *rest = cells(request)
    return "  ".join([*first, *rest]).rstrip()


def note(request: Facts) -> str:
    """What there is to say besides."""
    notes = []
    if "interrupted_by" in request:
        notes.append(f"answered by {request['interrupted_by']}")
    for key, word in (("plugin_errors", "failed in"), ("plugins_skipped", "passed over")):
        if key in request:
            notes.append(f"{word} {', '.join(request[key])}")
    notes += [f"met {met['plugin']} {met['version']} ({met['arm']})" for met in request.get("arms", ())]
    if "attempts" in request:
        notes.append(f"{request['attempts']} targets tried")
    if "error" in request:
        notes.append(request["error"])
    return "; ".join(notes)


def milliseconds(microseconds: int) -> str:
    """With three digits."""
    return f"{microseconds / 1000:.3g}" if microseconds < 1e6 else f"{microseconds / 1000:.0f}"


def timeOfDay(at: float) -> str:
    """Here, with milliseconds; with the day if that is not today."""
    when, now = datetime.fromtimestamp(at), datetime.now()
    text = when.strftime("%H:%M:%S.") + f"{when.microsecond // 1000:03}"
    return text if when.date() == now.date() else f"{when:%Y-%m-%d} {text}"
