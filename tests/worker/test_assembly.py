"""Tests for `revproxy.worker.assembly`: from a plan and its instances to a generation."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from weakref import ref

from twisted.web.resource import Resource
from zope.interface import Interface, implementer

from revproxy.dataplane.chain import Chain
from revproxy.dataplane.leaves.fixed import RedirectLeaf, RespondLeaf
from revproxy.dataplane.leaves.mounted import MountedLeaf
from revproxy.dataplane.leaves.proxy import ProxyLeaf
from revproxy.dataplane.leaves.static import StaticLeaf
from revproxy.errors import PluginMissing
from revproxy.plan.catalog import CatalogEntry, Selected
from revproxy.plan.plan import Plan
from revproxy.testing import makeContext
from revproxy.worker.assembly import BuiltGeneration, Member, buildGeneration
from revproxy.worker.lifecycle.instance import Instance
from tests.worker.workers import WorkerCase, entry

resource = Resource()
factory: Callable[[], Resource] = Resource


class BuildTests(WorkerCase):
    """What a worker builds of its first plan."""

    def build(self, routes: str, *entries: CatalogEntry, orders: Any = None) -> BuiltGeneration:
        """A configuration with an upstream ``app``. :param orders: for each route group, its plugins' order."""
        config = self.config(f"upstreams: {{app: {{targets: ['http://127.0.0.1:1']}}}}\nroutes: {routes}\n")
        self.become(self.plan(1, config, *entries) if orders is None else orders(config))
        built = self.worker.generations.built
        assert built is not None
        return built

    def leafAt(self, built: BuiltGeneration, target: str, host: str = "h") -> type:
        """The kind of leaf that answers."""
        route = built.generation.find(host.encode(), target.encode())
        assert route is not None
        return type(route.leaf)

    def chainAt(self, built: BuiltGeneration, target: str) -> Chain:
        """What a request goes through."""
        route = built.generation.find(b"h", target.encode())
        assert route is not None
        return built.generation.chains[route.group]

    def test_leaves(self) -> None:
        """Each kind of route ends in its leaf; what no route has has none."""
        built = self.build(
            "[{path: /u, upstream: app}, {path: /r, redirect: /u}, {path: /t, respond: {}}, {path: /s, static: .}, "
            f"{{path: /m, resource: {__name__}.resource}}, {{path: /f, resource: {__name__}.factory}}, "
            "{host: '*.example.com', respond: {}}]")
        self.assertEqual(
            [self.leafAt(built, path) for path in ("/u/x", "/r", "/t?q", "/s/a", "/m", "/f")],
            [ProxyLeaf, RedirectLeaf, RespondLeaf, StaticLeaf, MountedLeaf, MountedLeaf])
        self.assertIsNone(built.generation.find(b"h", b"/none"))
        self.assertEqual(self.leafAt(built, "/", "a.example.com"), RespondLeaf)
        self.assertEqual(built.generation.number, 1)

    def test_pathsAreUTF8(self) -> None:
        """A path beyond ASCII is found as browsers send it."""
        built = self.build("[{path: /日本/é, respond: {}}]")
        self.assertEqual(self.leafAt(built, "/%E6%97%A5%E6%9C%AC/%C3%A9/x"), RespondLeaf)

    def test_sharedInstances(self) -> None:
        """One instance per plugin and configuration, one chain per order of them."""
        plugin = entry("a", config={"mark": " usual"})
        routes = (
            "[{path: /1, respond: {}}, {path: /2, respond: {}}, "
            "{path: /3, respond: {}, plugins: {a: {mark: other}}}, {path: /4, respond: {}, plugins: {a: false}}]"
        )

        def orders(config: Any) -> Plan:
            usual, other = plugin.manifest.config, {"mark": " other"}
            of = {
                f"/{number}": settings
                for number, settings in zip((1, 2, 3, 4), (usual, usual, other, None), strict=True)
            }
            groups = [of[config.routes[group.routes[0]].path] for group in config.routeGroups]
            selected = Selected(plugin, usual, {at: each for at, each in enumerate(groups) if each is not usual})
            known = {id(each): () if each is None else ((selected, each),) for each in groups}
            return Plan(1, config, {"a": plugin}, (selected,), tuple(known[id(each)] for each in groups))

        built = self.build(routes, orders=orders)
        first, second, third, fourth = [self.chainAt(built, f"/{number}") for number in (1, 2, 3, 4)]
        self.assertIs(first, second)
        self.assertEqual(
            [link.instance.config["mark"] for link in (*first.links, *third.links)], [" usual", " other"])
        self.assertEqual(fourth.links, ())
        self.assertEqual([instance.version.name for instance in built.instances], ["a", "a"])
        self.assertEqual(len({instance.version for instance in built.instances}), 1)
        self.assertEqual(built.chains[first], built.instances[:1])

    def test_manifestReachesTheLink(self) -> None:
        """What the manifest says about errors, time and bodies is what the chain goes by."""
        plugin = entry("a", "2.0", on_error="open", limits={"timeout_ms": 1500, "body_bytes": 5})
        [link] = self.chainAt(self.build("[{respond: {}}]", plugin), "/").links
        self.assertEqual((link.name, link.version, link.open, link.timeout, link.bodyBytes),
                         ("a", "2.0", True, 1.5, 5))
        self.assertIs(link.counters, self.worker.staging.running.versions["a"].counters)  # type: ignore[union-attr]

    def test_required(self) -> None:
        """What is required is not passed over when it fails, whatever its manifest says."""
        plugin = entry("a", on_error="open")
        config = self.config("routes: [{respond: {}}]\n")
        self.become(replace(self.plan(1, config, plugin), required=("a",)))
        built = self.worker.generations.built
        assert built is not None
        self.assertIs(self.chainAt(built, "/").links[0].open, False)

    def test_missing(self) -> None:
        """On routes where a required plugin is missing nobody passes, and nothing else is done."""
        config = self.config("routes: [{path: /1, respond: {}}, {path: /2, respond: {}, plugins: {b: false}}]\n")
        self.become(replace(self.plan(1, config, entry("a"), entry("b")), missing={"c": (1,)}))
        built = self.worker.generations.built
        assert built is not None
        self.assertEqual([link.name for link in self.chainAt(built, "/1").links], ["a", "b"])
        chain = self.chainAt(built, "/2")
        self.assertEqual([link.name for link in chain.links], ["c", "a", "b"])
        error = self.assertRaises(PluginMissing, chain.enter, makeContext("GET", "/2"))
        self.assertEqual((error.status, chain.links[0].counters.calls, chain.links[1].counters.calls), (503, 0, 0))
        self.assertEqual([instance.version.name for instance in built.chains[chain]], ["a", "b"])


