"""
Figures of a window of time, as several operations show them.
"""

from __future__ import annotations

from typing import Any

from revproxy.admin.shapes import COUNT, NUMBER, optional, record
from revproxy.control.traffic.window import Window

_MS = optional({**NUMBER, "description": "Milliseconds; null without requests."})

FIGURES = record(
    requests=COUNT,
    rate={**NUMBER, "description": "Requests per second."},
    share_4xx={**NUMBER, "description": "Between 0 and 1."},
    share_5xx={**NUMBER, "description": "Between 0 and 1."},
    p50_ms=_MS,
    p95_ms=_MS,
    p99_ms=_MS,
)

POINT_FIGURES = record(requests=COUNT, errors_4xx=COUNT, errors_5xx=COUNT, p50_ms=_MS, p95_ms=_MS, p99_ms=_MS)


def figures(window: Window) -> dict[str, Any]:
    """As :data:`FIGURES` describes it."""
    requests = window.requests
    return {
        "requests": requests,
        "rate": round(window.rate, 3),
        "share_4xx": window.errors4xx / requests if requests else 0.0,
        "share_5xx": window.errors5xx / requests if requests else 0.0,
        **percentiles(window),
    }


def percentiles(window: Window) -> dict[str, float | None]:
    """In milliseconds."""
    found = window.quantiles(0.5, 0.95, 0.99)
    names = ("p50_ms", "p95_ms", "p99_ms")
    return {
        name: None if seconds is None else round(seconds * 1000, 3) for name, seconds in zip(names, found, strict=True)
    }


__all__ = ["FIGURES", "POINT_FIGURES", "figures", "percentiles"]
