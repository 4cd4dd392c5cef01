"""What of a generation depends on the configuration alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from revproxy.config.configfile import Config, parseConfig
from revproxy.config.problems import ConfigErrors
from revproxy.dataplane.upstream.upstream import Upstream
from revproxy.loop.deadlines import Deadlines
from revproxy.worker.routetable import RouteTable, makeRouteTable, makeRouteTableWhileServing
from revproxy.worker.upstreamfactory import Parts, PluginClient
from tests.authority import Authority
from tests.coordinators import Threadless

ROUTES = "[{path: /a, upstream: app}, {path: /b, upstream: app}, {path: /c, upstream: tls}, {path: /d, static: .}]"
made: list[Resource] = []


def factory() -> Resource:
    """A resource that is known."""
    made.append(Resource())
    return made[-1]


class RouteTableCase(SynchronousTestCase):
    """Configurations with two upstreams, ``app``, and ``tls`` with a file."""

    def setUp(self) -> None:
        self.root = Path(self.mktemp()).absolute()
        self.root.mkdir(parents=True)
        self.ca("one")
        clock = Threadless()
        deadlines = Deadlines(clock, 1)
        self.parts = Parts(clock, deadlines, deadlines)
        self.inThread: list[str] = []
        made.clear()

    def ca(self, name: str) -> None:
        """Write the file."""
        (self.root / "ca.pem").write_bytes(Authority(name).own.certificatePEM)

    def config(self, routes: str = ROUTES, tls: str = "ca: ca.pem") -> Config:
        """Each time another object."""
        upstreams = (
            "  app: {targets: ['http://127.0.0.1:1']}\n"
            f"  tls: {{targets: ['https://127.0.0.1:1'], tls: {{{tls}}}}}\n"
        )
        text = f"listeners: [{{endpoint: 'tcp:1'}}]\nroutes: {routes}\nupstreams:\n{upstreams}"
        return parseConfig(text, "r.yaml", self.root)

    def table(self, config: Config, previous: RouteTable | None = None) -> RouteTable:
        """At once."""
        return makeRouteTable(config, self.parts, PluginClient(config, self.parts).client, previous)

    def later(self, config: Config, previous: RouteTable) -> RouteTable:
        """While requests are served."""

        def run(function: Callable[..., Any]) -> Deferred[Any]:
            self.inThread.append(function.__name__)
            return succeed(function())

        client = PluginClient(config, self.parts).client
        work = makeRouteTableWhileServing(config, self.parts, client, previous, run)
        return self.successResultOf(Deferred.fromCoroutine(work))  # type: ignore[no-any-return]

    def leaves(self, table: RouteTable) -> list[Any]:
        """The leaf at each path."""
        routes = [table.tree.find(b"h", path) for path in (b"/a", b"/b", b"/c", b"/d")]
        return [route and route.leaf for route in routes]


class SharingTests(RouteTableCase):
    """What is the same object."""

    def test_same(self) -> None:
        """The same configuration has the same table."""
        config = self.config()
        table = self.table(config)
        self.assertIs(self.table(config, table), table)
        self.assertIs(self.later(config, table), table)

    def test_oneAnswer(self) -> None:
        """Routes with one fixed answer have one leaf."""
        one, other = "{status: 200, body: x, headers: {A: b}}", "{status: 200, body: x, headers: {A: c}}"
        answers = zip("abcd", (one, one, other, "{}"), strict=True)
        routes = ", ".join(f"{{path: /{path}, respond: {answer}}}" for path, answer in answers)
        leaves = self.leaves(self.table(self.config(f"[{routes}]")))
        self.assertIs(leaves[0], leaves[1])
        self.assertEqual(len(set(leaves)), 3)

    def test_oneUpstream(self) -> None:
        """Routes to one upstream have one leaf, unless it takes different prefixes off."""
        routes = ROUTES.replace("/b, upstream: app", "/b, upstream: app, strip_prefix: true")
        for text, isOne in ((ROUTES, True), (routes, False)):
            first, second, third, _ = self.leaves(self.table(self.config(text)))
            self.assertEqual(first is second, isOne)
            self.assertIsNot(first, third)

    def test_file(self) -> None:
        """Where a file of an upstream has changed, that upstream is another, and its leaf; nothing else."""
        config = self.config()
        for again in (self.table, self.later):
            before = self.table(config)
            self.ca("two")
            after = again(config, before)
            same = [earlier is later for earlier, later in zip(self.leaves(before), self.leaves(after), strict=True)]
            self.assertEqual(same, [True, True, False, True])
            self.assertIs(before.upstreams["app"], after.upstreams["app"])
            self.assertIsNot(before.upstreams["tls"], after.upstreams["tls"])
            self.ca("one")

    def test_configuration(self) -> None:
        """Another configuration has another tree, and shares what would be the same in it."""
        before = self.table(self.config())
        for again in (self.table, self.later):
            after = again(self.config(ROUTES.replace("static: .", "respond: {}")), before)
            self.assertIsNot(after.tree, before.tree)
            same = [earlier is later for earlier, later in zip(self.leaves(before), self.leaves(after), strict=True)]
            self.assertEqual(same, [True, True, True, False])

    def test_case(self) -> None:
        """A route that ignores case does so from the next table on, and its leaf stays."""
        before = self.table(self.config())
        self.assertIsNone(before.tree.find(b"h", b"/A/x"))
        routes = ROUTES.replace("path: /a", "path: /a, case: insensitive")
        for again in (self.table, self.later):
            after = again(self.config(routes), before)
            self.assertIs(after.tree.find(b"h", b"/A/x").leaf, self.leaves(before)[0])
            self.assertIsNone(after.tree.find(b"h", b"/B/x"))

    def test_stripping(self) -> None:
        """The tree knows whether the origin sees the prefix; leaves that answer by themselves do."""
        routes = ROUTES.replace("path: /a", "path: /a, strip_prefix: true").replace("/d", "/d, strip_prefix: true")
        tree = self.table(self.config(routes)).tree
        self.assertEqual([tree.find(b"h", path).strips for path in (b"/a", b"/b", b"/d")], [True, False, False])

    def test_resource(self) -> None:
        """A resource is made once, as long as its route stays."""
        routes = f"[{{path: /m, resource: {__name__}.factory}}, {{path: /n, respond: {{status: 200}}}}]"
        table = self.table(self.config(routes))
        table = self.later(self.config(routes.replace("200", "201")), table)
        self.assertEqual(len(made), 1)
        self.later(self.config(routes.replace("/m", "/o")), table)
        self.assertEqual(len(made), 2)

    def test_closing(self) -> None:
        """Connections that the next table has, too, stay; the others are given up."""
        closed: list[str] = []
        self.patch(Upstream, "close", lambda upstream: closed.append(upstream.name))
        before = self.table(self.config())
        after = self.table(self.config(tls="verify: false"), before)
        before.close(before)
        self.assertEqual(closed, [])
        before.close(after)
        self.assertEqual(closed, ["tls"])
        before.close()
        self.assertEqual(sorted(closed), ["app", "tls", "tls"])


class ThreadTests(RouteTableCase):
    """Which work is done while requests are served."""

    def test_unchanged(self) -> None:
        """Files are read in a thread; where there are none, nothing has to be waited for."""
        config = self.config()
        self.later(config, self.table(config))
        self.assertEqual(self.inThread, ["isSame"])
        config = self.config(tls="verify: false")
        self.later(config, self.table(config))
        self.assertEqual(self.inThread, ["isSame"])

    def test_changed(self) -> None:
        """Of another configuration leaves and tree are made in a thread."""
        self.later(self.config(), self.table(self.config()))
        self.assertEqual(self.inThread, ["read", "finish"])

    def test_refused(self) -> None:
        """All problems are told."""
        before = self.table(self.config())
        config = self.config("[{path: /a, resource: no.such.thing}]")
        (self.root / "ca.pem").write_text("no certificate")
        with self.assertRaises(ConfigErrors) as caught:
            self.table(config, before)
        messages = [str(problem) for problem in caught.exception.problems]
        self.assertEqual(len(messages), 2, messages)
        self.assertIn("upstream tls: TLS to https://127.0.0.1:1: ", messages[0])
        self.assertIn("r.yaml:2:21: $.routes[0].resource: no.such.thing cannot be mounted", messages[1])
