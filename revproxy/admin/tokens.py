"""
Which tokens there are, and whose. Of each its SHA-256 is kept, never the token.

Tokens that the edge makes are in ``tokens.json`` of the state folder. Files that ``admin.tokens`` names may have more,
which the edge only reads (`revproxy.admin.tokenfiles`): so a new token can be there before the old one goes.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from revproxy.admin.role import Role
from revproxy.admin.token import digestOf, idOf, newToken
from revproxy.control.commands import CommandError, NotThere
from revproxy.control.state.latestfile import LatestFile
from revproxy.plan.events import EventLog

MOST = 1000
"""Tokens in a file."""

LONGEST = 3650 * 86400.0
"""Seconds that a token may be good for."""

USED_INTERVAL = 60.0
"""Seconds between two notes that a token was used."""


ROLES = tuple(str(role) for role in Role)
"""Their names."""


class TokenRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """
    What is kept of a token.

    :ivar sha256: of the token, in hexadecimal digits.
    :ivar expires_at: seconds since the epoch; from then on nobody may anything with it.
    :ivar created_by: who has had it made.
    """

    id: str
    name: str
    role: str
    sha256: str
    expires_at: float
    created_at: float = 0.0
    created_by: str = ""

    def __post_init__(self) -> None:
        """:raises ValueError: it is not like a token's."""
        if self.role not in ROLES:
            raise ValueError(f"{self.name}: there is no role {self.role!r}; there are {', '.join(ROLES)}")
        if len(self.sha256) != 64 or not all(digit in "0123456789abcdef" for digit in self.sha256):
            raise ValueError(f"{self.name}: sha256 is to have 64 hexadecimal digits")
        if not self.id or not self.name or len(self.name) > 100 or not self.name.isprintable():
            raise ValueError("a token needs an id, and a name of 100 characters at most")


class TokenFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Such a file."""

    tokens: tuple[TokenRecord, ...] = ()
    used: Mapping[str, float] = {}

    def __post_init__(self) -> None:
        """:raises ValueError: there are too many."""
        if len(self.tokens) > MOST:
            raise ValueError(f"{len(self.tokens)} tokens, {MOST} are the most")
        if len({record.id for record in self.tokens}) < len(self.tokens):
            raise ValueError("two tokens have one id")


class Tokens:
    """
    All tokens of one edge.

    :ivar file: keeps those that the edge has made.
    :ivar others: those of further files, by the path of the file.
    """

    def __init__(self, file: LatestFile, events: EventLog, clock: Any) -> None:
        """
        Reads what was kept.

        :param clock: provides `IReactorTime`, in seconds since the epoch.
        """
        self.file = file
        self.others: dict[str, tuple[TokenRecord, ...]] = {}
        self._clock = clock
        kept, damaged = file.read(msgspec.json.Decoder(TokenFile).decode, TokenFile())
        if damaged is not None:
            text = f"{damaged}: nobody has a token of it any more; `revproxy token new` makes new ones"
            events.add("tokens-damaged", text)
        self._own: dict[str, TokenRecord] = {record.id: record for record in kept.tokens}
        self._used: dict[str, float] = {number: at for number, at in kept.used.items() if number in self._own}
        self._savedAt = 0.0

    def find(self, token: str) -> TokenRecord | None:
        """What is kept of a token that is good now; None if it is not, for whatever reason."""
        digest = digestOf(token)
        same = [each for each in self._called(idOf(token)) if hmac.compare_digest(each.sha256, digest)]
        found = same[0] if same else None
        if found is None or found.expires_at <= self._clock.seconds():
            return None
        self._note(found.id)
        return found

    def roleOf(self, number: str) -> Role | None:
        """What the token with this id may do now; None if there is none any more."""
        now = self._clock.seconds()
        roles = [Role.named(record.role) for record in self._called(number) if record.expires_at > now]
        return max(roles) if roles else None

    def new(self, name: str, role: Role, seconds: float, by: str) -> tuple[TokenRecord, str]:
        """
        Make one.

        :param seconds: that it is good for.
        :param by: who has it made.
        :returns: what is kept of it, and the token, which is nowhere else.
        :raises CommandError: there are too many.
        """
        self._forget()
        if len(self._own) >= MOST:
            raise CommandError(f"there are {MOST} tokens, which are the most; revoke some")
        now = self._clock.seconds()
        number, token = newToken()
        record = TokenRecord(number, name, str(role), digestOf(token), now + seconds, now, by)
        self._own[number] = record
        self._save()
        return record, token

    def revoke(self, number: str) -> TokenRecord:
        """
        End one.

        :raises NotThere: there is none.
        :raises CommandError: it is in a file that the edge only reads.
        """
        record = self._own.pop(number, None)
        if record is not None:
            self._used.pop(number, None)
            self._save()
            return record
        places = [path for path, each in self._listed() if each.id == number]
        if not places:
            raise NotThere(f"there is no token {number}; `revproxy token list` shows them")
        raise CommandError(f"the token {number} is in {places[0]}, which the edge only reads: take it out there")

    def all(self) -> list[dict[str, Any]]:
        """All of them, without what is kept of the token."""
        return [
            {
                "id": record.id,
                "name": record.name,
                "role": record.role,
                "created_at": record.created_at or None,
                "created_by": record.created_by,
                "expires_at": record.expires_at,
                "is_expired": record.expires_at <= self._clock.seconds(),
                "last_used_at": self._used.get(record.id),
                "file": path,
            }
            for path, record in self._listed()
        ]

    def stop(self) -> None:
        """The edge ends: write down when tokens were used last."""
        if any(at > self._savedAt for at in self._used.values()):
            self._save()

    def _listed(self) -> Iterable[tuple[str, TokenRecord]]:
        yield from (("", record) for record in self._own.values())
        for path, records in self.others.items():
            yield from ((path, record) for record in records)

    def _called(self, number: str | None) -> list[TokenRecord]:
        return [record for _, record in self._listed() if record.id == number]

    def _note(self, number: str) -> None:
        now = self._clock.seconds()
        if now - self._used.get(number, 0.0) >= USED_INTERVAL:
            self._used[number] = now
            if number in self._own and now - self._savedAt >= USED_INTERVAL:
                self._save()
            known = {record.id for _, record in self._listed()}
            self._used = {each: at for each, at in self._used.items() if each in known}

    def _forget(self) -> None:
        """What has expired long ago."""
        long = self._clock.seconds() - 30 * 86400
        self._own = {number: record for number, record in self._own.items() if record.expires_at > long}

    def _save(self) -> None:
        self._savedAt = self._clock.seconds()
        used = {number: at for number, at in self._used.items() if number in self._own}
        self.file.save(msgspec.json.format(msgspec.json.encode(TokenFile(tuple(self._own.values()), used))) + b"\n")


__all__ = ["LONGEST", "ROLES", "TokenFile", "TokenRecord", "Tokens"]
