"""revproxy.yaml: what it becomes, and what is said about everything that is wrong in it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from ruamel.yaml import YAML
from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.configfile import configFromOptions, loadConfig, parseConfig
from revproxy.config.explainconfig import ExplainConfig
from revproxy.config.metricsconfig import MetricsConfig
from revproxy.config.problems import ConfigErrors
from revproxy.config.rolloutpolicy import (
    ClientKey,
    Expectation,
    RolloutConfig,
    RolloutPolicy,
    Step,
    Testers,
    Until,
)
from revproxy.config.schema import publishedSchema
from revproxy.config.settings import (
    AdminConfig,
    ClientAuthConfig,
    Config,
    GrantConfig,
    ListenerConfig,
    LoggingConfig,
    PluginsConfig,
    QuarantineConfig,
    RedirectConfig,
    RespondConfig,
    RouteConfig,
    TargetConfig,
    TLSConfig,
    UpstreamTLSConfig,
)
from revproxy.config.tracesconfig import TracesConfig
from revproxy.config.trustconfig import SignerConfig, TrustConfig
from revproxy.dataplane.http.limits import Limits, Timeouts
from revproxy.permissions import Permissions

START = "listeners: [{endpoint: 'tcp:8080'}]\nupstreams: {app: {targets: [http://127.0.0.1:9000]}}\n"

FULL = """\
listeners:
  - endpoint: tcp:8080
  - endpoint: tcp:8443
    tls:
      certificates: ./certs
      minimum_version: TLSv1.3
      client_ca: ./ca.pem
      client_auth: optional
      hosts:
        Admin.example.com: {client_auth: required}
        "*.partner.example.com": {client_auth: required, client_ca: ./other.pem}
    proxy_protocol: true
    trusted_proxies: [10.0.0.0/8, 192.0.2.1, "2001:db8::/32"]
