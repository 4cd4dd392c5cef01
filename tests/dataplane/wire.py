"""Real sockets on loopback for tests of transports: a protocol that records, and a way to wait for a fact."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from revproxy.dataplane.net.eagerreactor import EagerReactor

reactor: Any = _reactor
PATIENCE = 60.0


class Recorder(Protocol):
    """Keeps what happens to it."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.received = b""
        self.reason: Any = None
        self.onData: Callable[[bytes], None] | None = None

    def connectionMade(self) -> None:
        self.events.append("made")

    def handshakeCompleted(self) -> None:
        """Called by TLS transports."""
        self.events.append("handshake")

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        if self.onData is not None:
            self.onData(data)

    def connectionLost(self, reason: Any = None) -> None:
        self.reason = reason
        self.events.append("lost")


class Recorders(Factory):
    """Makes recorders, and keeps them in the order of their connections."""

    noisy = False

    def __init__(self) -> None:
        self.made: list[Recorder] = []
        self.prepare: Callable[[Recorder], None] = lambda recorder: None

    def buildProtocol(self, addr: Any) -> Any:
        """A new recorder for each connection."""
        recorder = Recorder()
        self.made.append(recorder)
        self.prepare(recorder)
        return recorder


class WireCase(TestCase):
    """Listens and connects; cleans up after itself."""

    timeout = 3 * PATIENCE

    def setUp(self) -> None:
        self.eager = EagerReactor(reactor)
        self.factory = Recorders()

    def listen(self, transport: Any = None, factory: Any = None) -> int:
        """:return: the number of a port on 127.0.0.1 that is closed when the test ends."""
        port: Any = self.eager.listenTCP(0, factory or self.factory, interface="127.0.0.1")
        if transport is not None:
            port.transport = transport
        self.addCleanup(self._close, port)
        return int(port.getHost().port)

    async def _closing(self, port: Any) -> None:
        await port.stopListening()
        for recorder in self.factory.made:
            if recorder.transport is not None and recorder.reason is None:
                recorder.transport.abortConnection()  # type: ignore[attr-defined]
        await self.until(lambda: all(r.reason is not None or r.transport is None for r in self.factory.made))

    def _close(self, port: Any) -> Any:
        return Deferred.fromCoroutine(self._closing(port))

    def raw(self, port: int) -> socket.socket:
        """:return: a plain socket connected to the port; reads do not block."""
        peer = socket.create_connection(("127.0.0.1", port))
        self.addCleanup(peer.close)
        peer.setblocking(False)
        return peer

    async def until(self, fact: Callable[[], Any]) -> Any:
        """Turn the loop until something is so. :return: what the function returned."""
        ends = reactor.seconds() + PATIENCE
        while not (result := fact()):
            if reactor.seconds() > ends:
                self.fail("it did not come to pass")
            await deferLater(reactor, 0.002)
        return result

    async def accepted(self) -> Recorder:
        """:return: the protocol of the latest connection."""
        await self.until(lambda: self.factory.made and self.factory.made[-1].transport)
        return self.factory.made[-1]

    async def drain(self, peer: socket.socket, size: int) -> bytes:
        """Read so many bytes from a socket that does not block."""
        got = bytearray()

        def more() -> bool:
            try:
                while len(got) < size:
                    data = peer.recv(1 << 20)
                    if not data:
                        return True
                    got.extend(data)
            except BlockingIOError:
                return False
            return True

        await self.until(more)
        return bytes(got)


def reset(peer: socket.socket) -> None:
    """Close with a reset instead of an orderly end."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()
