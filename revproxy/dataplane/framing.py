"""
What heads of requests and responses have in common, and how a body can be delimited (RFC 9112 §6).

llhttp (through httptools) tokenises a head; what it leaves to us is checked in :mod:`~revproxy.dataplane.requesthead`,
:mod:`~revproxy.dataplane.responsehead` and :mod:`~revproxy.dataplane.chunked`: pure functions on bytes. Everything
ambiguous is refused, by an exception from :mod:`revproxy.errors` that carries the status. Where RFC 9112 and RFC 9110
let a recipient choose between repairing and refusing, we refuse, because two recipients that repair differently are
what request smuggling is made of.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import chain, product

from httptools import HttpParserError

from revproxy.errors import BadRequest, BadResponse
from revproxy.headers import Field

CHUNKED = -1
"""A body length: chunked transfer coding."""
UNTIL_CLOSE = -2
"""A body length: all that comes until the connection is closed; responses only."""

NOTED = frozenset(
    (
        b"connection",
        b"content-length",
        b"expect",
        b"host",
        b"http2-settings",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
_FORWARDING = frozenset(
    (
        b"forwarded",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-proto",
        b"x-forwarded-server",
        b"x-forwarded-ssl",
        b"x-real-ip",
    )
)


def _lookalikes(names: frozenset[bytes]) -> frozenset[bytes]:
    """Every spelling with underscores: CGI and its heirs (WSGI, PHP) cannot tell it from the real name."""
    spellings: set[bytes] = set()
    for name in names:
        parts = name.split(b"-")
        for joints in product((b"-", b"_"), repeat=len(parts) - 1):
            spellings.add(b"".join(chain.from_iterable(zip(parts, (*joints, b""), strict=True))))
    return frozenset(spellings) - names


_LOOKALIKES = _lookalikes(NOTED | _FORWARDING)
SPECIAL = NOTED | _FORWARDING | _LOOKALIKES
_KEPT = frozenset((b"content-length", b"host", b"expect"))

# What a Connection field may not name: it would change whom the request is for or where it ends.
NEVER_NOMINATED = frozenset((b"host", b"content-length", b"transfer-encoding", b"expect"))

HEX = frozenset(b"0123456789abcdefABCDEF")
VALUE_REFUSED = bytes(octet for octet in range(0x20) if octet != 0x09) + b"\x7f"
"""Octets that a field value, and a reason phrase, does not have (RFC 9110 §5.5)."""


class Head:
    """What llhttp reports of one head, and what both kinds have in common."""

    __slots__ = ("fields", "forwarding", "noted", "target")

    target: bytes
    fields: list[Field]
    forwarding: list[Field] | None
    noted: dict[bytes, bytes] | None

    def on_url(self, url: bytes) -> None:
        self.target = url

    def on_header(self, name: bytes, value: bytes) -> None:
        lower = name.lower()
        if lower not in SPECIAL:
            self.fields.append((lower, name, value))
        else:
            self._note(lower, name, value)

    def _note(self, lower: bytes, name: bytes, value: bytes) -> None:
        if lower in _LOOKALIKES:
            self._noteLookalike(lower, name, value)
            return
        if lower in _FORWARDING:
            if self.forwarding is None:
                self.forwarding = []
            self.forwarding.append((lower, name, value))
            return
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

    def _noteLookalike(self, lower: bytes, name: bytes, value: bytes) -> None:
        self.fields.append((lower, name, value))

    def trim(self) -> None:
        """Take blanks off the ends of values, which llhttp leaves there (RFC 9110 §5.5). Rarely needed."""
        self.fields = [(lower, name, value.rstrip(b" \t")) for lower, name, value in self.fields]
        if self.forwarding is not None:
            self.forwarding = [(lower, name, value.rstrip(b" \t")) for lower, name, value in self.forwarding]


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


class LengthDecoder:
    """
    Counts off a body whose length is known.

    :ivar left: bytes that have not come.
    :ivar finished: True when there are none.
    :cvar trailing: no trailer section is awaited, ever.
    """

    __slots__ = ("finished", "left", "trailers")

    trailing = False

    def __init__(self, length: int) -> None:
        """:param length: more than 0."""
        self.left = length
        self.finished = False
        self.trailers: list[Field] = []

    def decode(self, data: bytes) -> tuple[list[bytes], bytes]:
        """:returns: pieces of the body, and what follows the message."""
        left = self.left = self.left - len(data)
        if left > 0:
            return [data], b""
        self.left = 0
        self.finished = True
        return ([data], b"") if left == 0 else ([data[:left]], data[left:])
