"""
Rollouts: how new versions earn their place, and what somebody does about it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from revproxy.admin.operation import Answer, Call, Operation, Parameter, Schema
from revproxy.admin.operations.outcome import OUTCOME, OUTCOMES, outcome
from revproxy.admin.operations.rolloutshapes import FORECAST, ROLLOUT, SUMMARY, summary, told
from revproxy.admin.problem import Problem
from revproxy.admin.role import Role
from revproxy.admin.shapes import PLUGIN, REASON, fields, items
from revproxy.config.problems import ConfigErrors
from revproxy.config.rolloutconfig import policyOfCall
from revproxy.config.rolloutpolicy import RolloutPolicy
from revproxy.control.actor import Actor
from revproxy.control.control import Control
from revproxy.control.steering import Asker

_VERSION: Schema = {
    "type": ["string", "null"],
    "minLength": 1,
    "maxLength": 256,
    "description": "A version, or the beginning of a digest: one that is stored, or that the folder has. Left out: "
                   "what the folder has.",
}

_POLICY: Schema = {
    "type": ["object", "null"],
    "maxProperties": 8,
    "description": "This time only: a mapping as under plugins.rollout.plugins.NAME in revproxy.yaml, without testers. "
                   "What it leaves out is as it is there.",
}

_LEFT: Schema = {
    "type": ["integer", "null"],
    "minimum": 1,
    "description": "The step that is to end, from 1, as `step.index` tells it: if it is in another by now, nothing is "
                   "done, and the detail says in which. Left out: that in which it is.",
}

_PLANNED = Parameter(
    "version", "Of this version; left out: of that of its folder.", {"type": "string", "maxLength": 256}
)  # fmt: skip

_NONE = {404: "There is no such plugin, or nothing of it is or was rolled out."}

_CALL = "body.policy"
"""What messages about a policy in a call begin with."""


class _Rollouts:
    """The handlers."""

    def __init__(self, control: Control) -> None:
        self._audit = control.audit
        self._control = control
        rollouts = self._rollouts = control.rollouts
        self._does: dict[str, Callable[[Asker, str], Awaitable[dict[str, Any]]]] = {
            "hold": rollouts.hold,
            "resume": rollouts.resume,
            "promote": rollouts.promote,
            "abort": rollouts.abort,
        }

    async def all(self, call: Call) -> Any:
        return {"items": [summary(view) for view in self._rollouts.views()]}

    async def one(self, call: Call) -> Any:
        view = told(self._rollouts.view(call.values["name"]))
        return view if _has(call.actor, Role.OBSERVE) else _withoutRequests(view)

    async def plan(self, call: Call) -> Any:
        return await self._rollouts.plan(call.values["name"], call.values["version"])

    async def forecast(self, call: Call) -> Any:
        name = call.values["name"]
        return await self._rollouts.plan(name, call.body.get("version"), self._policy(call, name))

    async def start(self, call: Call) -> Answer:
        name, version, reason = call.values["name"], call.body.get("version"), call.body.get("reason") or ""
        policy = self._policy(call, name)
        if not _has(call.actor, Role.CONFIGURE) and not self._rollouts.isStored(name, version):
            text = f"{version or 'what its folder has'} of {name} has never run here: to start it takes the role "
            raise Problem(403, f"{text}configure; yours is {call.actor.role}")

        async def do(actor: Actor) -> Answer:
            return outcome(await self._rollouts.start(Asker(actor, reason), name, version, policy))

        return await self._audit.around(call.actor, "rollout-start", name, reason, do)

    def _policy(self, call: Call, name: str) -> RolloutPolicy | None:
        """
        That of this call; None: the plugin's.

        :raises Problem: it is none.
        """
        given = call.body.get("policy")
        if given is None:
            return None
        usual, path = self._control.coordinator.config.plugins.rollout.policyFor(name), self._control.configFile.path
        try:
            policy = policyOfCall(given, usual, Path() if path is None else path.parent, _CALL)
        except ConfigErrors as errors:
            problems = [{"where": f"{_CALL}{each.path.removeprefix('$')}", "message": each.message}
                        for each in errors.problems]  # fmt: skip
            raise Problem(422, "; ".join(f"{each['where']}: {each['message']}" for each in problems),
                          {"problems": problems}) from None  # fmt: skip
        if any(step.replay is not None for step in policy.steps) and not _has(call.actor, Role.CONFIGURE):
            raise Problem(403, f"to have the edge read a file, replay, takes the role configure; yours is "
                               f"{call.actor.role}")  # fmt: skip
        return policy

    async def change(self, call: Call, command: str) -> Answer:
        return await self._changed(call, command, self._does[command])

    async def step(self, call: Call) -> Answer:
        left: int | None = call.body.get("from")
        return await self._changed(call, "step", lambda asker, name: self._rollouts.step(asker, name, left))

    async def _changed(
        self, call: Call, command: str, change: Callable[[Asker, str], Awaitable[dict[str, Any]]]
    ) -> Answer:
        name, reason = call.values["name"], call.body.get("reason") or ""

        async def do(actor: Actor) -> Answer:
            return outcome(await change(Asker(actor, reason), name))

        return await self._audit.around(call.actor, f"rollout-{command}", name, reason, do)


def _has(actor: Actor, role: Role) -> bool:
    return Role.named(actor.role) >= role


def _withoutRequests(view: Mapping[str, Any]) -> dict[str, Any]:
    """The same for whoever may not see anything of a request."""
    return {**view, "differences": [{**each, "examples": []} for each in view["differences"]]}


def rolloutOperations(control: Control) -> tuple[Operation, ...]:
    """All about rollouts."""
    handlers = _Rollouts(control)

    def changing(command: str, summary: str, isRescue: bool = False) -> Operation:
        return Operation(
            "POST", f"/rollouts/{{name}}/{command}", Role.OPERATE, f"{command}Rollout", summary,
            lambda call: handlers.change(call, command), (PLUGIN,), fields(reason=REASON), OUTCOME,
            problems={**_NONE, **OUTCOMES}, isRescue=isRescue,
        )  # fmt: skip

    return (
        Operation(
            "GET", "/rollouts", Role.READ, "listRollouts",
            "The rollouts: those that go on, and of each other plugin its last.", handlers.all, answer=items(SUMMARY),
        ),
        Operation(
            "GET", "/rollouts/{name}", Role.READ, "showRollout", "All about the rollout of a plugin.", handlers.one,
            (PLUGIN,), answer=ROLLOUT, problems=_NONE,
            description="It is the one that goes on, or the last. Examples of differences have something of requests "
            "in them: they take the role observe.",
        ),
        Operation(
            "GET", "/rollouts/{name}/plan", Role.READ, "planRollout",
            "How long a rollout would take, and what it cannot show.", handlers.plan, (PLUGIN, _PLANNED),
            answer=FORECAST,
            problems={404: "There is no such plugin.", 409: "Nothing can be said; the detail says why."},
            description="By the traffic of the last hour. Nothing is begun.",
        ),
        Operation(
            "POST", "/rollouts/{name}/plan", Role.READ, "forecastRollout",
            "The same, of other steps than those of the configuration.", handlers.forecast, (PLUGIN,),
            fields(version=_VERSION, policy=_POLICY), FORECAST, isChange=False,
            problems={403: "What reads files takes the role configure.", 404: "There is no such plugin.",
                      409: "Nothing can be said; the detail says why.",
                      422: "That is no policy; `problems` says where, and why."},
        ),
        Operation(
            "POST", "/rollouts/{name}/start", Role.OPERATE, "startRollout", "Roll a version of a plugin out.",
            handlers.start, (PLUGIN,), fields(version=_VERSION, policy=_POLICY, reason=REASON), OUTCOME,
            problems={
                403: "What has never run here, and what reads files, takes the role configure.",
                404: "There is no such plugin.", 422: "That is no policy; `problems` says where, and why.", **OUTCOMES,
            },
        ),
        Operation(
            "POST", "/rollouts/{name}/step", Role.OPERATE, "stepRollout", "Go on to the next step, whatever was seen.",
            handlers.step, (PLUGIN,), fields(reason=REASON, **{"from": _LEFT}), OUTCOME, problems={**_NONE, **OUTCOMES},
            description="The last one is followed by nothing: the candidate serves everybody then.",
        ),
        changing("hold", "Stay in this step; a candidate that is worse still goes back."),
        changing("resume", "Go on by what is seen."),
        changing("promote", "Have the candidate serve everybody."),
        changing("abort", "Have the candidate serve nobody.", True),
    )  # fmt: skip


__all__ = ["rolloutOperations"]
