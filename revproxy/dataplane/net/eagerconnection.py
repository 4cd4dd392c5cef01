"""
Connections whose writes go out at once.

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
"""

# Twisted's transports carry no annotations.
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from errno import ENOBUFS
from typing import Any

from twisted.internet import abstract, tcp
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.python.failure import Failure

READ_SIZE = 131072
"""Bytes asked of one ``recv``: more costs a memory mapping per call, less costs turns of the loop."""


class Phase(Enum):
    """What the connection is at."""

    STAGE = 0
    """Its events go to a stage that comes before the protocol's bytes."""
    OPEN = 1
    BROKEN = 2
    """The peer takes nothing more; what it has sent before may still be read."""


class Input(Enum):
    """What becomes of the bytes of the peer. In a stage: what the protocol wants after it."""

    READ = 0
    PAUSED = 1
    """They stay in the kernel."""
    ENDED = 2
    """There will be none: the peer has ended its direction."""


STAGE, OPEN, BROKEN = Phase
READ, PAUSED, ENDED = Input


class EagerConnection(tcp.Connection):
    """
    What servers and clients here have in common.

    :cvar tlsInfo: what the handshake agreed on; :obj:`None` on a plain connection.
    :cvar truncated: whether the peer's last bytes may be missing: it left with no proper end.
    """

    reactor: Any
    producer: Any = None
    tlsInfo: Any = None
    truncated = False
    logstr = "edge"
    _eager = False
    _phase: Phase = OPEN
    _input: Input = PAUSED

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
        if self._phase is BROKEN:
            self.truncated = True
            return CONNECTION_LOST
        return CONNECTION_DONE

    def startReading(self) -> None:
        """Let bytes come in; nothing once the peer has ended its direction."""
        if self._input is not ENDED:
            self._input = READ
            if self._phase is not STAGE:
                self.reactor.addReader(self)

    def stopReading(self) -> None:
        """Leave bytes in the kernel, which slows the peer down."""
        if self._input is READ:
            self._input = PAUSED
        if self._phase is not STAGE:
            self.reactor.removeReader(self)
        if self._phase is BROKEN:
            # Nobody would look at the socket any more, so nobody would learn of the loss.
            self.reactor.callLater(0, self._finish)

    # -- what comes before the protocol's bytes

    def _enterStage(self, doRead: Callable[[], Any], doWrite: Callable[[], Any]) -> None:
        """
        Give the socket's events to a stage (a PROXY header, a handshake) that the protocol does not see.

        While it lasts, the protocol's pausing and resuming is only remembered and what it writes is only queued.
        Instance attributes shadow the methods, so that nothing is asked for on the way later.
        """
        if self._phase is not STAGE:
            self._phase = STAGE
            self._eager = False
            self._input = READ
            self.reactor.addReader(self)
        self.doRead = doRead  # type: ignore[method-assign]
        self.doWrite = doWrite  # type: ignore[method-assign]

    def _leaveStage(self) -> None:
        """The stage is over: do what the protocol has asked for meanwhile."""
        del self.doRead, self.doWrite
        self._phase = OPEN
        (self.reactor.addReader if self._input is READ else self.reactor.removeReader)(self)
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
        self._input = ENDED
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
        return self.unsent > self.bufferSize

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
        rest = len(self.dataBuffer) - self.offset
        if rest >= self.SEND_LIMIT:
            return
        pieces: list[Any] = self._tempDataBuffer
        if rest:
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

    @property
    def unsent(self) -> int:
        """Bytes that are queued: written, and not taken by the kernel."""
        return len(self.dataBuffer) - self.offset + self._tempDataLen

    def registerDrained(self, producer: Any) -> None:
        """Register a push producer as one that is paused: it is resumed when all that is queued now is out."""
        self.registerProducer(producer, True)
        self.producerPaused = True

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
        self._phase = BROKEN
        self._eager = False
        self._writeDisconnected = True
        self.dataBuffer = b""
        self.offset = 0
        self._tempDataBuffer = []
        self._tempDataLen = 0
        self.stopWriting()
        if self._input is not READ:
            self.reactor.callLater(0, self._finish)

    def _finish(self) -> None:
        """Tell the protocol, in a turn of the loop of its own, unless it knows."""
        if self.connected:
            self.connectionLost(Failure(CONNECTION_LOST if self._phase is BROKEN else CONNECTION_DONE))

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
        if self._phase is STAGE:
            self._phase = OPEN
        super().abortConnection()

    def connectionLost(self, reason: Failure) -> None:
        """Release the socket, then tell the protocol."""
        self._eager = False
        if self._phase is STAGE:
            self._phase = OPEN
        super().connectionLost(reason)

    def startTLS(self, ctx: Any, normal: bool = True) -> None:
        """:raises NotImplementedError: always; these transports are plain or TLS from their first byte."""
        raise NotImplementedError("plain or TLS from the first byte: see revproxy.dataplane.net.tlsserver")

    def logPrefix(self) -> str:
        """A constant: the loop asks for it at every event."""
        return self.logstr


__all__ = ["BROKEN", "OPEN", "READ", "READ_SIZE", "STAGE", "EagerConnection"]
