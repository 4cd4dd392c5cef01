"""From configuration and plugins to a generation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from revproxy.cli.templates import writePlugin
from revproxy.config.configfile import parseConfig
from revproxy.config.problems import ConfigErrors
from revproxy.control.coordinator import Lifecycle
from revproxy.control.snapshot import Scan
from revproxy.control.state.directory import StateFolder
from revproxy.control.state.records import PluginRecords
from revproxy.dataplane.chain import Chain
from revproxy.dataplane.leaves.fixed import RedirectLeaf, RespondLeaf
from revproxy.dataplane.leaves.mounted import MountedLeaf
from revproxy.dataplane.leaves.proxy import ProxyLeaf
from revproxy.dataplane.leaves.static import StaticLeaf
from revproxy.loop.deadlines import Deadlines
from revproxy.plan.events import EventLog
from revproxy.worker.assembly import Built
from revproxy.worker.lifecycle.loader import unload
from revproxy.worker.upstreamfactory import Parts
from tests.coordinators import Threadless

resource = Resource()
factory: Callable[[], Resource] = Resource


class BuildTests(SynchronousTestCase):
    """The first generation of a lifecycle."""

    def setUp(self) -> None:
        self.root = Path(self.mktemp()).absolute()
        self.folder = self.root / "plugins"
        self.folder.mkdir(parents=True)

    def build(self, routes: str, plugins: str = "{}") -> Built:
        """Build a configuration with an upstream ``app``."""
        text = f"listeners: [{{endpoint: 'tcp:1'}}]\nupstreams: {{app: {{targets: ['http://127.0.0.1:1']}}}}\n" \
               f"plugins: {{directory: plugins, config: {plugins}}}\nroutes: {routes}\n"
        config = parseConfig(text, "r.yaml", self.root)
        clock = Threadless()
        deadlines = Deadlines(clock, 1)
        state = StateFolder(config.state)
        parts = Parts(clock, deadlines, deadlines)
        lifecycle = Lifecycle(config, Scan(None, config), parts, EventLog(clock.seconds), state, PluginRecords())
        built = lifecycle.prepare()
        for instance in built.instances:
            if instance.version.module is not None:
                self.addCleanup(unload, instance.version.module)
        self.addCleanup(built.close)
        return built

    def leafAt(self, built: Built, target: str, host: str = "h") -> type:
        """The kind of leaf that answers."""
        route = built.generation.find(host.encode(), target.encode())
        assert route is not None
        return type(route.leaf)

    def chainAt(self, built: Built, target: str) -> Chain:
        """What a request goes through."""
        route = built.generation.find(b"h", target.encode())
        assert route is not None
        return built.generation.chains[route.lane]

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
        """One instance per plugin and configuration, one chain per set of them."""
        writePlugin(self.folder, "a")
        built = self.build("[{path: /1, respond: {}}, {path: /2, respond: {}}, "
                           "{path: /3, respond: {}, plugins: {a: {value: other}}}, "
                           "{path: /4, respond: {}, plugins: {a: false}}]")
        first, second, third, fourth = [self.chainAt(built, f"/{n}") for n in (1, 2, 3, 4)]
        self.assertIs(first, second)
        self.assertEqual([link.instance.value for link in (*first.links, *third.links)], ["a", "other"])
        self.assertEqual(fourth.links, ())
        self.assertEqual([instance.version.name for instance in built.instances], ["a", "a"])
        self.assertEqual(len({instance.version.module for instance in built.instances}), 1)

    def test_manifestReachesTheLink(self) -> None:
        """What the manifest says about errors, time and bodies is what the chain goes by."""
        (writePlugin(self.folder, "a") / "plugin.json").write_text(
            '{"name": "a", "version": "2.0", "on_error": "open", "config": {"header": "A", "value": "b"}, '
            '"limits": {"timeout_ms": 1500, "body_bytes": 5}}')
        link = self.chainAt(self.build("[{respond: {}}]"), "/").links[0]
        self.assertEqual((link.name, link.version, link.open, link.timeout, link.bodyBytes),
                         ("a", "2.0", True, 1.5, 5))

    def test_problems(self) -> None:
        """Plugins that cannot be made and resources that cannot be mounted are reported together."""
        for name in ("a", "b"):
            (writePlugin(self.folder, name) / "plugin.py").write_text("1 / 0\n")
        error = self.assertRaises(ConfigErrors, self.build, "[{resource: no.such.thing}]")
        messages = [str(problem) for problem in error.problems]
        self.assertEqual(len(messages), 3, messages)
        self.assertIn("r.yaml:4:11: $.routes[0].resource: no.such.thing cannot be mounted", messages[2])
