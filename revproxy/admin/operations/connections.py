"""
The connections of clients, as they are now.
"""

from __future__ import annotations

from typing import Any

from revproxy.admin.operation import Call, Operation, Parameter
from revproxy.admin.role import Role
from revproxy.admin.shapes import COUNT, TEXT, TIME, items, optional, record
from revproxy.control.control import Control
from revproxy.plan.counted import ConnectionNow
from revproxy.plan.words import Ask, Connections

_CONNECTION = record(
    peer=TEXT, listener=TEXT, scheme=TEXT, protocol=TEXT, since=TIME, requests=COUNT,
    state={"enum": ["idle", "head", "body", "answering", "tunnel", "closing"]},
    route=optional(TEXT), request_id=optional(TEXT), request_at=optional(TIME),
)  # fmt: skip

_LIMIT = Parameter("limit", "How many.", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100})


class _Connections:
    """The handler."""

    def __init__(self, control: Control) -> None:
        self._crew = control.coordinator.crew

    async def some(self, call: Call) -> Any:
        limit = call.values["limit"]
        answers = await self._crew.question(lambda number: Ask(number, "connections"))
        told = [word for word in answers if isinstance(word, Connections)]
        found = sorted((now for word in told for now in word.items), key=_order)
        return {"count": sum(word.count for word in told), "items": [_shown(now) for now in found[:limit]]}


def _order(now: ConnectionNow) -> tuple[bool, float]:
    return not now.requestAt, now.requestAt or now.since


def _shown(now: ConnectionNow) -> dict[str, Any]:
    hasRequest = now.requestAt > 0
    return {
        "peer": now.peer,
        "listener": now.listener,
        "scheme": now.scheme,
        "protocol": now.protocol,
        "since": now.since,
        "requests": now.requests,
        "state": now.state,
        "route": now.route if hasRequest else None,
        "request_id": now.requestId if hasRequest else None,
        "request_at": now.requestAt if hasRequest else None,
    }


def connectionOperations(control: Control) -> tuple[Operation, ...]:
    """Connections."""
    return (
        Operation(
            "GET", "/connections", Role.OBSERVE, "listConnections", "Connections of clients, as they are now.",
            _Connections(control).some, (_LIMIT,), answer=items(_CONNECTION, count=COUNT),
            description="First those with a request, the oldest request first. `count` is how many there are.",
        ),
    )  # fmt: skip


__all__ = ["connectionOperations"]
