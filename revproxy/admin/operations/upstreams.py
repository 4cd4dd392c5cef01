"""
Upstreams and their targets: how they are, and which of them take requests.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

from twisted.internet.defer import Deferred

from revproxy.admin.operation import Call, Handler, Operation, Parameter, Schema
from revproxy.admin.problem import Problem
from revproxy.admin.reply import SLICE
from revproxy.admin.role import Role
from revproxy.admin.shapes import COUNT, REASON, TEXT, TIME, fields, items, optional, record
from revproxy.admin.windows import FIGURES, figuresOf
from revproxy.config.settings import TargetConfig, UpstreamConfig
from revproxy.control.actor import Actor
from revproxy.control.control import Control
from revproxy.control.targetoverrides import LONGEST, MOST_WEIGHT
from revproxy.durations import DURATION, parseDuration

TARGET = record(
    url=TEXT,
    weight={**COUNT, "description": "Its share of the requests now, relative to the others."},
    configured_weight=COUNT,
    state={
        "enum": ["up", "down", "drained"],
        "description": "down: it is passed over, by one worker at least. drained: it takes no new requests.",
    },
    since=optional({**TIME, "description": "Since when it is so; null: since it is configured, as far as is known."}),
    last_failure=optional(record("The last that had it passed over.", at=TIME, text=TEXT)),
    drained=optional(record(by=TEXT, reason=TEXT, at=TIME, expires_at=optional(TIME))),
    weighed=optional(record(by=TEXT, reason=TEXT, at=TIME, expires_at=optional(TIME))),
    expires_at=optional({**TIME, "description": "When the first of the two ends by itself."}),
    in_flight={**COUNT, "description": "Requests that were sent to it and are not over."},
    queued={**COUNT, "description": "Requests that wait for a connection to it."},
    connections=COUNT,
    tunnels=COUNT,
    last_10s=FIGURES,
)

UPSTREAM = record(
    name=TEXT,
    policy=TEXT,
    state={
        "enum": ["up", "down"],
        "description": "down: no target answers, as one worker at least finds, or all are drained.",
    },
    targets={"type": "array", "items": TARGET},
)

_NAME = Parameter(
    "name", "The upstream's name.", {"type": "string", "minLength": 1, "maxLength": 256}, "path", required=True
)
_TARGET = {"type": "string", "minLength": 1, "maxLength": 2048, "description": "The target's URL, as it is configured."}
_FOR = {
    **DURATION,
    "minimum": 1,
    "maximum": LONGEST,
    "maxLength": 32,
    "description": "After this it ends by itself: seconds, or 30m. Left out: when somebody says so.",
}
_DONE = record(text={"type": "array", "items": TEXT, "description": "What was done, a sentence each."})


class _Upstreams:
    """The handlers."""

    def __init__(self, control: Control) -> None:
        self._control = control

    async def all(self, call: Call) -> Any:
        control = self._control
        await control.coordinator.crew.ask()
        found, until = [], perf_counter() + SLICE
        for name, upstream in sorted(control.coordinator.config.upstreams.items()):
            found.append(self._upstream(name, upstream))
            if perf_counter() > until:
                await self._turn()
                until = perf_counter() + SLICE
        return {"items": found}

    def _turn(self) -> Deferred[None]:
        """Let others have the loop."""
        turn: Deferred[None] = Deferred()
        self._control.coordinator.callLater(0, turn.callback, None)
        return turn

    def _upstream(self, name: str, upstream: UpstreamConfig) -> dict[str, Any]:
        return {
            "name": name,
            "policy": upstream.policy,
            "state": "down" if self._control.inbox.targets.isDown(name) else "up",
            "targets": [self._target(name, target) for target in upstream.targets],
        }

    def _target(self, upstream: str, target: TargetConfig) -> dict[str, Any]:
        control, url = self._control, target.url
        state, said = control.inbox.targets.of(upstream, url), control.overrides.of(upstream, url)
        drained, weighed, now = said.get("drain"), said.get("weight"), control.gauges.of(upstream, url)
        ends = [one.until for one in said.values() if one.until is not None]
        return {
            "url": url,
            "weight": target.weight if weighed is None else weighed.weight,
            "configured_weight": target.weight,
            "state": "drained" if drained is not None else "up" if state.isUp else "down",
            "since": state.since if drained is None else drained.at,
            "last_failure": None if state.failedAt is None else {"at": state.failedAt, "text": state.failure},
            "drained": None if drained is None else drained.asDict(),
            "weighed": None if weighed is None else weighed.asDict(),
            "expires_at": min(ends, default=None),
            "in_flight": now.inFlight,
            "queued": now.queued,
            "connections": now.connections,
            "tunnels": now.tunnels,
            "last_10s": figuresOf(control.traffic.window(10, upstream=upstream, target=url)),
        }

    async def drain(self, call: Call) -> Any:
        body, drain = call.body, self._control.overrides.drain
        return await self._do(call, "drain", lambda actor: drain(
            call.values["name"], body["target"], _seconds(body), _reason(body), actor, body.get("force", False)
        ))  # fmt: skip

    async def undrain(self, call: Call) -> Any:
        body, undrain = call.body, self._control.overrides.undrain
        return await self._do(call, "undrain", lambda actor: undrain(
            call.values["name"], body["target"], _reason(body), actor
        ))  # fmt: skip

    async def weigh(self, call: Call) -> Any:
        body, weigh = call.body, self._control.overrides.weigh
        return await self._do(call, "weight", lambda actor: weigh(
            call.values["name"], body["target"], body.get("weight"), _seconds(body), _reason(body), actor
        ))  # fmt: skip

    async def _do(self, call: Call, action: str, do: Callable[[Actor], str]) -> dict[str, Any]:
        async def done(actor: Actor) -> str:
            return do(actor)

        target = f"{call.values['name']} {call.body['target']}"
        text = await self._control.audit.around(call.actor, action, target, _reason(call.body), done)
        unwritten = await self._control.overrides.file.settled()
        return {"text": [text, *([f"in force, but not written down: {unwritten}"] if unwritten else [])]}


def _seconds(body: Any) -> float | None:
    """:raises Problem: it is no duration."""
    given = body.get("for")
    try:
        return None if given is None else parseDuration(given)
    except ValueError as error:
        raise Problem(400, f"for: {error}") from None


def _reason(body: Any) -> str:
    return str(body.get("reason") or "")


def upstreamOperations(control: Control) -> tuple[Operation, ...]:
    """All about upstreams."""
    handlers = _Upstreams(control)

    def changing(
        command: str, name: str, summary: str, handler: Handler, more: Schema | None = None, description: str = ""
    ) -> Operation:
        return Operation(
            "POST", f"/upstreams/{{name}}/{command}", Role.OPERATE, name, summary, handler, (_NAME,),
            fields("target", target=_TARGET, reason=REASON, **(more or {})), _DONE, description=description,
            problems={404: "There is no such upstream, or target.", 409: "It cannot be done; the detail says why."},
        )  # fmt: skip

    return (
        Operation(
            "GET", "/upstreams", Role.READ, "listUpstreams", "All upstreams, with their targets.", handlers.all,
            answer=items(UPSTREAM),
        ),
        changing(
            "drain", "drainTarget", "Have a target take no new requests.", handlers.drain,
            {"for": _FOR, "force": {"type": "boolean", "description": "Also if nobody else is there to answer."}},
            description="Requests that are under way go on. It is kept over restarts, and over changes of the "
                        "configuration that keep the target. Without `force`, the last that answers is not drained.",
        ),
        changing("undrain", "undrainTarget", "Have a drained target take requests again.", handlers.undrain),
        changing(
            "weight", "weighTarget", "Give a target another share of the requests.", handlers.weigh,
            {"for": _FOR, "weight": {
                "type": ["integer", "null"], "minimum": 1, "maximum": MOST_WEIGHT,
                "description": "Relative to the other targets; null: as it is configured."}},
        ),
    )  # fmt: skip


__all__ = ["UPSTREAM", "upstreamOperations"]
