"""Tests for `revproxy.dataplane.fork`: where the chains of a route part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from revproxy.context import Context
from revproxy.dataplane.armcookie import IssuedDraw, Issuer
from revproxy.dataplane.chain import Chain
from revproxy.dataplane.draw import Draw, TestersHeader
from revproxy.dataplane.fork import Fork, Taking
from revproxy.dataplane.generation import Generation
from revproxy.dataplane.routing import Route, Tree
from revproxy.interfaces import IMiddleware, IObserver, IResponseMiddleware
from revproxy.loop.deadlines import Deadlines
from revproxy.requestrecord import ArmMet
from tests.dataplane.doubles import ClientDouble, EdgeDouble, RecordingLeaf, makeLink
from tests.trials import ALL, NONE

SALT = b"0123456789abcdef"


@implementer(IMiddleware, IResponseMiddleware, IObserver)
class Says:
    """Notes each call of it, and may do something else."""

    def __init__(self, name: str, notes: list[str], act: Callable[[Context], Any] = lambda context: True) -> None:
        self.name = name
        self._notes = notes
        self._act = act

    def handle(self, context: Context) -> Any:
        self._notes.append(self.name)
        return self._act(context)

    def handleResponse(self, context: Context) -> None:
        self._notes.append(f"/{self.name}")

    def finished(self, context: Context) -> None:
        self._notes.append(f".{self.name}")


class ForkCase(SynchronousTestCase):
    """An edge with the routes ``/`` and ``/other``, whose chains are forks."""

    def setUp(self) -> None:
        self.notes: list[str] = []
        self.clock = Clock()
        self.deadlines = Deadlines(self.clock, 0.5)
        self.leaf = RecordingLeaf()

    def chain(self, *names: str, act: Any = None, **options: Any) -> Chain:
        options = {"arms": tuple(ArmMet(name, "1", True) for name in names), **options}
        acts = [] if act is None else [act]
        return Chain([makeLink(Says(name, self.notes, *acts), self.deadlines, name=name) for name in names], **options)

    def begin(self, fork: Chain, *others: Chain, number: int = 1) -> EdgeDouble:
        routes = [Route("all", b"", b"/", self.leaf), Route("other", b"", b"/other", self.leaf, 1)]
        routes[1:] = [Route("other", b"", b"/other", self.leaf, 1)] if others else []
        edge = EdgeDouble(routes=routes)
        edge.chains = [fork, *others]
        edge.edge.generation = Generation(number, Tree(routes), edge.chains)
        return edge

    def ask(self, edge: EdgeDouble, *headers: str, target: str = "/", method: str = "GET") -> ClientDouble:
        client = edge.connect()
        client.send("\r\n".join([f"{method} {target} HTTP/1.1", "Host: h", *headers, "", ""]).encode())
        return client

    def answer(self, client: ClientDouble, at: int = 0) -> bytes:
        self.leaf.answer(at)
        return client.received()


class ArmTests(ForkCase):
    """Which chain a request takes."""

    def test_running(self) -> None:
        """That of what runs, forth and back and to its end."""
        fork = Fork({0: self.chain("old"), 1: self.chain("new")}, [Draw("1", SALT, NONE)])
        self.answer(self.ask(self.begin(fork)))
        self.assertEqual(self.notes, ["old", "/old", ".old"])

    def test_candidate(self) -> None:
        """That of the candidate, forth and back and to its end; it is counted where it is."""
        arms = {0: self.chain("old"), 1: self.chain("new")}
        fork = Fork(arms, [Draw("1", SALT, ALL)])
        client = self.ask(self.begin(fork))
        self.assertEqual([chain.active for chain in (fork, *arms.values())], [0, 0, 1])
        self.answer(client)
        self.assertEqual(self.notes, ["new", "/new", ".new"])
        self.assertEqual([chain.active for chain in (fork, *arms.values())], [0, 0, 0])

    def test_recorded(self) -> None:
        """The record says what it met."""
        edge = self.begin(Fork({0: self.chain("old"), 1: self.chain("new")}, [Draw("1", SALT, ALL)]))
        self.answer(self.ask(edge))
        [record] = edge.log.records
        self.assertEqual(record.arms, (ArmMet("new", "1", True),))

    def test_emptyArms(self) -> None:
        """An arm may have no links, or none may."""
        for arms, seen in (
            ({0: self.chain(), 1: self.chain("new")}, ["new", "/new", ".new"]),
            ({0: self.chain("old"), 1: self.chain()}, []),
            ({0: self.chain(), 1: self.chain()}, []),
        ):
            edge = self.begin(Fork(arms, [Draw("1", SALT, ALL)]))
            self.answer(self.ask(edge), -1)
            self.assertEqual((self.notes, edge.active), (seen, 0))
            self.notes.clear()

    def test_refusedBefore(self) -> None:
        """What is refused before it comes to plugins is told to the observers of what runs."""
        fork = Fork({0: self.chain("old"), 1: self.chain("new")}, [Draw("1", SALT, ALL)])
        edge = self.begin(fork)
        self.assertIn(b" 405 ", self.ask(edge, method="TRACE").received())
        self.assertEqual((self.notes, fork.active), ([".old"], 0))

    def test_waiting(self) -> None:
        """A request that waits in an arm is waited for there."""
        waiting: list[Deferred[bool]] = []

        def waits(context: Context) -> Any:
            waiting.append(Deferred())
            return waiting[0]

        arms = {0: self.chain("old"), 1: self.chain("new", act=waits)}
        client = self.ask(self.begin(Fork(arms, [Draw("1", SALT, ALL)])))
        idle = arms[1].whenIdle()
        self.assertNoResult(idle)
        waiting[0].callback(True)
        self.answer(client)
        self.successResultOf(idle)

    def test_stays(self) -> None:
        """A request stays where it began, also if all clients are another arm's by now."""
        fork = Fork({0: self.chain("old"), 1: self.chain("new")}, [Draw("1", SALT, NONE)])
        edge = self.begin(fork)
        client = self.ask(edge)
        edge.edge.generation = Generation(2, edge.generation.tree, [self.chain("later")])
        self.answer(client)
        self.assertEqual(self.notes, ["old", "/old", ".old"])


