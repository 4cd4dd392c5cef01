"""
What would become of a request.
"""

from __future__ import annotations

from typing import Any, Final

from revproxy.admin.operation import Call, Operation, Schema
from revproxy.admin.operations.explain import ANSWERED_BY, HEADERS, PLUGIN, ROUTE
from revproxy.admin.problem import Problem
from revproxy.admin.role import Role
from revproxy.admin.shapes import COUNT, FLAG, TEXT, fields, optional, record
from revproxy.control.control import Control
from revproxy.control.planning.placement import namesIn, ruleOf
from revproxy.control.traffic.rehearsal import Rehearsal, outcome
from revproxy.plan.words import Rehearsed

PATIENCE: Final = 3.0
"""Seconds that a worker may take; it gives up plugins earlier."""

MOST: Final = 4
"""Rehearsals at once."""

_VALUE: Schema = {"type": "string", "maxLength": 8192}
_BODY = fields(
    "url",
    method={"type": "string", "minLength": 1, "maxLength": 64, "default": "GET"},
    url={"type": "string", "minLength": 1, "maxLength": 16384, "description": "http://HOST/PATH or https://HOST/PATH."},
    headers={
        "type": "object",
        "maxProperties": 200,
        "propertyNames": {"minLength": 1, "maxLength": 256},
        "additionalProperties": {"anyOf": [_VALUE, {"type": "array", "items": _VALUE, "maxItems": 100}]},
        "description": "By name, a value or several.",
    },
    client={
        "type": "string", "minLength": 1, "maxLength": 64,
        "description": "The address that it comes from; left out: 127.0.0.1.",
    },
    server_name={
        "type": "string", "maxLength": 256,
        "description": "The name that the TLS handshake was for; left out: the host of the URL.",
    },
    plugins={**FLAG, "description": "Run it through the plugins, too. What they do besides answering is real."},
)  # fmt: skip

_TRIED = {
    **PLUGIN,
    "properties": {
        **PLUGIN["properties"],
        "decision": {"enum": [*PLUGIN["properties"]["decision"]["enum"], "not tried"]},
        "rule": {**optional(TEXT), "description": "Why it stands there: what its plugin.json says of its place."},
    },
    "required": [*PLUGIN["required"], "rule"],
}

_OUTCOME = record(
    plan={**COUNT, "description": "The number of the plan that it was tried with."},
    refused={**optional(TEXT), "description": "Why it is no request that the edge would take; null: it is one."},
    status={
        "type": ["integer", "null"],
        "description": "That it would be answered with; of one that is sent on, that of a stand-in.",
    },
    is_sent_on={**FLAG, "description": "Whether it would come to the end of its route."},
    route=ROUTE,
    methods={"type": "array", "items": TEXT, "description": "Those that the route takes; empty: all but TRACE."},
    plugins={"type": "array", "items": _TRIED},
    request_headers=HEADERS,
    response_headers=HEADERS,
    chosen_upstream=optional(TEXT),
    chosen_target=optional(TEXT),
    answered_by=ANSWERED_BY,
    error=optional(TEXT),
    notes={"type": "array", "items": TEXT},
)


class _Rehearse:
    """The handlers."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._running = 0

    async def rehearse(self, call: Call) -> Any:
        rehearsal = _rehearsalOf(call.body)
        if rehearsal.plugins and Role.named(call.actor.role) < Role.OPERATE:
            raise Problem(403, "with plugins: true it takes the role operate: what plugins do besides is real")
        if self._running >= MOST:
            raise Problem(429, f"{MOST} rehearsals are under way; ask again in a second", headers={"Retry-After": "1"})
        try:
            asked = rehearsal.word(0)
        except ValueError as error:
            raise Problem(400, str(error)) from None
        self._running += 1
        try:
            answer = await self._answer(rehearsal)
        finally:
            self._running -= 1
        return outcome(asked, answer, self._control.pastPlans.find(answer.plan), self._rules())

    async def _answer(self, rehearsal: Rehearsal) -> Rehearsed:
        """Of the first worker that answers: all have the same plan. But plugins are not run twice."""
        crew = self._control.coordinator.crew
        for worker in range(1 if rehearsal.plugins else crew.size):
            for word in await crew.question(rehearsal.word, worker, PATIENCE):
                if isinstance(word, Rehearsed):
                    return word
        raise Problem(503, "no worker has answered; see the edge's log", headers={"Retry-After": "5"})

    def _rules(self) -> dict[str, str]:
        plan = self._control.coordinator.plan
        if plan is None:
            return {}
        manifests = [selected.manifest for selected in plan.selected]
        names = namesIn(manifests)
        return {manifest.name: ruleOf(manifest, names) for manifest in manifests}


def _rehearsalOf(body: Any) -> Rehearsal:
    headers = [
        (name, value)
        for name, given in body.get("headers", {}).items()
        for value in (given if isinstance(given, list) else [given])
    ]
    return Rehearsal(
        body.get("method", "GET"), body["url"], headers, body.get("client", "127.0.0.1"), body.get("server_name"),
        body.get("plugins", False),
    )  # fmt: skip


def rehearseOperations(control: Control) -> tuple[Operation, ...]:
    """All about what would be."""
    handlers = _Rehearse(control)
    return (
        Operation(
            "POST", "/explain", Role.OBSERVE, "rehearseRequest", "What would become of a request.",
            handlers.rehearse, body=_BODY, answer=_OUTCOME, isChange=False,
            problems={
                403: "With plugins it takes the role operate.", 429: "Too many are under way.",
                503: "No worker answers.",
            },
            description="Tried with the routes that serve now, and with `plugins: true` with the plugins themselves. "
            "No origin hears of it, and nothing is counted; what plugins do besides, such as counting a client's "
            "requests, is real.",
        ),
    )  # fmt: skip


__all__ = ["rehearseOperations"]
