"""
What all connections share: the current generation, limits, deadlines, the recorder.

A swap is an assignment to :attr:`Edge.generation`; an exchange reads it once. Limits, timeouts and the recorder may be
assigned at any time as well: everybody reads them here, so they hold from the next time that they are looked at.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from revproxy.context import Peer
from revproxy.dataplane.clientcounts import ClientCounts
from revproxy.dataplane.explainer import explainsNothing
from revproxy.dataplane.http.interfaces import IClientConnection
from revproxy.dataplane.http.limits import Limits, Timeouts
from revproxy.dataplane.http.tracing import Tracing
from revproxy.dataplane.recorder import Recorder
from revproxy.errors import EdgeError
from revproxy.loop.deadlines import Deadlines
from revproxy.requestrecord import RequestRecord

if TYPE_CHECKING:
    from revproxy.dataplane.chain import Chain
    from revproxy.dataplane.generation import Generation


class Edge:
    """
    The data plane as its connections see it.

    :ivar accepted: how many connections were let in.
    :ivar clients: how many of them each client has; those of trusted proxies are not counted.
    :ivar connections: every open client connection.
    :ivar draining: True once it is being stopped.
    :ivar generation: may be assigned; every request that begins later goes through the new one.
    :ivar handshakes: how many TLS handshakes were completed; ``resumed``: of these, with an earlier session;
        ``failedHandshakes``: how many connections ended before that.
    :ivar limits: may be assigned; a request whose head is complete keeps the bounds of its trailer section, and
        connections over a lowered limit stay.
    :ivar timeouts: may be assigned; a deadline that runs already stays as it is.
    :ivar recorder: may be assigned; a request is recorded where this points when it ends. None: nobody wants to know.
    :ivar explain: what the record of a request has as ``explained``; and ``slow``: seconds from which on it is asked
        for any request. Both may be assigned.
    :ivar refusals: how many heads were no acceptable requests.
    :ivar turnedAway: how many connections were over the limit.
    :ivar now: seconds since the epoch.
    :ivar monotonic: seconds of a clock that is never set back: for durations.
    :ivar tracing: gives requests their traces; may be assigned. None: none.
    :ivar logsAgents: whether the log shows User-Agent and Referer; may be assigned.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        deadlines: Deadlines,
        generation: Generation,
        limits: Limits,
        timeouts: Timeouts,
        recorder: Recorder | None,
        logsAgents: bool = False,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        self.now = clock.seconds
        self.monotonic = monotonic or clock.seconds
        self.generation = generation
        self.limits = limits
        self.timeouts = timeouts
        self.recorder = recorder
        self.explain: Callable[..., bytes] = explainsNothing
        self.slow = math.inf
        self.logsAgents = logsAgents
        self.deadlines = deadlines
        self.tracing: Tracing | None = None
        self.connections: set[IClientConnection] = set()
        self.clients = ClientCounts()
        self.draining = False
        self.accepted = 0
        self.handshakes = 0
        self.resumed = 0
        self.failedHandshakes = 0
        self.refusals = 0
        self.turnedAway = 0
        self._clock = clock
        self._drained: Deferred[None] | None = None

    def refused(self, peer: Peer, scheme: str, error: EdgeError, bytesOut: int) -> None:
        """A head was no acceptable request: count and record it."""
        self.refusals += 1
        if self.recorder is not None:
            self.recorder.record(
                RequestRecord(
                    self.now(),
                    0.0,
                    "-",
                    peer.host,
                    b"-",
                    b"-",
                    b"-",
                    "-",
                    scheme,
                    error.status,
                    bytesOut=bytesOut,
                    error=f"{type(error).__name__}: {error}",
                )
            )

    def soon(self, function: Callable[[], None]) -> None:
        """Call this in the next turn of the loop, when all other connections have had theirs."""
        self._clock.callLater(0, function)

    def connectionClosed(self) -> None:
        """A client connection has ended."""
        if self._drained is not None and not self.connections:
            drained, self._drained = self._drained, None
            drained.callback(None)

    def drain(self) -> Deferred[None]:
        """
        Let running requests finish; idle connections close now.

        :returns: fires when no connection is left, at the latest when the drain time is over and the rest were
            broken off.
        """
        self.draining = True
        for connection in list(self.connections):
            connection.drain()
        if not self.connections:
            return succeed(None)
        drained: Deferred[None] = Deferred()
        self._drained = drained
        hardStop = self._clock.callLater(self.timeouts.drain, self._drainOver)

        def over(result: None) -> None:
            if hardStop.active():
                hardStop.cancel()

        return drained.addCallback(over)

    def _drainOver(self) -> None:
        self._log.warn("drain time is over: breaking off {count} connections", count=len(self.connections))
        self.breakOff()

    def breakOff(self) -> None:
        """
        End all connections at once.
        """
        for connection in list(self.connections):
            connection.breakOff("the edge is being stopped")

    def breakOffChains(self, chains: Collection[Chain]) -> int:
        """
        End at once the connections whose running request, or tunnel, goes through one of these chains.

        :returns: how many.
        """
        if not chains:
            return 0
        # A request that was routed anew has come through several.
        using = [
            connection
            for connection in self.connections
            if connection.chain is not None and any(part in chains for part in connection.chain.parts)
        ]
        for connection in using:
            connection.breakOff("the drain time of a replaced plugin is over")
        return len(using)
