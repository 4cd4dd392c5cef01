"""
What heads of requests and responses have in common, and how a body can be delimited (RFC 9112 §6).

llhttp (through httptools) tokenises a head; what it leaves to us is checked in
:mod:`~revproxy.dataplane.http1.requesthead`, :mod:`~revproxy.dataplane.http1.responsehead` and
:mod:`~revproxy.dataplane.http1.bodycoding`: pure functions on bytes. Everything ambiguous is refused, by an exception
from :mod:`revproxy.errors` that carries the status. Where RFC 9112 and RFC 9110
let a recipient choose between repairing and refusing, we refuse, because two recipients that repair differently are
what request smuggling is made of.
"""

from __future__ import annotations

from functools import lru_cache

from httptools import HttpParserError

from revproxy.dataplane.http.fieldnames import NOTED, plainName
from revproxy.errors import BadRequest, BadResponse
from revproxy.headers import Field

CHUNKED = -1
"""A body length: chunked transfer coding."""
UNTIL_CLOSE = -2
"""A body length: all that comes until the connection is closed; responses only."""

_KEPT = frozenset((b"content-length", b"host", b"expect"))

# What a Connection field may not name: it would change whom the request is for or where it ends.
NEVER_NOMINATED = frozenset((b"host", b"content-length", b"transfer-encoding", b"expect"))

HEX = frozenset(b"0123456789abcdefABCDEF")


class Head:
    """What llhttp reports of one head, and what both kinds have in common."""

    __slots__ = ("fields", "noted", "target")

    target: bytes
    fields: list[Field]
    noted: dict[bytes, bytes] | None

    def on_url(self, url: bytes) -> None:
        self.target = url

    def on_header(self, name: bytes, value: bytes) -> None:
        lower = plainName(name)
        if lower is None:
            lower = name.lower()
            if lower in NOTED:
                self._note(lower, name, value)
                return
        self.fields.append((lower, name, value))

    def _note(self, lower: bytes, name: bytes, value: bytes) -> None:
        value = value.rstrip(b" \t")
        noted = self.noted
        if noted is None:
            noted = self.noted = {}
        if lower in _KEPT:
            if lower in noted:
                raise BadRequest(f"more than one {name.decode('latin-1')} field")
            self.fields.append((lower, name, value))
            noted[lower] = value
        elif lower in noted:
            noted[lower] += b"," + value
        else:
            noted[lower] = value


SHORTEST_LINE = 4
"""Bytes of the shortest field with its line end: a head no longer than that times a limit need not be counted."""


def linesOf(head: bytes) -> int:
    """How many fields a complete head has: each line counts, whatever it says."""
    return head.count(b"\r\n") - 2


def listMembers(value: bytes) -> frozenset[bytes]:
    """The members of a comma-separated list (RFC 9110 §5.6.1), in lower case, each once, however often it is named."""
    # Long ones are not remembered: strangers write them, and a thousand would be half a gigabyte.
    return _rememberedMembers(value) if len(value) <= 64 else _members(value)


def _members(value: bytes) -> frozenset[bytes]:
    return frozenset(token.strip(b" \t").lower() for token in value.split(b",") if token.strip(b" \t"))


_rememberedMembers = lru_cache(1024)(_members)


def refusal(error: HttpParserError, kind: type[BadRequest] | type[BadResponse]) -> Exception:
    """What was raised in a callback, or the parser's own words."""
    context = error.__context__
    if isinstance(context, BadRequest):
        return kind(str(context))
    return kind(str(error))
