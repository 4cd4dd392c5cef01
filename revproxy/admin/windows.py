"""
Windows of traffic, as the API tells of them.
"""

from __future__ import annotations

from typing import Any

from revproxy.admin.shapes import COUNT, NUMBER, optional, record
from revproxy.control.traffic.window import Window

FIGURES = record(
    "Requests that were over in some time.",
    requests=COUNT,
    rate={**NUMBER, "description": "Requests per second."},
    share_4xx={**NUMBER, "description": "Of them, from 0 to 1, were answered with 4xx."},
    share_5xx={**NUMBER, "description": "Of them, from 0 to 1, were answered with 5xx."},
    p50_ms=optional({**NUMBER, "description": "Half of them took at most so many milliseconds; null without any."}),
    p95_ms=optional(NUMBER),
    p99_ms=optional(NUMBER),
)


def figuresOf(window: Window) -> dict[str, Any]:
    """As :data:`FIGURES` has it."""
    share = 1 / window.requests if window.requests else 0.0
    figures: dict[str, Any] = {
        "requests": window.requests,
        "rate": window.rate,
        "share_4xx": window.errors4xx * share,
        "share_5xx": window.errors5xx * share,
    }
    for name, q in (("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99)):
        seconds = window.quantile(q)
        figures[name] = None if seconds is None else seconds * 1000
    return figures
