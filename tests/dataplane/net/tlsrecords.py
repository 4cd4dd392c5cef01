"""Records of TLS 1.3 written by hand (RFC 8446 §5, §7): thousands of tiny ones at once, and floods of new keys."""

from __future__ import annotations

import hashlib
import hmac
import os
import socket
import ssl
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ALERT, HANDSHAKE, DATA = 21, 22, 23


class RecordWriter:
    """
    Goes on where an :class:`ssl.SSLSocket` has made the handshake and sent nothing yet.

    :param client: of a context that logs its keys, and speaks TLS 1.3 with AES-GCM.
    :param keys: the file they were logged to.
    """

    def __init__(self, client: ssl.SSLSocket, keys: Path) -> None:
        cipher = client.cipher()
        assert cipher is not None and "GCM" in cipher[0], cipher
        self._hash: Any = hashlib.sha384 if cipher[0].endswith("SHA384") else hashlib.sha256
        self._keySize = cipher[2] // 8
        self._socket = socket.socket(fileno=os.dup(client.fileno()))
        lines = [line.split() for line in keys.read_text().splitlines()]
        self._use([bytes.fromhex(line[2]) for line in lines if line[0] == "CLIENT_TRAFFIC_SECRET_0"][-1])

    def _use(self, secret: bytes) -> None:
        self._secret = secret
        self._key = AESGCM(self._expanded(b"key", self._keySize))
        self._iv = int.from_bytes(self._expanded(b"iv", 12))
        self._number = 0

    def _expanded(self, label: bytes, size: int) -> bytes:
        """HKDF-Expand-Label; never more than one block of it."""
        label = b"tls13 " + label
        info = size.to_bytes(2) + bytes((len(label),)) + label + b"\0\1"
        return hmac.digest(self._secret, info, self._hash)[:size]

    def record(self, data: bytes, kind: int = DATA) -> bytes:
        """One record, to be sent in the order they are made."""
        head = b"\x17\x03\x03" + (len(data) + 17).to_bytes(2)
        nonce = (self._iv ^ self._number).to_bytes(12)
        self._number += 1
        return head + self._key.encrypt(nonce, data + bytes((kind,)), head)

    def keyUpdate(self, requested: bool = False) -> bytes:
        """The record that announces new keys, which the next one uses."""
        record = self.record(b"\x18\0\0\1" + bytes((requested,)), HANDSHAKE)
        self._use(self._expanded(b"traffic upd", self._hash().digest_size))
        return record

    def closeNotify(self) -> bytes:
        """The proper end."""
        return self.record(b"\1\0", ALERT)

    def send(self, data: bytes) -> None:
        """Blocks until the kernel has it all."""
        self._socket.sendall(data)

    def close(self) -> None:
        """Leave the connection to the client it was made from."""
        self._socket.close()
