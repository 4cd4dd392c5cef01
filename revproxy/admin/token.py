"""
Tokens as people and programs have them: ``rvp_<id>_<secret>_<check>``.

The secret is 32 random bytes, so what is kept of a token is its SHA-256: nobody can try them all. The id says which
token is meant, and is shown in lists and in audit records. The check tells a token that was cut off or mistyped from
one that is unknown, and lets scanners of repositories be sure of what they have found.
"""

from __future__ import annotations

import re
import secrets
import zlib
from hashlib import sha256

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID = 8
_SECRET = 43
_CHECK = 6
_TOKEN = re.compile(rf"rvp_([0-9A-Za-z]{{{_ID}}})_[0-9A-Za-z]{{{_SECRET}}}_[0-9A-Za-z]{{{_CHECK}}}")

ID = rf"^[0-9A-Za-z]{{{_ID}}}$"
"""What an id looks like."""


def newToken() -> tuple[str, str]:
    """:returns: the id of a new token, and the token."""
    number = _base62(secrets.randbits(48), _ID)
    begin = f"rvp_{number}_{_base62(int.from_bytes(secrets.token_bytes(32)), _SECRET)}"
    return number, f"{begin}_{_check(begin)}"


def idOf(token: str) -> str | None:
    """The id in a token; None if that is none, or not all of one."""
    match = _TOKEN.fullmatch(token)
    if match is None or _check(token[:-_CHECK - 1]) != token[-_CHECK:]:
        return None
    return match[1]


def digestOf(token: str) -> str:
    """What is kept of a token."""
    return sha256(token.encode()).hexdigest()


def newCode() -> str:
    """A word that nobody guesses, for sessions and logging in."""
    return _base62(int.from_bytes(secrets.token_bytes(32)), _SECRET)


def _check(text: str) -> str:
    return _base62(zlib.crc32(text.encode()), _CHECK)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))


__all__ = ["ID", "digestOf", "idOf", "newCode", "newToken"]
