"""
Whether the edge, its machine and its configuration are well.
"""

from __future__ import annotations

from typing import Any

from revproxy.admin.doctor.check import STATES, worst
from revproxy.admin.doctor.doctor import Doctor
from revproxy.admin.operation import Call, Operation
from revproxy.admin.role import Role
from revproxy.admin.shapes import TEXT, record
from revproxy.control.control import Control

_STATE = {"type": "string", "enum": list(STATES)}

CHECK = record(
    name={**TEXT, "description": "One word for what was looked at; several may have it."},
    state=_STATE,
    text={**TEXT, "description": "What was found."},
    advice={**TEXT, "description": "What to do; empty if nothing is to be done."},
)


def doctorOperations(control: Control) -> tuple[Operation, ...]:
    """All about how the edge is."""
    doctor = Doctor(control, control.recent.clock)

    async def examine(call: Call) -> Any:
        checks = await doctor.examine()
        return {"state": worst(checks), "checks": [check.asDict() for check in checks]}

    return (
        Operation(
            "GET", "/doctor", Role.READ, "examine", "How the edge, its machine and its configuration are.", examine,
            answer=record(state=_STATE, checks={"type": "array", "items": CHECK}),
            description="Takes up to five seconds where a disk does not answer.",
        ),
    )  # fmt: skip
