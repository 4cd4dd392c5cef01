"""
The envelope that ``ssh-keygen -Y sign`` makes: SSHSIG, as OpenSSH's PROTOCOL.sshsig has it.

sshsig reads it, and is lenient: text around it, bytes after it, any hash. So it has to be the very bytes that sshsig
would write of it. The key inside says only which of the trusted keys is to be taken.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from typing import Final

from sshsig.sshsig import SshsigSignature, SshsigWrapper

from revproxy.bundles.envelope import Key, Kind
from revproxy.bundles.signaturefiles import SSHSIG
from revproxy.bundles.signedmanifest import FORMAT
from revproxy.bundles.sshkey import NotTouched, SSHKey, fingerprint, lineOf
from revproxy.bundles.untrusted import Untrusted
from revproxy.config.problems import quoted

HASHES: Final = {b"sha512": hashlib.sha512, b"sha256": hashlib.sha256}
"""Those that count."""

_ARMOUR = re.compile(
    rb"-----BEGIN SSH SIGNATURE-----\n((?:[A-Za-z0-9+/]+={0,2}\n)+)-----END SSH SIGNATURE-----\n?"
)
_AGAIN: Final = "sign the folder again: revproxy sign"


@dataclass(frozen=True, slots=True)
class SSHEnvelope:
    """
    One signature.

    :ivar identity: the key that it says it is of, as OpenSSH encodes keys.
    """

    identity: bytes
    _read: SshsigSignature = field(repr=False)
    kind: Kind = "sshsig"

    @property
    def keyId(self) -> str:
        """The id of that key."""
        return fingerprint(self.identity)

    @property
    def line(self) -> str:
        """
        The line of that public key.

        :raises ValueError: it is none.
        """
        return lineOf(self.identity)

    def check(self, key: Key, message: bytes) -> None:
        """
        That a key has signed a message.

        :raises Untrusted: it has not, or nobody touched it.
        """
        hashed = HASHES[self._read.hash_algo](message).digest()
        signed = SshsigWrapper(namespace=FORMAT.encode(), hash_algo=self._read.hash_algo, hash=hashed).to_bytes()
        try:
            matches = isinstance(key, SSHKey) and key.isOf(self._read.signature, signed)
        except NotTouched:
            raise Untrusted(SSHSIG, "touch", f"{key.keyId} has signed it without being touched; {_AGAIN}") from None
        if not matches:
            raise Untrusted(SSHSIG, "signature", f"{key.keyId} has not signed this manifest; {_AGAIN}")


def readSSHEnvelope(data: bytes) -> SSHEnvelope:
    """:raises Untrusted: it is none, or was made for something else, or with a hash that does not count."""
    read = _read(data)
    if read.namespace != FORMAT.encode():
        made = read.namespace.decode("utf-8", "replace")
        raise Untrusted(SSHSIG, "namespace", f"it was made for {quoted(made)}, not for {FORMAT}; {_AGAIN}")
    if read.hash_algo not in HASHES:
        made = read.hash_algo.decode("utf-8", "replace")
        raise Untrusted(SSHSIG, "hash", f"it was made with {quoted(made)}, and only sha512 and sha256 count; {_AGAIN}")
    return SSHEnvelope(read.public_key, read)


def _read(data: bytes) -> SshsigSignature:
    armoured = _ARMOUR.fullmatch(data)
    try:
        if armoured is not None:
            inner = armoured[1].replace(b"\n", b"")
            raw = base64.b64decode(inner, validate=True)
            read = SshsigSignature(raw)
            if bytes(read) == raw and base64.b64encode(raw) == inner:
                return read
    except Exception:  # hostile input raises anything in the library
        pass
    raise Untrusted(SSHSIG, "envelope", f"it is not what ssh-keygen -Y sign writes; {_AGAIN}")
