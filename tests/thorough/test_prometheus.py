"""Debian's Prometheus scrapes a real edge, with the rules of ``contrib/``, and is asked what the dashboard asks."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

from revproxy.admin.metrics.families import FAMILIES
from tests.authority import Authority
from tests.harness import PATIENCE, EdgeCase, freePort, readHead
from tests.thorough.servers import Server
from tests.tools import needs

CONTRIB = Path(__file__).parent.parent.parent / "contrib"

PLUGIN = """
from zope.interface import implementer

from revproxy.interfaces import IHosted, IMiddleware


@implementer(IMiddleware, IHosted)
class PluginMain:
    name = "shop"

    def __init__(self, config):
        pass

    def attach(self, host):
        self.sold = host.counter("shop_sold_total", "Things that were sold.", labels=("kind",))

    def handle(self, context):
        self.sold.inc(kind="book")
        if context.request.path == "/wrong":
            raise RuntimeError("it is wrong")
        if context.request.path == "/none":
            context.respond(403, b"no")
            return False
        return True
"""

EDGE = """
listeners:
- {{endpoint: "tcp:PORT:interface=127.0.0.1"}}
- {{endpoint: "tcp:{tls}:interface=127.0.0.1", tls: {{certificates: certificates}}}}
upstreams: {{app: {{targets: ["{url}", "http://127.0.0.1:{dead}"], max_fails: 1}}}}
routes:
- {{upstream: app, name: "main"}}
- {{path: /odd, respond: {{}}, name: 'odd "name" \\ ü'}}
- {{path: /broken, respond: {{status: 503}}, name: broken}}
plugins: {{directory: plugins}}
logging: {{access: access.log}}
metrics: {{endpoint: "tcp:{metrics}:interface=127.0.0.1", top_hosts: 3}}
"""

RARE = frozenset((
    "revproxy_plugin_stalled_total", "revproxy_plugin_limit_exceeded_total", "revproxy_alert_delivery_failures_total",
    *(family.name for family in FAMILIES if family.name.startswith("revproxy_rollout_")),
))  # fmt: skip
"""Families that this edge does not tell: nothing stalls in it or takes too much, and it has no receiver of alerts,
and nothing is rolled out."""


def expressions(value: Any) -> Iterator[str]:
    """Every expression of a dashboard, and every query of its variables."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "expr" and isinstance(inner, str):
                yield inner
            elif key == "query" and isinstance(inner, str) and inner.startswith("label_values("):
                yield inner[len("label_values(") :].rpartition(",")[0]
            else:
                yield from expressions(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from expressions(inner)


def filledIn(expression: str) -> str:
    """With values for the variables of Grafana."""
    for name, text in (("$__rate_interval", "5s"), ("$instance", ".*"), ("$route", ".*"), ("$plugin", ".*")):
        expression = expression.replace(name, text)
    assert "$" not in expression, expression
    return expression


def namesIn(expression: str) -> set[str]:
    """The metrics in an expression."""
    return set(re.findall(r"\b(?:revproxy|http|process)_(?:[a-z]+_)*[a-z]+(?=[{\[ ),]|$)", expression)) - {
        "http_route",
        "http_response_status_code",
        "http_request_method",
    }


@needs("prometheus", "promtool")
class PrometheusTests(EdgeCase):
    """One edge, one Prometheus that scrapes it each second."""

    def setUp(self) -> None:
        origin, held = self.origin(self.handle), threading.Event()
        self.held = held
        self.addCleanup(held.set)
        self.metrics, dead, tls = freePort(), freePort(), freePort()
        manifest = json.dumps({"name": "shop", "version": "1.0.0", "on_error": "open"})
        files: dict[str, str | bytes] = {"plugins/shop/plugin.json": manifest, "plugins/shop/plugin.py": PLUGIN}
        files["certificates/a.pem"] = Authority().issue("a.example", lifetime=timedelta(days=100)).pem
        text = EDGE.format(url=origin.url, dead=dead, metrics=self.metrics, tls=tls)
        self.edge = self.launch(text, files=files)
        self.until(lambda: "listening on 127.0.0.1:" in self.edge.said() or self.edge.process.poll() is not None)
        self.assertIsNone(self.edge.process.poll(), self.edge.said())
        for _ in range(20):
            self.get(self.edge, "/")
            self.get(self.edge, "/odd")
            self.get(self.edge, "/broken")
        self.get(self.edge, "/wrong")
        self.get(self.edge, "/none")
        self.connect(self.edge).sendall(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
        self.prometheus = self.begin()

    def handle(self, peer: socket.socket) -> None:
        """Answers; what is held it does not answer before the end."""
        while head := readHead(peer)[0]:
            if b" /held " in head:
                self.held.wait(PATIENCE)
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    def begin(self) -> Server:
        """A Prometheus with the configuration of ``contrib/``, but for the target and the interval."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir(parents=True)
        text = (CONTRIB / "prometheus" / "prometheus.yml").read_text()
        text = text.replace("127.0.0.1:9901", f"127.0.0.1:{self.metrics}").replace("15s", "1s")
        (folder / "prometheus.yml").write_text(text)
        rules = (CONTRIB / "prometheus" / "revproxy.rules.yml").read_text()
        (folder / "revproxy.rules.yml").write_text(re.sub(r"for: \d+[mhs]+", "for: 0s", rules))
        port = freePort()
        command = ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
        command += [f"--web.listen-address=127.0.0.1:{port}", "--enable-feature=exemplar-storage"]
        server = Server(folder, port, command)
        self.addCleanup(server.end)
        self.until(lambda: self.isReady(port), "Prometheus does not get ready")
        return server

    def isReady(self, port: int) -> bool:
        """It listens before it answers questions."""
        try:
            with urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=PATIENCE):
                return True
        except HTTPError:
            return False

    def asked(self, path: str, **query: str) -> Any:
        """What Prometheus answers."""
        url = f"http://127.0.0.1:{self.prometheus.port}/api/v1/{path}?{urlencode(query)}"
        with urlopen(url, timeout=PATIENCE) as response:
            return json.load(response)["data"]

    def found(self, expression: str) -> list[Any]:
        """The series that an expression has now."""
        result: list[Any] = self.asked("query", query=expression)["result"]
        return result

    def test_scraped(self) -> None:
        """
        The edge is up, nothing of what it tells is dropped, names of routes come as they are; the dead target is an
        alert; and every expression of the dashboard is one, about metrics that are there.
        """
        self.until(lambda: self.found('up{job="revproxy"} == 1'), "the edge is not up")
        self.until(lambda: len(self.found('up{job="revproxy"}[1m]')[0]["values"]) > 2, "no second scrape")
        [target] = self.asked("targets", state="active")["activeTargets"]
        self.assertEqual(target["lastError"], "")
        route = r'http_server_request_duration_seconds_count{http_route="odd \"name\" \\ ü"} >= 20'
        self.assertTrue(self.found(route))
        self.assertTrue(self.found('revproxy_plugin_own_shop_sold_total{plugin="shop",kind="book"} > 20'))
        self.assertTrue(self.found('revproxy_plugin_failures_total{plugin="shop",kind="error"} == 1'))
        samples, kept = "scrape_samples_scraped", "scrape_samples_post_metric_relabeling"
        self.assertEqual(*(self.found(name)[0]["value"][1] for name in (samples, kept)))
        self.alertFires()
        self.familiesAreThere()
        self.dashboardIsUnderstood()

    def alertFires(self) -> None:
        """Of the target that does not answer, and of nothing else."""
        names = lambda: {alert["labels"]["alertname"] for alert in self.asked("alerts")["alerts"]}  # noqa: E731
        self.until(lambda: "RevproxyTargetDown" in names(), "no alert")
        self.assertEqual(names() - {"RevproxyTargetDown", "RevproxyPluginFailing"}, set())

    def familiesAreThere(self) -> None:
        """All that an edge tells."""
        names = set(self.asked("label/__name__/values"))
        known = {name.removesuffix(end) for name in names for end in ("", "_count")}
        self.assertEqual({family.name for family in FAMILIES} - known, RARE)

    def dashboardIsUnderstood(self) -> None:
        """Prometheus takes every expression, and knows every name, as far as this edge has it."""
        dashboard = json.loads((CONTRIB / "grafana" / "revproxy.json").read_text())
        every = [filledIn(each) for each in expressions(dashboard)]
        self.assertGreater(len(every), 40)
        ours = {family.name for family in FAMILIES}
        ours |= {f"{family.name}_{end}" for family in FAMILIES if family.bounds for end in ("bucket", "sum", "count")}
        for expression in every:
            self.asked("query", query=expression)  # 400 where it is none
            self.assertTrue(namesIn(expression), expression)
            self.assertEqual(namesIn(expression) - ours, set(), expression)
        self.assertEqual([each for each in every if not self.found(each) and "changes(" not in each], [])
