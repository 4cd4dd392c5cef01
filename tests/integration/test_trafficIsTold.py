"""
What a real edge tells of what goes through it: by commands, by the API, with a slow request, and with all of it off.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from typing import Any

from click.testing import CliRunner

from revproxy.cli.edgeclient import EdgeClient
from revproxy.cli.main import main
from tests.harness import EdgeCase, EdgeProcess, readAll, readHead

CONFIG = """\
listeners: [{endpoint: 'tcp:PORT:interface=127.0.0.1'}]
upstreams: {app: {targets: [ORIGIN]}, gone: {targets: ['http://127.0.0.1:1']}}
routes:
  - {path: /app, name: app, upstream: app}
  - {path: /gone, name: gone, upstream: gone}
  - {path: /fixed, name: fixed, respond: {body: hello}}
"""


class TrafficTests(EdgeCase):
    """An origin that answers when it is told to, where the path says so."""

    def setUp(self) -> None:
        self.addCleanup(os.chdir, os.getcwd())
        self.answers = threading.Event()
        self.addCleanup(self.answers.set)

        def handle(peer: socket.socket) -> None:
            while (head := readHead(peer)[0]):
                if b"/slow" in head:
                    self.answers.wait(60)
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

        self.origin_ = self.origin(handle)

    def serving(self, extra: str) -> EdgeProcess:
        """An edge in its folder."""
        edge = self.launch(CONFIG.replace("ORIGIN", self.origin_.url) + extra)
        self.until(lambda: (edge.folder / "var" / "control.sock").exists() and "listening on" in edge.said())
        os.chdir(edge.folder)
        self.client = EdgeClient(edge.folder / "var" / "control.sock")
        self.until(lambda: self.client.ask("GET", "status")["state"] == "serving")
        return edge

    def command(self, *arguments: str, status: int = 0) -> str:
        """What a command prints."""
        result = CliRunner().invoke(main, [*arguments])
        self.assertEqual(result.exit_code, status, result.output)
        return str(result.output)

    def routes(self) -> dict[str, Any]:
        """What status tells, by route."""
        found = self.client.ask("GET", "status")
        return {route["route"]: route for route in found["routes"]}

    def test_routes(self) -> None:
        """Each request is told of once, right after it, on its route; also what fails, has no route, or was none."""
        edge = self.serving("logging: {access: off}\n")
        for target, count in (("/app", 5), ("/gone", 3), ("/fixed", 2), ("/nowhere", 4)):
            for _ in range(count):
                self.get(edge, target)
        with socket.create_connection(("127.0.0.1", edge.port)) as client:
            client.sendall(b"nonsense\r\n\r\n")
            readAll(client)
        hour = {name: route["last_hour"] for name, route in self.routes().items()}
        counts = {name: (each["requests"], each["share_4xx"], each["share_5xx"]) for name, each in hour.items()}
        self.assertEqual(counts, {"app": (5, 0, 0), "gone": (3, 0, 1.0), "fixed": (2, 0, 0), "": (5, 1.0, 0)})
        self.assertLess(hour["fixed"]["p50_ms"], 1000)
        points = self.client.ask("GET", "traffic", {"of": "upstream", "name": "gone", "seconds": 60})["points"]
        self.assertEqual(sum(point["errors_5xx"] for point in points), 3)
        self.assertIn("fixed", self.command("top", "--once"))
        told = json.loads(self.command("status", "--json", status=1))
        self.assertEqual((told["is_ready"], told["not_ready"]), (False, ["upstream gone: no target answers"]))

    def test_underWay(self) -> None:
        """A request that takes its time is under way: with its age, on its connection, at its target."""
        edge = self.serving("logging: {access: off}\n")
        slow = self.connect(edge)
        slow.sendall(b"GET /app/slow HTTP/1.1\r\nHost: a\r\n\r\n")
        self.until(lambda: self.routes()["app"]["in_flight"] == 1)
        self.until(lambda: (self.routes()["app"]["oldest_seconds"] or 0) > 0.2)
        idle = self.connect(edge)
        found = self.until(lambda: (told := self.client.ask("GET", "connections"))["count"] == 2 and told)
        first, second = found["items"]
        self.assertEqual((first["route"], first["state"], first["listener"]),
                         ("app", "answering", f"tcp:{edge.port}:interface=127.0.0.1"))  # fmt: skip
        self.assertEqual((second["state"], second["route"], second["peer"]), ("head", None, "127.0.0.1"))
        self.assertIn("answering", self.command("connections"))
        self.answers.set()
        self.assertTrue(readHead(slow)[0].startswith(b"HTTP/1.1 200"))
        self.until(lambda: self.routes()["app"]["in_flight"] == 0)
        idle.close()

    def test_off(self) -> None:
        """With everything off, requests are answered, and nothing is told of them; on again by a change of the file."""
        off = "logging: {access: off, remember: 0}\nmetrics: {count: false}\n"
        edge = self.serving(off)
        self.assertIn(b"hello", self.get(edge, "/fixed")[1])
        self.assertEqual(self.routes()["fixed"]["last_hour"]["requests"], 0)
        file = edge.folder / "revproxy.yaml"
        file.write_text(file.read_text().replace(off, "logging: {access: off}\n"))
        self.command("reload")
        self.get(edge, "/fixed")
        self.assertEqual(self.routes()["fixed"]["last_hour"]["requests"], 1)

    def test_masked(self) -> None:
        """What is masked is neither in the log nor in what is remembered."""
        edge = self.serving("logging: {access: access.log, mask: [token]}\n")
        self.get(edge, "/fixed?a=1&T%6Fken=s3cr3t&b=2")
        record = self.until(lambda: edge.records())[0]
        self.assertEqual(record["target"], "/fixed?a=1&T%6Fken=***&b=2")
        told = self.until(lambda: self.client.ask("GET", "requests")["items"])
        self.assertEqual([each["target"] for each in told], ["/fixed?a=1&T%6Fken=***&b=2"])
