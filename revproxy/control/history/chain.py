"""
One audit record, and how each holds the one before it.

A record is a JSON object in its canonical form: keys in order, no spaces, nothing but ASCII. ``hash`` is the
HMAC-SHA256 of all the rest, ``prev`` the hash of the record before. Without the key nobody can write a record that
fits, change one, or take one out from between two others. What a chain by itself does not show is a tail that was cut
off; for that its *head* (the last number and hash) is kept in other places, too.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

BEGINNING = "0" * 64
"""What stands for the hash before the first record."""

MOST_BYTES = 1 << 20
"""Of a record, as a line."""

_HEAD = re.compile(r"([0-9]{1,15}):([0-9a-f]{64})\Z")

_FIELDS = frozenset((
    "seq", "prev", "time", "actor", "action", "target", "before_hash", "after_hash", "diff", "reason", "result", "text",
    "hash",
))


@dataclass(frozen=True, slots=True)
class Head:
    """
    The last record of a chain.

    :ivar seq: its number; 0 before the first one.
    :ivar hash: its hash.
    """

    seq: int = 0
    hash: str = BEGINNING

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> Head:
        """:raises ValueError: it is none; the text says so."""
        found = _HEAD.match(text)
        if found is None:
            raise ValueError("a head is written SEQ:HASH, a number and 64 hexadecimal digits, as events have it")
        return cls(int(found[1]), found[2])


NOTHING = Head()
"""The head of a chain without records."""


def canonical(value: Any) -> bytes:
    """
    :param value: what JSON can say.
    :returns: the same bytes for whatever is equal.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def hashOf(value: Any) -> str | None:
    """The SHA-256 of something that was before or after a change; None if there is none."""
    return None if value is None else hashlib.sha256(canonical(value)).hexdigest()


def sealed(key: bytes, record: Mapping[str, Any], before: Head) -> tuple[bytes, Head]:
    """
    A record at the end of a chain.

    :param record: all fields but ``seq``, ``prev`` and ``hash``.
    :returns: its line, and the head that it is.
    """
    numbered = {**record, "seq": before.seq + 1, "prev": before.hash}
    mark = _mark(key, numbered)
    return canonical({**numbered, "hash": mark}) + b"\n", Head(before.seq + 1, mark)


def opened(key: bytes, line: bytes) -> tuple[dict[str, Any], str]:
    """
    :param line: of a file, without its end.
    :returns: the record, and why it is not as it was written; empty if it is.
    """
    try:
        record = json.loads(line)
        if not isinstance(record, dict) or not isinstance(record.get("seq"), int):
            return {}, "is no record"
        if record.keys() != _FIELDS or canonical(record) != line:
            return record, "was changed"
    except (ValueError, RecursionError):
        return {}, "is no record"
    rest = {name: value for name, value in record.items() if name != "hash"}
    isSame = hmac.compare_digest(_mark(key, rest), str(record["hash"]))
    return record, "" if isSame else "was changed, or written with another key"


def signed(key: bytes, value: Mapping[str, Any]) -> bytes:
    """A small file that only who has the key can have written."""
    return canonical({**value, "mac": _mark(key, value)}) + b"\n"


def checked(key: bytes, data: bytes) -> dict[str, Any] | None:
    """What such a file says; None if it is not as it was written."""
    try:
        value = json.loads(data)
        mark = value.pop("mac")
        return value if hmac.compare_digest(_mark(key, value), mark) else None
    except (ValueError, RecursionError, AttributeError, KeyError, TypeError):
        return None


def _mark(key: bytes, value: Mapping[str, Any]) -> str:
    return hmac.new(key, canonical(value), hashlib.sha256).hexdigest()


__all__ = ["BEGINNING", "MOST_BYTES", "NOTHING", "Head", "canonical", "checked", "hashOf", "opened", "sealed", "signed"]
