"""
The envelope that ``minisign -S`` makes, and minisign's public keys.

minisign knows no namespace. The trusted comment, which is signed, has to begin with it instead: a key that signs other
things, too, has not signed a plugin by that.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import Final

from minisign import PublicKey, Signature

from revproxy.bundles.envelope import Key, Kind
from revproxy.bundles.signaturefiles import MINISIG
from revproxy.bundles.signedmanifest import FORMAT
from revproxy.bundles.untrusted import Untrusted
from revproxy.config.problems import quoted

_AGAIN: Final = f"sign the folder again: revproxy sign, or minisign -S -t {FORMAT}"


@dataclass(frozen=True, slots=True)
class MinisignKey:
    """
    A public key.

    :ivar blob: its number, as it stands in envelopes.
    :ivar keyId: that number as minisign shows it: 16 hexadecimal digits.
    :ivar line: as minisign writes it.
    """

    blob: bytes
    keyId: str
    line: str
    _key: PublicKey = field(repr=False, compare=False)
    kind: str = "minisign"

    def isOf(self, signature: Signature, message: bytes) -> bool:
        """Whether this key has signed these bytes, and the trusted comment."""
        try:
            self._key.verify(message, signature)
        except Exception:  # hostile input raises anything in the library
            return False
        return True


def minisignKey(line: str) -> MinisignKey:
    """
    From a line such as ``RWQf6LRC…``.

    :raises ValueError: it is none.
    """
    try:
        raw = base64.b64decode(line, validate=True)
        key = PublicKey.from_base64(line)
    except (binascii.Error, ValueError):
        raise ValueError("is no public key of minisign: RW…") from None
    return MinisignKey(raw[2:10], minisignId(raw[2:10]), line, key)


def minisignId(number: bytes) -> str:
    """The number of a key, as minisign shows it."""
    return f"{int.from_bytes(number, 'little'):016X}"


@dataclass(frozen=True, slots=True)
class MinisignEnvelope:
    """
    One signature.

    :ivar identity: the number of the key that it says it is of.
    """

    identity: bytes
    _read: Signature = field(repr=False)
    kind: Kind = "minisig"

    @property
    def keyId(self) -> str:
        """The id of that key."""
        return minisignId(self.identity)

    def check(self, key: Key, message: bytes) -> None:
        """
        That a key has signed a message, and for this purpose.

        :raises Untrusted: it has not.
        """
        if not (isinstance(key, MinisignKey) and key.isOf(self._read, message)):
            raise Untrusted(MINISIG, "signature", f"{key.keyId} has not signed this manifest; {_AGAIN}")
        comment = self._read.trusted_comment
        if comment.split(" ")[0] != FORMAT:
            raise Untrusted(MINISIG, "namespace",
                            f"its trusted comment is {quoted(comment)} and does not begin with {FORMAT}; {_AGAIN}")


def readMinisignEnvelope(data: bytes) -> MinisignEnvelope:
    """:raises Untrusted: it is none, or not of the hashed kind."""
    try:
        read = Signature.from_bytes(data)
        isPlain = data.removesuffix(b"\n") == bytes(read)
        number = base64.b64decode(data.split(b"\n")[1], validate=True)[2:10]
    except Exception:  # hostile input raises anything in the library
        isPlain = False
    if not isPlain:
        raise Untrusted(MINISIG, "envelope", f"it is not what minisign -S writes; {_AGAIN}")
    if not read.is_prehashed():
        raise Untrusted(MINISIG, "hash", "it is of the old kind, without a hash; sign with minisign 0.10 or later, "
                                         "or with minisign -SH")
    return MinisignEnvelope(number, read)
