"""
Plugins, keys and signatures for tests: whatever a signer could do, right or wrong.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from minisign import KeyPair

from revproxy.bundles.bundle import Bundle, makeBundle
from revproxy.bundles.signaturefiles import MANIFEST, MINISIG, SSHSIG
from revproxy.bundles.signedmanifest import manifestOf
from revproxy.config.trustconfig import SignerConfig

NAMESPACE = b"revproxy-plugin@v1"

APPLICATION = b"ssh:"
"""Of security keys, unless somebody says otherwise."""


def plugin(name: str = "hello", revision: int | None = 3, files: Mapping[str, bytes] | None = None,
           **more: Any) -> Bundle:
    """A plugin that is not signed."""
    said = {"name": name, "version": "1.2.0", **({} if revision is None else {"revision": revision}), **more}
    return makeBundle(name, {
        "plugin.json": json.dumps(said).encode(), "plugin.py": b"def PluginMain(config): ...\n",
        "inner/a.py": b"a = 1\n", **(files or {}),
    })  # fmt: skip


def string(*contents: bytes) -> bytes:
    """Strings as RFC 4251 has them."""
    return b"".join(struct.pack(">L", len(content)) + content for content in contents)


def mpint(value: int) -> bytes:
    """The content of one."""
    return value.to_bytes(value.bit_length() // 8 + 1, "big")


class Key:
    """An SSH key, a software security key among them."""

    def __init__(self, kind: str = "ssh-ed25519") -> None:
        self.kind = kind
        self.flags = 1
        self.counter = 7
        self.private: Any = (
            rsa.generate_private_key(65537, 2048) if kind == "ssh-rsa"
            else ed25519.Ed25519PrivateKey.generate() if "ed25519" in kind
            else ec.generate_private_key({"256": ec.SECP256R1(), "384": ec.SECP384R1(), "521": ec.SECP521R1()}[
                kind.partition("nistp")[2][:3]])
        )  # fmt: skip

    @property
    def blob(self) -> bytes:
        """The public key."""
        line = self.private.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        plain: bytes = base64.b64decode(line.split()[1])
        if not self.isSecurity:
            return plain
        rest = plain[4 + int.from_bytes(plain[:4], "big"):]
        return string(self.kind.encode()) + rest + string(APPLICATION)

    @property
    def isSecurity(self) -> bool:
        """Whether it is one of FIDO2."""
        return self.kind.startswith("sk-")

    @property
    def line(self) -> str:
        """As OpenSSH writes the public key."""
        return f"{self.kind} {base64.b64encode(self.blob).decode()}"

    def signature(self, message: bytes, algorithm: bytes = b"") -> bytes:
        """As OpenSSH encodes it."""
        if self.kind == "ssh-rsa":
            algorithm = algorithm or b"rsa-sha2-512"
            hashed = {b"rsa-sha2-512": hashes.SHA512(), b"rsa-sha2-256": hashes.SHA256(), b"ssh-rsa": hashes.SHA1()}
            return string(algorithm, self.private.sign(message, padding.PKCS1v15(), hashed[algorithm]))
        tail = b""
        if self.isSecurity:
            tail = struct.pack(">BL", self.flags, self.counter)
            message = hashlib.sha256(APPLICATION).digest() + tail + hashlib.sha256(message).digest()
        return string(algorithm or self.kind.encode(), self._raw(message)) + tail

    def _raw(self, message: bytes) -> bytes:
        if "ed25519" in self.kind:
            made: bytes = self.private.sign(message)
            return made
        size = self.private.curve.key_size
        hashed = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}[size]
        return string(*map(mpint, utils.decode_dss_signature(self.private.sign(message, ec.ECDSA(hashed)))))

    def envelope(self, message: bytes, namespace: bytes = NAMESPACE, hashName: bytes = b"sha512",
                 algorithm: bytes = b"", **parts: bytes) -> bytes:
        """
        An SSHSIG of a message.

        :param parts: other bytes than those that belong there: ``magic``, ``version``, ``key``, ``reserved``,
            ``signature``, and ``after`` the end.
        """
        hashed = hashlib.new(hashName.decode(), message).digest()
        signed = b"SSHSIG" + string(namespace, b"", hashName, hashed)
        raw = (
            parts.get("magic", b"SSHSIG") + parts.get("version", b"\0\0\0\1") + string(parts.get("key", self.blob))
            + string(namespace, parts.get("reserved", b""), hashName)
            + string(parts.get("signature", self.signature(signed, algorithm))) + parts.get("after", b"")
        )  # fmt: skip
        return armoured(raw)


def armoured(raw: bytes, width: int = 70) -> bytes:
    """As ``ssh-keygen`` writes it."""
    text = base64.b64encode(raw)
    lines = b"".join(text[at:at + width] + b"\n" for at in range(0, len(text), width))
    return b"-----BEGIN SSH SIGNATURE-----\n" + lines + b"-----END SSH SIGNATURE-----\n"


def raw(envelope: bytes) -> bytes:
    """What is in an armour."""
    return base64.b64decode(b"".join(envelope.split(b"\n")[1:-2]))


_keys: dict[tuple[str, int], Any] = {}


def sshKey(kind: str = "ssh-ed25519", number: int = 0) -> Key:
    """The same each time: RSA keys take long."""
    if (kind, number) not in _keys:
        _keys[kind, number] = Key(kind)
    found: Key = _keys[kind, number]
    return found


def minisignKey(number: int = 0) -> KeyPair:
    """The same each time."""
    if ("minisign", number) not in _keys:
        _keys["minisign", number] = KeyPair.generate()
    found: KeyPair = _keys["minisign", number]
    return found


def minisignLine(key: KeyPair | None = None) -> str:
    """Its public key."""
    return (key or minisignKey()).public_key.to_base64().decode()


def minisigned(message: bytes, comment: str = NAMESPACE.decode(), key: KeyPair | None = None,
               prehash: bool = True) -> bytes:
    """An envelope of minisign."""
    made = (key or minisignKey()).secret_key.sign(message, prehash=prehash, trusted_comment=comment)
    return bytes(made) + b"\n"


def signer(name: str = "alice", key: str | None = None, **more: Any) -> SignerConfig:
    """Somebody who is trusted."""
    return SignerConfig(name, sshKey().line if key is None else key, **more)


def signed(bundle: Bundle | None = None, key: Key | None = None, manifest: bytes | None = None) -> Bundle:
    """A bundle with a signature of OpenSSH; its manifest is right unless another is given."""
    bundle = bundle or plugin()
    content = manifestOf(bundle) if manifest is None else manifest
    return replace(bundle, signature={MANIFEST: content, SSHSIG: (key or sshKey()).envelope(content)})


def signedByMinisign(bundle: Bundle | None = None, **more: Any) -> Bundle:
    """The same, of minisign."""
    bundle = bundle or plugin()
    content = manifestOf(bundle)
    return replace(bundle, signature={MANIFEST: content, MINISIG: minisigned(content, **more)})
