"""
Recorded requests for tests.
"""

from __future__ import annotations

from typing import Any

import msgspec

from revproxy.replay.outcome import Outcome
from revproxy.replay.recordedcall import RecordedCall, RecordedResponse
from revproxy.replay.recordedrequest import PluginCall, RecordedRequest


def call(**more: Any) -> RecordedCall:
    """Of ``handle``, for ``GET /``; more of its members."""
    usual: dict[str, Any] = {
        "phase": "handle", "method": b"GET", "target": b"/", "host": b"shop.example", "version": "1.1",
        "scheme": "https", "headers": ((b"host", b"shop.example"),), "peer": ("192.0.2.7", 50000), "id": "r-1",
        "route": "shop",
    }  # fmt: skip
    return RecordedCall(**{**usual, **more})


def outcome(of: RecordedCall, **more: Any) -> Outcome:
    """That the call went on, and nothing was changed; more of its members."""
    usual: dict[str, Any] = {
        "verdict": True if of.phase == "handle" else None, "target": of.target, "host": of.host, "method": of.method,
        "headers": of.headers, "values": of.values,
    }  # fmt: skip
    return Outcome(**{**usual, **more})


def request(*calls: PluginCall, **more: Any) -> RecordedRequest:
    """With one call of ``quota`` if none is given."""
    made = calls or (pluginCall(),)
    usual: dict[str, Any] = {
        "id": made[0].call.id, "at": 1_800_000_000.5, "route": made[0].call.route, "calls": made,
        "origin": RecordedResponse(200, ((b"content-type", b"text/plain"),), b"hello"), "status": 200,
    }  # fmt: skip
    return RecordedRequest(**{**usual, **more})


def pluginCall(of: RecordedCall | None = None, did: Outcome | None = None, plugin: str = "quota") -> PluginCall:
    """Of version 1.0.0."""
    made = of or call()
    return PluginCall(plugin, "1.0.0", "a" * 64, made, did or outcome(made))


def replaced(value: Any, **more: Any) -> Any:
    """The same with other members."""
    return msgspec.structs.replace(value, **more)
