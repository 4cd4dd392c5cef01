"""Tests for :mod:`revproxy.dataplane.detour`; what requests see of it is in `tests.behaviour`."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from revproxy.context import Context
from revproxy.dataplane.chain import Chain
from revproxy.dataplane.detour import Detour
from revproxy.dataplane.generation import Generation
from revproxy.dataplane.routing import Tree
from revproxy.interfaces import IMiddleware
from revproxy.loop.deadlines import Deadlines
from revproxy.testing import makeContext
from tests.dataplane.doubles import makeLink


@implementer(IMiddleware)
class Passes:
    """Lets all pass."""

    name = "passes"

    def handle(self, context: Context) -> bool:
        return True


class DetourTests(SynchronousTestCase):
    """Chains of the plugins a, b, c and so on."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.deadlines = Deadlines(self.clock, 0.5)
        self.instances = {name: Passes() for name in "abcde"}

    def chain(self, names: str) -> Chain:
        return Chain([makeLink(self.instances[name], self.deadlines, name=name) for name in names])

    def names(self, chain: Chain) -> str:
        return "".join(link.name for link in chain.links)

    def test_links(self) -> None:
        """What was passed, and of the other chain what was not, in its order; it is entered after the former."""
        first, second = self.chain("abc"), self.chain("dbea")
        detour = Detour(first, 2, second)
        self.assertEqual(self.names(detour), "abde")
        context = makeContext()
        self.assertIs(detour.enter(context), True)
        self.assertEqual(context.depth, 4)
        self.assertEqual([link.counters.calls for link in detour.links], [0, 0, 1, 1])

    def test_parts(self) -> None:
        """Each chain that it leads through counts its requests, once."""
        first, second, third = self.chain("a"), self.chain("b"), self.chain("c")
        once = Detour(first, 1, second)
        twice = Detour(Detour(once, 2, third), 3, first)
        self.assertEqual((once.parts, twice.parts), ((first, second), (first, second, third)))
        for part in twice.parts:
            part.active += 1
        twice.release()
        self.assertEqual([part.active for part in twice.parts], [0, 0, 0])

    def test_kept(self) -> None:
        """A generation makes each one once: so its self time is sampled, too. It keeps none from elsewhere."""
        first, second, earlier = self.chain("a"), self.chain("b"), self.chain("c")
        generation = Generation(1, Tree([]), [first, second])
        detour = generation.detour(first, 1, second)
        self.assertIs(generation.detour(first, 1, second), detour)
        self.assertIsNot(generation.detour(first, 0, second), detour)
        self.assertIsNot(generation.detour(earlier, 1, second), generation.detour(earlier, 1, second))

    def test_wrapped(self) -> None:
        """A middleware is known also where a wrapper is around it, in one of the chains or in both."""
        plugin = Passes()
        links = [makeLink(each, self.deadlines, name="x") for each in (plugin, Passes(), Passes())]
        for link in links:
            link.original = plugin
        for first in links:
            for second in links:
                self.assertEqual(len(Detour(Chain([first]), 1, Chain([second])).links), 1)
