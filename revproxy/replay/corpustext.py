"""
A recorded request as a line of JSON, and back: what is documented in docs/recordings.md.

Octets of a head are latin-1 text, so that each is one character; a body is text where it is UTF-8, else ``{"base64":
…}``. What has its usual value is left out. Members that are not known are passed over, so that an older revproxy reads
what a newer one has written.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from revproxy.replay.outcome import Outcome, Raised
from revproxy.replay.recordedcall import RecordedCall, RecordedExchange, RecordedResponse
from revproxy.replay.recordedrequest import PluginCall, RecordedRequest

_WITHIN: Mapping[type, Mapping[str, type]] = {
    RecordedRequest: {"calls": PluginCall, "origin": RecordedResponse},
    PluginCall: {"call": RecordedCall, "outcome": Outcome},
    RecordedCall: {"response": RecordedResponse, "told": RecordedExchange},
    Outcome: {"raised": Raised, "response": RecordedResponse},
    RecordedResponse: {},
    RecordedExchange: {},
    Raised: {},
}
"""By kind of value, its members that are such values, or lists of them."""

_BODIES = frozenset(("body",))
_HEADS: Mapping[type, frozenset[str]] = {
    RecordedCall: frozenset(("method", "target", "host")),
    Outcome: frozenset(("method", "target", "host")),
}


class NotARecord(ValueError):
    """It is no recorded request; the text says what is wrong with it."""


def recordText(request: RecordedRequest) -> bytes:
    """A line, without its end."""
    return msgspec.json.encode(_written(request))


def parseRecord(line: bytes) -> RecordedRequest:
    """
    The request that a line is of.

    :raises NotARecord: it is of none.
    """
    try:
        read = msgspec.json.decode(line)
        if not isinstance(read, dict):
            raise NotARecord("it is no JSON object")
        return msgspec.convert(_ordered(read, RecordedRequest), RecordedRequest, builtin_types=(bytes,))
    except (msgspec.DecodeError, UnicodeError, binascii.Error, RecursionError) as error:
        raise NotARecord(str(error)) from None


def _usual(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


def _fieldsOf(kind: Any) -> tuple[tuple[str, bool, Any], ...]:
    """Of each member its name, whether it has to be there, and its usual value; to find that out takes long."""
    fields = msgspec.structs.fields(kind)
    return tuple((field.name, field.required, None if field.required else _usual(field)) for field in fields)


_FIELDS: Mapping[type, tuple[tuple[str, bool, Any], ...]] = {kind: _fieldsOf(kind) for kind in _WITHIN}


def _written(value: Any) -> dict[str, Any]:
    kind = type(value)
    written: dict[str, Any] = {}
    for name, isRequired, usual in _FIELDS[kind]:
        member = getattr(value, name)
        if isRequired or member != usual:
            written[name] = _member(kind, name, member)
    return written


def _member(kind: type, name: str, member: Any) -> Any:
    if member is None:
        return None
    if name in _WITHIN[kind]:
        return [_written(each) for each in member] if isinstance(member, tuple) else _written(member)
    if name == "headers":
        return [[_text(field), _text(value)] for field, value in member]
    if name in _BODIES:
        return _bodyText(member)
    return _text(member) if isinstance(member, bytes) else member


def _ordered(read: Mapping[str, Any], kind: type) -> list[Any]:
    """The members in the order of the kind's, as they are converted from."""
    ordered = []
    for name, isRequired, usual in _FIELDS[kind]:
        if name in read:
            ordered.append(_read(kind, name, read[name]))
        elif isRequired:
            raise NotARecord(f"there is no {name} in a {kind.__name__}")
        else:
            ordered.append(usual)
    return ordered


def _read(kind: type, name: str, member: Any) -> Any:
    if member is None:
        return None
    inner = _WITHIN[kind].get(name)
    if inner is not None:
        if isinstance(member, list):
            return [_ordered(_object(each, name), inner) for each in member]
        return _ordered(_object(member, name), inner)
    if name == "headers":
        return _pairs(member)
    if name in _BODIES:
        return _bodyOf(member)
    return _octets(member, name) if name in _HEADS.get(kind, ()) else member


def _object(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise NotARecord(f"{name} has something that is no object")
    return value


def _pairs(member: Any) -> list[Sequence[bytes]]:
    if not isinstance(member, list) or not all(isinstance(each, list) and len(each) == 2 for each in member):
        raise NotARecord("headers are pairs of name and value")
    return [[_octets(each, "headers") for each in pair] for pair in member]


def _octets(value: Any, name: str) -> bytes:
    if not isinstance(value, str):
        raise NotARecord(f"{name} is no text")
    return value.encode("latin-1")


def _text(octets: bytes) -> str:
    return octets.decode("latin-1")


def _bodyText(body: bytes) -> Any:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": b64encode(body).decode("ascii")}


def _bodyOf(member: Any) -> bytes:
    if isinstance(member, str):
        return member.encode("utf-8")
    if isinstance(member, dict) and isinstance(member.get("base64"), str):
        return b64decode(member["base64"], validate=True)
    raise NotARecord('a body is text, or {"base64": …}')


__all__ = ["NotARecord", "parseRecord", "recordText"]
