"""
The edge's end of the stream to a locked process.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from socket import socket
from typing import Any, Final

from twisted.logger import Logger
from twisted.python.failure import Failure

from revproxy.isolation.frames import MOST_DOWN, MOST_UP, BrokenStream, FrameReader
from revproxy.isolation.process.descriptors import Descriptor, Descriptors

MOST_UNSENT: Final = MOST_DOWN + (16 << 20)
"""Bytes that may wait for a process to take them."""

LATE: Final = 0.05
"""Seconds that what nobody waits for may take to leave."""

_PIECE: Final = 1 << 16
_PIECES: Final = 4
"""Times that one is read from before others get their turn."""

_NOTHING: Final = memoryview(b"")


class Link(Descriptor):
    """
    The edge's end of the stream to a locked process.

    :ivar onFrame: called with each frame, without its length.
    :ivar onEnd: called once, with the reason in words, when the stream ends or is no good any more; empty: the process
        has closed it. The link is closed then.
    :ivar unsent: bytes that the process has not taken yet.
    """

    _log = Logger()

    def __init__(
        self,
        descriptors: Descriptors,
        stream: socket,
        onFrame: Callable[[bytes], None],
        onEnd: Callable[[str], None],
    ) -> None:
        """:param stream: the link closes it."""
        stream.setblocking(False)
        self.fd = stream.fileno()
        self.onFrame = onFrame
        self.onEnd = onEnd
        self.unsent = 0
        self._stream = stream
        self._descriptors = descriptors
        self._reader = FrameReader(MOST_UP)
        self._queue: list[bytes] = []
        self._rest = _NOTHING
        self._isBlocked = self._isScheduled = False
        self._late: Any = None
        descriptors.read(self)

    def send(self, data: bytes) -> None:
        """What is sent in one turn of the event loop leaves together, at its end."""
        if not self._isScheduled and not self._isBlocked:
            self._isScheduled = True
            self._descriptors.soon(self.flush)
        self._put(data)

    def sendNow(self, data: bytes) -> None:
        """Leaves at once, with all that waits: nothing else is on its way, so there is nothing to wait for."""
        self._put(data)
        if self.fd >= 0 and not self._isBlocked:
            self.doWrite()

    def sendLate(self, data: bytes) -> None:
        """Leaves with the next that does, or after :data:`LATE` seconds: nobody waits for it."""
        if not self._queue and not self._isBlocked and self._late is None:
            self._late = self._descriptors.later(LATE, self._isLate)
        self._put(data)

    def _isLate(self) -> None:
        self._late = None
        self.flush()

    def _put(self, data: bytes) -> None:
        self._queue.append(data)
        self.unsent += len(data)
        if self.unsent > MOST_UNSENT:
            self._end("it does not take what it is sent")

    def flush(self) -> None:
        """Send what waits."""
        self._isScheduled = False
        if self.fd >= 0 and self._queue and not self._isBlocked:
            self.doWrite()

    def doWrite(self) -> None:
        """There is room."""
        data: bytes | memoryview = self._rest
        if not data:
            queue = self._queue
            data = queue[0] if len(queue) == 1 else b"".join(queue)
            queue.clear()
        try:
            sent = self._stream.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            return  # the end is read, too
        self.unsent -= sent
        self._rest = _NOTHING if sent == len(data) else memoryview(data)[sent:]
        if bool(self.unsent) != self._isBlocked:
            self._isBlocked = not self._isBlocked
            (self._descriptors.write if self._isBlocked else self._descriptors.writeNoMore)(self)

    def doRead(self) -> None:
        """There is something to read, or the end."""
        for _ in range(_PIECES):
            try:
                data = self._stream.recv(_PIECE)
            except BlockingIOError:
                return
            except OSError as error:
                self._end("" if isinstance(error, ConnectionError) else os.strerror(error.errno or 0))
                return
            if not data:
                self._end("")
                return
            self._deliver(data)
            if len(data) < _PIECE or self.fd < 0:
                return

    def _deliver(self, data: bytes) -> None:
        try:
            for frame in self._reader.feed(data):
                self.onFrame(frame)
                if self.fd < 0:
                    return
        except BrokenStream as error:
            self._end(f"it has said what nobody understands: {error}")
        except Exception:
            self._log.failure("the edge has failed at a frame of a locked process, which is ended for that")
            self._end("the edge has failed at what it has said")

    def connectionLost(self, reason: Failure) -> None:
        """For the reactor: the process has closed the stream."""
        self._end("")

    def _end(self, why: str) -> None:
        if self.fd >= 0:
            self.close()
            self.onEnd(why)

    def close(self) -> None:
        """Nothing is sent or heard any more; :attr:`onEnd` is not called."""
        if self.fd >= 0:
            self._descriptors.forget(self)
            self.fd = -1
            if self._late is not None:
                self._late.cancel()
                self._late = None
            self._stream.close()
            self._queue.clear()
            self._rest = _NOTHING
            self.unsent = 0
