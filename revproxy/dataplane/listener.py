"""
What the connections that one endpoint accepts have in common, and what makes the protocol for each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IAddress, IProtocolFactory
from twisted.logger import Logger
from zope.interface import implementer

from revproxy.context import Peer, Request
from revproxy.dataplane.edge import Edge
from revproxy.dataplane.exchange import Exchange
from revproxy.dataplane.http.forwarding import Membership
from revproxy.dataplane.http.interfaces import IClientConnection, IClientStream
from revproxy.dataplane.http1.server import Http1Server


@implementer(IProtocolFactory)
class Listener:
    """
    Makes the protocol for each connection that one endpoint accepts.

    :ivar scheme: ``"http"`` or ``"https"``.
    :ivar guards: tells whether a host is protected from a TLS server name, or None where nothing is protected.
    :ivar draining: True once its connections are to end.
    """

    _log = Logger()

    def __init__(
        self,
        edge: Edge,
        *,
        tls: bool,
        trusted: Membership | None = None,
        guards: Callable[[str | None, bytes], bool] | None = None,
    ) -> None:
        """
        :param trusted: peers whose forwarding headers are believed.
        """
        self.edge = edge
        self.tls = tls
        self.scheme = "https" if tls else "http"
        self.guards = guards
        self.trusted = trusted
        self.draining = False

    def trusts(self, host: str) -> bool:
        """Whether what this peer says about its client is believed."""
        return self.trusted is not None and self.trusted.contains(host)

    def newExchange(self, stream: IClientStream, request: Request, hostname: bytes) -> Exchange:
        """What answers one request."""
        return Exchange(self.edge, self.guards, stream, request, hostname)

    def buildProtocol(self, address: IAddress) -> Any:
        """A connection was accepted; None turns it away."""
        edge = self.edge
        if edge.draining or len(edge.connections) >= edge.limits.maxConnections:
            edge.turnedAway += 1
            if edge.turnedAway % 1000 == 1:
                self._log.warn("connection limit reached: {count} turned away so far", count=edge.turnedAway)
            return None
        if edge.limits.maxConnectionsPerClient is not None and self.hasTooMany(getattr(address, "host", "")):
            return None
        return Http1Server(self)

    def hasTooMany(self, host: str) -> bool:
        """
        Whether a client has as many connections as one may have. If so, it is about to be turned away: that is counted.

        Trusted proxies have any number: those are the connections of many clients.
        """
        edge = self.edge
        most = edge.limits.maxConnectionsPerClient
        if most is None or edge.clients.count(host) < most or self.trusts(host):
            return False
        edge.turnedAway += 1
        edge.clients.turnedAway += 1
        if edge.clients.turnedAway % 1000 == 1:
            message = "{host} has {most} connections, the most for one client: {count} turned away so far"
            self._log.warn(message, host=host, most=most, count=edge.clients.turnedAway)
        return True

    def admitted(self, peer: Peer) -> bytes:
        """A client is let in. :returns: what to tell :meth:`departed`; empty if it is not counted."""
        return b"" if self.trusts(peer.host) else self.edge.clients.enter(peer.host)

    def departed(self, key: bytes) -> None:
        """The connection of a client that was counted has ended."""
        self.edge.clients.leave(key)

    def drain(self) -> None:
        """
        Its endpoint is gone or has other settings: idle connections close now, others after the answer to the request
        they are at; one that has asked for nothing yet may ask once. Tunnels go on.
        """
        self.draining = True
        for connection in self._connections():
            if connection.served:
                connection.drain()

    def breakOff(self) -> None:
        """End its connections at once."""
        connections = self._connections()
        if connections:
            self._log.warn("drain time is over: breaking off {count} connections", count=len(connections))
        for connection in connections:
            connection.breakOff("the drain time of a removed listener is over")

    def _connections(self) -> list[IClientConnection]:
        return [connection for connection in self.edge.connections if connection.listener is self]

    def doStart(self) -> None:
        """Part of IProtocolFactory."""

    def doStop(self) -> None:
        """Part of IProtocolFactory."""


__all__ = ["Listener"]
