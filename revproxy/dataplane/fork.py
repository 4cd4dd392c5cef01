"""
Where the chains of a route part: one for each *arm*, and each request takes that of its client.

A fork stands in the place of a chain whose plugins have a version on trial. It is asked when a request enters, and
from then on it has nothing to do with it: the exchange goes on in the chain of the arm, which counts it, is waited for
and drained as any other. So a route without a fork pays nothing for there being such a thing.

Arms are numbered by bits: one for each trial, set where the new version serves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred

from revproxy.context import Context
from revproxy.dataplane.armcookie import Issuer
from revproxy.dataplane.chain import Chain
from revproxy.dataplane.draw import Draw, Standing
from revproxy.dataplane.story import note
from revproxy.messages import Request

_ANY: Final[Any] = (None,)

RUNNING: Final = 0
"""The arm of those who meet no version on trial."""


class Standings(dict[str, Standing]):
    """
    Where the client of one request stands, by the trial: looked up once, when it comes to its first fork.

    :ivar isTaken: whether it is taken down.
    """

    isTaken = False


Tap = Callable[[Context, Standings], tuple[Any, ...]]
"""Says of a request who is to be given it once it was taken down."""

Begin = Callable[[Context, tuple[Any, ...]], None]
"""A request is taken down from here on, for these."""


class Taking:
    """
    What is taken down of the requests that come to a fork.

    :ivar taps: who wants some.
    :ivar begin: told of each that is wanted.
    :ivar chains: those that such requests take, by the arm.
    """

    __slots__ = ("begin", "chains", "taps")

    def __init__(self, taps: Sequence[Tap], begin: Begin, chains: Mapping[int, Chain]) -> None:
        self.taps = tuple(taps)
        self.begin = begin
        self.chains = chains


class Fork(Chain):
    """
    The chains of one route group.
    """

    __slots__ = ("_arms", "_branches", "_draws", "_isPlain", "_issuer", "_stripped", "_taking", "_testers")

    def __init__(
        self,
        arms: Mapping[int, Chain],
        draws: Sequence[Draw] = (),
        stripped: Sequence[bytes] = (),
        issuer: Issuer | None = None,
        taking: Taking | None = None,
        testers: Sequence[Draw] = (),
    ) -> None:
        """
        :param arms: the chain of each; that of :data:`RUNNING` is there.
        :param draws: of the trials, in the order of the arms' bits.
        :param stripped: header fields, in lower case, that neither plugins nor origins see.
        :param issuer: gives clients the edge's own cookie; None: they get none.
        :param taking: None: nothing is taken down.
        :param testers: those draws of the generation in which people choose, also those that are not of this fork: what
            they say is not there any more if the request is rerouted.
        """
        running = arms[RUNNING]
        # What is refused before it enters (a method, a name) is told to the observers of what runs.
        super().__init__(running.links)
        taken = () if taking is None else taking.chains.values()
        self._branches = tuple(dict.fromkeys((*arms.values(), *taken)))
        # An exchange goes past a chain that has no links.
        self.links = running.links or next((each.links for each in arms.values() if each.links), _ANY)
        self._arms = dict(arms)
        self._draws = tuple((1 << bit, draw) for bit, draw in enumerate(draws))
        self._stripped = tuple(stripped)
        self._issuer = issuer
        self._taking = taking
        self._testers = tuple(testers)
        # Nobody chooses, and nothing is given or taken away: then there is nothing more to look at in each request.
        self._isPlain = not (self._testers or self._stripped or self._issuer)

    @property
    def branches(self) -> tuple[Chain, ...]:
        """As :attr:`Chain.branches`."""
        return self._branches

    def enter(self, context: Context) -> bool | Deferred[bool]:
        """As :meth:`Chain.enter`, of the arm that it is; from here on that is the exchange's chain."""
        exchange: Any = context._exchange
        standings = context._standings = self._standingsOf(context)
        taking = self._taking
        if taking is not None:
            takers: tuple[Any, ...] = ()
            for tap in taking.taps:
                takers += tap(context, standings)
            if takers:
                standings.isTaken = True
                taking.begin(context, takers)
        chain = self.armFor(context)
        if exchange is not None:
            chain.active += 1
            exchange.chain = chain
            self.release()
        return chain.enter(context)

    def finished(self, context: Context) -> Deferred[None] | None:
        """As :meth:`Chain.finished`, of a request that was refused before it entered."""
        self._strip(context.request)
        return super().finished(context)

    def hold(self, later: Deferred[None]) -> None:
        """As :meth:`Chain.hold`, where whoever ends plugins waits: they are those of what runs."""
        self._arms[RUNNING].hold(later)

    def armFor(self, context: Context) -> Chain:
        """The chain that a request takes; whoever has it enter there counts it as active."""
        standings: Standings | None = context._standings
        if standings is None:  # it comes from a route without a fork
            standings = context._standings = self._standingsOf(context)
        arm = RUNNING
        for bit, draw in self._draws:
            standing = standings.get(draw.id)
            if standing is None:  # it came by a route where this is not on trial
                standing = standings[draw.id] = draw.standingOf(context._request)
            if standing.isCandidate:
                arm |= bit
        chain = self._arms.get(arm)
        if chain is None:
            arm, chain = self._instead(arm, standings)
        return self._taking.chains[arm] if standings.isTaken and self._taking is not None else chain

    def _standingsOf(self, context: Context) -> Standings:
        """Looked up once for each request: what testers say is gone after it."""
        request = context._request
        standings = Standings()
        for _, draw in self._draws:
            standings[draw.id] = draw.standingOf(request)
        if self._isPlain:
            return standings
        isTester = False
        for draw in self._testers:
            isTester |= self._isChosen(draw, context, standings)
        self._strip(request)
        if isTester:
            # What somebody does who tests one version is nothing to judge another one by, either.
            for id, standing in standings.items():
                standings[id] = standing if standing.isChosen else standing.ofTester()
        elif self._issuer is not None and any(standing.lacksCookie for standing in standings.values()):
            exchange: Any = context._exchange
            if exchange is not None:
                exchange.answerThrough(self._issuer.through(request))
        return standings

    def _strip(self, request: Request) -> None:
        for name in self._stripped:
            request._headers.removeRaw(name)

    def _isChosen(self, draw: Draw, context: Context, standings: Standings) -> bool:
        choice = None if draw.testers is None else draw.testers.choice(context._request)
        if choice is None:
            return False
        standings[draw.id] = draw.standingOf(context._request).ofTester(choice)
        note(context, draw.name, f"a tester has chosen the {'candidate' if choice else 'running version'}")
        return True

    def _instead(self, arm: int, standings: Standings) -> tuple[int, Chain]:
        """
        Somebody tests a version that no client meets yet, and is to meet another one, too: there is no chain for both.
        """
        tested = [bit for bit, draw in self._draws if arm & bit and bit in self._arms and standings[draw.id].isChosen]
        arm = tested[0] if tested else RUNNING
        return arm, self._arms[arm]

    def remade(self, remake: Callable[[Chain], Chain]) -> Fork:
        """The same fork, with other chains, of which nothing is taken down and by which nobody gets a cookie."""
        arms = {arm: remake(chain) for arm, chain in self._arms.items()}
        return Fork(arms, [draw for _, draw in self._draws], self._stripped, testers=self._testers)
