"""
Eager connections that a port has accepted.
"""

# Twisted's transports carry no annotations.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import address, tcp, unix

from revproxy.dataplane.net.eagerconnection import STAGE, EagerConnection

PEEK_PAUSE = 0.1
"""Seconds between looks at a head that has not come in whole, where the kernel does not count its bytes for us."""


class EagerServer(EagerConnection, tcp.Server):
    """
    A connection that a TCP port accepted.

    :ivar peerKnown: whether ``getPeer()`` tells who the client is; False while a header that names it is awaited.
        The protocol's ``peerLearned()`` is called when that is over.
    """

    client: Any
    peerKnown = True
    _awaited = 0

    def __init__(self, sock: Any, protocol: Any, client: Any, server: Any, sessionno: int, reactor: Any) -> None:
        # Server.__init__ formats two strings for each connection and keeps them: 300 bytes nobody reads.
        tcp.Connection.__init__(self, sock, protocol, reactor)
        self.server = server
        self.client = client
        if len(client) != 2:
            self._addressType = address.IPv6Address
        self._prepareSocket()
        self.connected = 1
        self._opened()

    def _prepareSocket(self) -> None:
        self.setTcpNoDelay(True)

    def _opened(self) -> None:
        """Begin with the protocol's bytes. A stage that comes before them overrides this and calls it at its end."""
        if self._phase is STAGE:
            self._leaveStage()
        else:
            self._eager = True
            self.startReading()

    def _peek(self, limit: int) -> bytes | None:
        """:return: up to ``limit`` bytes, left in the kernel; empty at the end; :obj:`None` when there are none yet."""
        try:
            return self.socket.recv(limit, socket.MSG_PEEK)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def _awaitBytes(self, needed: int) -> None:
        """
        Wake the stage when ``needed`` bytes are there, 0 to return to every byte.

        What was only peeked at stays readable, so without this the loop would spin until the rest came. The kernel
        counts for us where it can; where it cannot (UNIX sockets) or has woken us early, the stage looks again
        after :data:`PEEK_PAUSE` seconds.
        """
        if needed == self._awaited:
            if needed:
                self.reactor.removeReader(self)
                self.reactor.callLater(PEEK_PAUSE, self._peekAgain)
            return
        self._awaited = needed
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, needed or 1)
        except OSError:
            pass

    def _peekAgain(self) -> None:
        if self._phase is STAGE and self.connected:
            self.reactor.addReader(self)

    def __repr__(self) -> str:
        return f"<{self.__class__.__name__} from {self.client!r}>"


class EagerUNIXServer(EagerServer, unix.Server):
    """A connection that a UNIX port accepted. Descriptors sent along are not taken."""

    def __init__(self, sock: Any, protocol: Any, client: Any, server: Any, sessionno: int, reactor: Any) -> None:
        unix._SendmsgMixin.__init__(self)
        EagerServer.__init__(self, sock, protocol, (client, None), server, sessionno, reactor)

    def _prepareSocket(self) -> None:
        pass

    def getPeer(self) -> Any:
        """:return: the peer's UNIX address, which has no name as a rule."""
        return address.UNIXAddress(self.client[0] or None)

    def sendFileDescriptor(self, fileno: int) -> None:
        """:raises NotImplementedError: always."""
        raise NotImplementedError("descriptors are not sent over these connections")


__all__ = ["PEEK_PAUSE", "EagerServer", "EagerUNIXServer"]
