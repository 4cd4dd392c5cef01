"""
Why one of the last requests went as it did.
"""

from __future__ import annotations

from typing import Any

from revproxy.admin.operation import Call, Operation, Schema
from revproxy.admin.operations.requests import ID, REQUEST, requestWithId
from revproxy.admin.role import Role
from revproxy.admin.shapes import COUNT, FLAG, TEXT, optional, record
from revproxy.control.control import Control
from revproxy.control.traffic.explanation import explanation
from revproxy.control.traffic.recordview import LONG, asDict

_NAMES: Schema = {"type": "array", "items": TEXT}
HEADERS = optional(
    record("Names of header fields, and never a value; null: nobody looked.",
           added=_NAMES, changed=_NAMES, removed=_NAMES, more=COUNT)
)  # fmt: skip
_CALL = optional(
    record("One call of the plugin; null: it was not timed, or there was none.",
           us=optional(COUNT), waited_us=optional(COUNT), headers=HEADERS)
)  # fmt: skip

PLUGIN = record(
    name=TEXT,
    version=TEXT,
    digest=optional(TEXT),
    ran={"type": ["boolean", "null"], "description": "null: that is not known."},
    decision={
        "enum": [
            "passed", "answered", "failed", "failed open", "passed over", "refused", "rerouted", "missing", "awaited",
            "not asked", "unknown",
        ],
    },
    why=optional(TEXT),
    arm={
        "enum": ["candidate", "running", None],
        "description": "Which of two versions it met, where one is rolled out; null: it is not.",
    },
    request=_CALL,
    response=_CALL,
)  # fmt: skip

_PLACE: dict[str, Schema] = {"host": optional(TEXT), "path": optional(TEXT), "answers": optional(TEXT)}
ROUTE = record(
    name=optional(TEXT), **_PLACE,
    others={"type": "array", "items": record(name=TEXT, **_PLACE, why=TEXT)},
)  # fmt: skip

ANSWERED_BY = record(
    kind={"enum": ["plugin", "upstream", "route", "edge", "nobody"]},
    name=optional(TEXT),
)

_EXPLANATION = record(
    request=REQUEST,
    because={
        "type": ["string", "null"],
        "description": "Why more is known: failed, interrupted, slow, rerouted, retried, sample; null: it is not.",
    },
    plan=record(number=COUNT, is_current=FLAG, is_known=FLAG),
    route=ROUTE,
    plugins={"type": "array", "items": PLUGIN},
    request_headers=HEADERS,
    response_headers=HEADERS,
    upstream=optional(
        record(
            name=TEXT, attempts=COUNT, chosen_upstream=optional(TEXT), chosen_target=optional(TEXT),
            tries={"type": "array", "items": record(
                target=TEXT, outcome={"enum": ["answered", "lost", "not answered"]}, why=optional(TEXT),
            )},
        )
    ),
    answered_by=ANSWERED_BY,
    phases=record(
        "Microseconds: until it was sent on, until the head of the answer, and from then on.",
        before_us=optional(COUNT), upstream_us=optional(COUNT), after_us=optional(COUNT), duration_us=COUNT,
    ),
    error=optional(TEXT),
    notes=_NAMES,
)  # fmt: skip


class _Explain:
    """The handlers."""

    def __init__(self, control: Control) -> None:
        self._control = control

    async def past(self, call: Call) -> Any:
        control = self._control
        number, found, _ = await requestWithId(control.recent, call.values["id"])
        current = control.pastPlans.current
        told = explanation(
            found, control.pastPlans.find(found.generation), 0 if current is None else current.number
        )
        return {"request": asDict(number, found, LONG), **told}


def explainOperations(control: Control) -> tuple[Operation, ...]:
    """All about why."""
    handlers = _Explain(control)
    return (
        Operation(
            "GET", "/requests/{id}/explain", Role.OBSERVE, "explainRequest", "Why a request went as it did.",
            handlers.past, (ID,), answer=_EXPLANATION,
            problems={404: "It is not among the last.", 429: "Too many searches are under way."},
            description="Routes, plugins and decisions are known of each of the last requests, times and names of "
            "header fields of those that failed, were answered by a plugin, were slow, rerouted or retried, and of a "
            "sample.",
        ),
    )  # fmt: skip


__all__ = ["explainOperations"]
