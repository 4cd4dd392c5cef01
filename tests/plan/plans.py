"""
Plans as real ones are: from the text of a configuration, and plugins with files.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from zope.interface import directlyProvides

from revproxy.bundles.bundle import makeBundle
from revproxy.config.configfile import parseConfig
from revproxy.config.settings import Config
from revproxy.control.planning.selection import orderPerGroup, select
from revproxy.dropin import DropIn
from revproxy.interfaces import IMiddleware
from revproxy.plan.catalog import BrokenPlugin, Catalog, CatalogEntry, entryOf
from revproxy.plan.pemfiles import PemFiles, pemKey
from revproxy.plan.plan import Plan
from revproxy.worker.lifecycle.dropins import DropInFactories
from tests.authority import Authority

SECRET = b"-----BEGIN PRIVATE KEY-----\nnobody is to see this\n"

CONFIG = """\
listeners:
- endpoint: tcp:8080
  proxy_protocol: true
  trusted_proxies: [10.0.0.0/8, "::1"]
- endpoint: tcp:8443
  tls:
    certificates: certificates
    minimum_version: TLSv1.3
    client_ca: ca.pem
    client_auth: optional
    hosts:
      "*.example.com": {client_auth: required}
      other.example: {client_ca: ca.pem, client_auth: required}
upstreams:
  web:
    targets:
    - http://127.0.0.1:9000
    - {url: "https://[::1]:9443", weight: 3}
    host: target
    max_connections: 20
    idle_timeout: 5
    max_fails: 0
    tls: {verify: false, ca: ca.pem, certificate: ca.pem, server_name: origin.example}
  other: {targets: [http://127.0.0.1:9001]}
routes:
- {path: /moved, redirect: {url: /there, status: 301}, plugins: {stamp: {says: b}}}
- {path: /fixed, respond: {status: 203, body: "grüße", headers: {X-A: b}}, methods: [GET, POST]}
- {path: /files, static: files, strip_prefix: true, plugins: {stamp: {says: b}}}
- {path: /tree, resource: twisted.web.resource.Resource, plugins: {stamp: false, guard: true}}
- {host: "*.example.com", path: /Up, case: insensitive, name: up, upstream: web}
- {upstream: other, plugins: {stamp: {says: c}, dropped: {deep: [1, {a: null, b: 1.5}]}}}
plugins:
  directory: plugins
  settle: 0.3
  keep_versions: 2
  store_bytes: 100000
  grants: {guard: {files: [note]}}
  quarantine: {failures: 3, share: 2.5%, window: 1m, loop_share: 30%}
  config: {dropped: false, guard: true, stamp: {says: a}}
state: var
limits: {max_header_bytes: 8000, max_body_bytes: 1000000, max_connections_per_client: 9}
requests: {underscores: keep}
timeouts: {header: 3, drain: 90.5}
logging: {access: "off", format: combined, level: debug, own: json}
admin: {endpoint: "tcp:9999:interface=127.0.0.1"}
"""

CODE = """
from zope.interface import implementer
from revproxy.interfaces import IMiddleware

@implementer(IMiddleware)
class PluginMain:
    def __init__(self, config):
        self.name = {name!r}
    def handle(self, context):
        return True
"""


def entry(name: str, version: str = "1.0.0", code: str | None = None, **manifest: Any) -> CatalogEntry:
    """A plugin with files."""
    text = json.dumps({"name": name, "version": version, **manifest}, indent=1)
    code = CODE.format(name=name) if code is None else code
    files = {"plugin.json": text.encode(), "plugin.py": code.encode()}
    bundle = makeBundle(name, files, Path("/plugins") / name, {"test_plugin.py": b"import unittest\n"})
    found = entryOf(bundle, f"plugins/{name}/plugin.json")
    assert isinstance(found, CatalogEntry), found
    return found


def brokenEntry(name: str) -> BrokenPlugin:
    """A plugin whose manifest will not do."""
    files = {"plugin.json": b'{"name": "%b"}' % name.encode(), "plugin.py": b""}
    found = entryOf(makeBundle(name, files), f"plugins/{name}/plugin.json")
    assert isinstance(found, BrokenPlugin), found
    return found


def passing(config: Any) -> Any:
    """Makes the middleware of the drop-in."""
    middleware = _Passing()
    directlyProvides(middleware, IMiddleware)
    return middleware


class _Passing:
    name = "dropped"

    def handle(self, context: Any) -> bool:
        """Goes on."""
        return True


INSTALLED = DropIn({"name": "dropped", "version": "2.0rc1"}, passing)
"""A plugin that is installed with Python."""


def config(root: Path) -> Config:
    """Every kind of setting that there is."""
    for folder in ("plugins", "files", "certificates"):
        (root / folder).mkdir(parents=True)
    (root / "note").write_text("secret")
    (root / "ca.pem").write_bytes(Authority().own.pem)
    return parseConfig(CONFIG, "r.yaml", root)


def plan(root: Path) -> Plan:
    """
    A plan with every kind of thing in it: the plugins stamp (three configurations), guard (which requires stamp's
    service), dropped (a drop-in), off (runs nowhere).
    """
    settings = config(root)
    schema = {"type": "object", "properties": {"says": {"type": "string"}}}
    entries = {
        "dropped": DropInFactories([INSTALLED]).told.entries[0],
        "guard": entry(
            "guard", after=["stamp"], dependencies=["msgspec>=0.1"], conflicts={"nobody": ">=2,<3"}, on_error="open"
        ),
        "off": entry("off", enabled=False, requires={"stamp": "~=1.0", "guard": ""}),
        "stamp": entry("stamp", "1.2.0", config={"says": "", "times": 3}, config_schema=schema, provides=["stamps"]),
    }
    selected = select(Catalog(entries), settings)
    tls = settings.listeners[1].tls
    assert tls is not None
    pem = PemFiles(str(tls.certificates), "0" * 64, {"a.pem": SECRET}, {"b.pem": "Permission denied"})
    return Plan(
        7,
        settings,
        entries,
        selected,
        orderPerGroup(selected, settings),
        {"off": False},
        {"guard": 5},
        {pemKey(tls): pem},
        ("guard",),
        {"absent": (0, 2)},
    )
