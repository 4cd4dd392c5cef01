"""
Tokens: who may use the API by the admin listener.
"""

from __future__ import annotations

from typing import Any

from revproxy.admin.operation import Answer, Call, Operation, Parameter
from revproxy.admin.role import Role
from revproxy.admin.sessions import Sessions
from revproxy.admin.shapes import FLAG, REASON, TEXT, TIME, fields, items, optional, record
from revproxy.admin.stream import Streams
from revproxy.admin.token import ID
from revproxy.admin.tokens import LONGEST, ROLES, Tokens
from revproxy.control.actor import Actor
from revproxy.control.history.audit import Audit
from revproxy.durations import DURATION, parseDuration

_NAME = {
    "type": "string", "maxLength": 100, "pattern": r"^[A-Za-z0-9]([A-Za-z0-9 ._@+-]*[A-Za-z0-9])?$",
    "description": "Whose it is, or what for: letters, digits, spaces, and . _ @ + - between them.",
}  # fmt: skip
_ROLE = {"enum": list(ROLES)}

_TOKEN = record(
    id=TEXT, name=TEXT, role=_ROLE, created_at=optional(TIME), created_by=TEXT, expires_at=TIME, is_expired=FLAG,
    last_used_at=optional(TIME),
    file={**TEXT, "description": "Where it is; empty: in the edge's own state folder."},
)  # fmt: skip

_EXPIRES = {
    **DURATION, "minimum": 60, "maximum": LONGEST, "maxLength": 32, "default": "90d",
    "description": "After this it is good for nothing any more: seconds, or 90d.",
}  # fmt: skip


class _Tokens:
    """The handlers."""

    def __init__(self, tokens: Tokens, sessions: Sessions, streams: Streams, audit: Audit) -> None:
        self._tokens = tokens
        self._sessions = sessions
        self._streams = streams
        self._audit = audit

    async def all(self, call: Call) -> Any:
        return {"items": self._tokens.all()}

    async def new(self, call: Call) -> Answer:
        body = call.body
        name, role, seconds = body["name"], Role.named(body["role"]), parseDuration(body.get("expires_in", "90d"))

        async def do(actor: Actor) -> Answer:
            made, token = self._tokens.new(name, role, seconds, actor.name)
            shown = {"id": made.id, "name": name, "role": str(role), "expires_at": made.expires_at, "token": token}
            self._audit.record(
                actor, "token-new", made.id, after={"name": name, "role": str(role)}, reason=body.get("reason", "")
            )
            return Answer({**shown, "unwritten": await self._tokens.file.settled()}, 201)

        return await self._audit.around(call.actor, "token-new", name, body.get("reason", ""), do)

    async def revoke(self, call: Call) -> Any:
        number = call.values["id"]

        async def do(actor: Actor) -> Any:
            gone = self._tokens.revoke(number)
            self._sessions.revoked(number)
            self._streams.endThose(lambda listener: listener.token == number)
            text = [f"{gone.name}: the token {number} is good for nothing any more"]
            unwritten = await self._tokens.file.settled()
            if unwritten:
                text.append(f"but not written down: {unwritten}; it is good again after a restart until it can be")
            return {"text": text, "refused": []}

        return await self._audit.around(call.actor, "token-revoke", number, call.values["reason"] or "", do)


def tokenOperations(tokens: Tokens, sessions: Sessions, streams: Streams, audit: Audit) -> tuple[Operation, ...]:
    """:param streams: those of the admin listener."""
    handlers = _Tokens(tokens, sessions, streams, audit)
    return (
        Operation(
            "GET", "/tokens", Role.ADMIN, "listTokens", "All tokens, without what makes one.", handlers.all,
            answer=items(_TOKEN),
        ),
        Operation(
            "POST", "/tokens", Role.ADMIN, "newToken", "Make a token; it is shown this once.", handlers.new,
            body=fields("name", "role", name=_NAME, role=_ROLE, expires_in=_EXPIRES, reason=REASON),
            answer=record(id=TEXT, name=TEXT, role=_ROLE, expires_at=TIME, token=TEXT, unwritten={
                **TEXT, "description": "Why it would be gone after a restart; empty: it is written down.",
            }),
            problems={409: "There are too many."}, done=(201,),
        ),
        Operation(
            "DELETE", "/tokens/{id}", Role.ADMIN, "revokeToken",
            "End a token, the sessions that it has begun, and its streams.", handlers.revoke,
            (
                Parameter("id", "Of the token.", {"type": "string", "pattern": ID}, "path", required=True),
                Parameter("reason", "Why.", REASON),
            ),
            answer=record(text={"type": "array", "items": TEXT}, refused={"type": "array"}),
            problems={404: "There is none.", 409: "It is in a file that the edge only reads."},
        ),
    )  # fmt: skip


__all__ = ["tokenOperations"]
