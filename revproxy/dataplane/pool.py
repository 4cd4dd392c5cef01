"""
The connections to one target: bounded, reused last-in first-out, with a bounded queue of requests before them.

Last-in first-out keeps few connections warm instead of many lukewarm, so the rest expire.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import TimeoutError
from twisted.python.failure import Failure

from revproxy.dataplane.deadlines import NEVER, Deadlines
from revproxy.dataplane.http1client import Http1Client
from revproxy.dataplane.limits import Limits, Timeouts
from revproxy.errors import ConnectFailed, ConnectTimedOut, EdgeError, Unavailable

if TYPE_CHECKING:
    from revproxy.dataplane.upstream import Outgoing


class Pool:
    """
    The connections to one target.

    :ivar open: connections that exist or are being made.
    :ivar idle: those that wait for a request; the last is used first.
    :ivar poisoned: how often an origin sent bytes that belong to no answer.
    """

    __slots__ = (
        "_closing",
        "_connect",
        "_connecting",
        "_live",
        "_maxConnections",
        "_maxQueue",
        "deadlines",
        "idle",
        "idleTimeout",
        "limits",
        "maxPause",
        "open",
        "poisoned",
        "timeouts",
        "waiting",
    )

    def __init__(
        self,
        connect: Callable[[Callable[[], Http1Client]], Deferred[Any]],
        deadlines: Deadlines,
        limits: Limits,
        timeouts: Timeouts,
        *,
        maxConnections: int,
        maxQueue: int,
        idleTimeout: float,
        maxPause: float = NEVER,
    ) -> None:
        """
        :param connect: given a function that makes the protocol, connects it; the Deferred fires with the protocol
            and can be cancelled.
        :param idleTimeout: seconds a connection is kept unused; less than the origin keeps it.
        :param maxPause: seconds the receiver of an answer may take nothing, where it has no deadline itself.
        """
        self._connect = connect
        self.deadlines = deadlines
        self.limits = limits
        self.timeouts = timeouts
        self._maxConnections = maxConnections
        self._maxQueue = maxQueue
        self.idleTimeout = idleTimeout
        self.maxPause = maxPause
        self.idle: list[Http1Client] = []
        self.waiting: deque[Outgoing] = deque()
        self.open = 0
        self.poisoned = 0
        self._connecting: set[Deferred[Any]] = set()
        self._live: set[Http1Client] = set()
        self._closing = False

    def send(self, outgoing: Outgoing) -> None:
        """Send on an idle connection, a new one, or the next that is free."""
        while self.idle:
            connection = self.idle.pop()
            if connection.transport.isQuiet():
                connection.send(outgoing)
                return
            connection.abort()
        self._enqueue(outgoing, first=False)

    def sendFresh(self, outgoing: Outgoing) -> None:
        """Send on a connection that has not been idle: those that are may be as stale as the one that failed."""
        for connection in self.idle[:]:
            connection.abort()
        self._enqueue(outgoing, first=True)

    @property
    def isConnecting(self) -> bool:
        """Whether any connection is being made."""
        return bool(self._connecting)

    def withdraw(self, outgoing: Outgoing) -> None:
        """It is not to be sent any more."""
        self.deadlines.forget(outgoing)
        try:
            self.waiting.remove(outgoing)
        except ValueError:
            pass

    def _enqueue(self, outgoing: Outgoing, first: bool) -> None:
        canConnect = self.open < self._maxConnections
        if not canConnect and len(self.waiting) >= self._maxQueue:
            outgoing.failed(Failure(Unavailable("the queue for this target is full")))
            return
        outgoing.deadline = self.deadlines.now() + self.timeouts.connect
        self.deadlines.watch(outgoing)
        if first:
            self.waiting.appendleft(outgoing)
        else:
            self.waiting.append(outgoing)
        if canConnect:
            self._open()

    def _open(self) -> None:
        self.open += 1
        connecting = self._connect(self._build)
        self._connecting.add(connecting)
        connecting.addBoth(self._settled, connecting)
        connecting.addCallbacks(self._connected, self._connectFailed)

    def _build(self) -> Http1Client:
        return Http1Client(self)

    def _settled(self, result: Any, connecting: Deferred[Any]) -> Any:
        self._connecting.discard(connecting)
        return result

    def _connected(self, connection: Http1Client) -> None:
        self._live.add(connection)
        connection.deadline = self.deadlines.now() + self.idleTimeout
        self.release(connection)

    def _connectFailed(self, failure: Failure) -> None:
        self.open -= 1
        if not self.waiting or failure.check(CancelledError):
            return
        outgoing = self.waiting.popleft()
        self.deadlines.forget(outgoing)
        error = failure.value
        if failure.check(TimeoutError):
            error = ConnectTimedOut("the connection took too long")
        elif not isinstance(error, EdgeError):
            error = ConnectFailed(f"{failure.type.__name__ if failure.type else ''}: {failure.getErrorMessage()}")
        outgoing.failed(Failure(error))
        self._refill()

    def release(self, connection: Http1Client) -> None:
        """A connection is free."""
        if self._closing and not self.waiting:
            connection.abort()
        elif self.waiting:
            if connection.served and not connection.transport.isQuiet():
                connection.abort()
                return
            outgoing = self.waiting.popleft()
            self.deadlines.forget(outgoing)
            connection.send(outgoing)
        else:
            self.idle.append(connection)

    def closed(self, connection: Http1Client) -> None:
        """A connection is no more."""
        self.open -= 1
        self._live.discard(connection)
        try:
            self.idle.remove(connection)
        except ValueError:
            pass
        self._refill()

    def _refill(self) -> None:
        """Requests that wait get connections in place of those that went."""
        if self.waiting and self.open < self._maxConnections and len(self._connecting) < len(self.waiting):
            self._open()

    def close(self) -> None:
        """
        Keep nothing: idle connections end now, others after the requests that need them.

        Requests that come later are served all the same, each on a connection of its own: they are of a generation
        that was replaced while their middleware took their time.
        """
        self._closing = True
        for connection in self.idle[:]:
            connection.abort()
        for connecting in list(self._connecting)[len(self.waiting) :]:
            connecting.cancel()
