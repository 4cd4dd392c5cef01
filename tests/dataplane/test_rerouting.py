"""Tests for :mod:`revproxy.dataplane.rerouting`; what requests see of it is in `tests.behaviour`."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.chain import Chain
from revproxy.dataplane.generation import Generation
from revproxy.dataplane.rerouting import MOST_REROUTES, chosenAnew
from revproxy.dataplane.routing import Route, Tree
from revproxy.destination import Goal
from revproxy.errors import AmbiguousPath, NotFound, PluginFailed
from revproxy.loop.deadlines import Deadlines
from revproxy.testing import makeContext
from tests.dataplane.doubles import RecordingLeaf, makeLink
from tests.dataplane.test_detour import Passes


class ChosenAnewTests(SynchronousTestCase):
    """Two routes, of which the first has a plugin whose failures are passed over."""

    def setUp(self) -> None:
        link = makeLink(Passes(), Deadlines(Clock(), 0.5), name="mover", open=True)
        self.chains = [Chain([link]), Chain([])]
        leaf = RecordingLeaf()
        routes = [Route("all", b"shop", b"/", leaf), Route("admin", b"shop", b"/admin", leaf, 1)]
        self.generation = Generation(1, Tree(routes), self.chains)
        self.goal = Goal()
        self.goal.isRerouting = True
        self.chains[0].active = 1

    def choose(self, target: str, host: bytes = b"shop") -> str:
        context = makeContext(target=target, route="all")
        context._depth = 1
        route, chain = chosenAnew(self.generation, context, self.goal, self.chains[0], host)
        self.assertEqual((context.route, chain.parts), (route.name, tuple(self.chains)))
        self.assertEqual(context._story.notes, (("mover", f"rerouted from all to {route.name}"),))
        return route.name

    def test_counted(self) -> None:
        """The request is in both chains, and its wish is fulfilled."""
        self.assertEqual(self.choose("/admin/x"), "admin")
        self.assertEqual([chain.active for chain in self.chains], [1, 1])
        self.assertEqual((self.goal.isRerouting, self.goal.via), (False, ("all",)))

    def test_refused(self) -> None:
        """Nothing is counted where no route is found."""
        self.assertIn("mover", str(self.assertRaises(NotFound, self.choose, "/", b"other")))
        self.assertRaises(AmbiguousPath, self.choose, "/x/..;/admin")
        self.assertEqual([chain.active for chain in self.chains], [1, 0])

    def test_tooOften(self) -> None:
        """Fails the request, even though the plugin's failures are passed over: nobody knows where it should go."""
        self.goal.via = ("all", "admin") * (MOST_REROUTES // 2) + ("all",)
        error = self.assertRaises(PluginFailed, self.choose, "/admin")
        self.assertIn("all → admin → all", str(error))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(self.chains[0].links[0].counters.errors, 1)
