"""
The connecting end of TLS connections, ours to origins: it verifies whom it has reached before the protocol is
connected. What it shares with the accepting end is in :mod:`revproxy.dataplane.net.sockettls`.
"""

# Twisted's transports carry no annotations.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from OpenSSL import SSL
from service_identity import CertificateError, VerificationError
from service_identity.pyopenssl import verify_hostname, verify_ip_address
from twisted.internet import error

from revproxy.dataplane.net.eagerclient import EagerBaseClient, EagerClient, EagerUNIXClient
from revproxy.dataplane.net.eagerconnection import OPEN
from revproxy.dataplane.net.eagerreactor import EagerReactor
from revproxy.dataplane.net.sockettls import SocketTLS, reasonOf


class HandshakeFailed(error.ConnectError):  # type: ignore[misc]
    """The origin could be reached, but there is no TLS with it; the text says why."""


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
        self._giveUp(reasonOf(e, self._tls))

    def _handshakeDone(self) -> Any:
        problem = _nameProblem(self._tls, self.origin)
        if problem is not None:
            self._giveUp(problem)
            return
        self.tlsInfo = self._describe(self.origin.serverName, None)
        self._phase = OPEN
        del self.doRead, self.doWrite
        self.stopWriting()
        super()._established()

    def _giveUp(self, reason: str) -> None:
        self.failIfNotConnected(HandshakeFailed(string=f"TLS with {self.origin.serverName}: {reason}"))

    def failIfNotConnected(self, err: Any) -> None:
        """As in Twisted: end the attempt, whichever step it has reached, and tell the connector why."""
        if not self.connected:
            self._phase = OPEN
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


__all__ = ["ClientTLS", "HandshakeFailed", "OriginTLS", "TLSClient", "TLSClientReactor", "TLSUNIXClient"]
