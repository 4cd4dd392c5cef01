"""
Sockets whose writes go out at once.

A stock Twisted transport queues every write, asks the poller for writability, and sends in the next turn of the
loop: two ``epoll_ctl`` and one wake-up for each answer, about half of what a small request costs. The transports
here call ``send`` inside :meth:`EagerConnection.write` while nothing is queued. Only what the kernel does not take
goes the usual way, with the usual producer rules.

The rules that make it safe:

- one flag, ``_eager``, is true exactly when a write may go straight to the socket *and* nothing has to happen
  afterwards. A pull producer, a queue, a closed or closing direction switch it off;
- no transport call ever ends in ``protocol.connectionLost`` before it returns. An error found by an eager write is
  remembered; what the peer sent before it is still delivered, then the connection ends with ``ConnectionLost``;
- an end of file after a failed write is a loss, not a clean end: ``send`` takes the socket's pending error, so
  ``recv`` would say "end of file" for a reset connection.

:class:`EagerReactor` makes every endpoint of Twisted use these transports.
"""

# Twisted's transports carry no annotations.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import socket
from collections.abc import Callable
from errno import ECONNABORTED, EHOSTUNREACH, EINTR, ENETDOWN, ENETUNREACH, ENOBUFS, EPERM, EPROTO
from typing import Any

from twisted.internet import abstract, address, error, tcp, unix
from twisted.internet.interfaces import IConnector, IListeningPort, IProtocolFactory
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import directlyProvides, providedBy

READ_SIZE = 131072
"""Bytes asked of one ``recv``: more costs a memory mapping per call, less costs turns of the loop."""

DEFAULT_BACKLOG = 1024
"""Connections the kernel completes for us while we are busy; replaces Twisted's default of 50."""

ACCEPTS_PER_TURN = 64
"""Connections accepted before others get their turn."""

ACCEPT_PAUSE = 0.1
"""Seconds without accepting after the process ran out of descriptors or memory; clients wait in the backlog."""

PEEK_PAUSE = 0.1
"""Seconds between looks at a head that has not come in whole, where the kernel does not count its bytes for us."""

_STOCK_BACKLOG = 50
_DONE = Failure(CONNECTION_DONE)
_PASSING_ACCEPT_ERRORS = frozenset((EINTR, ECONNABORTED, EPERM, EPROTO, ENETDOWN, ENETUNREACH, EHOSTUNREACH))


