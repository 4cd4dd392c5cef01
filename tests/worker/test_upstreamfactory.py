"""Tests for `revproxy.worker.upstreamfactory`: what of upstreams is made anew with another configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.configfile import parseConfig
from revproxy.config.settings import Config, TargetConfig, UpstreamTLSConfig
from revproxy.loop.deadlines import Deadlines
from revproxy.worker.upstreamfactory import Known, Parts, PluginClient, Upstreams
from tests.authority import Authority


class FactoryCase(SynchronousTestCase):
    """
    Two upstreams, ``app``, and ``tls`` with an authority's file.

    :ivar changes: what was told of targets.
    """

    def setUp(self) -> None:
        self.root = Path(self.mktemp()).absolute()
        self.root.mkdir()
        self.authority()
        self.changes: list[tuple[Any, ...]] = []
        self.reactor: Any = MemoryReactorClock()
        deadlines = Deadlines(self.reactor, 1)
        self.addCleanup(deadlines.stop)
        self.parts = Parts(self.reactor, deadlines, deadlines, lambda *change: self.changes.append(change))

    def authority(self) -> None:
        (self.root / "ca.pem").write_bytes(Authority().own.certificatePEM)

    def config(self, app: str = "targets: ['http://127.0.0.1:1']", more: str = "") -> Config:
        return parseConfig(
            f"listeners: [{{endpoint: 'tcp:1'}}]\nroutes: [{{upstream: app}}]\nupstreams:\n  app: {{{app}}}\n"
            f"  tls: {{targets: ['https://127.0.0.1:2'], tls: {{ca: ca.pem}}}}\n{more}",
            "r.yaml",
            self.root,
        )

    def make(self, config: Config, known: Known | None = None) -> Known:
        makes = Upstreams(config, self.parts)
        found = makes.made(makes.keys(), known or {})
        self.assertEqual(makes.problems, [])
        return found

    def shared(self, before: Known, after: Known) -> list[str]:
        """Those that are the same."""
        return [name for name in after if name in before and before[name][1] is after[name][1]]


class SharingTests(FactoryCase):
    """What stays."""

    def test_same(self) -> None:
        """What is configured in the same way is the same object, in another configuration, too."""
        before = self.make(self.config())
        self.assertEqual(self.shared(before, self.make(self.config(), before)), ["app", "tls"])

    def test_others(self) -> None:
        """One that is configured otherwise is another one."""
        before = self.make(self.config())
        after = self.make(self.config("targets: ['http://127.0.0.1:3']"), before)
        self.assertEqual(self.shared(before, after), ["tls"])

    def test_bounds(self) -> None:
        """Limits and time-outs are those of the configuration, so with others all are made anew."""
        before = self.make(self.config())
        after = self.make(self.config(more="timeouts: {connect: 1}\n"), before)
        self.assertEqual(self.shared(before, after), [])

    def test_files(self) -> None:
        """What is in the files of TLS counts; that they were written does not."""
        config = self.config()
        before = self.make(config)
        self.assertTrue(Upstreams(config, self.parts).haveFiles)
        (self.root / "ca.pem").write_bytes((self.root / "ca.pem").read_bytes())
        self.assertTrue(Upstreams(config, self.parts).areSame(before))
        self.authority()
        self.assertFalse(Upstreams(config, self.parts).areSame(before))
        self.assertEqual(self.shared(before, self.make(config, before)), ["app"])

    def test_told(self) -> None:
        """What becomes of a target is told with the name of its upstream."""
        upstream = self.make(self.config("targets: ['http://a', 'http://b']"))["app"][1]
        for _ in range(3):
            upstream.failedAt(upstream.targets[0], Failure(ConnectError("no")))
        self.assertEqual([change[:3] for change in self.changes], [("app", "http://a", False)])


class TargetTests(FactoryCase):
    """What targets are made of."""

    def test_host(self) -> None:
        """The Host field has the port only where it is not the usual one; IPv6 addresses have brackets."""
        config = self.config("targets: ['http://a.example', 'http://b.example:8080', 'http://[::1]:81']")
        targets = self.make(config)["app"][1].targets
        self.assertEqual([target.host for target in targets], [b"a.example", b"b.example:8080", b"[::1]:81"])

    def test_endpoints(self) -> None:
        """Addresses are connected to as they are; names are resolved for each connection."""
        makes = Upstreams(self.config(), self.parts)
        kinds = [
            type(makes._endpoint(TargetConfig("", "http", host, 1), UpstreamTLSConfig()))
            for host in ("192.0.2.1", "::1", "a.example")
        ]
        self.assertEqual(kinds, [TCP4ClientEndpoint, TCP6ClientEndpoint, HostnameEndpoint])

    def test_lazily(self) -> None:
        """Nothing is connected before the first request."""
        self.make(self.config())
        self.assertEqual((self.reactor.tcpClients, self.reactor.getReaders()), ([], []))

    def test_problem(self) -> None:
        """Files that cannot be used are a problem, with their upstream and target; the others are made."""
        (self.root / "ca.pem").write_text("no certificate")
        makes = Upstreams(self.config(), self.parts)
        makes.made(makes.keys(), {})
        [problem] = makes.problems
        self.assertEqual((problem.source, problem.path), ("r.yaml", "$.upstreams.tls.tls"))
        self.assertIn("upstream tls: TLS to https://127.0.0.1:2: ", problem.message)


class ClientTests(FactoryCase):
    """What plugins send their own requests with."""

    def test_adopted(self) -> None:
        """Origins that are new are connected to with the time-outs of the configuration that was adopted last."""
        client = PluginClient(self.config(), self.parts)
        client.adopt(self.config(more="timeouts: {response: 7}\n"))
        [target] = client._upstreams.forOrigin(b"http", "192.0.2.1", 81).targets
        self.assertEqual(target.pool.timeouts.response, 7)

    def test_notTold(self) -> None:
        """What becomes of the origins of plugins is nobody's target: there is no end to them."""
        upstream = Upstreams(self.config(), self.parts).forOrigin(b"http", "192.0.2.1", 81)
        for _ in range(3):
            upstream.failedAt(upstream.targets[0], Failure(ConnectionRefusedError("no")))
        upstream.succeeded(upstream.targets[0])
        self.assertEqual(self.changes, [])

    def test_origin(self) -> None:
        """Any origin, with bounds on connections and on how long an answer may lie unread."""
        upstream = Upstreams(self.config(), self.parts).forOrigin(b"https", "a.example", 443)
        [target] = upstream.targets
        self.assertEqual((target.url, target.host), ("https://a.example:443", b"a.example"))

    def test_untold(self) -> None:
        """That an origin of a plugin's own does not answer is nobody's business: there may be any number of them."""
        upstream = Upstreams(self.config(), self.parts).forOrigin(b"http", "192.0.2.1", 81)
        for _ in range(9):
            upstream.failedAt(upstream.targets[0], Failure(ConnectError()))
        self.assertEqual(self.changes, [])
