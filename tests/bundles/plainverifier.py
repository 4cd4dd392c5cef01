"""
SSHSIG and minisign once more, in the shortest way, from their descriptions alone, to compare the edge's answers with.

It knows no trust: whether a key has signed these bytes for plugins, or not.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils


def strings(data: bytes) -> list[bytes]:
    found = []
    while data:
        size = int.from_bytes(data[:4], "big")
        assert len(data) >= 4 + size
        found.append(data[4:4 + size])
        data = data[4 + size:]
    return found


def sha(name: bytes) -> Any:
    return {b"256": hashes.SHA256(), b"384": hashes.SHA384()}.get(name[-3:], hashes.SHA512())


def verifySSH(line: str, envelope: bytes, message: bytes) -> bool:
    try:
        lines = envelope.decode("ascii").split("\n")
        assert (lines[0], lines[-2:]) == ("-----BEGIN SSH SIGNATURE-----", ["-----END SSH SIGNATURE-----", ""])
        raw = base64.b64decode("".join(lines[1:-2]), validate=True)
        assert raw[:10] == b"SSHSIG\0\0\0\1"
        key, namespace, reserved, hashName, signature = strings(raw[10:])
        assert key == base64.b64decode(line.split()[1])
        assert (namespace, reserved) == (b"revproxy-plugin@v1", b"") and hashName in (b"sha256", b"sha512")
        parts = [namespace, reserved, hashName, hashlib.new(hashName.decode(), message).digest()]
        signed = b"SSHSIG" + b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        kind, *fields = strings(key)
        if kind.startswith(b"sk-"):
            tail, signature = signature[-5:], signature[:-5]
            assert tail[0] & 1
            signed = hashlib.sha256(fields[-1]).digest() + tail + hashlib.sha256(signed).digest()
        made, value = strings(signature)
        if kind == b"ssh-rsa":
            assert made in (b"rsa-sha2-256", b"rsa-sha2-512")
            numbers = [int.from_bytes(field, "big") for field in fields]
            rsa.RSAPublicNumbers(*numbers).public_key().verify(value, signed, padding.PKCS1v15(), sha(made))
        elif b"ed25519" in kind:
            assert made == kind
            ed25519.Ed25519PublicKey.from_public_bytes(fields[0]).verify(value, signed)
        else:
            assert made == kind
            curve = {b"nistp256": ec.SECP256R1(), b"nistp384": ec.SECP384R1(), b"nistp521": ec.SECP521R1()}[fields[0]]
            der = utils.encode_dss_signature(*(int.from_bytes(part, "big") for part in strings(value)))
            ec.EllipticCurvePublicKey.from_encoded_point(curve, fields[1]).verify(der, signed, ec.ECDSA(sha(fields[0])))
    except Exception:
        return False
    return True


def verifyMinisign(line: str, envelope: bytes, message: bytes) -> bool:
    try:
        _, first, comment, second, end = envelope.decode().split("\n")
        key, made = base64.b64decode(line), base64.b64decode(first)
        assert (key[:2], made[:2], made[2:10], end) == (b"Ed", b"ED", key[2:10], "")
        text = comment.removeprefix("trusted comment: ")
        assert text == "revproxy-plugin@v1" or text.startswith("revproxy-plugin@v1 ")
        public = ed25519.Ed25519PublicKey.from_public_bytes(key[10:])
        public.verify(made[10:], hashlib.blake2b(message).digest())
        public.verify(base64.b64decode(second), made[10:] + text.encode())
    except Exception:
        return False
    return True