class EagerConnection(tcp.Connection):
    """
    What servers and clients here have in common.

    :cvar tlsInfo: what the handshake agreed on; :obj:`None` on a plain connection.
    :cvar truncated: whether the peer's last bytes may be missing: it left with no proper end.
    :ivar reading: whether the loop watches for bytes to read.
    """

    reactor: Any
    producer: Any = None
    tlsInfo: Any = None
    truncated = False
    reading = False
    logstr = "edge"
    _eager = False
    _broken = False
    _readEnded = False
    _staged = False

    # -- reading

    def doRead(self) -> Any:
        """Deliver what one ``recv`` gives. :return: :obj:`None`, or the reason to end."""
        try:
            data = self.socket.recv(READ_SIZE)
        except BlockingIOError:
            return None
        except OSError:
            self.truncated = True
            return CONNECTION_LOST
        if data:
            self.protocol.dataReceived(data)
            return None
        if self._broken:
            self.truncated = True
            return CONNECTION_LOST
        return CONNECTION_DONE

    def startReading(self) -> None:
        """Let bytes come in; nothing once the peer has ended its direction."""
        if not self._readEnded:
            self.reading = True
            if not self._staged:
                self.reactor.addReader(self)

    def stopReading(self) -> None:
        """Leave bytes in the kernel, which slows the peer down."""
        self.reading = False
        if not self._staged:
            self.reactor.removeReader(self)
        if self._broken:
            # Nobody would look at the socket any more, so nobody would learn of the loss.
            self.reactor.callLater(0, self._finish)

    # -- what comes before the protocol's bytes

    def _enterStage(self, doRead: Callable[[], Any], doWrite: Callable[[], Any]) -> None:
        """
        Give the socket's events to a stage (a PROXY header, a handshake) that the protocol does not see.

        While it lasts, the protocol's pausing and resuming is only remembered and what it writes is only queued.
        Instance attributes shadow the methods, so that nothing is asked for on the way later.
        """
        if not self._staged:
            self._staged = True
            self._eager = False
            self.reading = True
            self.reactor.addReader(self)
        self.doRead = doRead  # type: ignore[method-assign]
        self.doWrite = doWrite  # type: ignore[method-assign]

    def _leaveStage(self) -> None:
        """The stage is over: do what the protocol has asked for meanwhile."""
        del self.doRead, self.doWrite
        self._staged = False
        (self.reactor.addReader if self.reading else self.reactor.removeReader)(self)
        if self.dataBuffer or self._tempDataLen or self.disconnecting or self._writeDisconnecting:
            self.startWriting()
        else:
            self.stopWriting()
        self._resetEager()

    def _holdWrites(self) -> Any:
        """``doWrite`` of a stage that writes nothing itself."""
        self.stopWriting()
        return CONNECTION_DONE if self.disconnecting else None

    def readConnectionLost(self, reason: Failure) -> None:
        """The peer has ended its direction; a half-closeable protocol may go on writing."""
        self.reading = False
        self._readEnded = True
        super().readConnectionLost(reason)

    # -- writing

    def write(self, data: bytes) -> None:
        """
        Send, at once when nothing is queued.

        :param data: bytes; not to be changed afterwards.
        """
        if not self._eager or not data:
            abstract.FileDescriptor.write(self, data)
            return
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as e:
            if e.errno != ENOBUFS:
                self._writeFailed()
                return
            sent = 0
        if sent != len(data):
            self._queue(data, sent)

    def writeSequence(self, iovec: Any) -> None:
        """Send the pieces as one write; joining was measured to be no slower than ``sendmsg`` up to 64 KB."""
        self.write(b"".join(iovec))

    def _queue(self, data: bytes, sent: int) -> None:
        """Keep what the kernel did not take. The queue is empty, so the bytes are kept uncopied."""
        self._eager = False
        self.dataBuffer = data if data.__class__ is bytes else bytes(data)
        self.offset = sent
        self._maybePauseProducer()
        self.startWriting()

    def _isSendBufferFull(self) -> bool:
        return len(self.dataBuffer) - self.offset + self._tempDataLen > self.bufferSize

    def writeSomeData(self, data: Any) -> Any:
        """:return: how many bytes the kernel took, or the exception that ends the connection."""
        try:
            return self.socket.send(data)
        except BlockingIOError:
            return 0
        except OSError as e:
            return 0 if e.errno == ENOBUFS else CONNECTION_LOST

    def doWrite(self) -> Any:
        """Send from the queue. :return: :obj:`None`, or the reason to end."""
        if self._tempDataLen:
            self._mergeQueue()
        if self.dataBuffer:
            rest = memoryview(self.dataBuffer)[self.offset :] if self.offset else self.dataBuffer
            sent = self.writeSomeData(rest)
            if sent.__class__ is not int:
                self._writeFailed()
                return None
            self.offset += sent
            if self.offset < len(self.dataBuffer) or self._tempDataLen:
                return None
            self.dataBuffer = b""
            self.offset = 0
        return self._drained()

    def _mergeQueue(self) -> None:
        """Make one buffer of the queue, unless enough of the old one is left for a full send."""
        left = len(self.dataBuffer) - self.offset
        if left >= self.SEND_LIMIT:
            return
        pieces: list[Any] = self._tempDataBuffer
        if left:
            pieces = [memoryview(self.dataBuffer)[self.offset :], *pieces]
        self.dataBuffer = b"".join(pieces)
        self.offset = 0
        self._tempDataBuffer = []
        self._tempDataLen = 0

    def _drained(self) -> Any:
        """Nothing is queued any more: go on with whatever waited for that."""
        self.stopWriting()
        self._resetEager()
        if self.producer is not None and (not self.streamingProducer or self.producerPaused):
            self.producerPaused = False
            self.producer.resumeProducing()
        elif self.disconnecting:
            return self._postLoseConnection()
        elif self._writeDisconnecting and not self._writeDisconnected:
            self._writeDisconnected = True
            self._eager = False
            return self._closeWriteConnection()  # type: ignore[func-returns-value]
        return None

    def _resetEager(self) -> None:
        """Decide the flag of the module's docstring anew."""
        self._eager = bool(
            self.connected
            and not self.dataBuffer
            and not self._tempDataLen
            and not self._writeDisconnected
            and not self._aborting
            and (self.producer is None or self.streamingProducer)
        )

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """As in Twisted. A pull producer goes the queued way: it is asked again when the queue is empty."""
        self.producerPaused = False
        if not streaming:
            self._eager = False
        abstract.FileDescriptor.registerProducer(self, producer, streaming)

    def unregisterProducer(self) -> None:
        """As in Twisted: a connection that waits for its producer to close may close now."""
        abstract.FileDescriptor.unregisterProducer(self)
        self._resetEager()

    # -- the end

    def _writeFailed(self) -> None:
        """
        The peer takes nothing more. Forget the queue; let what is left to read come in before the end is told.

        An origin that answers early and closes is such a peer, and its answer is worth having.
        """
        self._broken = True
        self._eager = False
        self._writeDisconnected = True
        self.dataBuffer = b""
        self.offset = 0
        self._tempDataBuffer = []
        self._tempDataLen = 0
        self.stopWriting()
        if not self.reading:
            self.reactor.callLater(0, self._finish)

    def _finish(self) -> None:
        """Tell the protocol, in a turn of the loop of its own, unless it knows."""
        if self.connected:
            self.connectionLost(Failure(CONNECTION_LOST if self._broken else CONNECTION_DONE))

    def loseConnection(self, _connDone: Any = None) -> None:
        """Close once everything queued is out and no producer is registered; the protocol hears of it later."""
        if not self.connected or self.disconnecting:
            return
        if self._writeDisconnected:
            self.disconnecting = 1
            self.stopReading()
            self.stopWriting()
            self.reactor.callLater(0, self._finish)
        else:
            self.stopReading()
            self.startWriting()
            self.disconnecting = 1

    def abortConnection(self) -> None:
        """Drop everything queued and reset the connection; the protocol hears of it in the next turn."""
        self._eager = False
        self._staged = False
        super().abortConnection()

    def connectionLost(self, reason: Failure) -> None:
        """Release the socket, then tell the protocol."""
        self._eager = False
        self._staged = False
        super().connectionLost(reason)

    def startTLS(self, ctx: Any, normal: bool = True) -> None:
        """:raises NotImplementedError: always; these transports are plain or TLS from their first byte."""
        raise NotImplementedError("plain or TLS from the first byte: see revproxy.dataplane.tls")

    def logPrefix(self) -> str:
        """A constant: the loop asks for it at every event."""
        return self.logstr


