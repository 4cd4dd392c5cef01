"""``python memoryedge.py CONFIG PORT``: a whole edge between a client and an origin in memory.

A program of its own, run by path in an environment whose ``revproxy`` is the one under measurement. The edge is the
service that ``twistd`` runs, with its plugins, its access log and its reactor; only connections are not sockets: the
protocol of its first listener gets a transport in memory, and so does each connection that a pool opens. So no kernel
and no TLS are in what a request costs here.

What it relies on are Twisted's own seams, ``listenTCP`` and ``connectTCP`` of the reactor that the edge makes its
connections with: a tree of last month can be measured like that of today.

On ``PORT`` of loopback it takes lines: ``100`` asks for so many requests, one after the other; the answer is ``done``.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from typing import Any

REQUEST = b"GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n"
BODY = b"hello world\n"
ANSWER = (
    b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sun, 22 Nov 2026 22:42:50 GMT\r\nContent-Type: text/plain\r\n"
    b"Content-Length: 12\r\nConnection: keep-alive\r\n\r\n" + BODY
)
_TURN = 20
"""Requests in one turn of the loop; what the edge does besides gets its turn in between."""


class Wire:
    """The edge's transport of a connection. :param onWrite: gets what the edge sends."""

    bufferSize = 65536
    disconnecting = False
    connected = True
    tlsInfo = None
    truncated = False
    dataBuffer = b""
    offset = 0
    _tempDataLen = 0

    def __init__(self, protocol: Any, onWrite: Callable[[bytes], None]) -> None:
        from twisted.internet.address import IPv4Address

        self.protocol = protocol
        self.write = onWrite
        self._peer = IPv4Address("TCP", "127.0.0.1", 50000)

    def writeSequence(self, pieces: Any) -> None:
        self.write(b"".join(pieces))

    def getPeer(self) -> Any:
        return self._peer

    getHost = getPeer

    def isQuiet(self) -> bool:
        return True

    def setTcpKeepAlive(self, enabled: bool) -> None:
        pass

    setTcpNoDelay = setTcpKeepAlive

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        pass

    def unregisterProducer(self) -> None:
        pass

    def pauseProducing(self) -> None:
        pass

    resumeProducing = pauseProducing

    def loseConnection(self, *reason: Any) -> None:
        sys.exit("the edge has closed a connection in memory")

    abortConnection = loseWriteConnection = stopProducing = loseConnection


class Circle:
    """Client and origin: each answer makes the client ask again, as long as requests are wanted.

    :ivar factories: what the edge listens with, in the order of the configuration.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._arriving: deque[tuple[Wire, bytes]] = deque()
        self._wanted = 0
        self._inTurn = 0
        self._pumping = False
        self._got = b""
        self._client: Wire | None = None
        self._whenDone: Callable[[], None] = lambda: None
        self.factories: list[Any] = []

    def install(self, eager: Any) -> None:
        """Take the place of the network. :param eager: the class of the reactor that makes the edge's connections."""
        listenTCP = eager.listenTCP

        def listening(reactor: Any, port: Any, factory: Any, *args: Any, **kwargs: Any) -> Any:
            self.factories.append(factory)
            return listenTCP(reactor, port, factory, *args, **kwargs)

        def connecting(reactor: Any, host: Any, port: Any, factory: Any, *args: Any, **kwargs: Any) -> None:
            protocol = factory.buildProtocol(None)
            wire = Wire(protocol, lambda data: self._originHears(wire, data))
            protocol.makeConnection(wire)

        eager.listenTCP = listening
        eager.connectTCP = connecting

    def ask(self, count: int, whenDone: Callable[[], None]) -> None:
        """Have the client make that many requests, one after the other."""
        if self._client is None:
            protocol = self.factories[0].buildProtocol(Wire(None, print).getPeer())
            self._client = Wire(protocol, self._clientHears)
            protocol.makeConnection(self._client)
        self._wanted = count
        self._whenDone = whenDone
        self._nextTurn()

    def _nextTurn(self) -> None:
        self._inTurn = _TURN
        self._arrive(self._client, REQUEST)

    def _originHears(self, wire: Wire, data: bytes) -> None:
        if data.endswith(b"\r\n\r\n"):
            self._arrive(wire, ANSWER)

    def _clientHears(self, data: bytes) -> None:
        self._got += data
        if not self._got.endswith(BODY):
            return
        if not self._got.startswith(b"HTTP/1.1 200 "):
            sys.exit(f"the edge answered {self._got!r}")
        self._got = b""
        self._wanted -= 1
        self._inTurn -= 1
        if not self._wanted:
            self._reactor.callLater(0, self._whenDone)
        elif self._inTurn:
            self._arrive(self._client, REQUEST)
        else:
            self._reactor.callLater(0, self._nextTurn)

    def _arrive(self, wire: Any, data: bytes) -> None:
        """Bytes arrive after the call that sent them has returned, as on a socket."""
        self._arriving.append((wire, data))
        if self._pumping:
            return
        self._pumping = True
        while self._arriving:
            wire, data = self._arriving.popleft()
            wire.protocol.dataReceived(data)
        self._pumping = False


def main(configuration: str, port: int) -> None:
    """Run the edge until the process is ended."""
    from revproxy.dataplane.reactor import installUnlessChosen

    reactor = installUnlessChosen()
    from twisted.internet.protocol import Factory
    from twisted.protocols.basic import LineOnlyReceiver

    from revproxy.dataplane.transport import EagerReactor
    from revproxy.tap import Options, makeService

    circle = Circle(reactor)
    circle.install(EagerReactor)

    class Orders(LineOnlyReceiver):
        delimiter = b"\n"

        def lineReceived(self, line: bytes) -> None:
            circle.ask(int(line), lambda: self.sendLine(b"done"))  # type: ignore[no-untyped-call]

    options = Options()
    options.parseOptions(["--config", configuration])  # type: ignore[no-untyped-call]
    service: Any = makeService(options)
    reactor.callWhenRunning(service.startService)
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    reactor.listenTCP(port, Factory.forProtocol(Orders), interface="127.0.0.1")
    reactor.run()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
