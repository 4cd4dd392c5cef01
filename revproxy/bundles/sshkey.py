"""
OpenSSH's public keys, and what is signed with them.

sshsig knows ``ssh-ed25519`` and ``ssh-rsa``. Those of security keys (FIDO2) and of the curves of NIST are here, as
OpenSSH's PROTOCOL.u2f and RFC 5656 have them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from sshsig import PublicKey

ED25519: Final = b"ssh-ed25519"
RSA: Final = b"ssh-rsa"
SK_ED25519: Final = b"sk-ssh-ed25519@openssh.com"
SK_ECDSA: Final = b"sk-ecdsa-sha2-nistp256@openssh.com"

RSA_BITS: Final = (2048, 16384)
"""The least and the most."""

_CURVES: Final[dict[bytes, tuple[ec.EllipticCurve, hashes.HashAlgorithm]]] = {
    b"nistp256": (ec.SECP256R1(), hashes.SHA256()),
    b"nistp384": (ec.SECP384R1(), hashes.SHA384()),
    b"nistp521": (ec.SECP521R1(), hashes.SHA512()),
}
_ECDSA: Final = {b"ecdsa-sha2-" + curve: curve for curve in _CURVES}
_RSA_SIGNATURES: Final = (b"rsa-sha2-512", b"rsa-sha2-256")
_PRESENT: Final = 1
"""The flag of a security key that somebody has touched it."""


class NotTouched(Exception):
    """A security key has signed, and nobody touched it."""


class _Verifier(Protocol):
    """Raises what it likes unless a signature matches."""

    def verify(self, signature: bytes, message: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class SSHKey:
    """
    A public key.

    :ivar blob: as it stands in envelopes.
    :ivar keyId: as ``ssh-keygen -l`` shows it: ``SHA256:…``.
    :ivar kind: ``ssh-ed25519``, and so on.
    """

    blob: bytes
    keyId: str
    kind: str
    _verifier: _Verifier = field(repr=False, compare=False)

    def isOf(self, signature: bytes, message: bytes) -> bool:
        """
        Whether this key has signed these bytes.

        :param signature: as OpenSSH encodes it.
        :raises NotTouched: it has, and nobody touched it.
        """
        try:
            self._verifier.verify(signature, message)
        except NotTouched:
            raise
        except Exception:  # hostile input raises anything in the libraries: whatever it is, it does not match
            return False
        return True

    @property
    def line(self) -> str:
        """As OpenSSH writes it, without a comment."""
        return lineOf(self.blob)


def sshKey(line: str) -> SSHKey:
    """
    From a line such as ``ssh-ed25519 AAAA… alice@example``.

    :raises ValueError: it is none, or of a kind that does not count.
    """
    kind, encoded, *_ = (*line.split(maxsplit=2), "", "")
    try:
        blob = base64.b64decode(encoded, validate=True)
        own, _ = _string(blob, 0)
    except (binascii.Error, ValueError):
        raise ValueError("is no line of an OpenSSH public key: ssh-ed25519 AAAA…") from None
    if own != kind.encode("utf-8"):
        raise ValueError(f"says {kind!r}, and its own bytes say something else")
    make = _KINDS.get(own)
    if make is None:
        known = ", ".join(name.decode("ascii") for name in _KINDS)
        raise ValueError(f"is of a kind that does not count: {kind}; use one of {known}")
    try:
        verifier = make(blob)
    except ValueError as error:
        raise ValueError(f"is no sound {kind} key: {error}") from None
    except Exception as error:  # hostile input raises anything in the libraries
        raise ValueError(f"is no sound {kind} key: {type(error).__name__}") from None
    return SSHKey(blob, fingerprint(blob), kind, verifier)


def lineOf(blob: bytes) -> str:
    """
    As OpenSSH writes a public key, without a comment.

    :raises ValueError: it is none.
    """
    kind, _ = _string(blob, 0)
    return f"{kind.decode('ascii')} {base64.b64encode(blob).decode('ascii')}"


def fingerprint(blob: bytes) -> str:
    """The id of a key, as ``ssh-keygen -l`` shows it."""
    return f"SHA256:{base64.b64encode(hashlib.sha256(blob).digest()).decode('ascii').rstrip('=')}"


def sshStrings(data: bytes, count: int, rest: int = 0) -> list[bytes]:
    """
    Strings as RFC 4251 §5 has them, that fill the bytes but for a rest at the end.

    :raises ValueError: they do not.
    """
    found, at = [], 0
    for _ in range(count):
        content, at = _string(data, at)
        found.append(content)
    if len(data) - at != rest:
        raise ValueError("has bytes after its end")
    return found


def _string(data: bytes, at: int) -> tuple[bytes, int]:
    if len(data) < at + 4:
        raise ValueError("ends too early")
    end = at + 4 + int.from_bytes(data[at:at + 4], "big")
    if end > len(data):
        raise ValueError("ends too early")
    return data[at + 4:end], end


def _plain(blob: bytes) -> _Verifier:
    """The two that sshsig knows."""
    kind, *parts = sshStrings(blob, 3 if blob[4:].startswith(RSA) else 2)
    if kind == RSA:
        bits = int.from_bytes(parts[1], "big").bit_length()
        if not RSA_BITS[0] <= bits <= RSA_BITS[1]:
            raise ValueError(f"has {bits} bits; it needs {RSA_BITS[0]} at least, {RSA_BITS[1]} at most")
    return _Plain(PublicKey.from_ssh_encoding(blob), _RSA_SIGNATURES if kind == RSA else (ED25519,))


class _Plain:
    def __init__(self, key: PublicKey, kinds: tuple[bytes, ...]) -> None:
        self._key = key
        self._kinds = kinds

    def verify(self, signature: bytes, message: bytes) -> None:
        kind, _ = sshStrings(signature, 2)
        if kind not in self._kinds:
            raise InvalidSignature
        self._key.verify(signature, message)


def _ecdsa(blob: bytes) -> _Verifier:
    kind, curve, point = sshStrings(blob, 3)
    if _ECDSA[kind] != curve:
        raise ValueError("is of another curve than it says")
    return _Curve(kind, curve, point)


class _Curve:
    """RFC 5656 §3.1.2."""

    def __init__(self, kind: bytes, curve: bytes, point: bytes) -> None:
        self._kind = kind
        form, self._hash = _CURVES[curve]
        self._key = ec.EllipticCurvePublicKey.from_encoded_point(form, point)

    def verify(self, signature: bytes, message: bytes) -> None:
        kind, numbers = sshStrings(signature, 2)
        if kind != self._kind:
            raise InvalidSignature
        self.verifyNumbers(numbers, message)

    def verifyNumbers(self, numbers: bytes, message: bytes) -> None:
        r, s = (int.from_bytes(each, "big", signed=True) for each in sshStrings(numbers, 2))
        self._key.verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(self._hash))


def _skEd25519(blob: bytes) -> _Verifier:
    _, key, application = sshStrings(blob, 3)
    verifier = ed25519.Ed25519PublicKey.from_public_bytes(key)
    return _SecurityKey(SK_ED25519, application, verifier.verify)


def _skECDSA(blob: bytes) -> _Verifier:
    _, curve, point, application = sshStrings(blob, 4)
    if curve != b"nistp256":
        raise ValueError("is of another curve than it says")
    return _SecurityKey(SK_ECDSA, application, _Curve(SK_ECDSA, curve, point).verifyNumbers)


class _SecurityKey:
    """
    OpenSSH's PROTOCOL.u2f, "SSH U2F signatures": the device signs hashes of the application and of the message, with
    its flags and its counter between them.
    """

    def __init__(self, kind: bytes, application: bytes, verify: Callable[[bytes, bytes], None]) -> None:
        self._kind = kind
        self._application = hashlib.sha256(application).digest()
        self._verify = verify

    def verify(self, signature: bytes, message: bytes) -> None:
        kind, made = sshStrings(signature, 2, rest=5)
        flags, counter = struct.unpack(">BL", signature[-5:])
        if kind != self._kind:
            raise InvalidSignature
        hashed = hashlib.sha256(message).digest()
        self._verify(made, self._application + struct.pack(">BL", flags, counter) + hashed)
        if not flags & _PRESENT:
            raise NotTouched


_KINDS: Final[dict[bytes, Callable[[bytes], _Verifier]]] = {
    ED25519: _plain,
    RSA: _plain,
    SK_ED25519: _skEd25519,
    SK_ECDSA: _skECDSA,
    **dict.fromkeys(_ECDSA, _ecdsa),
}
