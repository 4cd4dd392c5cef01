"""
A reactor whose ports and connectors make eager connections (:mod:`revproxy.dataplane.net.eagerconnection`), so that
every endpoint of Twisted does.
"""

# Twisted's transports carry no annotations.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from errno import ECONNABORTED, EHOSTUNREACH, EINTR, ENETDOWN, ENETUNREACH, EPERM, EPROTO
from typing import Any

from twisted.internet import error, tcp, unix
from twisted.internet.interfaces import IConnector, IListeningPort, IProtocolFactory
from twisted.internet.main import CONNECTION_DONE
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import directlyProvides, providedBy

from revproxy.dataplane.net.eagerclient import EagerClient, EagerUNIXClient
from revproxy.dataplane.net.eagerserver import EagerServer, EagerUNIXServer

DEFAULT_BACKLOG = 1024
"""Connections the kernel completes for us while we are busy; replaces Twisted's default of 50."""

ACCEPTS_PER_TURN = 64
"""Connections accepted before others get their turn."""

FEW_ACCEPTS = 4
"""The same for ports beside those for requests."""

ACCEPT_PAUSE = 0.1
"""Seconds without accepting after the process ran out of descriptors or memory; clients wait in the backlog."""

ACCEPT_QUIET = 10.0
"""Seconds without such a failure after which it is over; until then each client that leaves makes room for just one."""

_STOCK_BACKLOG = 50
_DONE = Failure(CONNECTION_DONE)
_PASSING_ACCEPT_ERRORS = frozenset((EINTR, ECONNABORTED, EPERM, EPROTO, ENETDOWN, ENETUNREACH, EHOSTUNREACH))


def described(address: Any) -> str:
    """An address as it is written in a configuration or a URL."""
    host = getattr(address, "host", None)
    if host is None:
        name = getattr(address, "name", None)
        return f"unix:{os.fsdecode(name)}" if name else str(address)
    return f"{host}:{address.port}" if ":" not in host else f"[{host}]:{address.port}"


class EagerConnector(tcp.Connector):
    """:cvar client: makes the transport; called as :class:`EagerClient` is."""

    client: Callable[..., Any] = EagerClient

    def _makeTransport(self) -> Any:
        return self.client(self.host, self.port, self.bindAddress, self, self.reactor)


class EagerUNIXConnector(unix.Connector):
    """:cvar client: makes the transport; called as :class:`EagerUNIXClient` is."""

    client: Callable[..., Any] = EagerUNIXClient

    def _makeTransport(self) -> Any:
        return self.client(self.address, self, self.reactor, self.checkPID)


class EagerPort(tcp.Port):
    """
    A port that survives scarcity.

    Out of descriptors or memory, it stops accepting for :data:`ACCEPT_PAUSE` seconds at a time. It says so once, and
    that it is over when it has not happened for :data:`ACCEPT_QUIET` seconds. Clients wait in the backlog meanwhile.
    (Twisted's port accepts and drops them, one log line each, and spins when its spare descriptor is gone.)

    Set ``transport`` to change what it makes of an accepted socket; a factory whose ``buildProtocol`` returns
    :obj:`None` has the socket closed. Set ``acceptsPerTurn`` where others are to have their turn sooner.
    """

    reactor: Any
    acceptsPerTurn = ACCEPTS_PER_TURN
    transport: Any = EagerServer
    _log = Logger()
    _pause: Any = None
    _scarce = False
    _failed = 0.0

    def doRead(self) -> None:
        """Accept what waits, up to so many."""
        for _ in range(self.acceptsPerTurn):
            try:
                skt, addr = self.socket.accept()
            except BlockingIOError:
                return
            except OSError as e:
                if e.errno in _PASSING_ACCEPT_ERRORS:
                    continue
                self._acceptFailed(e)
                return
            if self._scarce and self.reactor.seconds() - self._failed >= ACCEPT_QUIET:
                self._scarce = False
                self._log.info("{address} accepts again", address=described(self.getHost()))
            self._accepted(skt, addr)
            if not self.connected or self.disconnecting:
                return

    def acceptRest(self) -> None:
        """For a port that is about to close: take who already waits, up to a whole backlog; closing resets the rest."""
        for _ in range(0, DEFAULT_BACKLOG, self.acceptsPerTurn):
            if self._pause is None:
                self.doRead()

    def _accepted(self, skt: socket.socket, addr: Any) -> None:
        """Build the protocol and its transport; a failure of either costs this connection only."""
        try:
            if self.addressFamily == socket.AF_INET6 and addr[3]:
                # The zone of a link-local address is only in its printed form.
                flags = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
                addr = (socket.getnameinfo(addr, flags)[0], *addr[1:])
            protocol = self.factory.buildProtocol(self._buildAddr(addr))  # type: ignore[union-attr]
            if protocol is None:
                skt.close()
                return
            protocol.makeConnection(self.transport(skt, protocol, addr, self, 0, self.reactor))
        except Exception:
            self._log.failure("a connection could not be set up")
            skt.close()

    def _acceptFailed(self, e: OSError) -> None:
        if not self._scarce:
            self._scarce = True
            message = "{address} accepts nobody for now: {error}"
            self._log.error(message, address=described(self.getHost()), error=e.strerror)
        self._failed = self.reactor.seconds()
        self.stopReading()
        self._pause = self.reactor.callLater(ACCEPT_PAUSE, self._acceptAgain)

    def _acceptAgain(self) -> None:
        self._pause = None
        self.startReading()

    def loseConnection(self, connDone: Failure = _DONE) -> Any:
        """Stop accepting. :return: a Deferred that fires when the port is closed."""
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        return tcp.Port.loseConnection(self, connDone)

    stopListening = loseConnection


