"""
What a version does in a shadow is known, and nobody is concerned: no client, no origin, no log, no figure, no store.
"""

from __future__ import annotations

import json
import re
import socket
from typing import Any

from tests.harness import EdgeProcess, RawOrigin, readHead
from tests.integration.test_reconfiguring import ReconfiguringCase

CODE = """
import logging
from zope.interface import implementer
from revproxy.interfaces import IHosted, IMiddleware, IResponseMiddleware

@implementer(IMiddleware, IResponseMiddleware, IHosted)
class Shadowed:
    name = "shadowed"

    def attach(self, host):
        self.host = host
        self.seen = host.counter("seen_total")

    async def handle(self, context):
        self.seen.inc()
        context.log.info("asked {n}", n=1)
        self.host.log.info("hosted {n}", n=1)
        logging.getLogger("any").warning("written 1")
        await self.host.store.set("last", context.request.path)
        await self.host.client.get("http://asked/by-host")
        answer = await context.client.get("http://asked/who")
        context.values["who"] = (await answer.content()).decode()
        context.fields["who"] = context.values["who"]
        context.request.headers.set("X-Version", %(version)r)
        return True

    async def handleResponse(self, context):
        body = await context.response.body.read(100)
        context.response.body.replace(body + %(version)r.encode())

PluginMain = lambda config: Shadowed()
"""

PERMISSIONS = {
    "read_headers": ["*"], "write_headers": ["X-Version"], "body": "write", "upstreams": ["asked"], "store": True,
    "figures": True, "respond": True,
}  # fmt: skip


class ShadowsTouchNothingTests(ReconfiguringCase):
    """A version that asks, counts, logs, stores and changes bodies is tried on each request."""

    def setUp(self) -> None:
        super().setUp()
        self.forwarded: list[str] = []
        self.asked: list[str] = []
        self.app = self.listening(self.forwarded, b"app ")
        self.other = self.listening(self.asked, b"me")

    def listening(self, heads: list[str], body: bytes) -> RawOrigin:
        """An origin that remembers what it was asked."""

        def handle(peer: socket.socket) -> None:
            while True:
                head, _ = readHead(peer)
                if not head:
                    return
                heads.append(head.decode())
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

        return self.origin(handle)

    def text(self, extra: str = "") -> str:
        upstreams = {"app": {"targets": [self.app.url]}, "asked": {"targets": [self.other.url]}}
        plugins = {
            "directory": "plugins", "settle": self.settle, "isolation": {"*": extra},
            "grants": {"shadowed": PERMISSIONS},
            "rollout": {"plugins": {"shadowed": {
                "steps": [{"shadow": "100%", "until": {"pairs": 100_000}}],
            }}},
        }  # fmt: skip
        return (
            "listeners: [{endpoint: 'tcp:PORT:interface=127.0.0.1'}]\n"
            f"routes: [{{path: /, upstream: app}}]\nupstreams: {json.dumps(upstreams)}\n"
            f"plugins: {json.dumps(plugins)}\nlogging: {{access: access.log}}\n"
        )

    def files(self, version: str) -> dict[str, str | bytes]:
        manifest = {
            "name": "shadowed", "version": version, "enabled": True, "shadow_safe": True, "permissions": PERMISSIONS,
        }  # fmt: skip
        return {"plugins/shadowed/plugin.json": json.dumps(manifest), "plugins/shadowed/plugin.py": CODE % {
            "version": version}}  # fmt: skip

    def rollout(self, edge: EdgeProcess) -> Any:
        """That of the plugin, if there is one."""
        found = [each for each in self.ask(edge, "GET", "rollouts")["items"] if each["plugin"] == "shadowed"]
        return self.ask(edge, "GET", "rollouts", "shadowed") if found else None

    def assertTouchesNothing(self, isolation: str) -> None:
        edge = self.begin(self.files("1.0.0"), isolation)
        self.assertEqual(self.get(edge, "/first")[1], b"app 1.0.0")
        for path, content in self.files("2.0.0").items():
            (edge.folder / path).write_text(str(content))
        self.until(lambda: (found := self.rollout(edge)) is not None and found["state"] == "shadow")
        count = 30
        for number in range(count):
            self.assertEqual(self.get(edge, f"/request/{number}")[1], b"app 1.0.0")
        pairs = self.until(lambda: (found := self.rollout(edge)) is not None and self.enough(found, count))
        # It is known what the version would do, and that it would do nothing else.
        fields = {each["field"] for each in pairs["differences"] if each["candidate"]}
        self.assertEqual(fields, {"request:x-version", "body"})
        # Each request went to the origin once, and each of the plugin's own as well, with the version that serves.
        self.assertEqual(len(self.forwarded), count + 1)
        self.assertEqual({re.search("X-Version: (.*)\r", head)[1] for head in self.forwarded}, {"1.0.0"})  # type: ignore[index]
        self.assertEqual(len(self.asked), 2 * (count + 1))
        self.assertEqual(edge.said().count("asked 1"), count + 1)
        self.assertEqual(edge.said().count("hosted 1"), count + 1)
        self.assertEqual(edge.said().count("written 1"), count + 1)
        calls = {each["version"]: each["calls"] for each in self.ask(edge, "GET", "plugins", "shadowed")["versions"]}
        self.assertEqual(calls, {"1.0.0": count + 1, "2.0.0": 0})
        self.assertEqual(len(edge.records()), count + 1)
        self.assertEqual({record["fields"]["who"] for record in edge.records()}, {"me"})

    @staticmethod
    def enough(found: Any, count: int) -> Any:
        pairs = found["pairs"] or {}
        assert not pairs.get("incomparable"), pairs
        seen = pairs.get("compared", 0) + pairs.get("dropped", 0) + sum(pairs.get("incomparable", {}).values())
        return found if seen >= count and pairs["compared"] else None

    def test_inline(self) -> None:
        """In the edge's own process."""
        self.assertTouchesNothing("inline")

    def test_process(self) -> None:
        """In a locked process."""
        self.assertTouchesNothing("process")