class IGreets(Interface):
    """What one plugin offers to others."""


@implementer(IGreets)
class Greeter:
    """Offers it."""


class ServiceTests(WorkerCase):
    """Plugins that use each other, in a generation built by hand."""

    def setUp(self) -> None:
        super().setUp()
        config = self.config("routes: [{path: /1, respond: {}}, {path: /2, respond: {}, plugins: {a: false}}]\n")
        self.become(self.plan(1, config, entry("a"), entry("b")))
        self.successors: dict[str, Instance] = {}

    def build(self) -> list[Chain]:
        """Plugin a on one route group, and b on the other."""
        running, table = self.worker.staging.running, self.worker.routes.table
        assert running is not None and table is not None
        first, second = ((plugin, plugin.manifest.config) for plugin in running.plan.selected)
        plan = Plan(2, table.config, running.plan.entries, running.plan.selected, ((first,), (second,)))

        def member(plugin: Selected, settings: Any, isCandidate: bool) -> Member:
            instance = running.member(plugin.name, settings)
            return Member(instance, instance.object)

        answers = self.worker.generations._answers
        return list(buildGeneration(plan, table, member, self.successors.get, answers).generation.chains)

    def instance(self, name: str) -> Any:
        running = self.worker.staging.running
        assert running is not None
        [instance] = running.of(name)
        return instance

    def test_own(self) -> None:
        """The first in the request's own chain comes before those of other routes."""
        first, second = self.build()
        for name in "ab":
            self.instance(name).object.__class__ = _greeting(self.instance(name).object)
        self.assertIs(first.links[0].service(IGreets), self.instance("a").object)
        self.assertIs(second.links[0].service(IGreets), self.instance("b").object)

    def test_others(self) -> None:
        """One that is not in the chain is found in another one of the generation; then what has taken its place."""
        second = self.build()[1]
        services = second.links[0].service
        self.assertRaises(KeyError, services, IGreets)
        old = self.instance("a")
        old.object.__class__ = _greeting(old.object)
        self.assertIs(services(IGreets), old.object)
        self.become(self.plan(2, self.worker.routes.table.config, entry("a", "2.0"), entry("b")))  # type: ignore[union-attr]
        self.settle()
        self.assertIsNone(old.object)
        self.assertRaises(KeyError, services, IGreets)
        self.successors["a"] = new = self.instance("a")
        new.object.__class__ = _greeting(new.object)
        self.assertIs(services(IGreets), new.object)

    def test_keepsNobody(self) -> None:
        """A chain whose request takes hours keeps none of the instances of other chains in memory."""
        second = self.build()[1]
        services = second.links[0].service
        old = ref(self.instance("a"))
        self.become(self.plan(2, self.worker.routes.table.config, entry("b")))  # type: ignore[union-attr]
        self.settle()
        gc.collect()
        self.assertIsNone(old())
        self.assertRaisesRegex(KeyError, "no running plugin provides IGreets", services, IGreets)


def _greeting(made: Any) -> type:
    """The class of a plugin, as one that greets."""
    return type("Greeting", (Greeter, type(made)), {})
