"""
The audit records: who changed what, and whether that is all that was written.
"""

from __future__ import annotations

from typing import Any

from revproxy.admin.operation import Call, Operation, Parameter
from revproxy.admin.operations.history import ACTOR
from revproxy.admin.problem import Problem
from revproxy.admin.role import Role
from revproxy.admin.shapes import COUNT, FLAG, TEXT, TIME, items, optional, record
from revproxy.control.control import Control
from revproxy.control.history.chain import Head

RECORD = record(
    seq=COUNT,
    prev={**TEXT, "description": "The hash of the record before."},
    time=TIME,
    actor=ACTOR,
    action=TEXT,
    target=TEXT,
    before_hash=optional({**TEXT, "description": "SHA-256 of what was before."}),
    after_hash=optional(TEXT),
    diff={"description": "What is different: of plans, pairs by plugin; of all else, text."},
    reason=TEXT,
    result={"enum": ["done", "refused", "failed"]},
    text=TEXT,
    hash={**TEXT, "description": "HMAC-SHA256 of all the rest."},
)

VERDICT = record(
    whole={**FLAG, "description": "Whether nothing is missing, and nothing was changed, as far as can be seen."},
    records=COUNT,
    first={**COUNT, "description": "Number of the first record that is kept."},
    head={**TEXT, "description": "SEQ:HASH of the last one; note it elsewhere."},
    problems={"type": "array", "items": TEXT},
)


class _Audit:
    """The handlers."""

    def __init__(self, control: Control) -> None:
        self._audit = control.audit

    async def all(self, call: Call) -> Any:
        limit = call.values["limit"]
        try:
            found = await self._audit.page(call.values["cursor"], limit + 1)
        except OSError as error:
            raise Problem(503, f"the audit records cannot be read: {error.strerror or error}") from None
        page = found[:limit]
        return {"items": page, "next": page[-1]["seq"] if len(found) > limit else None}

    async def verify(self, call: Call) -> Any:
        given = call.values["head"]
        try:
            head = None if given is None else Head.parse(given)
        except ValueError as error:
            raise Problem(400, f"head: {error}") from None
        try:
            verdict = await self._audit.verify(head)
        except OSError as error:
            raise Problem(503, f"the audit records cannot be read: {error.strerror or error}") from None
        return verdict.asDict()


def auditOperations(control: Control) -> tuple[Operation, ...]:
    """All about audit records."""
    handlers = _Audit(control)
    unreadable = {503: "They cannot be read now; the detail says why."}
    return (
        Operation(
            "GET", "/audit", Role.ADMIN, "listAuditRecords", "Who changed what, the newest first.", handlers.all, (
                Parameter("limit", "So many.", {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}),
                Parameter("cursor", "Only those before: `next` of the page before.",
                          {"type": "integer", "minimum": 1, "maximum": 1 << 53}),
            ), answer=items(RECORD, next=optional(COUNT)), problems=unreadable,
        ),
        Operation(
            "GET", "/audit/verify", Role.ADMIN, "verifyAuditRecords",
            "Whether the audit records are all that were written, and as they were written.", handlers.verify,
            (Parameter("head", "SEQ:HASH that was noted elsewhere: that record has to be there.",
                       {"type": "string", "maxLength": 100}),),
            answer=VERDICT, problems=unreadable,
        ),
    )  # fmt: skip


__all__ = ["auditOperations"]
