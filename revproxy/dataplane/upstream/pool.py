"""
The connections to one target: bounded, reused last-in first-out, with a bounded queue of requests before them.

Last-in first-out keeps few connections warm instead of many lukewarm, so the rest expire. It also means that the last
of the idle connections is the one that became idle last.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import TimeoutError
from twisted.python.failure import Failure

from revproxy.dataplane.http.limits import Limits, Timeouts
from revproxy.dataplane.http.shares import PLAIN, TUNNEL, UPLOAD, Shares
from revproxy.dataplane.http1.client import Http1Client
from revproxy.dataplane.http1.keepalive import DOUBTFUL, Closes
from revproxy.dataplane.upstream.queue import Queue, WaitingRequest
from revproxy.errors import ConnectFailed, ConnectTimedOut, EdgeError, Unavailable
from revproxy.loop.deadlines import NEVER, Deadlines

SAFE = frozenset((b"GET", b"HEAD", b"OPTIONS", b"TRACE"))
"""Methods that do nothing (RFC 9110 §9.2.1)."""


class Pool:
    """
    The connections to one target.

    :ivar shares: how many there are, and what they are taken up by.
    :ivar idle: those that wait for a request; the last is used first.
    :ivar waiting: the requests that wait for a connection.
    :ivar closes: when the origin has closed connections that were idle.
    :ivar poisoned: how often an origin sent bytes that belong to no answer.
    """

    __slots__ = (
        "_closing",
        "_connect",
        "_connecting",
        "_live",
        "closes",
        "deadlines",
        "idle",
        "idleTimeout",
        "limits",
        "maxPause",
        "poisoned",
        "shares",
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
        maxTunnels: int = 1024,
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
        self.shares = Shares(maxConnections, maxTunnels)
        self.waiting = Queue(deadlines, timeouts.connect, maxQueue, self._bodyOver)
        self.closes = Closes()
        self.idleTimeout = idleTimeout
        self.maxPause = maxPause
        self.idle: list[Http1Client] = []
        self.poisoned = 0
        self._connecting: set[Deferred[Any]] = set()
        self._live: set[Http1Client] = set()
        self._closing = False

    @property
    def open(self) -> int:
        """Connections that exist or are being made, without tunnels."""
        return self.shares.connections

    @property
    def busy(self) -> int:
        """Connections that a request, or a tunnel, has now."""
        shares = self.shares
        return max(0, shares.connections + shares.tunnels - len(self.idle) - len(self._connecting))

    @property
    def isFull(self) -> bool:
        """Whether a request would be refused at once: there is neither a connection for it nor a place to wait."""
        return not self.idle and not self.shares.hasRoom and self.waiting.isFull

    # Requests

    def send(self, outgoing: WaitingRequest) -> None:
        """Send on an idle connection, a new one, or the next that is free."""
        body = outgoing.body
        if body is not None and not body.complete:
            if body.failure is not None:
                outgoing.failed(body.failure)
                return
            if not self._mayUpload(outgoing):
                return
        idle = self.idle
        if idle:
            now = self.deadlines.now()
            connection = idle[-1]
            # As a rule nothing is known against it; the rest is only asked where something may be.
            if self.closes.shortest is None and now < connection.deadline and connection.transport.isQuiet():
                idle.pop().send(outgoing, now)
                return
            kept = self._kept(outgoing, now)
            if kept is not None:
                kept.send(outgoing, now)
                return
        self._enqueue(outgoing, first=False)

    def sendFresh(self, outgoing: WaitingRequest) -> None:
        """Send on a connection that has not been used."""
        self._makeRoom()
        self._enqueue(outgoing, first=True)

    def _mayUpload(self, outgoing: WaitingRequest) -> bool:
        """Whether a request may be sent whose body is not whole yet; if not, it waits, or has failed."""
        if outgoing.share == UPLOAD:
            return True
        if self.shares.beginUpload():
            outgoing.share = UPLOAD
            return True
        if not self.waiting.hold(outgoing):
            outgoing.failed(Failure(Unavailable("too many requests to this target are not whole yet")))
        return False

    def _kept(self, outgoing: WaitingRequest, now: float) -> Http1Client | None:
        """An idle connection that is good enough for this request, if there is one."""
        idle = self.idle
        trusted = self.closes.trusted(now, outgoing.method in SAFE)
        while idle:
            connection = idle[-1]
            if now - connection.idleSince >= trusted:
                # So were the others.
                self._makeRoom()
                return None
            idle.pop()
            if not connection.transport.isQuiet():
                self.closes.saw(now, now - connection.idleSince)
                connection.abort()
            elif connection.deadline <= now:
                connection.retire()
            else:
                return connection
        return None

    def _makeRoom(self) -> None:
        """If there are as many connections as there may be, one that is idle has to give way to a fresh one."""
        if self.idle and not self.shares.hasRoom:
            self.idle[0].retire()

    def _bodyOver(self, outgoing: WaitingRequest) -> None:
        """It waits no longer: its body is whole, and needs no share; or it never will be, and nothing is sent."""
        self._notSent(outgoing)
        self.send(outgoing)

    def withdraw(self, outgoing: WaitingRequest) -> None:
        """It is not to be sent any more."""
        self.waiting.leave(outgoing)
        self._notSent(outgoing)

    def overdue(self, outgoing: WaitingRequest) -> EdgeError:
        """
        It has waited for its time and is not to be sent any more.

        :returns: what that means.
        """
        isHeld = outgoing in self.waiting.held
        self.withdraw(outgoing)
        if isHeld:
            return Unavailable("too many requests to this target are not whole yet")
        if self._connecting:
            return ConnectTimedOut("the connection took too long, or the name to resolve")
        return Unavailable("no connection to the target came free in time")

    def _notSent(self, outgoing: WaitingRequest) -> None:
        if outgoing.share == UPLOAD:
            outgoing.share = PLAIN
            self.uploaded()

    def uploaded(self) -> None:
        """A request's body is whole, or nobody wants it any more: another upload may begin."""
        self.shares.uploads -= 1
        self._admit()

    def _admit(self) -> None:
        while self.waiting.held and self.shares.beginUpload():
            outgoing = self.waiting.admit()
            outgoing.share = UPLOAD
            self.send(outgoing)

    def _enqueue(self, outgoing: WaitingRequest, first: bool) -> None:
        canConnect = self.shares.hasRoom
        if not canConnect and self.waiting.isFull:
            self._notSent(outgoing)
            outgoing.failed(Failure(Unavailable("the queue for this target is full")))
            return
        self.waiting.join(outgoing, first)
        if canConnect:
            self._open()

    # Connections

    def _open(self) -> None:
        self.shares.connections += 1
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
        connection.idleSince = self.deadlines.now()
        connection.deadline = connection.idleSince + self.idleTimeout
        self.release(connection)

    def _connectFailed(self, failure: Failure) -> None:
        self.shares.connections -= 1
        if not self.waiting.ready or failure.check(CancelledError):
            return
        outgoing = self.waiting.next()
        self._notSent(outgoing)
        error = failure.value
        if failure.check(TimeoutError):
            error = ConnectTimedOut("the connection took too long")
        elif not isinstance(error, EdgeError):
            error = ConnectFailed(f"{failure.type.__name__ if failure.type else ''}: {failure.getErrorMessage()}")
        outgoing.failed(Failure(error))
        self._refill()

    def release(self, connection: Http1Client) -> None:
        """A connection is free, from just now on."""
        ready = self.waiting.ready
        if self._closing and not ready:
            connection.abort()
        elif ready:
            if connection.served:
                if not connection.transport.isQuiet():
                    connection.abort()
                    return
                if not self._isFit(connection, ready[0]):
                    if len(self._connecting) < len(ready):
                        # The request that waits gets a fresh connection in its place.
                        connection.retire()
                    else:
                        self.idle.append(connection)
                    return
            connection.send(self.waiting.next(), connection.idleSince)
        else:
            self.idle.append(connection)

    def _isFit(self, connection: Http1Client, outgoing: WaitingRequest) -> bool:
        """Whether a request may go on a connection that was used, and is free from just now on."""
        return not outgoing.refreshed and self.closes.trusted(connection.idleSince, outgoing.method in SAFE) > 0

    def becomesTunnel(self, connection: Http1Client) -> bool:
        """
        The origin has switched protocols.

        :returns: False if there are as many tunnels as there may be.
        """
        if not self.shares.beginTunnel():
            return False
        connection.share = TUNNEL
        self._refill()
        return True

    def lost(self, connection: Http1Client) -> None:
        """The origin has closed a connection that was idle."""
        now = self.deadlines.now()
        self.closes.saw(now, now - connection.idleSince)

    def lostInUse(self, connection: Http1Client) -> None:
        """The origin has closed a connection that was idle and then used, without an answer."""
        if connection.unused < DOUBTFUL:
            return
        now = self.deadlines.now()
        self.closes.saw(now, connection.unused)
        for other in self.idle[:]:
            # Those that have not been used for as long may be as stale, and nobody has told us.
            if now - other.idleSince >= connection.unused:
                other.abort()

    def closed(self, connection: Http1Client) -> None:
        """A connection is no more."""
        self.shares.end(connection.share)
        self._live.discard(connection)
        try:
            self.idle.remove(connection)
        except ValueError:
            pass
        self._admit()
        self._refill()

    def _refill(self) -> None:
        """Requests that wait get connections in place of those that are gone."""
        ready = self.waiting.ready
        if ready and self.shares.hasRoom and len(self._connecting) < len(ready):
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
        for connecting in list(self._connecting)[len(self.waiting.ready) :]:
            connecting.cancel()
