"""``python memoryedge.py CONFIG PLAIN PORT``: a whole edge between a client and an origin in memory.

A program of its own, run by path in an environment whose ``revproxy`` is the one under measurement. The edge is the
service that ``twistd`` runs, with its plugins, its access log, its reactor and its transports; only what these send to
and receive from their sockets goes no way through the kernel. So neither that nor TLS is in what a request costs here.

What it relies on is Twisted's own seam, the ``socket`` of a ``tcp.Connection``: a tree of last month can be measured
like that of today. Connections are made on loopback, as always, and carry nothing then.

On ``PORT`` of loopback it takes lines: ``100`` asks for so many requests, one after the other, of the listener on
``PLAIN``; the answer is ``done``.
"""

from __future__ import annotations

import socket
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


class MemorySocket:
    """Between a transport and its socket.

    :ivar onSend: gets what is sent; while it is :obj:`None`, all goes the real way.
    :ivar transport: whose socket it is.
    """

    def __init__(self, real: Any, transport: Any) -> None:
        self._real = real
        self._arrived: deque[bytes] = deque()
        self.transport = transport
        self.onSend: Callable[[MemorySocket, bytes], None] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def send(self, data: Any, *flags: int) -> int:
        """As a socket that takes everything."""
        if self.onSend is None:
            return int(self._real.send(data, *flags))
        self.onSend(self, bytes(data))
        return len(data)

    def recv(self, size: int, *flags: int) -> bytes:
        """As a socket on which that has arrived."""
        return self._arrived.popleft() if self._arrived else self._real.recv(size, *flags)

    def arrive(self, data: bytes) -> None:
        """Let bytes arrive, and let the transport see them."""
        self._arrived.append(data)
        if self.transport.doRead() is not None:
            sys.exit("the edge gives up a connection in memory")


class Circle:
    """Client and origin: each answer makes the client ask again, as long as requests are wanted.

    :param port: of the edge's listener.
    """

    def __init__(self, reactor: Any, port: int) -> None:
        self._reactor = reactor
        self._port = port
        self._arriving: deque[tuple[MemorySocket, bytes]] = deque()
        self._wanted = 0
        self._inTurn = 0
        self._pumping = False
        self._got = b""
        self._ours: socket.socket | None = None
        self._client: Any = None
        self._whenDone: Callable[[], None] = lambda: None

    def install(self, connection: Any, server: type) -> None:
        """Put sockets in memory before the real ones. :param connection: ``tcp.Connection``; with ``tcp.Server``."""
        begin = connection.__init__

        def beginInMemory(transport: Any, skt: Any, *args: Any, **kwargs: Any) -> None:
            begin(transport, skt, *args, **kwargs)
            memory = MemorySocket(skt, transport)
            if not isinstance(transport, server):
                memory.onSend = self._originHears
            elif self._ours is not None and skt.getpeername() == self._ours.getsockname():
                memory.onSend = self._clientHears
                self._client = memory
                self._reactor.callLater(0, self._nextTurn)
            else:
                return
            transport.socket = memory

        connection.__init__ = beginInMemory

    def ask(self, count: int, whenDone: Callable[[], None]) -> None:
        """Have the client make that many requests, one after the other."""
        self._wanted = count
        self._whenDone = whenDone
        if self._client is None:
            self._ours = socket.create_connection(("127.0.0.1", self._port))
        else:
            self._nextTurn()

    def _nextTurn(self) -> None:
        self._inTurn = _TURN
        self._arrive(self._client, REQUEST)

    def _originHears(self, memory: MemorySocket, data: bytes) -> None:
        if data.endswith(b"\r\n\r\n"):
            self._arrive(memory, ANSWER)

    def _clientHears(self, memory: MemorySocket, data: bytes) -> None:
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
            self._arrive(memory, REQUEST)
        else:
            self._reactor.callLater(0, self._nextTurn)

    def _arrive(self, memory: MemorySocket, data: bytes) -> None:
        """Bytes arrive after the call that sent them has returned, as on any socket."""
        self._arriving.append((memory, data))
        if self._pumping:
            return
        self._pumping = True
        while self._arriving:
            memory, data = self._arriving.popleft()
            memory.arrive(data)
        self._pumping = False


def main(configuration: str, plain: int, port: int) -> None:
    """Run the edge until the process is ended."""
    from revproxy.loop.reactor import installUnlessChosen

    reactor = installUnlessChosen()
    from twisted.internet import tcp
    from twisted.internet.protocol import Factory
    from twisted.protocols.basic import LineOnlyReceiver

    from revproxy.tap import Options, makeService

    circle = Circle(reactor, plain)
    circle.install(tcp.Connection, tcp.Server)

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
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
