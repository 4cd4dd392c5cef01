"""
Keys that sign plugins: made, read from their files, used.

Plain keys of OpenSSH and of minisign are read here, and no tool is needed. Whatever else ``ssh-keygen`` can sign with
(a security key, a key that an agent has, of which there is the ``.pub`` file) is left to it: it asks for PIN and touch.
"""

from __future__ import annotations

import base64
import hashlib
import os
import stat
import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from minisign import KeyPair, PublicKey, SecretKey

from revproxy.bundles.signature import publicKey
from revproxy.bundles.signaturefiles import MINISIG, SSHSIG
from revproxy.bundles.signedmanifest import FORMAT
from revproxy.regularfile import readFile

LIMIT: Final = 64 << 10
"""Bytes of a file with a key."""

TOOL_TIMEOUT: Final = 300.0
"""Seconds for ``ssh-keygen``: somebody has to touch a key, or to type."""

_OPENSSH: Final = b"-----BEGIN OPENSSH PRIVATE KEY-----"
_MINISIGN: Final = b"untrusted comment:"
_LINE: Final = 70
"""Characters of a line in an envelope, as ``ssh-keygen`` has them."""

Passphrase = Callable[[str], str]
"""Asked when a key needs one, with what the key is called."""

_Private = ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class KeyProblem(Exception):
    """A key cannot be read, made or used; the text says which, why, and what to do."""


class SigningKey(Protocol):
    """
    Signs manifests.

    :ivar envelope: the file that a signature goes into.
    :ivar public: the line of the public key; empty where only the tool knows it.
    """

    envelope: str
    public: str

    def sign(self, manifest: bytes) -> bytes:
        """
        The content of an envelope.

        :raises KeyProblem: it could not be made.
        """


@dataclass(frozen=True, slots=True)
class NewKey:
    """
    Two files.

    :ivar private: content of the one that nobody else may have.
    :ivar public: content of the other.
    :ivar line: of the public key, as it goes into revproxy.yaml.
    """

    private: bytes
    public: bytes
    line: str


def newSSHKey(comment: str, passphrase: str) -> NewKey:
    """:param passphrase: empty: none."""
    made = ed25519.Ed25519PrivateKey.generate()
    guard = serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
    private = made.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, guard)
    line = f"{_lineOf(made)} {comment}"
    return NewKey(private, f"{line}\n".encode(), line)


def newMinisignKey(passphrase: str) -> NewKey:
    """:param passphrase: empty: none."""
    made = KeyPair.generate()
    if passphrase:
        made.secret_key.encrypt(passphrase)
    line = made.public_key.to_base64().decode("ascii")
    head = f"untrusted comment: minisign public key {publicKey(line).keyId}\n"
    return NewKey(bytes(made.secret_key) + b"\n", f"{head}{line}\n".encode(), line)


def readSigningKey(path: Path, passphrase: Passphrase) -> SigningKey:
    """
    The key in a file: a private one, or the public one of a key that an agent has.

    :raises KeyProblem: it cannot be read, others may read it, or it is no key.
    """
    try:
        data = readFile(path, LIMIT)
    except OSError as error:
        raise KeyProblem(f"{path}: cannot be read: {error.strerror}") from None
    if data.startswith(_MINISIGN):
        return _minisign(path, data, passphrase)
    if data.startswith(_OPENSSH):
        return _openSSH(path, data, passphrase)
    if data.startswith(b"-----BEGIN "):
        _checkPrivate(path)
        return ToolKey(path, "")
    try:
        line = publicKey(data.decode("utf-8", "replace")).line
    except ValueError as error:
        raise KeyProblem(f"{path}: is no key: it {error}") from None
    return ToolKey(path, line)


def _checkPrivate(path: Path) -> None:
    mode = stat.S_IMODE(os.stat(path).st_mode)
    if mode & 0o077:
        raise KeyProblem(f"{path}: others may read it ({mode:04o}), and whoever has it can sign; chmod 600 {path}; "
                         "take a new one if others were there")


def _openSSH(path: Path, data: bytes, passphrase: Passphrase) -> SigningKey:
    _checkPrivate(path)
    try:
        key = serialization.load_ssh_private_key(data, None)
    except TypeError:  # it has a passphrase
        try:
            key = serialization.load_ssh_private_key(data, passphrase(str(path)).encode())
        except Exception:  # it is the wrong one, or ours cannot read it: the libraries raise anything
            raise KeyProblem(f"{path}: cannot be read with this passphrase") from None
    except Exception:  # a security key, which only the tool can use, or nothing that is known: the tool says which
        return ToolKey(path, "")
    return PlainKey(key) if isinstance(key, _Private) else ToolKey(path, "")


