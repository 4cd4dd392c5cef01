"""A real edge's metrics, and their listener, while revproxy.yaml changes."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from revproxy.admin.metrics.site import CONNECTIONS
from tests.admin.metrics.reading import Labels, parsed, value
from tests.harness import PATIENCE, EdgeCase, EdgeProcess, freePort, readHead

CONFIG = """
listeners: [{{endpoint: "tcp:PORT:interface=127.0.0.1"}}]
routes: [{{respond: {{body: hello}}, name: all}}]
plugins: {{settle: 0.05}}
metrics: {{endpoint: "tcp:{port}:interface=127.0.0.1"}}
"""

COUNT = "http_server_request_duration_seconds_count"
SERIES = {
    "http_request_method": "GET",
    "http_response_status_code": "200",
    "http_route": "all",
    "url_scheme": "http",
    "network_protocol_version": "1.1",
}


class MetricsTests(EdgeCase):
    """One edge, and one who reads its metrics."""

    def setUp(self) -> None:
        self.port = freePort()
        self.edge = self.launch(CONFIG.format(port=self.port))
        self.until(lambda: self.edge.said().count("listening on") == 2 or self.edge.process.poll() is not None)
        self.assertIsNone(self.edge.process.poll(), self.edge.said())

    def write(self, text: str) -> None:
        """Change the file."""
        path = Path(self.edge.folder, "revproxy.yaml")
        path.with_suffix(".new").write_text(text.replace("PORT", str(self.edge.port)))
        path.with_suffix(".new").rename(path)

    def read(self, port: int, path: str = "/metrics", **fields: str) -> tuple[bytes, str]:
        """Body and content type."""
        named = {name.replace("_", "-"): text for name, text in fields.items()}
        with urlopen(Request(f"http://127.0.0.1:{port}{path}", headers=named), timeout=PATIENCE) as response:
            return response.read(), response.headers["Content-Type"]

    def figures(self, port: int) -> dict[tuple[str, Labels], float]:
        return parsed(self.read(port)[0].decode())

    def listens(self, port: int) -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), PATIENCE).close()
        except OSError:
            return False
        return True

    def test_counted(self) -> None:
        """What was answered just now is counted; both formats say so."""
        for _ in range(7):
            self.get(self.edge)
        self.assertEqual(value(self.figures(self.port), COUNT, **SERIES), 7)
        body, kind = self.read(self.port, Accept="application/openmetrics-text; version=1.0.0")
        self.assertIn("openmetrics", kind)
        self.assertEqual(value(parsed(body.decode(), True), COUNT, **SERIES), 7)

    def test_moves(self) -> None:
        """The listener goes elsewhere, away, and comes back; counters go on, and no request is disturbed."""
        self.get(self.edge)
        other = freePort()
        self.write(CONFIG.format(port=other))
        self.until(lambda: not self.listens(self.port))
        self.assertEqual(value(self.figures(other), COUNT, **SERIES), 1)
        self.write(CONFIG.format(port=other).replace("metrics:", "#"))
        self.until(lambda: not self.listens(other))
        self.get(self.edge)
        self.write(CONFIG.format(port=other))
        self.until(lambda: self.listens(other))
        self.assertEqual(value(self.figures(other), COUNT, **SERIES), 2)

    def test_refused(self) -> None:
        """Where it cannot listen, the change is refused with its line, and all stays as it was."""
        taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(taken.close)
        changed = CONFIG.format(port=taken.getsockname()[1]).replace("hello", "hallo")
        self.write(changed)
        self.until(lambda: "$.metrics.endpoint" in self.edge.said(), "nothing was said")
        self.assertIn("revproxy.yaml:5:11: $.metrics.endpoint: Couldn't listen on 127.0.0.1:", self.edge.said())
        self.assertEqual(self.get(self.edge)[1], b"hello")
        self.assertEqual(value(self.figures(self.port), "revproxy_config_refused"), 1)
        taken.close()
        self.write(changed + "\n")
        self.until(lambda: self.get(self.edge)[1] == b"hallo")

    def test_itsOwn(self) -> None:
        """Where it is in its own way, it says so."""
        self.write(CONFIG.format(port=self.port).replace(f"{self.port}:interface=127.0.0.1", str(self.port)))
        before = f"tcp:{self.port}:interface=127.0.0.1"
        said = f'This edge tells its metrics there already, as "{before}": first take that away'
        self.until(lambda: said in self.edge.said(), "nothing was said")
        self.assertEqual(value(self.figures(self.port), "revproxy_config_refused"), 1)

    def test_nothingElse(self) -> None:
        """Nothing but metrics is there, and the edge's clients do not reach them."""
        for path in ("/", "/api/v1/status", "/metrics/", "/healthz"):
            with self.assertRaises(HTTPError) as raised:
                self.read(self.port, path)
            self.assertEqual(raised.exception.code, 404)
            raised.exception.close()
        self.assertEqual(self.get(self.edge, "/metrics")[1], b"hello")

    def test_crowd(self) -> None:
        """Clients that are silent keep nobody from reading."""
        for _ in range(2 * CONNECTIONS):
            client = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
            self.addCleanup(client.close)
            client.sendall(b"GET /metrics HTTP/1.1\r\n")
        self.assertIn(b"revproxy_info", self.read(self.port)[0])

    def test_plain(self) -> None:
        """On one machine, the answer is not compressed, and its length is told."""
        client = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        self.addCleanup(client.close)
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n")
        head, _ = readHead(client)
        self.assertIn(b"\r\nContent-Length: ", head)
        self.assertNotIn(b"gzip", head)


class StartTests(EdgeCase):
    """The beginning of an edge."""

    def refused(self, port: int) -> EdgeProcess:
        edge = self.launch(CONFIG.format(port=port))
        self.assertEqual(edge.status(), 1, edge.said())
        return edge

    def test_taken(self) -> None:
        """An edge that cannot listen for Prometheus does not start, and says what it is about."""
        taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(taken.close)
        said = self.refused(taken.getsockname()[1]).said()
        self.assertIn(f"cannot start: Couldn't listen on 127.0.0.1:{taken.getsockname()[1]}", said)
        self.assertIn("Another program listens there", said)
