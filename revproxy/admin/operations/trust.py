"""
Trust: whose code runs, where, and what it may touch; and granting what a plugin asks for.
"""

from __future__ import annotations

from typing import Any

from revproxy.admin.operation import Answer, Call, Operation, Parameter
from revproxy.admin.operations.configuration import WRITTEN, answered
from revproxy.admin.role import Role
from revproxy.admin.shapes import COUNT, FLAG, PLUGIN, REASON, TEXT, TIME, fields, optional, record
from revproxy.control.actor import Actor
from revproxy.control.control import Control
from revproxy.control.steering import Asker

_TEXTS = {"type": "array", "items": TEXT}
_LEVEL = optional({**TEXT, "description": "A, B or C: how well it is locked; null: nobody has looked, or not at all."})

_PERMISSIONS = optional(
    record(
        read_headers=_TEXTS, write_headers=_TEXTS, body=TEXT, respond=FLAG, upstreams=_TEXTS, store=FLAG, figures=FLAG,
        environment=_TEXTS, files=_TEXTS,
    )
)  # fmt: skip

_MISSING = {**_TEXTS, "description": "What it asks for and is not granted, such as `read_headers: Cookie`."}
_BEYOND = {**_TEXTS, "description": "What it asks for and its signer may not have granted."}

TRUST = record(
    "Whose code it is, and what it may touch; of what runs, else of what its folder has.",
    state={
        "enum": ["unchecked", "trusted", "untrusted", "revoked"],
        "description": "unchecked: nobody has to vouch for it.",
    },
    signer=optional({**TEXT, "description": "Who has signed it; null: no signature was needed."}),
    key=optional(TEXT),
    envelope=optional(TEXT),
    revision=optional(COUNT),
    verified_at=optional(TIME),
    file=optional({**TEXT, "description": "Which file is the reason that it is not trusted."}),
    rule=optional(TEXT),
    message=optional(TEXT),
    tier={"enum": ["inline", "process"], "description": "Where it runs."},
    wanted_tier={"enum": ["inline", "process"], "description": "Where it, or revproxy.yaml, has it run."},
    level=_LEVEL,
    permissions=record(
        asked={**_PERMISSIONS, "description": "Null: it does not say."},
        granted={**_PERMISSIONS, "description": "What it may touch; null: everything."},
        missing=_MISSING, beyond=_BEYOND,
    ),
    waiting=optional(record(
        "What is in its folder and may not run, or not yet.",
        version=TEXT, digest=optional(TEXT),
        stage={"enum": ["trust", "revoked", "grant"], "description": "grant: it waits until that is granted."},
        message=TEXT, asked=_PERMISSIONS,
        added={**_TEXTS, "description": "What it asks for and the version that runs does not."},
        missing=_MISSING, beyond=_BEYOND,
    )),
)  # fmt: skip

_SIGNER = record(
    name=TEXT, key=TEXT, plugins=_TEXTS, tier=TEXT, permissions=_PERMISSIONS, not_after=optional(TIME),
    is_over={**FLAG, "description": "Whether nothing new is taken that it has signed."}, is_revoked=FLAG,
    signed={**_TEXTS, "description": "Plugins that run by its word."},
)  # fmt: skip

_LOCKED = record(name=TEXT, version=TEXT, digest=TEXT, signer=optional(TEXT), earlier=COUNT)

_WHOLE = record(
    mode={"enum": ["off", "lock", "signed", "signed+lock"]},
    minimum_level=TEXT,
    level=_LEVEL,
    layers={
        "type": "array",
        "items": record(name=TEXT, enforced=FLAG, reason=optional(TEXT)),
        "description": "What locks processes on this machine; empty: nobody has looked, for no plugin needs it.",
    },
    signers={"type": "array", "items": _SIGNER},
    lock=optional(record(path=TEXT, plugins={"type": "array", "items": _LOCKED})),
    revoked=optional(record(path=TEXT, entries=_TEXTS)),
    problems={**_TEXTS, "description": "What is wrong with the files that the section trust names."},
    plugins={
        "type": "array",
        "items": {
            **TRUST,
            "properties": {"name": TEXT, **TRUST["properties"]},
            "required": ["name", *TRUST["required"]],
        },
    },
)


class _Trust:
    """The handlers."""

    def __init__(self, control: Control) -> None:
        self._audit = control.audit
        self._view = control.trustView
        self._granting = control.granting
        self._file = control.configFile

    async def whole(self, call: Call) -> Any:
        return self._view.whole()

    async def grant(self, call: Call) -> Answer:
        name, trial = call.values["name"], call.values["dry_run"]
        reason, digest = call.body.get("reason") or "", call.body.get("digest")

        async def do(actor: Actor) -> Answer:
            path = None if self._file.path is None else str(self._file.path)
            granting = self._granting.grant(Asker(actor, reason), name, digest, trial)
            return await answered(granting, trial, path)

        if trial:
            return await do(call.actor)
        made: Answer = await self._audit.around(call.actor, "grant", name, reason, do)
        return made


def trustOperations(control: Control) -> tuple[Operation, ...]:
    """All about trust."""
    handlers = _Trust(control)
    return (
        Operation(
            "GET", "/trust", Role.READ, "getTrust", "Whose code runs, where, and what it may touch.", handlers.whole,
            answer=_WHOLE,
        ),
        Operation(
            "POST", "/plugins/{name}/grant", Role.CONFIGURE, "grantPlugin",
            "Grant a plugin all that it asks for: it is written into the configuration file.", handlers.grant,
            (PLUGIN, Parameter(
                "dry_run", "Only say what would come of it.", {"type": "boolean", "default": False},
            )),
            fields(reason=REASON, digest={
                "type": ["string", "null"], "maxLength": 64,
                "description": "Of the version that somebody has looked at: if its folder has another one by now, "
                               "nothing is granted.",
            }),
            WRITTEN,
            description="A version that has waited for it runs with the same change.",
            problems={
                404: "There is no such plugin.",
                409: "It was refused, or the file cannot be written by the edge; the detail says why.",
                412: "The file was changed by somebody else meanwhile.",
                422: "With it, the text would be no configuration.",
            },
        ),
    )  # fmt: skip


__all__ = ["TRUST", "trustOperations"]