class TestersTests(ForkCase):
    """The header by which people choose."""

    def setUp(self) -> None:
        super().setUp()
        self.testers = TestersHeader(b"X-Arm", b"token of eleven")

    def test_chosen(self) -> None:
        """Either arm; the header goes no further, and the request says why it is where it is."""
        arms = {0: self.chain("old"), 1: self.chain("new")}
        draw = Draw("1", SALT, NONE, None, self.testers, "p")
        edge = self.begin(Fork(arms, [draw], [b"x-arm"], testers=[draw]))
        self.ask(edge, "X-Arm: token of eleven candidate", "x-arm: again")
        exchange = self.leaf.exchanges[0]
        self.assertEqual(self.notes, ["new"])
        self.assertIsNone(exchange.context.request.headers.get("X-Arm"))
        self.assertEqual(exchange.context._story.notes, (("p", "a tester has chosen the candidate"),))
        self.answer(edge.connect())

    def test_notJudgedAnywhere(self) -> None:
        """Who tests one version is a tester for all."""
        draws = [Draw("1", SALT, NONE, None, self.testers), Draw("2", SALT, ALL)]
        arms = {arm: self.chain(str(arm)) for arm in range(4)}
        edge = self.begin(Fork(arms, draws, [b"x-arm"], testers=draws[:1]))
        self.ask(edge, "X-Arm: token of eleven running")
        context = self.leaf.exchanges[0].context
        self.assertEqual(self.notes, ["2"])
        self.assertEqual([standing.isTester for standing in context._standings.values()], [True, True])
        self.answer(edge.connect())

    def test_strippedOnly(self) -> None:
        """Where nothing is on trial, it goes no further either."""
        edge = self.begin(Fork({0: self.chain()}, [], [b"x-arm"]))
        self.ask(edge, "X-Arm: token of eleven running")
        self.assertIsNone(self.leaf.exchanges[0].context.request.headers.get("X-Arm"))
        self.answer(edge.connect())

    def test_strippedBefore(self) -> None:
        """Observers do not see it of a request that is refused before it comes to plugins, and are waited for."""
        seen: list[str | None] = []
        waiting: Deferred[None] = Deferred()

        @implementer(IMiddleware, IObserver)
        class Observes:
            name = "old"

            def handle(self, context: Context) -> bool:
                return True

            def finished(self, context: Context) -> Deferred[None]:
                seen.append(context.request.headers.get("X-Arm"))
                return waiting

        running = Chain([makeLink(Observes(), self.deadlines, name="old")])
        edge = self.begin(Fork({0: running}, [], [b"x-arm"]))
        self.ask(edge, "X-Arm: token of eleven running", method="TRACE")
        self.assertEqual((seen, running.active), ([None], 1))
        waiting.callback(None)
        self.assertEqual((running.active, edge.active), (0, 0))

    def test_noCookie(self) -> None:
        """A tester gets no cookie; others do."""
        draw = IssuedDraw("1", SALT, NONE, b"k" * 32, self.testers)

        def answers(context: Context) -> Any:
            return context.respond(200, "x", {"Cache-Control": "no-store"})

        arms = {0: self.chain("old", act=answers), 1: self.chain("new", act=answers)}
        edge = self.begin(Fork(arms, [draw], [b"x-arm"], Issuer([draw]), testers=[draw]))
        self.assertIn(b"Set-Cookie: revproxy_arm=", self.ask(edge).received())
        self.assertNotIn(b"Set-Cookie", self.ask(edge, "X-Arm: token of eleven candidate").received())
        self.assertEqual([note for note in self.notes if note.isalpha()], ["old", "new"])


