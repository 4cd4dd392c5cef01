"""
The PROXY protocol, versions 1 and 2: who the client of the proxy before us is.

HAProxy's ``proxy-protocol.txt`` is the law. Kept from it: the header is required from peers that may send one and never
looked for from others (§2); a version 1 line has at most 107 bytes (§2.1); ``UNKNOWN``, ``LOCAL`` and ``UNSPEC`` leave
the connection's own addresses (§2.1, §2.2). Extensions (TLVs) of version 2 are skipped, the CRC-32C among them: it
guards against a broken path, which TCP does already.

The header is looked at with ``MSG_PEEK`` and taken to the byte, so TLS or HTTP begin exactly behind it.
"""

# Twisted's transports carry no annotations.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.logger import Logger

from revproxy.addresses import AddressSet
from revproxy.dataplane.net.eagerserver import EagerServer

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
V1_LIMIT = 107
V2_LIMIT = 16 + 4096
"""Bytes; a sender with more extensions than that is refused."""

_V1 = b"PROXY "
_V1_SHORTEST = len(b"PROXY UNKNOWN\r\n")
_V1_FAMILIES = {b"TCP4": (ipaddress.IPv4Address, IPv4Address), b"TCP6": (ipaddress.IPv6Address, IPv6Address)}
_STREAM = 1


