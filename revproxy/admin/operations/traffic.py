"""
What went through the edge in the last hour, step by step.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from revproxy.admin.operation import Call, Operation, Parameter
from revproxy.admin.operations.figures import POINT_FIGURES, percentiles
from revproxy.admin.problem import Problem
from revproxy.admin.role import Role
from revproxy.admin.shapes import COUNT, TIME, record
from revproxy.config.problems import quoted, suggestion
from revproxy.control.control import Control
from revproxy.control.traffic.course import HOUR, MINUTE, TEN

_OF = Parameter("of", "What is looked at: everything, or one route, upstream or plugin.",
                {"enum": ["total", "route", "upstream", "plugin"], "type": "string", "default": "total"})  # fmt: skip
_NAME = Parameter("name", "Which route, upstream or plugin. The route without a name is that of requests without one.",
                  {"type": "string", "maxLength": 256, "default": ""})  # fmt: skip
_SECONDS = Parameter("seconds", "How far back.", {"type": "integer", "minimum": 1, "maximum": HOUR, "default": HOUR})
_STEP = Parameter("step", "Seconds that one point stands for: a multiple of ten; any number for the last minute.",
                  {"type": "integer", "minimum": 1, "maximum": HOUR, "default": TEN})  # fmt: skip

_POINT = record(at=TIME, **POINT_FIGURES["properties"])


class _Traffic:
    """The handler."""

    def __init__(self, control: Control) -> None:
        self._control = control

    async def traffic(self, call: Call) -> Any:
        of, name = call.values["of"], call.values["name"]
        seconds, step = call.values["seconds"], call.values["step"]
        if step % TEN and seconds > MINUTE:
            text = f"step={step} is known for the last {MINUTE} seconds only: ask for seconds={MINUTE}, or in tens"
            raise Problem(400, text)
        self._check(of, name)
        await self._control.coordinator.crew.ask()
        points = self._control.traffic.points(of, name, seconds, step)
        return {
            "step_seconds": step,
            "from": points[0][0],
            "points": [
                {
                    "at": at,
                    "requests": window.requests,
                    "errors_4xx": window.errors4xx,
                    "errors_5xx": window.errors5xx,
                    **percentiles(window),
                }
                for at, window in points
            ],
        }

    def _check(self, of: str, name: str) -> None:
        """:raises Problem: there is no such thing."""
        if of == "total":
            if name:
                raise Problem(400, f"name={quoted(name)} goes with of=route, of=upstream or of=plugin")
            return
        known = self._known(of)
        if name not in known and not (of == "route" and not name):
            raise Problem(404, f"no {of} named {quoted(name)}{suggestion(name, known)}")

    def _known(self, of: str) -> Collection[str]:
        plan = self._control.coordinator.plan
        seen = self._control.traffic.names(of)  # type: ignore[arg-type]
        if plan is None:
            return seen
        if of == "route":
            return {*seen, *(route.name for route in plan.config.routes)}
        return {*seen, *(plan.config.upstreams if of == "upstream" else (plugin.name for plugin in plan.selected))}


def trafficOperations(control: Control) -> tuple[Operation, ...]:
    """What went through the edge."""
    return (
        Operation(
            "GET", "/traffic", Role.READ, "getTraffic", "What went through the edge in the last hour, step by step.",
            _Traffic(control).traffic, (_OF, _NAME, _SECONDS, _STEP),
            answer=record(step_seconds=COUNT, points={"type": "array", "items": _POINT}, **{"from": TIME}),
            description="Of a plugin, `requests` are calls of its `handle`, `errors_4xx` requests that it answered "
                        "itself, `errors_5xx` calls that failed, and the percentiles those of its self time.",
            problems={404: "there is no such route, upstream or plugin"},
        ),
    )  # fmt: skip


__all__ = ["trafficOperations"]

