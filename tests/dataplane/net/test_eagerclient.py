"""Tests for :mod:`revproxy.dataplane.net.eagerclient`, on loopback."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.endpoints import HostnameEndpoint, clientFromString
from twisted.internet.protocol import Factory

from tests.dataplane.wire import Recorder, WireCase
from tests.socketfolder import socketFolder


def _factoryOf(protocol: Any) -> Factory:
    """A factory for one connection."""
    factory = Factory.forProtocol(lambda: protocol)  # type: ignore[arg-type]
    factory.noisy = False
    return factory


class ClientTests(WireCase):
    """Connections that we open."""

    async def test_isQuiet(self) -> None:
        """Without a turn of the loop, a client tells whether something waits in the kernel: bytes, or the end."""
        port = self.listen()
        for unasked in (b"evil", b""):
            ours = Recorder()
            await HostnameEndpoint(self.eager, "127.0.0.1", port).connect(_factoryOf(ours))
            theirs = await self.accepted()
            transport: Any = ours.transport
            self.assertTrue(transport.isQuiet())
            peer: Any = theirs.transport
            if unasked:
                peer.socket.send(unasked)
            else:
                peer.socket.shutdown(socket.SHUT_WR)
            self.assertFalse(transport.isQuiet())
            self.assertEqual(ours.received, b"")
            transport.abortConnection()
            await self.until(lambda recorder=ours: recorder.reason)

    async def test_writesWhenConnected(self) -> None:
        """What the protocol writes when it is connected has left before its ``connectionMade`` returns."""
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)
        ours = Recorder()
        seen: list[bytes] = []

        def made() -> None:
            transport: Any = ours.transport
            transport.write(b"hello")
            peer, _ = server.accept()
            self.addCleanup(peer.close)
            peer.settimeout(10)
            seen.append(peer.recv(10))

        ours.connectionMade = made  # type: ignore[method-assign]
        await HostnameEndpoint(self.eager, "127.0.0.1", server.getsockname()[1]).connect(_factoryOf(ours))
        self.assertEqual(seen, [b"hello"])
        ours.transport.loseConnection()  # type: ignore[attr-defined]
        await self.until(lambda: ours.reason)

    async def test_noDescriptors(self) -> None:
        """Over UNIX sockets no descriptors are sent."""
        path = str(socketFolder(self) / "s")
        port: Any = self.eager.listenUNIX(path, self.factory)
        self.addCleanup(self._close, port)
        ours = Recorder()
        await clientFromString(self.eager, f"unix:{path}").connect(_factoryOf(ours))
        theirs = await self.accepted()
        for recorder in (ours, theirs):
            self.assertRaises(NotImplementedError, recorder.transport.sendFileDescriptor, 0)  # type: ignore[attr-defined]
        ours.transport.loseConnection()  # type: ignore[attr-defined]
        await self.until(lambda: ours.reason)
