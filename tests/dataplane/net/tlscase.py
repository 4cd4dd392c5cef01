"""
Certificates, peers and listeners for tests of TLS on the socket itself, against Python's ``ssl``, which has an
OpenSSL of its own. Peers are blocking and live in threads.
"""

from __future__ import annotations

import socket
import ssl
import tempfile
from typing import Any

from twisted.internet.threads import deferToThread

from revproxy.addresses import AddressSet
from revproxy.dataplane.net.servertransport import serverTransport
from revproxy.dataplane.net.tlscontexts import HostTLS, ServerContexts, serverContext
from tests.authority import Authority, Issued
from tests.dataplane.wire import PATIENCE, Recorder, WireCase

AUTHORITY = Authority()
CLIENTS = Authority("client authority")
OTHERS = Authority("other authority")
OPEN = AUTHORITY.issue("open.example", "localhost", "127.0.0.1")
ADMIN = AUTHORITY.issue("admin.example")
ALICE = CLIENTS.issue(subject="alice")


def makeHost(issued: Issued, clientAuth: str = "none", minimumVersion: str = "TLSv1.2") -> HostTLS:
    """A host with a certificate, which trusts the clients' authority."""
    context = serverContext(
        [issued.certificate],
        issued.key,
        clientAuth=clientAuth,
        clientCA=[CLIENTS.own.certificate],
        minimumVersion=minimumVersion,
        sessionContext=issued.certificate.serial_number.to_bytes(20, "big"),
    )
    return HostTLS(context, clientAuth)


class Peer:
    """A client made of Python's ``ssl``."""

    def __init__(self, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3, own: Issued | None = None) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.load_verify_locations(cadata=AUTHORITY.own.certificatePEM.decode())
        self.context.minimum_version = self.context.maximum_version = version
        self.context.set_alpn_protocols(["h2", "http/1.1"])
        if own is not None:
            with tempfile.NamedTemporaryFile() as file:
                file.write(own.pem)
                file.flush()
                self.context.load_cert_chain(file.name)

    def connect(self, port: int, name: str = "open.example", session: Any = None) -> ssl.SSLSocket:
        """Handshake; a truncated end is an error, not an end."""
        raw = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        return self.context.wrap_socket(raw, server_hostname=name, session=session, suppress_ragged_eofs=False)


class ServerCase(WireCase):
    """A listener with an open host and one that can be protected."""

    def tls(self, adminAuth: str = "required", trusted: AddressSet | None = None) -> int:
        """:return: a port that speaks TLS."""
        self.contexts = ServerContexts(
            {"open.example": makeHost(OPEN), "admin.example": makeHost(ADMIN, adminAuth)}, makeHost(OPEN)
        )
        return self.listen(serverTransport(self.contexts, trusted))

    async def meet(self, port: int, peer: Peer | None = None, **arguments: Any) -> tuple[ssl.SSLSocket, Recorder]:
        """Both ends of a connection after the handshake."""
        known = len(self.factory.made)
        client = await deferToThread((peer or Peer()).connect, port, **arguments)
        self.addCleanup(client.close)
        await self.until(lambda: len(self.factory.made) > known and "handshake" in self.factory.made[-1].events)
        return client, self.factory.made[-1]


def readAll(client: ssl.SSLSocket) -> bytes:
    """Everything up to a proper end."""
    pieces = []
    while data := client.recv(1 << 16):
        pieces.append(data)
    return b"".join(pieces)