class EagerServer(EagerConnection, tcp.Server):
    """A connection that a TCP port accepted."""

    client: Any
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
        if self._staged:
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
        if self._staged and self.connected:
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


class EagerBaseClient(EagerConnection, tcp.BaseClient):
    """A connection that we open."""

    def _connectDone(self) -> None:
        self.setTcpNoDelay(True)
        self._established()

    def _established(self) -> None:
        """The socket is connected: begin. A stage that comes before the protocol's bytes overrides this."""
        # Set before the protocol is connected, so that its first write goes out at once.
        self._eager = True
        tcp.BaseClient._connectDone(self)
        self._resetEager()


class EagerClient(EagerBaseClient, tcp.Client):
    """A TCP connection that we open."""


class EagerUNIXClient(EagerBaseClient, unix.Client):
    """A UNIX connection that we open. Descriptors sent along are not taken."""

    def sendFileDescriptor(self, fileno: int) -> None:
        """:raises NotImplementedError: always."""
        raise NotImplementedError("descriptors are not sent over these connections")


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

    Out of descriptors or memory, it stops accepting for :data:`ACCEPT_PAUSE` seconds at a time and says so once.
    Clients wait in the backlog meanwhile. (Twisted's port accepts and drops them, one log line each, and spins
    when its spare descriptor is gone.)

    Set ``transport`` to change what it makes of an accepted socket; a factory whose ``buildProtocol`` returns
    :obj:`None` has the socket closed.
    """

    reactor: Any
    transport: Any = EagerServer
    _log = Logger()
    _pause: Any = None
    _scarce = False

    def doRead(self) -> None:
        """Accept what waits, up to :data:`ACCEPTS_PER_TURN`."""
        for _ in range(ACCEPTS_PER_TURN):
            try:
                skt, addr = self.socket.accept()
            except BlockingIOError:
                return
            except OSError as e:
                if e.errno in _PASSING_ACCEPT_ERRORS:
                    continue
                self._acceptFailed(e)
                return
            if self._scarce:
                self._scarce = False
                self._log.info("{port} accepts again", port=self)
            self._accepted(skt, addr)
            if not self.connected or self.disconnecting:
                return

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
            self._log.error("{port} stops accepting for a while: {error}", port=self, error=e.strerror)
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
    """The same for UNIX sockets."""

    transport: Any = EagerUNIXServer


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
    "EagerBaseClient",
    "EagerClient",
    "EagerConnection",
    "EagerConnector",
    "EagerPort",
    "EagerReactor",
    "EagerServer",
    "EagerUNIXClient",
    "EagerUNIXPort",
    "EagerUNIXServer",
]
