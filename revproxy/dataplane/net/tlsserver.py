"""
The two ends of TLS connections: accepted ones, which choose their host by the name in the hello, and ours to origins,
which verify whom they have reached before the protocol is connected. What both share is in
:mod:`revproxy.dataplane.net.sockettls`.
"""

# Twisted's transports carry no annotations.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from cryptography import x509
from OpenSSL import SSL
from service_identity import CertificateError, VerificationError
from service_identity.pyopenssl import verify_hostname, verify_ip_address
from twisted.internet import error
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.logger import Logger

from revproxy.dataplane.net.clienthello import HELLO_LIMIT, readHello
from revproxy.dataplane.net.eagerconnection import (
    EagerBaseClient,
    EagerClient,
    EagerServer,
    EagerUNIXClient,
    EagerUNIXServer,
)
from revproxy.dataplane.net.eagerreactor import EagerReactor
from revproxy.dataplane.net.sockettls import SocketTLS, TLSInfo
from revproxy.dataplane.net.tlscontexts import HostTLS, ServerContexts, clientContext, serverContext

_NAME_KINDS: dict[type, str] = {
    x509.DNSName: "DNS",
    x509.RFC822Name: "email",
    x509.UniformResourceIdentifier: "URI",
    x509.IPAddress: "IP",
}

_log = Logger()


class HandshakeFailed(error.ConnectError):  # type: ignore[misc]
    """The origin could be reached, but there is no TLS with it; the text says why."""


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
        _log.debug("handshake with {peer} failed: {reason}", peer=self.client, reason=_reasonOf(e, self._tls))
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


@dataclass(frozen=True, slots=True)
class OriginTLS:
    """
    How to speak TLS to one origin.

    :ivar context: from :func:`clientContext`; whether it verifies decides if the name is checked.
    :ivar serverName: a host name or an IP address: asked for (names only) and looked for in the certificate.
    """

    context: SSL.Context
    serverName: str


class ClientTLS(SocketTLS, EagerBaseClient):
    """The connecting end. ``connected`` stays false, and the connector's timeout runs, until the handshake is done."""

    origin: OriginTLS

    def _established(self) -> None:
        connection = SSL.Connection(self.origin.context, self.socket)
        connection.set_connect_state()
        if not _isAddress(self.origin.serverName):
            connection.set_tlsext_host_name(self.origin.serverName.encode("idna"))
        self._beginHandshake(connection)

    def _handshakeFailed(self, e: Exception) -> Any:
        self._giveUp(_reasonOf(e, self._tls))

    def _handshakeDone(self) -> Any:
        problem = _nameProblem(self._tls, self.origin)
        if problem is not None:
            self._giveUp(problem)
            return
        self.tlsInfo = self._describe(self.origin.serverName, None)
        self._staged = False
        del self.doRead, self.doWrite
        self.stopWriting()
        super()._established()

    def _giveUp(self, reason: str) -> None:
        self.failIfNotConnected(HandshakeFailed(string=f"TLS with {self.origin.serverName}: {reason}"))

    def failIfNotConnected(self, err: Any) -> None:
        """As in Twisted: end the attempt, whichever step it has reached, and tell the connector why."""
        if not self.connected:
            self._staged = False
            super().failIfNotConnected(err)
            self._tls = None


class TLSClient(ClientTLS, EagerClient):
    """A TLS connection that we open over TCP."""

    def __init__(self, origin: OriginTLS, *args: Any) -> None:
        self.origin = origin
        EagerClient.__init__(self, *args)


class TLSUNIXClient(ClientTLS, EagerUNIXClient):
    """A TLS connection that we open over a UNIX socket."""

    def __init__(self, origin: OriginTLS, *args: Any) -> None:
        self.origin = origin
        EagerUNIXClient.__init__(self, *args)


class TLSClientReactor(EagerReactor):
    """
    A reactor whose outgoing connections speak TLS; give it to any client endpoint.

    The endpoint's Deferred fires with the protocol after the handshake, and fails with :class:`HandshakeFailed`
    (a ``ConnectError``), its timeout, or the socket's own error. Addresses raced by ``HostnameEndpoint`` are raced to
    the end of the handshake.

    :param reactor: the reactor, or an :class:`EagerReactor`.
    :param context: from :func:`clientContext`.
    :param serverName: the origin's name as its certificate has it, or its IP address.
    """

    client: Callable[..., Any]
    unixClient: Callable[..., Any]

    def __init__(self, reactor: Any, context: SSL.Context, serverName: str) -> None:
        super().__init__(reactor._reactor if isinstance(reactor, EagerReactor) else reactor)
        origin = OriginTLS(context, serverName)
        self.client = partial(TLSClient, origin)
        self.unixClient = partial(TLSUNIXClient, origin)


def _isAddress(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _nameProblem(connection: SSL.Connection, origin: OriginTLS) -> str | None:
    """RFC 6125/9525: is the (already verified) certificate that of the origin?"""
    if origin.context.get_verify_mode() == SSL.VERIFY_NONE:
        return None
    try:
        (verify_ip_address if _isAddress(origin.serverName) else verify_hostname)(connection, origin.serverName)
    except VerificationError:
        return "its certificate is for other names"
    except CertificateError as e:
        return f"its certificate cannot be used: {e}"
    return None


def _reasonOf(e: Exception, connection: Any) -> str:
    """What a person can read of an OpenSSL error."""
    if isinstance(e, SSL.SysCallError):
        return "the connection ended during the handshake"
    noted = connection.get_app_data() if connection is not None else None
    if noted is not None:
        return f"its certificate does not verify: {noted}"
    if isinstance(e, SSL.Error) and e.args and e.args[0]:
        return "; ".join(str(entry[-1]) for entry in e.args[0])
    return str(e) or type(e).__name__


__all__ = [
    "ClientTLS",
    "HandshakeFailed",
    "HostTLS",
    "OriginTLS",
    "ServerContexts",
    "ServerTLS",
    "SocketTLS",
    "TLSClientReactor",
    "TLSInfo",
    "TLSServer",
    "TLSUNIXServer",
    "clientContext",
    "serverContext",
]