class ReroutingTests(ForkCase):
    """A plugin has the route chosen anew."""

    def moves(self, context: Context) -> Any:
        context.request.target = "/other"
        context.reroute()
        return True

    def test_keepsTheArm(self) -> None:
        """The arm of the new route is that of the client, too; the passed are not asked again."""
        draw = Draw("1", SALT, ALL)
        first = Fork({0: self.chain("old"), 1: self.chain("new", act=self.moves)}, [draw])
        other = Fork({0: self.chain("running"), 1: self.chain("candidate")}, [draw])
        edge = self.begin(first, other)
        client = self.ask(edge)
        self.assertEqual(self.notes, ["new", "candidate"])
        self.answer(client)
        self.assertEqual(self.notes[2:], ["/candidate", "/new", ".new", ".candidate"])
        self.assertEqual([chain.active for fork in (first, other) for chain in (fork, *fork.branches)], [0] * 6)
        [record] = edge.log.records
        self.assertEqual([met.plugin for met in record.arms], ["new", "candidate"])
        self.assertEqual(len(edge.edge.generation._detours), 1)

    def test_testersKeepTheirs(self) -> None:
        """What a tester has chosen holds on the new route, where the header is not seen any more."""
        draw = Draw("1", SALT, NONE, None, TestersHeader(b"X-Arm", b"token"))
        other = Fork({0: self.chain("running"), 1: self.chain("candidate")}, [draw], [b"x-arm"], testers=[draw])
        for first in (
            Fork({0: self.chain("old"), 1: self.chain("new", act=self.moves)}, [draw], [b"x-arm"], testers=[draw]),
            Fork({0: self.chain("new", act=self.moves)}, [], [b"x-arm"], testers=[draw]),
        ):
            edge = self.begin(first, other)
            client = self.ask(edge, "X-Arm: token candidate")
            self.assertEqual(self.notes, ["new", "candidate"])
            self.answer(client, -1)
            self.notes.clear()

    def test_ontoAFork(self) -> None:
        """From a route where nothing is on trial."""
        edge = self.begin(
            self.chain("first", act=self.moves),
            Fork({0: self.chain("running"), 1: self.chain("candidate")}, [Draw("1", SALT, ALL)]),
        )
        client = self.ask(edge)
        self.assertEqual(self.notes, ["first", "candidate"])
        self.answer(client)


class TakingTests(ForkCase):
    """Requests that are taken down."""

    def test_taken(self) -> None:
        """Those that somebody wants take the chain that takes down; before they enter, it begins."""
        begun: list[tuple[Any, ...]] = []
        wanted = [True]
        taken = {0: self.chain("taken old"), 1: self.chain("taken new")}
        taking = Taking(
            [lambda context, standings: ("A",) if wanted[0] else (), lambda context, standings: ()],
            lambda context, takers: begun.append((list(self.notes), takers)),
            taken,
        )
        fork = Fork({0: self.chain("old"), 1: self.chain("new")}, [Draw("1", SALT, ALL)], taking=taking)
        edge = self.begin(fork)
        self.answer(self.ask(edge))
        self.assertEqual((begun, self.notes), ([([], ("A",))], ["taken new", "/taken new", ".taken new"]))
        wanted[0] = False
        self.notes.clear()
        self.answer(self.ask(edge), -1)
        self.assertEqual((len(begun), self.notes), (1, ["new", "/new", ".new"]))
        self.assertEqual(set(fork.branches), {*fork._arms.values(), *taken.values()})


class RemadeTests(ForkCase):
    """For rehearsals."""

    def test_arms(self) -> None:
        """The same arms, of other chains, and the same draw."""
        fork = Fork({0: self.chain("old"), 1: self.chain("new")}, [Draw("1", SALT, ALL)], [b"x-arm"])
        copies = {chain: self.chain(f"copy of {chain.links[0].name}") for chain in fork.branches}
        edge = self.begin(fork.remade(copies.__getitem__))
        self.answer(self.ask(edge))
        self.assertEqual(self.notes[0], "copy of new")
