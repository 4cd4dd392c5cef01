"""
Plugins: what they do, and what may be done with them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from revproxy.admin.operation import Answer, Call, Operation, Parameter
from revproxy.admin.operations.outcome import OUTCOME, OUTCOMES, outcome
from revproxy.admin.operations.rolloutshapes import BRIEF, goingOn
from revproxy.admin.operations.trust import TRUST
from revproxy.admin.role import Role
from revproxy.admin.shapes import (
    COUNT,
    FLAG,
    NUMBER,
    PLUGIN,
    REASON,
    TEXT,
    TIME,
    VERSION,
    fields,
    items,
    optional,
    record,
)
from revproxy.control.actor import Actor
from revproxy.control.control import Control
from revproxy.control.steering import Asker

_LAST_FAILURE = optional({"type": "object", "description": "The last failure at work."})

_FAILURE = optional(
    record(at=TIME, stage=TEXT, version=TEXT, digest=optional(TEXT), message=TEXT, traceback=TEXT)
)

_VERSION = record(
    version=TEXT, digest=TEXT, ran_at=optional(TIME), running=FLAG,
    quarantined=optional({**TEXT, "description": "Why it was taken out; null: it was not."}),
    trial=optional(record(
        "What became of its rollout, if it never ran for all: `going`, or how it ended, and why.",
        state=TEXT, reason=TEXT,
    )),
    calls=COUNT, errors=COUNT, last_failure=_LAST_FAILURE,
)  # fmt: skip

PLUGIN_STATUS = record(
    name=TEXT,
    origin={"enum": ["directory", "dropin"]},
    version=TEXT,
    digest=optional(TEXT),
    state={"enum": ["running", "quarantined", "failed", "off", "removed"]},
    pinned=optional(record(version=TEXT, digest=TEXT, by=TEXT)),
    removed_at=optional(TIME),
    removed_because=optional(TEXT),
    required=FLAG,
    calls=COUNT,
    errors=COUNT,
    timeouts=COUNT,
    interrupts=COUNT,
    stalls=COUNT,
    self_seconds=NUMBER,
    generations_alive=COUNT,
    threads=optional({"type": "object"}),
    failure=_FAILURE,
    last_failure=_LAST_FAILURE,
    trust=TRUST,
    versions={"type": "array", "items": _VERSION},
    rollout={**optional(BRIEF), "description": "The rollout that goes on; null: none does."},
)

_DETAILS = record(
    config_schema={"description": "Of its configuration, JSON Schema; null: it has none."},
    config={
        "type": "array",
        "items": record(routes={"type": "array", "items": TEXT}, config={"type": "object"}),
        "description": "Its configuration by group of routes, without secrets.",
    },
    order={
        "type": "array",
        "items": record(routes={"type": "array", "items": TEXT}, position=COUNT, of=COUNT, rule=TEXT),
        "description": "Where it stands in the chain of each group of routes, and what put it there.",
    },
    holders={
        "type": "array",
        "items": record(at=TIME, version=TEXT, text=TEXT),
        "description": "Who seems to hold versions that should be gone; the latest first.",
    },
    figures={"type": "array", "description": "What it counts by itself."},
)

PLUGIN_DETAILS = {
    **PLUGIN_STATUS,
    "properties": {**PLUGIN_STATUS["properties"], **_DETAILS["properties"]},
    "required": [*PLUGIN_STATUS["required"], *_DETAILS["required"]],
}

_CONFIGURATION = record("The file that is in force, and why it is not what is written there.",
                        source=TEXT, failure=_FAILURE)  # fmt: skip


class _Plugins:
    """The handlers."""

    def __init__(self, control: Control) -> None:
        self._audit = control.audit
        self._view = control.pluginView
        self._rollouts = control.rollouts
        self._does: dict[str, Callable[..., Awaitable[dict[str, Any]]]] = {
            "enable": control.steering.enable,
            "disable": control.steering.disable,
            "rollback": control.steering.rollback,
            "pin": control.steering.pin,
            "unpin": control.steering.unpin,
            "reload": control.steering.reload,
        }

    async def all(self, call: Call) -> Any:
        found = await self._view.all(call.values["removed"])
        rollouts = self._goingOn()
        items = [{**each, "rollout": rollouts.get(each["name"])} for each in found]
        return {"items": items, "configuration": self._view.configuration()}

    async def one(self, call: Call) -> Any:
        name = call.values["name"]
        return {**await self._view.one(name), "rollout": self._goingOn().get(name)}

    def _goingOn(self) -> dict[str, dict[str, Any]]:
        """In brief, by each of the plugins, the rollouts that are not over."""
        views = self._rollouts.views()
        briefs = {each["id"]: each for each in goingOn(views)}
        return {name: briefs[view["id"]] for view in views if view["id"] in briefs for name in view["plugins"]}

    async def change(self, call: Call, command: str) -> Answer:
        body = dict(call.body)
        reason = body.pop("reason", None) or ""

        async def do(actor: Actor) -> Answer:
            return outcome(await self._does[command](Asker(actor, reason), **call.values, **body))

        return await self._audit.around(call.actor, command, call.values.get("name", ""), reason, do)


def pluginOperations(control: Control) -> tuple[Operation, ...]:
    """All about plugins."""
    handlers = _Plugins(control)

    def changing(command: str, summary: str, isRescue: bool = False, **members: Any) -> Operation:
        return Operation(
            "POST", f"/plugins/{{name}}/{command}", Role.OPERATE, f"{command}Plugin", summary,
            lambda call: handlers.change(call, command), (PLUGIN,), fields(reason=REASON, **members), OUTCOME,
            problems={404: "There is no such plugin.", **OUTCOMES}, isRescue=isRescue,
        )  # fmt: skip

    return (
        Operation(
            "GET", "/plugins", Role.READ, "listPlugins", "All plugins, and what they do.", handlers.all,
            (Parameter("removed", "Also those that were removed.", {"type": "boolean", "default": False}),),
            answer=items(PLUGIN_STATUS, configuration=_CONFIGURATION),
        ),
        Operation(
            "GET", "/plugins/{name}", Role.READ, "showPlugin", "All about one plugin.", handlers.one, (PLUGIN,),
            answer=PLUGIN_DETAILS, problems={404: "There is no such plugin."},
        ),
        changing("enable", "Switch a plugin on."),
        changing("disable", "Switch a plugin off.", True),
        changing("rollback", "Go back to an earlier version, by default the one that ran well before.", True,
                 version=VERSION),
        changing("pin", "Keep a plugin at a version, by default the one that runs.", True, version=VERSION),
        changing("unpin", "Let a plugin follow its folder again."),
        Operation(
            "POST", "/reload", Role.OPERATE, "reload", "Read all files now, also what failed before.",
            lambda call: handlers.change(call, "reload"), (),
            fields(reason=REASON, without_state={
                "type": "boolean", "description": "Replace even what cannot hand its state over."}),
            OUTCOME, problems=OUTCOMES,
        ),
    )  # fmt: skip


__all__ = ["PLUGIN_STATUS", "pluginOperations"]
