"""
What stands in the place of things for a rehearsal: a request that goes through the real routing, and if wanted through
the real plugins, and touches nothing else.

Links count into figures of their own, blame nobody, and have no client; what stands behind a gate is not asked. At the
end of each route is a leaf that answers at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from revproxy.body import Body
from revproxy.context import Context, Headers, Response
from revproxy.dataplane.chain import Chain
from revproxy.dataplane.counters import BODY
from revproxy.dataplane.detour import Detour
from revproxy.dataplane.fork import Fork
from revproxy.dataplane.generation import Generation
from revproxy.dataplane.http.answerhead import discard
from revproxy.dataplane.http.interfaces import IClientStream
from revproxy.dataplane.leaves.leaf import Leaf
from revproxy.dataplane.link import Link
from revproxy.dataplane.routing import Route
from revproxy.dataplane.story import note
from revproxy.destination import Destinations
from revproxy.errors import PluginQuarantined
from revproxy.interfaces import IMiddleware
from revproxy.requestrecord import RequestRecord
from revproxy.worker.guard.barrier import Barrier
from revproxy.worker.guard.gate import Gate


class RehearsalLeaf(Leaf):
    """
    At the end of every route.

    :ivar isReached: whether a request came so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.isReached = False

    def render(self, exchange: Any) -> int:
        """The way in is over."""
        self.isReached = True
        exchange.answered(Response(200, None, Headers(), Body.of(b"")))
        return NOT_DONE_YET


class RehearsalDestinations:
    """The upstreams, of which none is spoken to."""

    def __init__(self, real: Destinations, leaf: RehearsalLeaf) -> None:
        self._real = real
        self._leaf = leaf

    def origins(self, upstream: str) -> Sequence[str]:
        """As :meth:`revproxy.destination.Destinations.origins`."""
        return self._real.origins(upstream)

    def available(self, upstream: str) -> Sequence[str]:
        """As :meth:`revproxy.destination.Destinations.available`."""
        return self._real.available(upstream)

    def leaf(self, upstream: str, origin: str | None, strip: bytes) -> RehearsalLeaf:
        """What stands there."""
        return self._leaf


class RehearsalLink(Link):
    """A link whose failures are nobody's business."""

    def blame(self, failure: Failure, message: str, phase: str = BODY, context: Context | None = None) -> None:
        """Nothing is counted, logged or told."""


@implementer(IMiddleware)
class InQuarantine:
    """In the place of a gate: a rehearsal is no probe."""

    def __init__(self, name: str, open: bool) -> None:
        self.name = name
        self._open = open

    def handle(self, context: Context) -> bool:
        """As a gate does while it lets nobody through."""
        note(context, self.name, "quarantine")
        if self._open:
            context._pluginsSkipped += (self.name,)
            return True
        raise PluginQuarantined(f"{self.name} is out of service")


class NoClient:
    """What plugins find as ``context.client``."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise RuntimeError("this is a rehearsal: nothing is sent anywhere")


class RehearsalChains:
    """The chains of a generation, each made when it is wanted; those they stand for are in use as long."""

    def __init__(self, real: Sequence[Chain], makeLink: Callable[[Link], Link | None]) -> None:
        """:param makeLink: what stands in the place of a link; None: nothing does."""
        self._real = real
        self._makeLink = makeLink
        self._made: dict[int, Chain] = {}
        self._standFor: list[tuple[Chain, Chain]] = []

    def __getitem__(self, group: int) -> Chain:
        chain = self._made.get(group)
        if chain is None:
            real = self._real[group]
            made = real.remade(self._remade) if isinstance(real, Fork) else self._remade(real)
            chain = self._made[group] = made
        return chain

    def _remade(self, real: Chain) -> Chain:
        links = [link for each in real.links if (link := self._makeLink(each)) is not None]
        # Also the instances of a plan that is followed by another now are stopped only when this is over.
        real.active += 1
        chain = Chain(links, explains=1, arms=real.arms)
        self._standFor.append((chain, real))
        return chain

    def release(self) -> None:
        """The rehearsal is over; observers may still be at work."""
        for chain, real in self._standFor:
            chain.whenIdle().addBoth(self._idle, real)

    def _idle(self, result: Any, real: Chain) -> None:
        real.release()


class RehearsalGeneration:
    """
    As much of a generation as an exchange knows.

    :ivar leaf: at the end of all routes.
    """

    def __init__(self, real: Generation, plugins: bool) -> None:
        """:param plugins: whether they are run."""
        self.number = real.number
        self.leaf = RehearsalLeaf()
        self.chains = RehearsalChains(real.chains, self._linkFor)
        self._real = real
        self._plugins = plugins

    def find(self, hostname: bytes, target: bytes) -> Route | None:
        """As the real one chooses."""
        route = self._real.find(hostname, target)
        return None if route is None else replace(route, leaf=self.leaf)

    def detour(self, chain: Chain, depth: int, onto: Chain) -> Detour:
        """As :meth:`Generation.detour`; not kept."""
        return Detour(chain, depth, onto)

    def _linkFor(self, link: Link) -> Link | None:
        """Where plugins are not run, what lets nobody pass is there all the same."""
        instance = link.instance
        if isinstance(instance, Gate):
            instance = InQuarantine(link.name, instance.open)
        elif not self._plugins and not isinstance(instance, Barrier):
            return None
        return RehearsalLink(
            instance,
            link.name,
            link.version,
            open=link.open,
            timeout=link.timeout,
            pieceTimeout=link.pieceTimeout,
            deadlines=link.deadlines,
            makeClient=NoClient,
            services=link.service,
            destinations=RehearsalDestinations(link.destinations, self.leaf),
            bodyBytes=link.bodyBytes,
        )


@implementer(IClientStream)
class RehearsalStream:
    """
    The client of a rehearsal, which takes the head of an answer.

    :ivar exchange: assigned before it begins.
    :ivar over: fires when that is over.
    :ivar status: of the answer; 0 without.
    """

    exchange: Any

    def __init__(self) -> None:
        self.over: Deferred[None] = Deferred()
        self.hasSent = False
        self.status = 0

    def sendInformational(self, status: int, headers: Headers) -> None:
        """Nobody reads it."""

    def sendResponse(self, response: Response) -> None:
        """That is all that is wanted of it."""
        self.status = response._status
        self.hasSent = True
        discard(response)
        self.exchange.responseSent(0, 0)

    def switchProtocols(self, response: Response, tunnel: Any) -> None:
        """No leaf answers so."""
        self.sendResponse(response)

    def abort(self) -> None:
        """The exchange knows no other way out."""
        self.exchange.clientLost(0, 0)


class OneRecord:
    """
    Where the record of a rehearsal goes.

    :ivar record: None before it is over.
    """

    def __init__(self, taken: Callable[[], None]) -> None:
        self.record_: RequestRecord | None = None
        self._taken = taken

    def record(self, record: RequestRecord) -> None:
        """As :meth:`revproxy.dataplane.recorder.Recorder.record`."""
        self.record_ = record
        self._taken()
