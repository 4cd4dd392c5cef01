"""
What is answered to whoever has something changed.
"""

from __future__ import annotations

from typing import Any

from revproxy.admin.operation import Answer, Schema
from revproxy.admin.problem import Problem
from revproxy.admin.shapes import TEXT, record

OUTCOME: Schema = record(
    text={"type": "array", "items": TEXT, "description": "What was done, a sentence each."},
    refused={
        "type": "array",
        "items": record(plugin=TEXT, stage=TEXT, message=TEXT),
        "description": "What was not done. With the stage `late`, it goes on, and the events tell how it ends.",
    },
)

OUTCOMES = {
    202: "It takes longer than 0.8 s and goes on; the events tell how it ends.",
    409: "It was refused; `refused` says what, and why.",
}


def outcome(told: dict[str, Any]) -> Answer:
    """
    The answer of an operation that changes something.

    :param told: what was done, and what was refused.
    :raises Problem: nothing was done, but refused.
    """
    refused = told["refused"]
    if refused and all(one["stage"] == "late" for one in refused):
        return Answer(told, 202)
    if refused and not told["text"]:
        detail = "; ".join(f"{one['plugin']}: {one['message']}" if one["plugin"] else one["message"] for one in refused)
        raise Problem(409, detail, told)
    return Answer(told)


__all__ = ["OUTCOME", "OUTCOMES", "outcome"]
