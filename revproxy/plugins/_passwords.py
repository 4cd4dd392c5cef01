"""Password hashes in the formats of ``htpasswd``: what can be checked, and clear words about what cannot."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b, sha1
from hmac import compare_digest

import bcrypt
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import InvalidHashError, VerifyMismatchError

_BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}\Z")
_ARGON2 = re.compile(
    r"\$argon2(id|i|d)\$v=19\$m=[0-9]{1,8},t=[0-9]{1,4},p=[0-9]{1,3}\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+\Z"
)
_BCRYPT_BYTES = 72
"""bcrypt reads no more of a password. Other programs cut it there in silence, and hashes are made for what remains."""

_REFUSED = (
    ("$apr1$", "MD5 (htpasswd -m)"),
    ("$1$", "MD5-crypt"),
    ("$5$", "SHA-256-crypt"),
    ("$6$", "SHA-512-crypt"),
    ("$y$", "yescrypt"),
    ("{SSHA}", "salted SHA-1"),
    ("{PLAIN}", "a plain password"),
)
_HINT = "make a bcrypt hash with: htpasswd -nB USER"

_argon2 = PasswordHasher()


@dataclass(frozen=True, slots=True)
class PasswordHash:
    """
    One hash.

    :ivar verify: whether a password is right. Slow: for a thread.
    """

    verify: Callable[[bytes], bool]


def _bcryptHash(text: str) -> PasswordHash:
    raw = text.encode("ascii")

    def verify(password: bytes) -> bool:
        try:
            return bcrypt.checkpw(password[:_BCRYPT_BYTES], raw)
        except ValueError:
            return False

    return PasswordHash(verify)


def _argon2Hash(text: str) -> PasswordHash:
    def verify(password: bytes) -> bool:
        try:
            return _argon2.verify(text, password)
        except VerifyMismatchError:
            return False

    try:
        extract_parameters(text)
    except InvalidHashError:
        raise ValueError(f"an argon2 hash that is cut or damaged; {_HINT}") from None
    return PasswordHash(verify)


def _sha1Hash(text: str) -> PasswordHash:
    wanted = text.removeprefix("{SHA}").encode("ascii")
    try:
        sound = len(b64decode(wanted, validate=True)) == 20
    except Base64Error:
        sound = False
    if not sound:
        raise ValueError("a {SHA} hash that is cut or damaged")
    return PasswordHash(lambda password: compare_digest(b64encode(sha1(password).digest()), wanted))


def parseHash(text: str, allowSHA1: bool = False) -> PasswordHash:
    """
    A hash from its text.

    :raises ValueError: if it cannot be used; says why and never repeats it.
    """
    if text.isascii():
        if _BCRYPT.match(text):
            return _bcryptHash(text)
        if _ARGON2.match(text):
            return _argon2Hash(text)
        if text.startswith("{SHA}"):
            if not allowSHA1:
                raise ValueError(f"{{SHA}} hashes are guessed in no time; {_HINT}, or set allow_sha1")
            return _sha1Hash(text)
    for prefix, kind in _REFUSED:
        if text.startswith(prefix):
            raise ValueError(f"{kind} is not supported; {_HINT}")
    if text.startswith(("$2", "$argon2")):
        raise ValueError(f"a hash that is cut or damaged; {_HINT}")
    raise ValueError(f"not a hash that is known, perhaps a plain password; {_HINT}")


def checkUser(user: str, hash: str, place: str, allowSHA1: bool = False) -> tuple[bytes, PasswordHash]:
    """
    A user's name as it comes over the wire, and its hash.

    :param place: what messages begin with.
    :raises ValueError: if either cannot be used; the hash is not repeated.
    """
    if not user or not user.isprintable() or ":" in user or user != user.strip():
        raise ValueError(f"{place}: a user name has no colon and no control characters (RFC 7617 §2)")
    try:
        return user.encode(), parseHash(hash, allowSHA1)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None


def parseUsers(text: str, source: str, allowSHA1: bool = False) -> dict[bytes, PasswordHash]:
    """
    Users of lines ``user:hash``; empty lines and those that start with ``#`` are left out.

    :param source: what messages call the text.
    :raises ValueError: for the first line that cannot be used, with its number.
    """
    users: dict[bytes, PasswordHash] = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        name, colon, hash = line.partition(":")
        place = f"basic-auth: {source}:{number}"
        if not colon:
            raise ValueError(f"{place}: not user:hash")
        user, checked = checkUser(name, hash.strip(), place, allowSHA1)
        if user in users:
            raise ValueError(f"{place}: {name} is there twice")
        users[user] = checked
    return users


class UserTable:
    """Users, and somebody to ask for those who are none."""

    def __init__(self, users: Mapping[bytes, PasswordHash]) -> None:
        """:raises ValueError: if there are no users at all."""
        if not users:
            raise ValueError("basic-auth has no users")
        self._users = dict(users)
        self._hashes = list(users.values())

    def find(self, user: bytes) -> tuple[PasswordHash, str | None]:
        """
        The hash to check, and the user's name: None if there is no such user, whatever the check says.

        An unknown name gets the hash of some user, always the same one, so that its cost is one that occurs.
        """
        hash = self._users.get(user)
        if hash is not None:
            return hash, user.decode()
        which = int.from_bytes(blake2b(user, digest_size=8).digest(), "big") % len(self._hashes)
        return self._hashes[which], None
