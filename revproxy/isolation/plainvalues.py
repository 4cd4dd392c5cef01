"""
``context.values`` on its way to a locked process and back: what of it is plain data.

Plain is what MessagePack has: None, true and false, numbers, text, bytes, lists, tuples (which arrive as lists) and
dicts of these. The rest of the values stays where it is, on either side.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

MOST = 256 * 1024
"""Bytes of all values of one request together, as they are sent."""

MOST_NAMES = 256
"""Values of one request that a plugin in a locked process may set in one call."""

_DEEPEST = 32

_ATOMS = (type(None), bool, int, float, str, bytes)

Told = dict[str, bytes]
"""By name, what was told last of each value."""

_encode = msgspec.msgpack.Encoder().encode


class NotPlain(ValueError):
    """What came is not what values may be; the text says why."""


def isPlain(value: Any, deepest: int = _DEEPEST) -> bool:
    """Whether it is plain data, and not deeper than that."""
    kind = type(value)
    if kind in _ATOMS:
        return True
    if deepest <= 0:
        return False
    if kind is list or kind is tuple:
        return all(isPlain(each, deepest - 1) for each in value)
    if kind is dict:
        return all(type(key) is str and isPlain(each, deepest - 1) for key, each in value.items())
    return False


def changedSince(told: Told, values: Mapping[str, Any] | None) -> bytes:
    """
    What is to be told of a context's values.

    :param told: what was told before, which is brought up to date.
    :returns: of what has changed, name and value as MessagePack, None for what is gone; empty: nothing has.
    """
    if not values and not told:
        return b""
    changed: dict[str, msgspec.Raw] = {}
    now = encodedValues(values or {})
    for name, data in now.items():
        if told.get(name) != data:
            changed[name] = msgspec.Raw(data)
    for name in told:
        if name not in now:
            changed[name] = msgspec.Raw(_encode(None))
    told.clear()
    told.update(now)
    return _encode(changed) if changed else b""


def encodedValues(values: Mapping[str, Any]) -> Told:
    """Each that is plain; those that would be too many bytes are left out."""
    found: Told = {}
    free = MOST
    for name, value in values.items():
        if type(name) is not str or not isPlain(value):
            continue
        try:
            data = _encode(value)
        except (OverflowError, ValueError):  # a whole number of more than 64 bits, half a surrogate pair
            continue
        free -= len(name) + len(data)
        if free < 0:
            break
        found[name] = data
    return found


def _refuseExtension(code: int, data: memoryview) -> Any:
    raise NotPlain(f"an extension of MessagePack (type {code})")


_decode = msgspec.msgpack.Decoder(dict[str, Any], ext_hook=_refuseExtension).decode


def decodedValues(data: bytes) -> dict[str, Any]:
    """
    What a locked process says of values: hostile input.

    :raises NotPlain: it is not what it may be.
    """
    if not data:
        return {}
    if len(data) > MOST:
        raise NotPlain(f"values of {len(data)} bytes, and {MOST} are the most")
    try:
        values = _decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise NotPlain(f"no values: {error}") from None
    if len(values) > MOST_NAMES:
        raise NotPlain(f"{len(values)} values, and {MOST_NAMES} are the most")
    for name, value in values.items():
        if not isPlain(value):
            raise NotPlain(f"values[{name[:100]!r}] is no plain data, or deeper than {_DEEPEST}")
    return values


def takeOver(told: Told, values: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """
    Put what a process has said into a context's values. It knows of these by itself, so they need not be told again.

    :param told: what was told before, which is brought up to date.
    """
    for name, value in changes.items():
        if value is None:
            values.pop(name, None)
            told.pop(name, None)
        else:
            values[name] = value
            told[name] = _encode(value)
