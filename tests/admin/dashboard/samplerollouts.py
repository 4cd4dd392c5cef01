"""What the double says of rollouts: one in its canary, one that went back, one that waits for somebody."""

from __future__ import annotations

import time
from typing import Any

from revproxy.admin.operations.rolloutshapes import goingOn, summary, told
from tests.admin.dashboard.samplefacts import PLUGINS, Json, Refused
from tests.admin.rolloutviews import NOW, STEPS, canary, forecast, rolledBack

_TOLD = {
    "step": "goes on to the next step", "hold": "stays in its step until somebody says otherwise",
    "resume": "goes on by what is seen", "promote": "serves everybody", "abort": "serves nobody",
}  # fmt: skip


def atNow(value: Any, shift: float) -> Any:
    """The same, as if it was now; all that is a time."""
    if isinstance(value, dict):
        return {key: atNow(each, shift) for key, each in value.items()}
    if isinstance(value, list):
        return [atNow(each, shift) for each in value]
    return value + shift if isinstance(value, float) and value > NOW - 1e6 else value


class RolloutAnswers:
    """
    How new versions earn their place; part of a `Sample`.

    :ivar rollouts: by plugin.
    """

    change: Any

    def __init__(self) -> None:
        super().__init__()
        why = "15 min are over, and 41 of 3,000 pairs were compared: nothing is shown"
        held = canary("auth", state="shadow", held=True, verdict={
            "kind": "undecided", "family": "", "odds": 0.0, "reason": why,
        })  # fmt: skip
        held["transitions"] = [*held["transitions"][:-1], {
            "at": NOW - 31, "from": "shadow", "to": "held", "reason": why, "by": "edge",
        }]  # fmt: skip
        held["step"] = {**held["step"], "index": 2, **STEPS[1], "have": 41.0, "need": 3000.0, "left_seconds": None}
        told = (canary("quota"), held, rolledBack("bot-rules"))
        self.rollouts: dict[str, Json] = {each["plugin"]: atNow(each, time.time() - NOW) for each in told}

    def rolloutOf(self, name: str) -> Json | None:
        """That of a plugin, in brief, if it goes on."""
        return next(iter(goingOn([self.rollouts[name]])), None) if name in self.rollouts else None

    def _rollouts(self, *_: Any) -> Json:
        return {"items": [summary(each) for each in self.rollouts.values()]}

    def _rollout(self, _values: Any, _body: Any, _etag: Any, name: str) -> Json:
        if name not in self.rollouts:
            raise Refused(404, f"nothing of {name} is or was rolled out")
        return told(self.rollouts[name])

    def _forecast(self, _values: Any, _body: Any, _etag: Any, name: str) -> Json:
        if name not in PLUGINS:
            raise Refused(404, f"no plugin named {name!r}")
        return forecast(name)

    def _startRollout(self, _values: Any, body: Json, _etag: Any, name: str) -> Json:
        self.rollouts[name] = atNow(canary(name), time.time() - NOW)
        self.change("rollout-start", name, f"{body['version'][:12]} is rolled out", why=body.get("reason", ""))
        return {"text": [f"{name}: {body['version'][:12]} is rolled out"], "refused": []}

    def _steerRollout(self, _values: Any, body: Json, _etag: Any, name: str, command: str) -> Json:
        rollout = self.rollouts[name]
        if command in ("promote", "abort"):
            ended = {"promote": "promoted", "abort": "aborted"}[command]
            rollout |= {"state": ended, "ended": time.time(), "step": None}
            end = {"at": time.time(), "from": "canary", "to": ended, "reason": "somebody wanted that", "by": "alice"}
            rollout["transitions"] = [*rollout["transitions"], end]
        elif command == "step":
            rollout["step"] |= {"index": 4, **STEPS[3], "since": time.time()}
        rollout["held"] = command == "hold"
        self.change(f"rollout-{command}", name, f"{name}: {_TOLD[command]}", why=body.get("reason", ""))
        return {"text": [f"{name}: {rollout['candidate']['version']} {_TOLD[command]}"], "refused": []}
