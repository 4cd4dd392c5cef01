"""
Requests of a real edge: found, watched as they end, and explained, also when their plan is gone; and how others go.
"""

from __future__ import annotations

import json
import os
import threading
from typing import Any

from click.testing import CliRunner

from revproxy.cli.edgeclient import EdgeClient, Refused
from revproxy.cli.main import main
from tests.harness import EdgeCase, EdgeProcess, readAll

CONFIG = """\
listeners: [{endpoint: 'tcp:PORT:interface=127.0.0.1'}]
upstreams: {app: {targets: ['http://127.0.0.1:1', ORIGIN]}}
routes:
  - {name: shop, host: shop, upstream: app}
  - {name: api, host: shop, path: /api/, upstream: app, methods: [GET]}
plugins: {directory: plugins, settle: 0.05}
logging: {access: 'off'}
"""

PLUGIN = """
from zope.interface import implementer
from revproxy.interfaces import IMiddleware

@implementer(IMiddleware)
class Guard:
    name = "guard"
    def handle(self, context):
        if context.request.path == "/fails":
            raise ValueError("no such tenant")
        if context.request.headers.get("Authorization") is None:
            return context.respond(401, "who?")
        context.request.headers.remove("Authorization")
        context.request.headers.set("X-User", "correct-horse")
        return True

def PluginMain(config):
    return Guard()
"""


