"""
Requests of a real edge, recorded, fetched and replayed: inline, and in a locked process.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from click.testing import CliRunner, Result

from revproxy.cli.edgeclient import EdgeClient
from revproxy.cli.main import main
from tests.harness import EdgeCase, EdgeProcess, readAll

CONFIG = """\
listeners: [{endpoint: 'tcp:PORT:interface=127.0.0.1'}]
upstreams: {app: {targets: [ORIGIN]}}
routes: [{name: shop, upstream: app}]
plugins: {directory: plugins, settle: 0.05, EXTRA}
logging: {access: 'off'}
"""

PLUGIN = """
from zope.interface import implementer
from revproxy.interfaces import IMiddleware, IResponseMiddleware

@implementer(IMiddleware, IResponseMiddleware)
class Shop:
    name = "shop"

    def handle(self, context):
        if context.request.headers.get("X-Tenant") is None:
            return context.respond(401, "who?")
        context.request.headers.set("X-Seen", "1")
        return True

    async def handleResponse(self, context):
        body = await context.response.body.read(1000)
        context.response.body.replace(body.upper())

def PluginMain(config):
    return Shop()
"""

MAY = {"read_headers": ["x-tenant"], "write_headers": ["x-seen"], "respond": True, "body": "write"}


class RecordingTests(EdgeCase):
    """An edge with a plugin that answers, adds a field, and changes bodies."""

    def serving(self, extra: str = "settle: 0.05", **said: object) -> EdgeProcess:
        self.addCleanup(os.chdir, os.getcwd())
        origin = self.answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        config = CONFIG.replace("ORIGIN", f"'{origin.url}'").replace("settle: 0.05, EXTRA", extra)
        files = {"plugins/shop/plugin.json": json.dumps({"name": "shop", "version": "1.0", **said}),
                 "plugins/shop/plugin.py": PLUGIN}  # fmt: skip
        edge = self.launch(config, files=files)  # type: ignore[arg-type]
        self.until(lambda: (edge.folder / "var" / "control.sock").exists() and "listening on" in edge.said())
        os.chdir(edge.folder)
        client = EdgeClient(edge.folder / "var" / "control.sock")
        self.until(lambda: client.ask("GET", "status")["state"] == "serving")
        return edge

    def ask(self, edge: EdgeProcess, head: str = "X-Tenant: a\r\n") -> bytes:
        with self.connect(edge) as client:
            client.sendall(f"GET /a?token=opensesame HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{head}\r\n".encode())
            return readAll(client)

    @contextmanager
    def asking(self, edge: EdgeProcess) -> Iterator[list[bytes]]:
        """Requests come all the time. :returns: what they are answered."""
        answers: list[bytes] = []
        isOver = threading.Event()

        def run() -> None:
            while not isOver.is_set():
                answers.append(self.ask(edge))
                answers.append(self.ask(edge, ""))

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield answers
        finally:
            isOver.set()
            thread.join()

    def run_(self, *arguments: str, status: int = 0) -> Result:
        result = CliRunner().invoke(main, list(arguments))
        self.assertEqual(result.exit_code, status, result.output)
        return result

    def recorded(self, edge: EdgeProcess) -> None:
        """Into ``c.jsonl``. Nobody notices."""
        with self.asking(edge) as answers:
            self.run_("record", "--route", "shop", "--for", "2s", "--name", "c")
        self.assertEqual({answer.split(b"\r\n")[0] for answer in answers},
                         {b"HTTP/1.1 200 OK", b"HTTP/1.1 401 Unauthorized"})  # fmt: skip
        self.assertTrue(all(answer.endswith((b"HELLO", b"who?")) for answer in answers))
        self.run_("recordings", "fetch", "c", "-o", "c.jsonl")
        self.assertNotIn("opensesame", (edge.folder / "c.jsonl").read_text())

    def replayed(self, change: tuple[str, str], *expected: str) -> None:
        """The version that was recorded differs in nothing, and another one in what was changed."""
        told = json.loads(self.run_("replay", "--folder", "plugins/shop", "--json", "c.jsonl").stdout)
        self.assertGreater(told["replayed"], 0)
        self.assertEqual((told["incomparable"], told["unexpected"]), ({}, 0), told)
        path = "plugins/shop/plugin.py"
        with open(path) as file:
            text = file.read()
        self.assertIn(change[0], text)
        with open(path, "w") as file:
            file.write(text.replace(*change))
        told = json.loads(self.run_("replay", "--folder", "plugins/shop", "--json", "c.jsonl", status=1).stdout)
        self.assertEqual({each["field"] for each in told["differences"] if each["candidate"]}, set(expected), told)
        self.assertEqual(told["running"]["version"], "1.0")

    def test_inline(self) -> None:
        """A plugin in the edge's own process."""
        self.recorded(self.serving())
        self.replayed(("body.upper()", "body.lower()"), "body")

    def test_locked(self) -> None:
        """A plugin in a locked process: recorded, and replayed in another one."""
        grants = f"settle: 0.05, grants: {{shop: {json.dumps(MAY)}}}"
        self.recorded(self.serving(grants, isolation="process", permissions=MAY))
        self.replayed(('"X-Seen", "1"', '"X-Seen", "2"'), "request:x-seen")