def _minisign(path: Path, data: bytes, passphrase: Passphrase) -> SigningKey:
    try:
        PublicKey.from_bytes(data)
    except ValueError:
        pass
    else:
        raise KeyProblem(f"{path}: is a public key; name the file with the secret one")
    _checkPrivate(path)
    try:
        key = SecretKey.from_bytes(data)
    except ValueError as error:
        raise KeyProblem(f"{path}: is no key of minisign: {error}") from None
    if key.is_encrypted():
        try:
            key.decrypt(passphrase(str(path)))
        except ValueError:
            raise KeyProblem(f"{path}: cannot be read with this passphrase") from None
    return MinisignSecret(key)


class PlainKey:
    """A private key of OpenSSH."""

    envelope = SSHSIG

    def __init__(self, key: _Private) -> None:
        self._key = key
        self.public = _lineOf(key)

    def sign(self, manifest: bytes) -> bytes:
        """See `SigningKey`. As ``ssh-keygen`` does it, to the byte."""
        head = _strings(FORMAT.encode(), b"", b"sha512")
        signature = self._signature(b"SSHSIG" + head + _strings(hashlib.sha512(manifest).digest()))
        blob = base64.b64decode(self.public.split()[1])
        raw = b"SSHSIG" + struct.pack(">L", 1) + _strings(blob) + head + _strings(signature)
        return _armoured(raw)

    def _signature(self, message: bytes) -> bytes:
        key = self._key
        if isinstance(key, ed25519.Ed25519PrivateKey):
            return _strings(b"ssh-ed25519", key.sign(message))
        if isinstance(key, rsa.RSAPrivateKey):
            return _strings(b"rsa-sha2-512", key.sign(message, padding.PKCS1v15(), hashes.SHA512()))
        kind = self.public.split()[0].encode()
        made = key.sign(message, ec.ECDSA(_HASHES[key.curve.key_size]))
        return _strings(kind, _strings(*map(_number, utils.decode_dss_signature(made))))


_HASHES: Final[dict[int, hashes.HashAlgorithm]] = {
    256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()
}  # fmt: skip
"""By the bits of a curve: RFC 5656 §6.2.1."""


class MinisignSecret:
    """A secret key of minisign."""

    envelope = MINISIG

    def __init__(self, key: SecretKey) -> None:
        self._key = key
        self.public = key.get_public_key().to_base64().decode("ascii")

    def sign(self, manifest: bytes) -> bytes:
        """See `SigningKey`. There is no time in it: whoever signs twice makes the same."""
        made = self._key.sign(manifest, untrusted_comment="signed by revproxy sign", trusted_comment=FORMAT)
        return bytes(made) + b"\n"


class ToolKey:
    """What ``ssh-keygen`` signs with: a security key, a key of an agent."""

    envelope = SSHSIG

    def __init__(self, path: Path, public: str) -> None:
        self._path = path
        self.public = public

    def sign(self, manifest: bytes) -> bytes:
        """See `SigningKey`. What the tool has to say goes to the terminal."""
        command = ["ssh-keygen", "-q", "-Y", "sign", "-n", FORMAT, "-f", str(self._path)]
        try:
            done = subprocess.run(command, input=manifest, stdout=subprocess.PIPE, timeout=TOOL_TIMEOUT, check=False)
        except FileNotFoundError:
            raise KeyProblem(f"{self._path}: only ssh-keygen can sign with it, and there is none here: install "
                             "openssh-client") from None
        except subprocess.TimeoutExpired:
            raise KeyProblem(f"{self._path}: ssh-keygen has not signed within {TOOL_TIMEOUT:g} s") from None
        if done.returncode or not done.stdout:
            raise KeyProblem(f"{self._path}: ssh-keygen has not signed with it; what it said is above")
        return done.stdout


def _lineOf(key: _Private) -> str:
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return public.decode("ascii")


def _strings(*contents: bytes) -> bytes:
    """As RFC 4251 §5 has them."""
    return b"".join(struct.pack(">L", len(content)) + content for content in contents)


def _number(value: int) -> bytes:
    """The content of an mpint."""
    return value.to_bytes(value.bit_length() // 8 + 1, "big")


def _armoured(raw: bytes) -> bytes:
    text = base64.b64encode(raw)
    lines = [text[at:at + _LINE] for at in range(0, len(text), _LINE)]
    return b"\n".join([b"-----BEGIN SSH SIGNATURE-----", *lines, b"-----END SSH SIGNATURE-----", b""])
