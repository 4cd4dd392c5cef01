"""
By what rules recorded requests are redacted, and what stands in the place of what was taken out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

from revproxy.config.secretnames import isSecretName
from revproxy.replay.redaction import PARAMETERS

ADDRESSES: Final = frozenset(("x-forwarded-for", "x-real-ip", "forwarded", "true-client-ip", "cf-connecting-ip"))
"""Fields that have addresses of clients."""

STAND_IN: Final = re.compile(rb"redacted-[0-9a-f]{12}")

_NAMES = 4096
"""Names of which it is remembered whether they are secrets'."""


class Redaction:
    """
    The rules of one recording.

    :ivar names: redacted besides, in lower case: of fields, cookies, parameters and members alike; ``kept``: not
        redacted, although the usual rules say so.
    :ivar hidesClients: whether addresses of clients have stand-ins: addresses that are nobody's.
    """

    def __init__(
        self, key: bytes, names: Iterable[str] = (), kept: Iterable[str] = (), hidesClients: bool = False
    ) -> None:
        """:param key: of the recording, and of nothing else."""
        self.names = frozenset(name.lower() for name in names)
        self.kept = frozenset(name.lower() for name in kept)
        self.hidesClients = hidesClients
        self._key = key
        self._known: dict[str, bool] = {}

    def isSecret(self, name: str, usual: frozenset[str] = PARAMETERS) -> bool:
        """Whether a value of this name is redacted."""
        if usual is not PARAMETERS:
            return self._isSecret(name, usual)
        known = self._known.get(name)
        if known is None:
            if len(self._known) >= _NAMES:
                self._known.clear()
            known = self._known[name] = self._isSecret(name, usual)
        return known

    def _isSecret(self, name: str, usual: frozenset[str]) -> bool:
        lower = name.strip().lower()
        if lower in self.kept:
            return False
        return lower in self.names or lower in usual or isSecretName(name.strip())

    def standIn(self, secret: bytes) -> bytes:
        """What stands for it."""
        return b"redacted-" + self._digest(secret).hex()[:12].encode()

    def numberFor(self, digits: bytes) -> bytes:
        """A number of as many digits."""
        number = int.from_bytes(self._digest(digits)) % 10 ** max(len(digits), 1)
        return str(number).zfill(len(digits)).replace("0", "1").encode()

    def address(self, address: bytes) -> bytes:
        """An address that is nobody's: of RFC 2544's range, or RFC 3849's."""
        digest = self._digest(address)
        if b":" in address:
            return b"2001:db8::" + digest[:2].hex().encode() + b":" + digest[2:4].hex().encode()
        return b"198.%d.%d.%d" % (18 + digest[0] % 2, digest[1], digest[2])

    def _digest(self, value: bytes) -> bytes:
        return blake2b(value, key=self._key, digest_size=12).digest()


__all__ = ["ADDRESSES", "PARAMETERS", "STAND_IN", "Redaction"]
