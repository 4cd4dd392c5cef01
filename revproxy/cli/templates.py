"""The files ``revproxy init`` and ``revproxy new-plugin`` begin with. They pass ``revproxy check`` and
``revproxy test-plugin`` as they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

_SCHEMA = Path(__file__).parents[1] / "config" / "schemas" / "revproxy.schema.json"

CONFIG = """\
# revproxy.yaml: what the edge does. All keys are in docs/reference.md; unknown keys are errors.
# To start:  revproxy run
# While it runs, this file and the plugins are watched: what you save takes effect, or is refused and nothing changes.
# revproxy plugins and revproxy events say which; revproxy check revproxy.yaml tells before.
# Relative paths start at the folder of this file.

listeners:
  - endpoint: tcp:8080:interface=127.0.0.1     # any Twisted server endpoint; tcp:8080 is all addresses
    # trusted_proxies: [10.0.0.0/8]            # whose X-Forwarded-* and PROXY headers are believed
    # proxy_protocol: true
  # - endpoint: tcp:8443
  #   tls:
  #     certificates: ./certs                  # folder of PEM files, each chain and key; read again when it changes
  #     minimum_version: TLSv1.2

upstreams:
  app:
    targets: [http://127.0.0.1:9000]           # several share the requests
    # host: preserve                           # preserve | target | a literal name

routes:
  - path: /                                    # a prefix on segment boundaries; the longest wins
    upstream: app
    # methods: [GET, POST, OPTIONS]            # left out: every one but TRACE; others get 405
  # - host: shop.example.com                   # exact, *.example.com, or left out: any
  #   path: /old/
  #   redirect: {url: https://example.com/, status: 308}
  # - {path: /readyz, health: ready}           # for load balancers: 200 or 503

plugins:
  directory: ./plugins                         # each folder with a plugin.json in it runs; see revproxy new-plugin
  config: {}                                   # NAME: {key: value} goes over the plugin's own; NAME: false is off
  # rollout:                                   # new versions take steps before they serve everybody
  #   default: {steps: [preflight, {shadow: 20%, until: {pairs: 3000}}, {canary: 5%, until: {fault: 1%}, at_most: 15m}]}

state: ./var                                   # versions of plugins, pins, the socket of the commands
# requests: {underscores: drop}                # drop | keep header fields such as X_User
# limits: {max_body_bytes: 10485760, max_connections_per_client: 100}
# timeouts: {header: 10, body: 60, idle: 60, connect: 5, response: 60, tunnel: 3600, drain: 30}
logging: {access: "-", format: json}           # "-" is standard output

# admin: {endpoint: "tcp:9900:interface=127.0.0.1"}         # the dashboard, and the API; revproxy login signs in
# metrics: {endpoint: "tcp:9901:interface=127.0.0.1"}       # what Prometheus reads, at /metrics
# alerts:                                                   # the usual rules are there
#   receivers: [{name: ops, alertmanager: ["http://127.0.0.1:9093"]}]
# traces: {otlp: "http://127.0.0.1:4318"}                   # spans for OpenTelemetry; takes the extra otel
"""

def schemaLine(directory: Path) -> str:
    """
    The line by which editors find the schema of the file (the YAML language server's; VS Code, Neovim, Emacs and
    others use that): with it they complete keys and mark mistakes.

    :param directory: of the file. Relative to it, where the schema is below it; so a private environment may move.
    """
    schema = _SCHEMA.resolve()
    inside = schema.is_relative_to(directory.resolve())
    return f"# yaml-language-server: $schema={schema.relative_to(directory.resolve()) if inside else schema.as_uri()}\n"


_FIELD = "X-Plugin"
"""What a new plugin sets on answers."""


_PLUGIN = '''\
"""{name}: says on every answer that it was here."""

from zope.interface import implementer

from revproxy.interfaces import IMiddleware, IResponseMiddleware


@implementer(IMiddleware, IResponseMiddleware)
class Middleware:
    """One instance serves all requests."""

    name = "{name}"

    def __init__(self, config):
        self.header = config["header"]
        self.value = config["value"]

    def handle(self, context):
        """A request comes in: True goes on; context.respond(...) and False answers here and now."""
        return True

    def handleResponse(self, context):
        """An answer goes out: its headers are ready, its body is not sent yet."""
        context.response.headers.set(self.header, self.value)


def PluginMain(config):
    """Called with the configuration; no side effects here (they begin in ILifecycle.start)."""
    return Middleware(config)
'''


_TEST = '''\
"""Tests of {name}; to run them: revproxy test-plugin plugins/{name}"""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.testing import EdgeDouble, PluginRefused, loadPlugin


class MiddlewareTests(SynchronousTestCase):
    """Without a socket: EdgeDouble takes requests through the plugin as the edge does."""

    def setUp(self):
        self.plugin = loadPlugin(Path(__file__).parent)
        self.addCleanup(self.plugin.unload)

    def test_saysSo(self):
        """The field is on the answer, and the request goes to the origin."""
        answer = EdgeDouble(self.plugin.make(), permissions=self.plugin.permissions).get("/")
        self.assertEqual((answer.status, answer.headers.get("X-Plugin")), (200, "{name}"))
        self.assertIsNotNone(answer.forwarded)

    def test_configured(self):
        """What revproxy.yaml says goes over the plugin's own configuration."""
        edge = EdgeDouble(self.plugin.make({{"value": "hello"}}), permissions=self.plugin.permissions)
        self.assertEqual(edge.get("/").headers.get("X-Plugin"), "hello")

    def test_refused(self):
        """The schema in plugin.json keeps out what cannot work."""
        self.assertRaises(PluginRefused, self.plugin.make, {{"header": "not a name"}})
'''


def pluginFiles(name: str, isolation: str = "inline") -> Mapping[str, str]:
    """File name to text of a new plugin that works. :param isolation: where it is to run."""
    locked = {"isolation": isolation, "permissions": {"write_headers": [_FIELD]}} if isolation == "process" else {}
    manifest = {
        "name": name,
        "version": "0.1.0",
        "revision": 1,
        "description": "Sets a header field on every answer.",
        "entry_point": "PluginMain",
        "enabled": True,
        **locked,
        "config": {"header": _FIELD, "value": name},
        "config_schema": {
            "type": "object",
            "properties": {
                "header": {"type": "string", "pattern": "^[A-Za-z0-9-]+$"},
                "value": {"type": "string"},
            },
            "required": ["header", "value"],
            "additionalProperties": False,
        },
        "priority": 100,
        "on_error": "closed",
    }
    return {
        "plugin.json": json.dumps(manifest, indent=2) + "\n",
        "plugin.py": _PLUGIN.format(name=name),
        "test_plugin.py": _TEST.format(name=name),
    }


def writeConfig(directory: Path) -> Path:
    """Write a starting ``revproxy.yaml`` and make the folder for plugins.

    :raises FileExistsError: there is one already; it is left as it is.
    :raises OSError: it cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "revproxy.yaml"
    with path.open("x", encoding="utf-8") as file:
        file.write(schemaLine(directory) + CONFIG)
    (directory / "plugins").mkdir(exist_ok=True)
    return path


def writePlugin(folder: Path, name: str, isolation: str = "inline") -> Path:
    """Write a new plugin into ``folder / name``.

    :param isolation: where it is to run.
    :raises FileExistsError: there is something of this name already; it is left as it is.
    :raises OSError: it cannot be written.
    """
    directory = folder / name
    folder.mkdir(parents=True, exist_ok=True)
    directory.mkdir()
    for file, text in pluginFiles(name, isolation).items():
        (directory / file).write_text(text, encoding="utf-8")
    return directory
