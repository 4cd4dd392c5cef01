"""
Header fields that a locked process gives: hostile input, of which nothing is taken that could not be sent, or is not
the plugin's to set.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from revproxy.headers import EDGES_OWN, Field, Headers, JoinedHeaders, isFieldValue, isToken, joined
from revproxy.isolation.frames import Changed, Fields
from revproxy.permissions import NAMED_ONLY, Permissions

MOST_FIELDS: Final = 256
"""Fields that one call may change, and that an answer may have."""

MOST_BYTES: Final = 64 * 1024
"""Bytes of all fields that one call gives."""


class BadField(ValueError):
    """What came is no field, or not the plugin's to set; the text says which, and why."""


def shown(name: bytes) -> str:
    """A name, as messages have it."""
    return name[:100].decode("latin-1").encode("unicode_escape").decode("ascii")


def checkedChanges(changes: Changed, permissions: Permissions, what: str) -> list[tuple[bytes, list[Field]]]:
    """
    Fields that were changed, by name in lower case.

    :param what: whose they are, for errors: ``"request"``.
    :raises BadField:
    """
    found = []
    _checkSize([field for _, fields in changes for field in fields], len(changes))
    for lower, fields in changes:
        checkWritable(lower, permissions, what)
        found.append((lower, [_checked(field, lower) for field in fields]))
    return found


def checkedFields(fields: Fields, permissions: Permissions) -> list[Field]:
    """
    Those of an answer of the plugin's own. Fields that let people in have to be granted there, too.

    :raises BadField:
    """
    _checkSize(fields, 0)
    found = [_checked(field, field[0].lower()) for field in fields]
    for lower, _, _ in found:
        if joined(lower).decode("latin-1") in NAMED_ONLY:
            checkWritable(lower, permissions, "answer")
    return found


def checkWritable(lower: bytes, permissions: Permissions, what: str) -> None:
    """:raises BadField: the plugin may not set or delete fields of this name."""
    name, plain = lower.decode("latin-1"), joined(lower).decode("latin-1")
    if not isToken(lower) or lower != lower.lower():
        raise BadField(f"{shown(lower)!r}, which is no name of a field")
    if lower in EDGES_OWN or joined(lower) in EDGES_OWN:
        raise BadField(f"{shown(lower)} of the {what}, which belongs to the connection")
    if plain == "host":
        raise BadField(f"{shown(lower)} of the {what}, which is set by request.host")
    if not (permissions.mayWrite(name) and permissions.mayWrite(plain)):
        raise BadField(f"{shown(lower)} of the {what}, which it is not granted (write_headers)")


def putFields(headers: Headers, changes: Iterable[tuple[bytes, Sequence[Field]]], seen: Any) -> None:
    """
    Have the fields be what a plugin wants. What is added to those of a name stands at the end, as it does where the
    plugin adds it itself; other fields stand where the first of that name stood, if there was one.

    What the plugin does not see it does not know of: of a name that it may set and not read, its fields take the place
    of all others, but for ``Set-Cookie``, of which each is a thing of its own: there they are added.

    :param seen: tells whether it sees fields of a name.
    """
    isJoined = type(headers) is JoinedHeaders
    for lower, fields in changes:
        name = joined(lower) if isJoined else lower
        new = [(name, raw, value) for _, raw, value in fields] if isJoined else list(fields)
        if name == b"set-cookie" and fields and not seen(name):
            headers.fields.extend(new)
            continue
        before = [field for field in headers.fields if field[0] == name]
        if before == new[: len(before)]:
            headers.fields.extend(new[len(before) :])
        else:
            headers.fields = _replaced(headers.fields, name, new)


def _replaced(fields: list[Field], name: bytes, new: list[Field]) -> list[Field]:
    found: list[Field] = []
    for field in fields:
        if field[0] == name:
            found += new
            new = []
        else:
            found.append(field)
    return found + new


def _checkSize(fields: Sequence[tuple[bytes, bytes]], names: int) -> None:
    size = sum(len(name) + len(value) for name, value in fields)
    if len(fields) + names > 2 * MOST_FIELDS or len(fields) > MOST_FIELDS:
        raise BadField(f"{len(fields)} fields, and {MOST_FIELDS} are the most")
    if size > MOST_BYTES:
        raise BadField(f"fields of {size} bytes, and {MOST_BYTES} are the most")


def _checked(field: tuple[bytes, bytes], lower: bytes) -> Field:
    name, value = field
    if name.lower() != lower or not isToken(name):
        raise BadField(f"{shown(name)!r}, which is no name of a field, or another's")
    if lower in EDGES_OWN or joined(lower) in EDGES_OWN:
        raise BadField(f"{shown(name)}, which belongs to the connection")
    value = value.strip(b" \t")
    if not isFieldValue(value):
        raise BadField(f"{shown(name)} with line breaks or control characters (RFC 9110 §5.5)")
    return lower, name, value
