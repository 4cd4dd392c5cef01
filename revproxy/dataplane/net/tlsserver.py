"""
The accepting end of TLS connections, which chooses its host by the name in the hello. What it shares with the
connecting end is in :mod:`revproxy.dataplane.net.sockettls`.
"""

# Twisted's transports carry no annotations.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from OpenSSL import SSL
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.logger import Logger

from revproxy.dataplane.net.clienthello import HELLO_LIMIT, readHello
from revproxy.dataplane.net.eagerserver import EagerServer, EagerUNIXServer
from revproxy.dataplane.net.sockettls import SocketTLS, reasonOf
from revproxy.dataplane.net.tlscontexts import ServerContexts

_NAME_KINDS: dict[type, str] = {
    x509.DNSName: "DNS",
    x509.RFC822Name: "email",
    x509.UniformResourceIdentifier: "URI",
    x509.IPAddress: "IP",
}

_log = Logger()


class ServerTLS(SocketTLS, EagerServer):
    """
    The accepting end.

    :cvar contexts: the listener's hosts.
    """

    contexts: ServerContexts
    _serverName: str | None = None

    def _opened(self) -> None:
        self._enterStage(self._readHello, self._holdWrites)

    def _readHello(self) -> Any:
        """Learn the host from the first bytes, leave them in the kernel, and begin with the host's context."""
        if self.disconnecting:
            return CONNECTION_DONE
        data = self._peek(HELLO_LIMIT)
        if not data:
            return None if data is None else CONNECTION_DONE
        hello = readHello(data)
        self._awaitBytes(hello.needed)
        if hello.needed:
            return None
        self._serverName = hello.serverName
        host = self.contexts.forName(hello.serverName)
        connection = SSL.Connection(host.context, self.socket)
        connection.set_accept_state()
        return self._beginHandshake(connection)

    def _handshakeFailed(self, e: Exception) -> Any:
        _log.debug("handshake with {peer} failed: {reason}", peer=self.client, reason=reasonOf(e, self._tls))
        return CONNECTION_LOST

    def _handshakeDone(self) -> Any:
        try:
            clientName = _clientName(self._tls.get_peer_certificate(as_cryptography=True))
        except ValueError as e:
            return self._handshakeFailed(e)
        self.tlsInfo = self._describe(self._serverName, clientName)
        self._leaveStage()
        completed = getattr(self.protocol, "handshakeCompleted", None)
        if completed is not None:
            completed()
        return None


def _clientName(certificate: x509.Certificate | None) -> str | None:
    """
    :raises ValueError: when the certificate has expired, which matters for resumed sessions: nobody else looks again.
    """
    if certificate is None:
        return None
    if certificate.not_valid_after_utc < datetime.now(UTC):
        raise ValueError("the client's certificate has expired")
    subject = certificate.subject.rfc4514_string()
    if subject:
        return subject
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ""
    for name in names:
        kind = _NAME_KINDS.get(type(name))
        if kind is not None:
            return f"{kind}:{name.value}"
    return ""


class TLSServer(ServerTLS, EagerServer):
    """A TLS connection that a TCP port accepted."""


class TLSUNIXServer(ServerTLS, EagerUNIXServer):
    """A TLS connection that a UNIX port accepted."""


__all__ = ["ServerTLS", "TLSServer", "TLSUNIXServer"]
