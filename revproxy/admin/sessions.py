"""
Browsers that have shown a token, or a code that is good once, and then have a cookie.

Sessions are in memory: they end with the edge. What is kept of a cookie is its SHA-256.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256

from revproxy.admin.problem import Problem
from revproxy.admin.role import Role
from revproxy.admin.token import newCode

LASTS = 12 * 3600.0
"""Seconds after which one ends."""

IDLE = 2 * 3600.0
"""Seconds after which one ends that is not used."""

SESSIONS = 200
"""At a time; the one that was used longest ago gives way."""

OF_ONE = 20
"""Of one token: whoever has a lesser one must not log everybody else out."""

CODES = 50
"""For logging in, at a time; the oldest gives way."""

CODE_LASTS = 300.0
"""Seconds that such a code is good for."""


@dataclass(frozen=True, slots=True)
class Session:
    """
    :ivar token: the id of the token that began it; empty if a code did.
    :ivar name: of the token, or of whoever had the code made.
    :ivar expiresAt: seconds since the epoch.
    """

    token: str
    name: str
    role: Role
    expiresAt: float
    usedAt: float


@dataclass(frozen=True, slots=True)
class _Code:
    token: str
    name: str
    role: Role
    until: float
    ends: float


class Sessions:
    """Those of one edge."""

    def __init__(self, now: Callable[[], float], roleOf: Callable[[str], Role | None]) -> None:
        """
        :param now: seconds since the epoch.
        :param roleOf: what the token with an id may do now; None: there is none any more.
        """
        self._now = now
        self._roleOf = roleOf
        self._sessions: dict[str, Session] = {}  # the one that was used longest ago comes first
        self._codes: dict[str, _Code] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def begin(self, token: str, name: str, role: Role, until: float) -> tuple[str, Session]:
        """
        :param until: when it ends at the latest.
        :returns: what is in the cookie, and the session.
        """
        secret, now = newCode(), self._now()
        same = [key for key, each in self._sessions.items() if each.token == token]
        for key in same[: len(same) - OF_ONE + 1] if len(same) >= OF_ONE else ():
            del self._sessions[key]
        session = Session(token, name, role, min(until, now + LASTS), now)
        self._sessions[_key(secret)] = session
        self._sweep()
        return secret, session

    def find(self, secret: str) -> tuple[str, Session] | None:
        """The key of the session that a cookie is of, and the session; None if there is none any more."""
        key = _key(secret)
        role, session = self.roleIn(key), self._sessions.pop(key, None)
        if session is None or role is None:
            return None
        session = self._sessions[key] = replace(session, usedAt=self._now())
        return key, replace(session, role=role)

    def roleIn(self, key: str) -> Role | None:
        """
        What whoever has a session may do now: never more than its token may by now. None if it has ended. Does not
        prolong it.
        """
        session, now = self._sessions.get(key), self._now()
        if session is None or now >= session.expiresAt or now >= session.usedAt + IDLE:
            return None
        return self._least(session.token, session.role)

    def _least(self, token: str, role: Role) -> Role | None:
        now = self._roleOf(token) if token else role
        return None if now is None else min(now, role)

    def end(self, key: str) -> None:
        """End one."""
        self._sessions.pop(key, None)

    def revoked(self, token: str) -> None:
        """End those that a token has begun."""
        self._sessions = {key: session for key, session in self._sessions.items() if session.token != token}

    def newCode(self, token: str, name: str, role: Role, until: float) -> tuple[str, float]:
        """
        A code for logging in, once; and when that ends.

        :param token: the id of the token of whoever has it made: the session ends with that.
        :param until: when the session ends at the latest.
        """
        code, ends = newCode(), self._now() + CODE_LASTS
        self._codes[_key(code)] = _Code(token, name, role, until, ends)
        while len(self._codes) > CODES:
            del self._codes[next(iter(self._codes))]
        return code, ends

    def useCode(self, code: str) -> tuple[str, Session]:
        """
        Begin a session by a code, which is not good any more then; as `begin`.

        :raises Problem: it is none, was used before, or is too old.
        """
        found = self._codes.pop(_key(code), None)
        if found is None or self._now() >= found.ends or self._least(found.token, found.role) is None:
            raise Problem(401, "the code was used already, or is older than five minutes; have a new one made")
        return self.begin(found.token, found.name, found.role, found.until)

    def _sweep(self) -> None:
        now = self._now()
        for key, session in list(self._sessions.items()):
            if now >= session.expiresAt or now >= session.usedAt + IDLE or len(self._sessions) > SESSIONS:
                del self._sessions[key]


def _key(secret: str) -> str:
    return sha256(secret.encode("utf-8", "replace")).hexdigest()


__all__ = ["Session", "Sessions"]
