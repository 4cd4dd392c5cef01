"""Tests for :mod:`revproxy.dataplane.net.eagerserver`, on loopback."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.main import CONNECTION_DONE

from revproxy.dataplane.net.eagerserver import EagerServer
from tests.dataplane.wire import WireCase
from tests.socketfolder import socketFolder


class Waiting(EagerServer):
    """Awaits three bytes before the protocol's begin, and leaves them where they are."""

    def _opened(self) -> None:
        self.peeks: list[bytes | None] = []
        self._enterStage(self._peekThree, self._holdWrites)

    def _peekThree(self) -> Any:
        data = self._peek(3)
        self.peeks.append(data)
        if data == b"":
            return CONNECTION_DONE
        enough = data is not None and len(data) == 3
        self._awaitBytes(0 if enough else 3)
        if enough:
            super()._opened()
        return None


class ServerTests(WireCase):
    """Connections that a port accepted."""

    async def test_addresses(self) -> None:
        """Both ends know each other's addresses; the peer of a UNIX socket has no name."""
        peer = self.raw(self.listen())
        recorder = await self.accepted()
        transport: Any = recorder.transport
        self.assertEqual(transport.getPeer(), IPv4Address("TCP", *peer.getsockname()))
        self.assertEqual(transport.getHost(), IPv4Address("TCP", *peer.getpeername()))
        self.assertTrue(transport.peerKnown)
        self.assertIn(repr(peer.getsockname()), repr(transport))
        path = str(socketFolder(self) / "s")
        port: Any = self.eager.listenUNIX(path, self.factory)
        self.addCleanup(self._close, port)
        other = socket.socket(socket.AF_UNIX)
        self.addCleanup(other.close)
        other.connect(path)
        await self.until(lambda: len(self.factory.made) == 2)
        transport = (await self.accepted()).transport
        self.assertEqual(transport.getPeer(), UNIXAddress(None))

    async def test_stage(self) -> None:
        """A stage sees bytes without taking them, is woken when there are enough, and the protocol gets all of them."""
        peer = self.raw(self.listen(Waiting))
        recorder = await self.accepted()
        transport: Any = recorder.transport
        transport.write(b"early")
        peer.send(b"a")
        await self.until(lambda: transport.peeks)
        peer.send(b"bcdef")
        await self.until(lambda: recorder.received)
        self.assertEqual(recorder.received, b"abcdef")
        self.assertEqual(transport.peeks[-1], b"abc")
        self.assertLess(len(transport.peeks), 5)
        self.assertEqual(await self.drain(peer, 5), b"early")

    async def test_endsInStage(self) -> None:
        """A stage is told of the end as no bytes, and may end the connection; the protocol has got nothing."""
        peer = self.raw(self.listen(Waiting))
        recorder = await self.accepted()
        transport: Any = recorder.transport
        peer.close()
        await self.until(lambda: recorder.reason)
        self.assertEqual((transport.peeks[-1], recorder.received), (b"", b""))

    async def test_abortedInStage(self) -> None:
        """A connection that is broken off in a stage is gone soon, and what was written is dropped."""
        peer = self.raw(self.listen(Waiting))
        recorder = await self.accepted()
        transport: Any = recorder.transport
        transport.write(b"never")
        transport.abortConnection()
        await self.until(lambda: recorder.reason)
        self.assertRaises(ConnectionResetError, peer.recv, 10)