upstreams:
  app:
    targets: [http://127.0.0.1:9000, {url: "https://Origin.example.com:8443", weight: 2}, "http://[::1]"]
    policy: round_robin
    host: target
    max_connections: 10
    max_tunnels: 7
    max_queue: 0
    idle_timeout: 5
    max_fails: 0
    fail_timeout: 0.5
    tls: {verify: false, ca: ca.pem, certificate: other.pem, server_name: Origin.internal}
routes:
  - host: Shop.example.com
    path: /api/
    upstream: app
    case: insensitive
    strip_prefix: true
    methods: [GET, PURGE]
    plugins:
      rate-limit: {rate: 5/s}
      auth: false
  - host: "*.example.com"
    name: elsewhere
    redirect: https://example.com/
  - {path: /live, health: live}
  - path: /moved
    redirect: {url: /new, status: 308}
  - path: /healthz
    respond: {status: 200, body: "ok\\n", headers: {Content-Type: text/plain, Max: 5}}
  - path: /files
    static: ./site
  - path: /stock
    resource: some.module.resource
plugins:
  directory: ./plugins
  config: {rate-limit: {rate: 100/s}, cors: true}
  keep_versions: 2
  max_bytes: 200000
  store_bytes: 100000
  required: [cors]
  settle: 1.5
  isolation: {"vendor-*": process}
  grants:
    cors: {environment: [], files: [ca.pem], read_headers: [X-Tenant], write_headers: [X-User], body: read,
      respond: true, upstreams: [api], store: true, figures: true}
  watch: false
  drain: 2h
  quarantine: {failures: 9, share: 12.5%, window: 1m, loop_share: 30%}
  rollout:
    default:
      steps: [{preflight: true, replay: ./a.recording, at_most: 5m}, {shadow: 20%, until: {pairs: 3000}}]
      on_inconclusive: promote
      by: header:X-User
      testers: {header: X-Arm, token: {$file: token}}
      expect: [status]
      on_newer: refuse
    config: true
    plugins:
      cors: at_once
      rate-limit:
        steps: [preflight, {canary: 5%, shadow: 1%, until: {fault: 1%, power: 0.8}, at_least: 60s, at_most: 15m}]
        by: cookie
        expect: ["header:x-new:added"]
state: ./state
requests: {underscores: keep}
limits: {max_header_bytes: 1000, max_headers: 10, max_target_bytes: 500, max_body_bytes: 5, max_connections: 7,
  max_connections_per_client: 3}
timeouts: {handshake: 1, header: 2s, body: 3000ms, idle: 4, connect: 5, response: 6, tunnel: 7, drain: 0, linger: 0}
logging: {access: ./access.log, format: combined, level: warn, own: json, mask: [token], remember: 9,
  remember_bytes: 70000}
admin:
  endpoint: "tcp:9900:interface=127.0.0.1"
  tls: {certificates: ./certs, minimum_version: TLSv1.3}
  tokens: [./tokens.yaml]
  dashboard: false
  hosts: [admin.example.com]
  trusted_origins: ["https://admin.example.com"]
metrics: {endpoint: "tcp:9901:interface=127.0.0.1", top_hosts: 5, count: false}
traces: {propagate: true, accept: always, sample: 5%, otlp: "http://127.0.0.1:4318", headers: {X-Key: k}, service: edge}
alerts:
  receivers:
    - {name: ops, alertmanager: [http://127.0.0.1:9093, "http://[::1]:9093/am"], authorization: Bearer x}
    - {name: pager, webhook: "https://pager.example/hook?a=1", ca: ca.pem,
       secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw}
    - {name: chat, slack: "https://hooks.slack.com/services/T/B/x"}
  rules:
    - {name: stalled, enabled: false}
    - {name: down, "on": target-down, only: "http://10.*", for: 30s, resolve_after: 1h, to: [ops]}
    - {name: many, when: "error_share > 2%", of: upstream, over: 1m, severity: page, summary: Look, labels: {team: web}}
  ready_made: true
  labels: {site: fra1}
  group_by: [alertname, site]
  group_wait: 1
  group_interval: 1m
  repeat_interval: 1h
explain: {collect: false, sample: 12.5%, slower: 250ms}
trust:
  mode: signed+lock
  minimum_level: B
  signers:
    alice: {key: "ssh-ed25519 AAAA", plugins: ["quota-*"], tier: inline, permissions: {body: read},
      not_after: 2027-12-31}
    bob: {key: RWQ}
  lock: ./plugins.lock
  revoked: ./revoked
  uids: 300000-300999
"""

GRANTED = Permissions(
    frozenset(["x-tenant"]), frozenset(["x-user"]), "read", True, frozenset(["api"]), True, True,
    files=frozenset(["ca.pem"]),
)


def rolloutOfFull(base: Path) -> RolloutConfig:
    """What `FULL` says of rollouts."""
    testers, byUser = Testers("X-Arm", "0123456789abcdef"), ClientKey("header", "X-User")
    default = RolloutPolicy(
        (Step("preflight", replay=base / "a.recording", atMost=300.0), Step("shadow", 0.2, Until(3000))),
        "promote", byUser, testers, (Expectation("status"),), "refuse",
    )  # fmt: skip
    steps = (Step("preflight"), Step("canary", 0.05, Until(None, 0.01, 0.8), 60.0, 900.0, None, 0.01))
    own = RolloutPolicy(
        steps, "promote", ClientKey("issued"), testers, (Expectation("header:x-new", "added"),), "refuse"
    )
    return RolloutConfig(default, True, {"cors": None, "rate-limit": own})


class ConfigTestCase(SynchronousTestCase):
    """A folder with what `FULL` refers to."""

    def setUp(self) -> None:
        self.base = Path(self.mktemp()).absolute()
        for folder in ("site", "plugins"):
            (self.base / folder).mkdir(parents=True)
        for file in ("ca.pem", "other.pem"):
            (self.base / file).write_text("PEM\n")
        (self.base / "token").write_text("0123456789abcdef\n")

    def parse(self, text: str) -> Config:
        """``text`` as a configuration."""
        return parseConfig(text, "r.yaml", self.base)

    def refused(self, text: str) -> list[str]:
        """The messages with which ``text`` is refused."""
        return [str(problem) for problem in self.assertRaises(ConfigErrors, self.parse, text).problems]

    def assertRefused(self, text: str, *expected: str) -> None:
        """All problems of ``START`` followed by ``text``; START is two lines."""
        self.assertEqual(self.refused(START + text), list(expected))


class FullTests(ConfigTestCase):
    """Every key becomes a value."""

    def test_listeners(self) -> None:
        """Endpoints, TLS with hosts in lower case that take the listener's authorities, trusted proxies."""
        plain, secure = self.parse(FULL).listeners
        self.assertEqual(plain, ListenerConfig("tcp:8080"))
        self.assertEqual(secure.trustedProxies, ("10.0.0.0/8", "192.0.2.1", "2001:db8::/32"))
        self.assertTrue(secure.proxyProtocol)
        assert secure.tls is not None
        self.assertEqual(secure.tls.certificates, self.base / "certs")
        self.assertEqual((secure.tls.minimumVersion, secure.tls.clientAuth), ("TLSv1.3", "optional"))
        self.assertEqual(secure.tls.hosts, {
            "admin.example.com": ClientAuthConfig(self.base / "ca.pem", "required"),
            "*.partner.example.com": ClientAuthConfig(self.base / "other.pem", "required"),
        })

    def test_upstream(self) -> None:
        """Targets with default ports and weights, and all settings."""
        app = self.parse(FULL).upstreams["app"]
        self.assertEqual(app.targets, (
            TargetConfig("http://127.0.0.1:9000", "http", "127.0.0.1", 9000, 1),
            TargetConfig("https://Origin.example.com:8443", "https", "origin.example.com", 8443, 2),
            TargetConfig("http://[::1]", "http", "::1", 80, 1),
        ))
        self.assertEqual((app.name, app.policy, app.host), ("app", "round_robin", "target"))
        self.assertEqual((app.maxConnections, app.maxTunnels, app.maxQueue, app.maxFails), (10, 7, 0, 0))
        self.assertEqual((app.idleTimeout, app.failTimeout), (5.0, 0.5))
        self.assertEqual(app.tls, UpstreamTLSConfig(
            False, self.base / "ca.pem", self.base / "other.pem", "origin.internal"))

    def test_routes(self) -> None:
        """Each kind of leaf; names are given or made of host and path."""
        api, elsewhere, live, moved, health, files, stock = self.parse(FULL).routes
        self.assertEqual((live.health, api.health), ("live", None))
        self.assertEqual(api, RouteConfig(
            "shop.example.com", "/api/", "shop.example.com/api/", upstream="app", stripPrefix=True, case="insensitive",
            methods=frozenset(("GET", "HEAD", "PURGE")),
            plugins={"rate-limit": {"rate": "5/s"}, "auth": False}))
        self.assertEqual(elsewhere, RouteConfig(
            "*.example.com", "/", "elsewhere", redirect=RedirectConfig("https://example.com/", 302)))
        self.assertEqual(moved, RouteConfig(None, "/moved", "/moved", redirect=RedirectConfig("/new", 308)))
        self.assertEqual(health.respond, RespondConfig(200, "ok\n", {"Content-Type": "text/plain", "Max": "5"}))
        self.assertEqual(files.static, self.base / "site")
        self.assertEqual(stock.resource, "some.module.resource")

    def test_rest(self) -> None:
        """Plugins, state, limits, timeouts, logging, admin, metrics; paths start at the file's folder."""
        config = self.parse(FULL)
        self.assertEqual(config.plugins, PluginsConfig(
            self.base / "plugins", {"rate-limit": {"rate": "100/s"}, "cors": True}, 1.5, 2,
            QuarantineConfig(9, 0.125, 60.0, 0.3), {"cors": GrantConfig({}, {"ca.pem": "PEM"}, GRANTED)}, ("cors",),
            {"vendor-*": "process"}, False, 7200.0, storeBytes=100000, maxBytes=200000,
            rollout=config.plugins.rollout))
        self.assertEqual(config.plugins.rollout, rolloutOfFull(self.base))
        self.assertEqual(config.pluginDrain, 7200.0)
        self.assertEqual(config.state, self.base / "state")
        self.assertEqual(config.limits, Limits(1000, 10, 500, 5, 7, 3, keepsUnderscores=True))
        self.assertEqual(config.timeouts, Timeouts(1, 2, 3, 4, 5, 6, 7, 0, 0))
        self.assertEqual(
            config.logging,
            LoggingConfig(str(self.base / "access.log"), "combined", "warn", "json", ("token",), 9, 70000),
        )
        self.assertEqual(config.admin, AdminConfig(
            "tcp:9900:interface=127.0.0.1", TLSConfig(self.base / "certs", "TLSv1.3"), (self.base / "tokens.yaml",),
            False, ("admin.example.com",), ("https://admin.example.com",),
        ))  # fmt: skip
        self.assertEqual(config.metrics, MetricsConfig("tcp:9901:interface=127.0.0.1", 5, False))
        receiver = "http://127.0.0.1:4318/v1/traces"
        self.assertEqual(config.traces, TracesConfig(True, "always", 0.05, receiver, {"X-Key": "k"}, "edge"))
        self.assertEqual(config.explain, ExplainConfig(False, 0.125, 0.25))
        end = datetime(2028, 1, 1, tzinfo=UTC).timestamp()
        alice = SignerConfig("alice", "ssh-ed25519 AAAA", ("quota-*",), "inline", Permissions(body="read"), end)
        self.assertEqual(config.trust, TrustConfig(
            "signed+lock", "B", (alice, SignerConfig("bob", "RWQ")), self.base / "plugins.lock", self.base / "revoked",
            (300000, 300999)))
        self.assertEqual(config.source, "r.yaml")

    def test_schemaKnowsEveryKey(self) -> None:
        """The example uses each key the schema has, so no key is parsed and lost; and the schema is one."""
        schema = publishedSchema("revproxy")
        Draft202012Validator.check_schema(schema)
        used = _keysOf(YAML(typ="safe").load(FULL))
        self.assertEqual(keysIn(schema) - used, set())

    def test_schemaDefaults(self) -> None:
        """The defaults the schema shows are those of the values."""
        properties = publishedSchema("revproxy")["properties"]
        config = self.parse(START)
        for section, values in (("limits", config.limits), ("timeouts", config.timeouts), ("logging", config.logging),
                                ("plugins", config.plugins), ("metrics", config.metrics),
                                ("traces", config.traces)):
            self._assertDefaults(properties[section]["properties"], values)
        self._assertDefaults(properties["upstreams"]["additionalProperties"]["properties"], config.upstreams["app"])
        self._assertDefaults(properties["routes"]["items"]["properties"], config.routes[0])
        self._assertDefaults(properties["listeners"]["items"]["properties"], config.listeners[0])

    def _assertDefaults(self, properties: dict[str, Any], values: Any) -> None:
        for key, schema in properties.items():
            if "default" in schema:
                first, *rest = key.split("_")
                value = getattr(values, first + "".join(word.title() for word in rest))
                if schema.get("$ref") == "#/$defs/share":
                    value = f"{value * 100:g}%"
                self.assertEqual(list(value) if isinstance(value, tuple) else value, schema["default"], key)

    def test_describesEveryKey(self) -> None:
        """Each key of the published schemas has a title and a description."""
        for name in ("revproxy", "plugin"):
            for key, schema in _propertiesIn(publishedSchema(name)):
                self.assertTrue(schema.get("title") and schema.get("description"), f"{name}: {key}")


def _propertiesIn(schema: Any) -> list[tuple[str, Any]]:
    found = []
    if isinstance(schema, dict):
        found += list(schema.get("properties", {}).items()) if isinstance(schema.get("properties"), dict) else []
        for value in schema.values():
            found += _propertiesIn(value)
    return found


def keysIn(schema: Any) -> set[str]:
    return {key for key, _ in _propertiesIn(schema)}


def _keysOf(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*map(_keysOf, value.values()))
    return set().union(*map(_keysOf, value)) if isinstance(value, list) else set()


class ShortTests(ConfigTestCase):
    """What may be left out."""

    def test_defaults(self) -> None:
        """Listeners and an upstream are enough: everything goes there."""
        config = self.parse(START)
        self.assertEqual(config.routes, (RouteConfig(None, "/", "/", upstream="app"),))
        self.assertEqual(config.limits, Limits())
        self.assertFalse(config.limits.keepsUnderscores)
        self.assertFalse(self.parse(START + "requests: {underscores: drop}").limits.keepsUnderscores)
        self.assertEqual(config.timeouts, Timeouts())
        self.assertEqual(config.logging, LoggingConfig("-", "json", "info", "text"))
        self.assertEqual(config.plugins, PluginsConfig(None, {}, 0.15, 5, QuarantineConfig(5, 0.5, 30.0, None)))
        self.assertEqual(config.state, self.base / "var")
        self.assertIsNone(config.admin)
        self.assertEqual(config.metrics, MetricsConfig(None, 0, True))
        self.assertEqual(config.traces, TracesConfig())
        self.assertEqual(config.explain, ExplainConfig(True, 0.01, 1.0))

    def test_noUpstreams(self) -> None:
        """Routes that answer by themselves need no upstream."""
        config = self.parse("listeners: [{endpoint: 'tcp:1'}]\nroutes: [{respond: {}}]\n")
        self.assertEqual(config.routes[0].respond, RespondConfig())

    def test_logOff(self) -> None:
        """``off`` and ``null`` are no access log."""
        for word in ("off", "null"):
            self.assertIsNone(self.parse(START + f"logging: {{access: {word}}}").logging.access)

    def test_noLoopShare(self) -> None:
        """``null`` is no share of the event loop."""
        config = self.parse(START + "plugins: {quarantine: {loop_share: null}}")
        self.assertEqual(config.plugins.quarantine, QuarantineConfig())

    def test_wholeFloats(self) -> None:
        """A whole number may be written with a point."""
        self.assertEqual(self.parse(START + "limits: {max_headers: 50.0}").limits.maxHeaders, 50)

    def test_load(self) -> None:
        """A file is read, and its folder is the base."""
        path = self.base / "r.yaml"
        path.write_text(FULL)
        config = loadConfig(path)
        self.assertEqual(config.state, self.base / "state")
        self.assertEqual(config.source, str(path))

    def test_equal(self) -> None:
        """The same text is the same value, wherever its lines are."""
        self.assertEqual(self.parse(FULL), self.parse("# moved\n" + FULL))


class RefusalTests(ConfigTestCase):
    """Each mistake is named where it is."""

    def test_everythingAtOnce(self) -> None:
        """Mistakes of all kinds are reported together, in the order of lines."""
        self.assertRefused(
            "routes:\n  - {host: a, upstrem: app}\n  - {upstream: nope}\nlimits: {max_headers: 0}\n"
            "timeouts: {idle: -1, drain: soon}\nfoo: 1\n",
            "r.yaml:4:5: $.routes[0]: does not say what answers; give one of "
            "upstream, redirect, respond, health, static, resource",
            'r.yaml:4:15: $.routes[0].upstrem: unknown key; did you mean "upstream"?',
            'r.yaml:5:6: $.routes[1].upstream: no upstream named "nope"; there is "app"',
            "r.yaml:6:10: $.limits.max_headers: 0 is less than the least allowed, 1",
            "r.yaml:7:12: $.timeouts.idle: -1 must be more than 0s",
            'r.yaml:7:22: $.timeouts.drain: "soon": write a number of seconds, or 500ms, 30s, 5m, 1h, 7d',
            "r.yaml:8:1: $.foo: unknown key",
        )

    def test_quarantine(self) -> None:
        """At least one failure, more than no share and no more than all, a second and more."""
        self.assertRefused(
            "plugins: {quarantine: {failures: 0, share: 0%, window: 500ms, loop_share: 101%}}\n",
            "r.yaml:3:24: $.plugins.quarantine.failures: 0 is less than the least allowed, 1",
            'r.yaml:3:37: $.plugins.quarantine.share: "0%" must be more than 0%',
            'r.yaml:3:48: $.plugins.quarantine.window: "500ms" is less than the least allowed, 1s',
            'r.yaml:3:63: $.plugins.quarantine.loop_share: "101%": write a share as 5% or 0.5%, 100% at most',
        )

    def test_empty(self) -> None:
        """An empty file, and one that is no mapping."""
        self.assertEqual(self.refused(""), ["r.yaml:1:1: $: expected a mapping, not null"])
        self.assertEqual(self.refused("- a"), ["r.yaml:1:1: $: expected a mapping, not a list"])
        self.assertEqual(self.refused("{}"), ['r.yaml:1:1: $: missing "listeners"'])
        self.assertEqual(self.refused("listeners: []\nroutes: [{respond: {}}]"),
                         ["r.yaml:1:1: $.listeners: must not be empty"])

    def test_folders(self) -> None:
        """The folder of plugins and the files of an upstream's TLS must be there."""
        self.assertRefused("plugins: {directory: ./plugin}",
                           f"r.yaml:3:11: $.plugins.directory: there is no folder {self.base / 'plugin'}")

    def test_accessLog(self) -> None:
        """The access log needs a folder that is there, and a name in it."""
        (self.base / "log").mkdir()
        for path, reason in (("none/a.log", f"there is no folder {self.base / 'none'}"),
                             ("log", f"{self.base / 'log'} is a folder; name a file in it")):
            self.assertRefused(f"logging: {{access: {path}}}", f"r.yaml:3:11: $.logging.access: {reason}")

    def test_unreadable(self) -> None:
        """A file that is absent, a folder, or not UTF-8."""
        for path, part in ((self.base / "none.yaml", "cannot be read: No such file"),
                           (self.base, "cannot be read: it is a folder and no file")):
            error = self.assertRaises(ConfigErrors, loadConfig, path)
            self.assertIn(part, str(error))
        (self.base / "x.yaml").write_bytes(b"a: \xff")
        self.assertIn("x.yaml:1:4: not UTF-8", str(self.assertRaises(ConfigErrors, loadConfig, self.base / "x.yaml")))


class OptionTests(ConfigTestCase):
    """`configFromOptions`."""

    def test_sound(self) -> None:
        """Endpoints, targets and a folder are a whole configuration."""
        config = configFromOptions(["tcp:1", "tcp:2"], "http://127.0.0.1:9000", "plugins", base=self.base)
        self.assertEqual([listener.endpoint for listener in config.listeners], ["tcp:1", "tcp:2"])
        self.assertEqual(config.routes, (RouteConfig(None, "/", "/", upstream="upstream"),))
        self.assertEqual(config.upstreams["upstream"].targets[0].port, 9000)
        self.assertEqual(config.plugins.directory, self.base / "plugins")

    def test_options(self) -> None:
        """Several targets share the requests; log and state can be said."""
        config = configFromOptions(["tcp:1"], ["http://a", "http://b"], access="off", state="s", base=self.base)
        self.assertEqual(len(config.upstreams["upstream"].targets), 2)
        self.assertIsNone(config.logging.access)
        self.assertEqual(config.state, self.base / "s")

    def test_problems(self) -> None:
        """Problems name the option."""
        error = self.assertRaises(ConfigErrors, configFromOptions, ["tcp"], "http://a/x", "nope", base=self.base)
        self.assertEqual([problem.source for problem in error.problems], ["--listen", "--plugins", "--upstream"])
        error = self.assertRaises(ConfigErrors, configFromOptions, [], None)
        self.assertEqual(len(error.problems), 2)
        self.assertIn("--upstream: give at least one target", str(error))
