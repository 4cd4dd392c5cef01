"""
The header section of one message: ordered, case-insensitive, latin-1.

Held as the bytes that were on the wire, decoded only when a plugin looks. Fields that belong to the connection
rather than to the message (RFC 9110 §7.6.1) and those that delimit the body are the edge's business: they were taken
out, or checked, when the head was parsed, and cannot be set.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from revproxy.checked import text, told

TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
"""The octets of a token (RFC 9110 §5.6.2)."""

HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"transfer-encoding",
        b"upgrade",
        b"trailer",
        b"http2-settings",
    )
)
"""Fields of one connection, never passed on as they are (RFC 9110 §7.6.1)."""

LETTERS_DIGITS_HYPHEN = b"-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
"""What names of fields consist of that mean the same to everybody: see :func:`isJoined`."""

_HYPHENS = bytes(0x2D if octet in TOKEN and octet not in LETTERS_DIGITS_HYPHEN else octet for octet in range(256))

EDGES_OWN = HOP_BY_HOP | {b"content-length"}
"""Fields that only the edge itself sets: those of the connection, and what delimits the body."""

CONTROLS = bytes((*range(0x09), *range(0x0A, 0x20), 0x7F))
"""Octets that no field value has: the control characters but the tab (RFC 9110 §5.5)."""

Field = tuple[bytes, bytes, bytes]
"""Lower-case name, name as written, value."""


def isToken(octets: bytes) -> bool:
    """Whether this is a token (RFC 9110 §5.6.2), as the names of fields and methods are."""
    return bool(octets) and TOKEN.issuperset(octets)


def isFieldValue(octets: bytes) -> bool:
    """Whether a field may have this value, and an answer this reason phrase (RFC 9110 §5.5, RFC 9112 §4)."""
    return len(octets.translate(None, CONTROLS)) == len(octets)


def isJoined(name: bytes) -> bool:
    """
    Whether gateways read a name as that of another field.

    CGI and WSGI join ``_`` and ``-``, PHP ``.`` as well, and lighttpd whatever is no letter and no digit.
    """
    return bool(name.translate(None, LETTERS_DIGITS_HYPHEN))


def joined(lower: bytes) -> bytes:
    """The name that gateways cannot tell from this one, and that has hyphens only."""
    return lower.translate(_HYPHENS)


@lru_cache(2048)
def _fieldName(name: str) -> tuple[bytes, bytes]:
    raw = text(name, "a header name").encode("ascii", "replace")
    if not isToken(raw):
        raise ValueError(f"not a header name: {name!r} (RFC 9110 §5.1)")
    lower = raw.lower()
    if lower in EDGES_OWN:
        raise ValueError(f"{name} belongs to the connection: change the body with body.replace or body.addFilter")
    return lower, raw


@lru_cache(2048)
def _lower(name: str) -> bytes:
    return text(name, "a header name").lower().encode("latin-1", "replace")


def _fieldValue(value: str) -> bytes:
    try:
        raw = value.strip(" \t").encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError("a header value is latin-1 (RFC 9110 §5.5)") from None
    except (AttributeError, TypeError):  # looking at its type first would cost every field a little
        raise TypeError(f"a header value is text (str), not {told(value)}") from None
    # What isFieldValue says: spelt out, since plugins set fields in every request.
    if len(raw.translate(None, CONTROLS)) != len(raw):
        raise ValueError("a header value has no line breaks and no control characters (RFC 9110 §5.5)")
    return raw


class Headers:
    """
    An ordered list of fields, found by case-insensitive name.

    :ivar fields: the fields as they are on the wire; for the data plane.
    """

    __slots__ = ("fields",)

    def __init__(self, fields: list[Field] | None = None) -> None:
        if fields.__class__ is list:
            self.fields: list[Field] = fields  # type: ignore[assignment]
        elif fields is None:
            self.fields = []
        else:
            raise TypeError(f"not a list of fields: {told(fields)}; use Headers.of({{name: value}})")

    @classmethod
    def of(cls, pairs: Mapping[str, str] | Iterable[tuple[str, str]]) -> Headers:
        """
        Headers from names and values.

        :raises ValueError: as :meth:`add`.
        :raises TypeError: for what has no pairs of names and values.
        """
        headers = cls()
        try:
            known = [(name, value) for name, value in (pairs.items() if isinstance(pairs, Mapping) else pairs)]
        except (TypeError, ValueError):
            raise TypeError(f"headers are a mapping, or pairs, of names and values, not {told(pairs)}") from None
        for name, value in known:
            headers.add(name, value)
        return headers

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first value of that name."""
        value = self.find(_lower(name))
        return default if value is None else value.decode("latin-1").rstrip(" \t")

    def getAll(self, name: str) -> list[str]:
        """All values of that name, in order."""
        lower = _lower(name)
        return [field[2].decode("latin-1").rstrip(" \t") for field in self.fields if field[0] == lower]

    def set(self, name: str, value: str) -> None:
        """
        Have exactly one field of that name, at the place of the first one there was.

        :raises ValueError: for a name or value that cannot be sent, or a field that is the edge's own.
        """
        lower, raw = _fieldName(name)
        self.setRaw(lower, raw, _fieldValue(value))

    def add(self, name: str, value: str) -> None:
        """
        Append a field.

        :raises ValueError: as :meth:`set`.
        """
        lower, raw = _fieldName(name)
        self.fields.append((lower, raw, _fieldValue(value)))

    def remove(self, name: str) -> None:
        """
        Take out every field of that name; none is no error.

        :raises ValueError: if it is the edge's own.
        """
        lower, _ = _fieldName(name)
        self.removeRaw(lower)

    def find(self, lower: bytes) -> bytes | None:
        """The first value of a lower-case name, as bytes, without blanks at its end (RFC 9110 §5.5)."""
        for field in self.fields:
            if field[0] == lower:
                return field[2].rstrip(b" \t")
        return None

    def setRaw(self, lower: bytes, name: bytes, value: bytes) -> None:
        """As :meth:`set`, of bytes known to be sound."""
        fields = self.fields
        for field in fields:
            if field[0] == lower:
                index = fields.index(field)  # not counted along: most of what is set is not there before
                fields[index] = (lower, name, value)
                fields[index + 1 :] = [later for later in fields[index + 1 :] if later[0] != lower]
                return
        fields.append((lower, name, value))

    def removeRaw(self, lower: bytes) -> None:
        """As :meth:`remove`, of a lower-case name as bytes."""
        fields = self.fields
        for field in fields:
            if field[0] == lower:
                # A new list only when something goes: most removals find nothing.
                self.fields = [kept for kept in fields if kept[0] != lower]
                return

    def copy(self) -> Headers:
        """An independent copy."""
        return type(self)(self.fields.copy())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.find(_lower(name)) is not None

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for field in self.fields:
            yield field[1].decode("latin-1"), field[2].decode("latin-1")

    def __len__(self) -> int:
        return len(self.fields)

    def __repr__(self) -> str:
        # Values may be secrets, and reprs end in logs.
        return f"<Headers {', '.join(field[1].decode('latin-1') for field in self.fields)}>"


class JoinedHeaders(Headers):
    """
    A header section in whose names ``-`` and what is neither letter nor digit are the same, as gateways make them.

    What requests have where names with underscores are kept: a plugin that sets, removes or looks for ``X-User`` means
    ``X_User`` as well, for an origin behind a gateway cannot tell them apart. Each goes out as it was written.

    :ivar fields: their lower-case names have hyphens only.
    """

    __slots__ = ()

    def getAll(self, name: str) -> list[str]:
        """As :meth:`Headers.getAll`."""
        return super().getAll(joined(name.encode("latin-1", "replace")).decode("latin-1"))

    def add(self, name: str, value: str) -> None:
        """As :meth:`Headers.add`."""
        lower, raw = _fieldName(name)
        self.fields.append((joined(lower), raw, _fieldValue(value)))

    def find(self, lower: bytes) -> bytes | None:
        """As :meth:`Headers.find`."""
        return super().find(joined(lower))

    def setRaw(self, lower: bytes, name: bytes, value: bytes) -> None:
        """As :meth:`Headers.setRaw`."""
        super().setRaw(joined(lower), name, value)

    def removeRaw(self, lower: bytes) -> None:
        """As :meth:`Headers.removeRaw`."""
        super().removeRaw(joined(lower))