class EagerUNIXPort(EagerPort, unix.Port):
    """The same for UNIX sockets; closes also when somebody has removed its file, and does not remove another's."""

    transport: Any = EagerUNIXServer
    _made: tuple[int, int] | None = None

    def startListening(self) -> None:
        """Make the file, and listen."""
        super().startListening()
        self._made = _fileOf(self._bindPath)

    def connectionLost(self, reason: Failure) -> None:
        """The port is closed."""
        try:
            if self._made is not None and _fileOf(self._bindPath) != self._made:
                raise FileNotFoundError
            unix.Port.connectionLost(self, reason)
        except OSError:
            # Twisted would leave ``stopListening`` waiting for ever.
            if self.lockFile is not None:
                with suppress(OSError, ValueError):
                    self.lockFile.unlock()
            tcp.Port.connectionLost(self, reason)


def _fileOf(path: Any) -> tuple[int, int] | None:
    """Which file that is; None if there is none, as for an abstract name."""
    try:
        found = os.lstat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


class EagerReactor:
    """
    A reactor whose stream ports and connectors make eager transports.

    Everything else is the wrapped reactor's own, and it provides what that one provides, so any endpoint can be
    built on it: ``serverFromString``, ``clientFromString``, ``HostnameEndpoint`` with its name resolution.

    :param reactor: a POSIX reactor of Twisted.
    """

    client: Callable[..., Any] = EagerClient
    unixClient: Callable[..., Any] = EagerUNIXClient

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        directlyProvides(self, providedBy(reactor))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenTCP(
        self, port: int, factory: IProtocolFactory, backlog: int = _STOCK_BACKLOG, interface: str = ""
    ) -> IListeningPort:
        """As ``IReactorTCP``; a backlog of 50, which is what endpoints pass when none is given, means 1,024."""
        listening = EagerPort(port, factory, _backlog(backlog), interface, self._reactor)
        listening.startListening()
        return listening

    def listenUNIX(
        self, address: Any, factory: IProtocolFactory, backlog: int = _STOCK_BACKLOG, mode: int = 0o666,
        wantPID: bool = False,
    ) -> IListeningPort:  # fmt: skip
        """As ``IReactorUNIX``, with the backlog of :meth:`listenTCP`."""
        listening = EagerUNIXPort(address, factory, _backlog(backlog), mode, self._reactor, wantPID)
        listening.startListening()
        return listening

    def adoptStreamPort(self, fileDescriptor: int, addressFamily: int, factory: IProtocolFactory) -> IListeningPort:
        """As ``IReactorSocket``: a socket that systemd or a parent process listens on."""
        listening: Any
        if addressFamily == socket.AF_UNIX:
            listening = EagerUNIXPort._fromListeningDescriptor(self._reactor, fileDescriptor, factory)
        elif addressFamily in (socket.AF_INET, socket.AF_INET6):
            listening = EagerPort._fromListeningDescriptor(self._reactor, fileDescriptor, addressFamily, factory)
        else:
            raise error.UnsupportedAddressFamily(addressFamily)
        listening.startListening()
        return listening  # type: ignore[no-any-return]

    def connectTCP(
        self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: Any = None
    ) -> IConnector:
        """As ``IReactorTCP``; seconds."""
        connector = EagerConnector(host, port, factory, timeout, bindAddress, self._reactor)
        connector.client = self.client
        connector.connect()
        return connector

    def connectUNIX(self, address: Any, factory: Any, timeout: float = 30, checkPID: bool = False) -> IConnector:
        """As ``IReactorUNIX``; seconds."""
        connector = EagerUNIXConnector(address, factory, timeout, self._reactor, checkPID)
        connector.client = self.unixClient
        connector.connect()
        return connector


def _backlog(given: int) -> int:
    return DEFAULT_BACKLOG if given == _STOCK_BACKLOG else given


__all__ = [
    "DEFAULT_BACKLOG",
    "EagerConnector",
    "EagerPort",
    "EagerReactor",
    "EagerUNIXPort",
    "described",
]
