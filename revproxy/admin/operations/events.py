"""
Events: what has happened, and what happens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from revproxy.admin.operation import Call, Operation, Parameter
from revproxy.admin.role import Role
from revproxy.admin.shapes import COUNT, TEXT, TIME, items, optional, record
from revproxy.admin.stream import Stream, StreamEvent, Tell
from revproxy.control.control import Control
from revproxy.plan.events import Event, EventLog

MOST = 1000
"""Events that are told of at a time; so many are remembered."""

_WORD = {"type": "string", "minLength": 1, "maxLength": 256}

EVENT = record(
    number=COUNT, at=TIME, kind=TEXT, plugin=TEXT, version=TEXT, text=TEXT, traceback=TEXT,
    about={"type": "object", "additionalProperties": TEXT},
)  # fmt: skip

_KIND = Parameter("kind", "Of these kinds only.", {"type": "array", "items": _WORD, "maxItems": 50})
_PLUGIN = Parameter("plugin", "About this plugin only.", _WORD)
_AFTER = Parameter("after", "Those that come after the one with this number, the first of them.",
                   {"type": "integer", "minimum": 0, "maximum": 1 << 53})  # fmt: skip
_LIMIT = Parameter("limit", "How many.", {"type": "integer", "minimum": 1, "maximum": MOST, "default": 100})


class _Events:
    """The handlers."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    async def some(self, call: Call) -> Any:
        wanted, after, limit = _filter(call), call.values["after"], call.values["limit"]
        found = [event for event in self._log.latest(MOST) if event.number > (after or 0) and wanted(event)]
        shown = found[-limit:] if after is None else found[:limit]
        more = after is not None and len(found) > limit
        return {"items": [event.asDict() for event in shown], "next": shown[-1].number if more else None}

    async def stream(self, call: Call) -> Stream:
        wanted, last = _filter(call), call.lastEventId or ""
        after = int(last) if last.isdecimal() and len(last) < 16 else None

        def begin(tell: Tell) -> Callable[[], object]:
            def happened(event: Event) -> None:
                if wanted(event):
                    tell(StreamEvent(event.asDict(), id=str(event.number)))

            if after is not None:
                for event in self._log.latest(MOST):
                    if event.number > after:
                        happened(event)
            self._log.subscribers.append(happened)
            return lambda: self._log.subscribers.remove(happened)

        return Stream(begin)


def _filter(call: Call) -> Callable[[Event], bool]:
    kinds, plugin = frozenset(call.values["kind"] or ()), call.values["plugin"]
    return lambda event: (not kinds or event.kind in kinds) and plugin in (None, event.plugin)


def eventOperations(control: Control) -> tuple[Operation, ...]:
    """All about events."""
    handlers = _Events(control.events)
    return (
        Operation(
            "GET", "/events", Role.READ, "listEvents", "What has happened, the latest last.", handlers.some,
            (_AFTER, _KIND, _PLUGIN, _LIMIT), answer=items(EVENT, next=optional(COUNT)),
            description="Without `after` these are the last; with it the next, and `next` is the `after` of the rest.",
        ),
        Operation(
            "GET", "/events/stream", Role.READ, "streamEvents", "What happens, as it happens.", handlers.stream,
            (_KIND, _PLUGIN), answer=EVENT, streams=True,
            description="With `Last-Event-ID`, also what has happened since that one, as far as it is remembered.",
        ),
    )  # fmt: skip


__all__ = ["EVENT", "eventOperations"]
