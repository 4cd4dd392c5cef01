"""
Sessions of browsers, and codes that begin one.
"""

from __future__ import annotations

import math
from typing import Any

from revproxy.admin.attempts import Attempts
from revproxy.admin.operation import Answer, Call, Operation
from revproxy.admin.problem import Problem
from revproxy.admin.role import Role
from revproxy.admin.sessions import Session, Sessions
from revproxy.admin.shapes import TEXT, TIME, fields, optional, record
from revproxy.admin.tokens import ROLES, Tokens
from revproxy.control.actor import Actor
from revproxy.control.history.audit import Audit

_ROLE = {"enum": list(ROLES)}
_SECRET = {"type": "string", "minLength": 1, "maxLength": 200}

_WHO = record(
    name=TEXT,
    role=_ROLE,
    via={"enum": ["socket", "http"]},
    token={**TEXT, "description": "The id of the token; empty without one."},
    address=TEXT,
    expires_at=optional({**TIME, "description": "When another token is needed, or another session; null: never."}),
)


class _Sessions:
    """The handlers."""

    def __init__(self, tokens: Tokens, sessions: Sessions, attempts: Attempts, audit: Audit) -> None:
        self._tokens = tokens
        self._sessions = sessions
        self._attempts = attempts
        self._audit = audit

    async def begin(self, call: Call) -> Answer:
        if call.actor.via == "socket":
            raise Problem(409, "sessions are for browsers, at the admin listener; here nobody needs one")
        address = call.actor.address
        try:
            secret, session = self._begun(call.body)
        except Problem as problem:
            if self._attempts.failed(address):
                self._audit.record(call.actor, "login", result="refused", text=problem.detail)
            raise
        actor = Actor("http", session.name, session.token, str(session.role), address)
        self._audit.record(actor, "login")
        return Answer(_who(actor, session.expiresAt), session=secret)

    def _begun(self, body: Any) -> tuple[str, Session]:
        """:raises Problem: what was shown is not good."""
        if "code" in body:
            return self._sessions.useCode(body["code"])
        record = self._tokens.find(body["token"])
        if record is None:
            raise Problem(401, "this token is unknown, was revoked, or has expired")
        return self._sessions.begin(record.id, record.name, Role.named(record.role), record.expires_at)

    async def who(self, call: Call) -> Any:
        return _who(call.actor, call.expiresAt)

    async def end(self, call: Call) -> Answer:
        if not call.session:
            raise Problem(409, "this is no session: nothing has to be ended")
        self._sessions.end(call.session)
        return Answer({"text": ["the session has ended"], "refused": []}, session="")

    async def code(self, call: Call) -> Answer:
        role = Role.named(call.body.get("role", "admin"))
        latest = math.inf if call.expiresAt is None else call.expiresAt
        code, until = self._sessions.newCode(call.actor.token, call.actor.name, role, latest)
        self._audit.record(call.actor, "login-code-new", after={"role": str(role)})
        return Answer({"code": code, "role": str(role), "expires_at": until}, 201)


def _who(actor: Actor, expiresAt: float | None) -> dict[str, Any]:
    return {
        "name": actor.name,
        "role": actor.role,
        "via": actor.via,
        "token": actor.token,
        "address": actor.address,
        "expires_at": expiresAt,
    }


def sessionOperations(
    tokens: Tokens, sessions: Sessions, attempts: Attempts, audit: Audit
) -> tuple[Operation, ...]:
    """All about sessions."""
    handlers = _Sessions(tokens, sessions, attempts, audit)
    return (
        Operation(
            "POST", "/session", None, "beginSession",
            "For browsers: trade a token, or a code for logging in, for a cookie.", handlers.begin,
            body={**fields(token=_SECRET, code=_SECRET), "minProperties": 1, "maxProperties": 1}, answer=_WHO,
            problems={401: "What was shown is not good.", 409: "By the control socket, nobody needs one."},
        ),
        Operation("GET", "/session", Role.READ, "showSession", "Who I am, and what I may do.", handlers.who,
                  answer=_WHO),
        Operation(
            "DELETE", "/session", Role.READ, "endSession", "For browsers: log out.", handlers.end,
            answer=record(text={"type": "array", "items": TEXT}, refused={"type": "array"}),
            problems={409: "It is no session that this was asked by."},
        ),
        Operation(
            "POST", "/login-codes", Role.ADMIN, "newLoginCode",
            "Make a code that begins a session, once, within five minutes.", handlers.code,
            body=fields(role=_ROLE), answer=record(code=TEXT, role=_ROLE, expires_at=TIME), done=(201,),
        ),
    )  # fmt: skip


__all__ = ["sessionOperations"]
