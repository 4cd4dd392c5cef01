"""
The plan: what the edge is to be.
"""

from __future__ import annotations

from typing import Any

from revproxy.admin.operation import Call, Operation
from revproxy.admin.role import Role
from revproxy.config.secretnames import withoutSecrets
from revproxy.control.control import Control


def planOperations(control: Control) -> tuple[Operation, ...]:
    """All about the plan."""

    async def plan(call: Call) -> Any:
        coordinator = control.coordinator
        shown = coordinator.shown
        if shown is None:
            return {}
        told = shown.describe()
        return {**told, "config": await coordinator.files.do(withoutSecrets, told["config"])}

    return (
        Operation(
            "GET", "/plan", Role.READ, "showPlan",
            "What the edge is to be: routes, and which version of each plugin, in which order.",
            plan, answer={"type": "object", "description": "Empty while there is none."},
            description="Values under names of secrets are masked, and references are not resolved.",
        ),
    )  # fmt: skip


__all__ = ["planOperations"]