class ProxyHeaderError(ValueError):
    """What came is no PROXY header; the text says why."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """
    What the bytes so far say.

    :ivar needed: how many bytes must be there to say more; 0 when the header is whole.
    :ivar length: bytes of the header.
    :ivar source: the client; :obj:`None` when the connection's own address stands.
    :ivar destination: where the client connected to; :obj:`None` likewise.
    """

    needed: int = 0
    length: int = 0
    source: IAddress | None = None
    destination: IAddress | None = None


def readProxyHeader(data: bytes) -> ProxyHeader:
    """
    :param data: the first bytes of a connection.
    :raises ProxyHeaderError: as soon as they cannot become a header.
    """
    if data.startswith(SIGNATURE):
        return _readV2(data)
    if data.startswith(_V1):
        return _readV1(data)
    if _V1.startswith(data):
        return ProxyHeader(needed=_V1_SHORTEST)
    if SIGNATURE.startswith(data):
        return ProxyHeader(needed=16)
    raise ProxyHeaderError("it begins with something else")


def _readV1(data: bytes) -> ProxyHeader:
    end = data.find(b"\r\n", 0, V1_LIMIT)
    if end < 0:
        if len(data) >= V1_LIMIT:
            raise ProxyHeaderError("a version 1 line is longer than 107 bytes")
        return ProxyHeader(needed=max(len(data) + 1, _V1_SHORTEST))
    words = data[:end].split(b" ")
    if words[1] == b"UNKNOWN":
        return ProxyHeader(length=end + 2)
    if len(words) != 6 or words[1] not in _V1_FAMILIES:
        raise ProxyHeaderError("a version 1 line is not of its form")
    parse, make = _V1_FAMILIES[words[1]]
    source, destination = (
        make("TCP", _v1Host(parse, words[at]), _v1Port(words[at + 2])) for at in (2, 3)
    )
    return ProxyHeader(length=end + 2, source=source, destination=destination)


def _v1Host(parse: Callable[[str], Any], word: bytes) -> str:
    try:
        return str(parse(word.decode("ascii")))
    except ValueError:
        raise ProxyHeaderError("a version 1 line has no valid address")


def _v1Port(word: bytes) -> int:
    if not word.isdigit() or len(word) > 5 or (word[:1] == b"0" and word != b"0") or int(word) > 65535:
        raise ProxyHeaderError("a version 1 line has no valid port")
    return int(word)


def _readV2(data: bytes) -> ProxyHeader:
    if len(data) < 16:
        return ProxyHeader(needed=16)
    version, command = divmod(data[12], 16)
    family, transport = divmod(data[13], 16)
    length = 16 + int.from_bytes(data[14:16], "big")
    if version != 2 or command > 1:
        raise ProxyHeaderError("unknown version or command")
    if length > V2_LIMIT:
        raise ProxyHeaderError("a version 2 header is too long")
    if len(data) < length:
        return ProxyHeader(needed=length)
    if command == 0 or transport != _STREAM or family not in _V2_FAMILIES:
        return ProxyHeader(length=length)
    size, read = _V2_FAMILIES[family]
    if length - 16 < size:
        raise ProxyHeaderError("a version 2 header is shorter than its addresses")
    source, destination = read(data[16 : 16 + size])
    return ProxyHeader(length=length, source=source, destination=destination)


def _v2IPv4(block: bytes) -> tuple[IAddress, IAddress]:
    hosts = str(ipaddress.IPv4Address(block[0:4])), str(ipaddress.IPv4Address(block[4:8]))
    ports = int.from_bytes(block[8:10], "big"), int.from_bytes(block[10:12], "big")
    return IPv4Address("TCP", hosts[0], ports[0]), IPv4Address("TCP", hosts[1], ports[1])


def _v2IPv6(block: bytes) -> tuple[IAddress, IAddress]:
    hosts = str(ipaddress.IPv6Address(block[0:16])), str(ipaddress.IPv6Address(block[16:32]))
    ports = int.from_bytes(block[32:34], "big"), int.from_bytes(block[34:36], "big")
    return IPv6Address("TCP", hosts[0], ports[0]), IPv6Address("TCP", hosts[1], ports[1])


def _v2UNIX(block: bytes) -> tuple[IAddress, IAddress]:
    source, destination = (block[at : at + 108].rstrip(b"\x00") or None for at in (0, 108))
    return UNIXAddress(source), UNIXAddress(destination)


_V2_FAMILIES: dict[int, tuple[int, Callable[[bytes], tuple[IAddress, IAddress]]]] = {
    1: (12, _v2IPv4),
    2: (36, _v2IPv6),
    3: (216, _v2UNIX),
}


class ProxyHeaders(EagerServer):
    """
    A stage before all others: reads the header of a trusted peer, after which ``getPeer()`` and ``getHost()`` are
    those of the header.

    The protocol is connected before the header is there, so it should ask for the peer when it has bytes; its own
    deadline for a head covers the header too.

    :cvar trusted: who sends headers. A UNIX socket's peers all do: the file's mode says who they are.
    :cvar refusals: one number that counts refused headers of the listener; logged at powers of ten.
    """

    trusted: AddressSet
    refusals: list[int]
    _log = Logger()
    _carried: ProxyHeader | None = None

    def _opened(self) -> None:
        host = self.client[0]
        if self.client[1] is None or self.trusted.contains(host):
            self.peerKnown = False
            self._enterStage(self._readProxyHeader, self._holdWrites)
        else:
            super()._opened()

    def _readProxyHeader(self) -> Any:
        if self.disconnecting:
            return CONNECTION_DONE
        data = self._peek(V2_LIMIT)
        if not data:
            return None if data is None else CONNECTION_DONE
        try:
            header = readProxyHeader(data)
        except ProxyHeaderError as e:
            return self._refuse(str(e))
        self._awaitBytes(header.needed)
        if header.needed:
            return None
        self.socket.recv(header.length)
        if header.source is not None:
            self._carried = header
        self.peerKnown = True
        learned = getattr(self.protocol, "peerLearned", None)
        if learned is not None:
            learned()
            if self._aborting or self.disconnecting:
                return None
        super()._opened()
        return None

    def _refuse(self, reason: str) -> Any:
        self.refusals[0] += 1
        count = self.refusals[0]
        if count == 10 ** (len(str(count)) - 1):
            message = "PROXY header of {peer} refused ({count} so far): {reason}"
            self._log.warn(message, peer=self.client, count=count, reason=reason)
        return CONNECTION_LOST

    def getPeer(self) -> Any:
        """:return: the client that the header names, or the connection's own peer."""
        return super().getPeer() if self._carried is None else self._carried.source

    def getHost(self) -> Any:
        """:return: where that client connected to, or our own end."""
        return super().getHost() if self._carried is None else self._carried.destination


__all__ = ["ProxyHeader", "ProxyHeaderError", "ProxyHeaders", "readProxyHeader"]
