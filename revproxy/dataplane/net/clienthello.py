"""
The server name in a ClientHello, read before OpenSSL sees it.

Why not OpenSSL's own server-name callback: it runs after a session has been resumed (in TLS 1.2 and 1.3), so
a session of one host could be carried to another, past its client certificates (CVE-2025-23419 in nginx), and it
changes the context half way, which leaves the verify mode behind. Here the host is known before the connection
has a context at all: session cache, ticket keys, verify mode, and ALPN are its own from the first byte.

Pure functions on bytes; TLS 1.2 and 1.3, RFC 8446 §4.1.2 and §5.1, RFC 6066 §3. Anything that is not a well-formed
hello has no name: OpenSSL, which reads the same bytes afterwards, answers it with the proper alert.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

HELLO_LIMIT = 65536
"""Bytes of a hello that are looked at; longer ones are treated as nameless."""

RECORD_LIMIT = 16
"""Records of a hello that are looked at: each one may be a wake-up, and each wake-up reads from the start."""

_HANDSHAKE_RECORD = 22
_CLIENT_HELLO = 1
_SERVER_NAME = 0
_MAX_RECORD = 16384
_NAME = re.compile(rb"[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\Z")


@dataclass(frozen=True, slots=True)
class Hello:
    """
    What the bytes so far say.

    :ivar needed: how many bytes, counted from the first, must be there before it can be read; 0 when it is read.
    :ivar serverName: the name asked for, in lower case; :obj:`None` when there is none or it is no host name.
    """

    needed: int = 0
    serverName: str | None = None


_NAMELESS = Hello()


def readHello(data: bytes) -> Hello:
    """:param data: the first bytes of a connection."""
    body = b""
    offset = 0
    for _ in range(RECORD_LIMIT):
        if len(data) < offset + 5:
            # The first record of any hello has more than its header and a handshake header.
            return Hello(needed=offset + 5) if data[offset : offset + 1] in (b"", b"\x16") else _NAMELESS
        length = int.from_bytes(data[offset + 3 : offset + 5], "big")
        if data[offset] != _HANDSHAKE_RECORD or not 0 < length <= _MAX_RECORD:
            return _NAMELESS
        end = offset + 5 + length
        if end > HELLO_LIMIT:
            return _NAMELESS
        if len(data) < end:
            return Hello(needed=end)
        body += data[offset + 5 : end]
        offset = end
        if len(body) >= 4:
            total = 4 + int.from_bytes(body[1:4], "big")
            if body[0] != _CLIENT_HELLO or total > HELLO_LIMIT:
                return _NAMELESS
            if len(body) >= total:
                return Hello(serverName=_serverName(body[4:total]))
    return _NAMELESS


def _serverName(hello: bytes) -> str | None:
    """Walk over version, random, session id, ciphers and compression to the extensions."""
    offset = 34
    for width in (1, 2, 1):
        offset += width + int.from_bytes(hello[offset : offset + width], "big")
    end = offset + 2 + int.from_bytes(hello[offset : offset + 2], "big")
    offset += 2
    if end > len(hello):
        return None
    while offset + 4 <= end:
        kind = int.from_bytes(hello[offset : offset + 2], "big")
        size = int.from_bytes(hello[offset + 2 : offset + 4], "big")
        offset += 4
        if offset + size > end:
            return None
        if kind == _SERVER_NAME:
            return _hostName(hello[offset : offset + size])
        offset += size
    return None


def _hostName(extension: bytes) -> str | None:
    """RFC 6066: a list of which one entry, of type 0, may be present."""
    size = int.from_bytes(extension[3:5], "big")
    name = extension[5 : 5 + size]
    if extension[2:3] != b"\x00" or len(extension) != 5 + size or len(name) > 253 or not _NAME.match(name):
        return None
    return name.decode("ascii").lower()