class ExplainedTests(EdgeCase):
    """An edge with a plugin that guards, and a target of two that nobody listens on."""

    def serving(self, extra: str = "") -> EdgeProcess:
        """An edge in its folder."""
        self.addCleanup(os.chdir, os.getcwd())
        origin = self.answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        edge = self.launch(CONFIG.replace("ORIGIN", origin.url) + extra, files=self.plugin("1.0"))
        self.until(lambda: (edge.folder / "var" / "control.sock").exists() and "listening on" in edge.said())
        os.chdir(edge.folder)
        self.client = EdgeClient(edge.folder / "var" / "control.sock")
        self.until(lambda: self.client.ask("GET", "status")["state"] == "serving")
        return edge

    def plugin(self, version: str) -> dict[str, str | bytes]:
        """Its files."""
        return {
            "plugins/guard/plugin.json": json.dumps({"name": "guard", "version": version}),
            "plugins/guard/plugin.py": PLUGIN,
        }

    def ask(self, edge: EdgeProcess, path: str, head: str = "", method: str = "GET") -> bytes:
        """One request."""
        with self.connect(edge) as client:
            client.sendall(f"{method} {path} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n{head}\r\n".encode())
            return readAll(client)

    def found(self, count: int, **wanted: Any) -> list[dict[str, Any]]:
        """Requests that are so, the newest first, when there are so many."""

        def search() -> list[dict[str, Any]] | None:
            items: list[dict[str, Any]] = self.client.ask("GET", "requests", wanted)["items"]
            return items if len(items) == count else None

        return self.until(search, f"not {count} requests with {wanted}")  # type: ignore[no-any-return]

    def explained(self, request: dict[str, Any]) -> dict[str, Any]:
        """Why it went so."""
        told: dict[str, Any] = self.client.ask("GET", f"requests/{request['id']}/explain")
        self.assertNotIn("correct-horse", json.dumps(told))
        return told

    def test_found(self) -> None:
        """By what is wrong with them; and each with its reason."""
        edge = self.serving()
        self.ask(edge, "/api/x")
        self.ask(edge, "/fails")
        self.ask(edge, "/api/x", method="PUT")
        self.ask(edge, "/", "Authorization: x\r\n")
        self.ask(edge, "/", "Authorization: x\r\n")
        self.found(5)
        (answered,) = self.found(1, status="401", plugin="guard", path="/api/*", since="1m")
        told = self.explained(answered)
        self.assertEqual((told["because"], told["route"]["name"], told["answered_by"]),
                         ("interrupted", "api", {"kind": "plugin", "name": "guard"}))  # fmt: skip
        self.assertEqual([other["why"] for other in told["route"]["others"]], ["its path, /, is shorter than /api/"])
        (failed,) = self.found(1, status="5xx")
        (plugin,) = self.explained(failed)["plugins"]
        self.assertEqual((plugin["version"], plugin["decision"]), ("1.0", "failed"))
        self.assertEqual(plugin["why"], "failed: no such tenant")
        (refused,) = self.found(1, method="put")
        (plugin,) = self.explained(refused)["plugins"]
        self.assertEqual((plugin["decision"], plugin["ran"]), ("not asked", False))
        passed = [self.explained(one) for one in self.found(2, status="2xx")]
        [retried] = [one for one in passed if one["because"] == "retried"]
        self.assertEqual([tried["outcome"] for tried in retried["upstream"]["tries"]], ["lost", "answered"])
        self.assertEqual(retried["request_headers"]["added"], ["x-user"])

    def test_planIsGone(self) -> None:
        """With the version that it met, whatever runs since."""
        edge = self.serving("explain: {sample: 100%}\n")
        self.ask(edge, "/", "Authorization: x\r\n")
        (request,) = self.found(1)
        (edge.folder / "plugins/guard/plugin.json").write_text(json.dumps({"name": "guard", "version": "2.0"}))
        self.until(lambda: self.client.ask("GET", "plugins/guard")["version"] == "2.0")
        told = self.explained(request)
        (plugin,) = told["plugins"]
        self.assertEqual((plugin["version"], plugin["decision"], told["plan"]["is_current"]), ("1.0", "passed", False))
        self.assertIsInstance(plugin["request"]["us"], int)
        self.assertEqual(plugin["request"]["headers"]["removed"], ["authorization"])

    def test_off(self) -> None:
        """Where nothing is collected, what can be worked out is told all the same."""
        edge = self.serving("explain: {collect: false}\n")
        self.ask(edge, "/")
        (request,) = self.found(1)
        told = self.explained(request)
        self.assertEqual((told["because"], told["plugins"][0]["decision"]), (None, "answered"))

    def test_watched(self) -> None:
        """As they end, those that fit."""
        edge = self.serving()
        heard: list[dict[str, Any]] = []

        def watch() -> None:
            for _, told in self.client.follow("requests/live", {"status": "401"}):
                heard.append(told)
                return

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()

        def isHeard() -> bool:
            self.ask(edge, "/", "Authorization: x\r\n")
            self.ask(edge, "/api/y")
            return bool(heard)

        self.until(isHeard)
        thread.join(10)
        self.assertEqual((heard[0]["status"], heard[0]["target"]), (401, "/api/y"))

    def test_rehearsed(self) -> None:
        """How others would go: nobody hears of it, and the command shows it."""
        self.serving()
        told = self.client.ask("POST", "explain", body={"url": "http://shop/api/x"})
        self.assertEqual((told["route"]["name"], told["methods"], told["is_sent_on"]), ("api", ["GET", "HEAD"], True))
        self.assertEqual([each["decision"] for each in told["plugins"]], ["not tried"])
        told = self.client.ask("POST", "explain", body={"url": "http://shop/api/x", "plugins": True})
        self.assertEqual((told["status"], told["answered_by"]["name"]), (401, "guard"))
        told = self.client.ask("POST", "explain", body={"url": "http://shop/x/..;/api/", "method": "DELETE"})
        self.assertEqual((told["answered_by"], told["is_sent_on"]), ({"kind": "edge", "name": "AmbiguousPath"}, False))
        with self.assertRaises(Refused) as refused:
            self.client.ask("POST", "explain", body={"url": "http://shop/\r\nX: y"})
        self.assertEqual(refused.exception.status, 400)
        result = CliRunner().invoke(main, ["explain", "--request", "PUT http://shop/api/"])
        self.assertIn("would be 405, answered by the edge (MethodNotAllowed)", result.output)
        self.assertEqual(self.client.ask("GET", "requests")["items"], [])
        self.assertEqual(self.client.ask("GET", "plugins/guard")["calls"], 0)
