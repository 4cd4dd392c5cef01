"""Plugins of a folder in a running edge: every way to answer, to fail and to be configured."""

from __future__ import annotations

import json
import socket

from tests.harness import EdgeCase, EdgeProcess, readHead

PLUGIN = '''
from zope.interface import implementer
from twisted.internet import reactor
from twisted.internet.defer import Deferred, CancelledError, succeed
from twisted.internet.task import deferLater
from revproxy.interfaces import IMiddleware, IObserver, IResponseMiddleware

def how(context):
    return context.request.query

@implementer(IMiddleware, IResponseMiddleware, IObserver)
class Tester:
    name = "NAME"

    def __init__(self, config):
        self.config = config

    def handle(self, context):
        context.values["seen"] = context.values.get("seen", "") + self.config["mark"]
        context.request.headers.set("X-Seen", context.values["seen"])
        todo = how(context)
        if todo == "sync":
            return context.respond(403, "sync")
        if todo == "deferred":
            return deferLater(reactor, 0, context.respond, 403, "deferred")
        if todo == "coroutine":
            return self.later(context)
        if todo == "raise":
            raise RuntimeError("secret cause")
        if todo == "nonsense":
            return "yes"
        if todo == "never":
            return Deferred(lambda d: print("cancelled", self.name, flush=True))
        if todo == "self":
            return self.ask(context)
        return True

    async def later(self, context):
        await deferLater(reactor, 0)
        body = await context.request.body.read(100)
        return context.respond(403, b"coroutine " + body)

    async def ask(self, context):
        answer = await context.client.get(context.request.headers.get("X-Where"))
        context.request.headers.set("X-Asked", str(answer.code))
        return True

    def handleResponse(self, context):
        context.response.headers.set("X-Out", (context.response.headers.get("X-Out") or "") + self.config["mark"])
        if how(context) == "shout":
            context.response.body.addFilter(lambda data, last: data.upper())

    def finished(self, context):
        print("finished", self.name, context.outcome.status, context.request.target, flush=True)

def PluginMain(config):
    return Tester(config)
'''

ROUTES = """
plugins: {directory: plugins, config: {second: {mark: s}}}
routes:
  - {name: off, path: /off, upstream: app, plugins: {second: false}}
  - {name: other, path: /other, upstream: app, plugins: {second: {mark: "!"}}}
  - {name: all, upstream: app}
"""


class PluginTests(EdgeCase):
    """Two plugins: the first must not fail, the second may."""

    def begin(self) -> EdgeProcess:
        self.heads: list[bytes] = []

        def handle(peer: socket.socket) -> None:
            while head := readHead(peer)[0]:
                self.heads.append(head)
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nquiet")

        files: dict[str, str | bytes] = {}
        for name, priority, mark, policy in (("first", 10, "1", "closed"), ("second", 20, "2", "open")):
            manifest = {"name": name, "version": "1.0", "entry_point": "PluginMain", "priority": priority,
                        "config": {"mark": mark}, "on_error": policy, "limits": {"timeout_ms": 1500}}
            files[f"plugins/{name}/plugin.json"] = json.dumps(manifest)
            files[f"plugins/{name}/plugin.py"] = PLUGIN.replace("NAME", name)
        return self.start([self.origin(handle)], ROUTES, files)

    def test_perRoute(self) -> None:
        """One route without the second, one with other settings, the rest as configured; out in reverse."""
        edge = self.begin()
        for path, seen, out in (
            ("/", b"1s", b"s1"),
            ("/off", b"1", b"1"),
            ("/other/x", b"1!", b"!1"),
            ("/offer", b"1s", b"s1"),
        ):
            head, body = self.get(edge, path)
            self.assertIn(b"X-Seen: " + seen + b"\r\n", self.heads[-1], path)
            self.assertIn(b"X-Out: " + out, head, path)
            self.assertEqual(body, b"quiet")

    def test_answers(self) -> None:
        """At once, later, and in a coroutine that reads the body: the origin is not asked."""
        edge = self.begin()
        for todo in ("sync", "deferred"):
            head, body = self.get(edge, f"/?{todo}")
            self.assertTrue(head.startswith(b"HTTP/1.1 403 "), head)
            self.assertEqual(body, todo.encode())
            record = self.recordOf(edge, f"/?{todo}")
            self.assertEqual(record["interrupted_by"], "first")
        client = self.connect(edge)
        client.sendall(b"POST /?coroutine HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo")
        client.sendall(b"dy")
        head, rest = readHead(client)
        rest += client.recv(100) if not rest else b""
        self.assertEqual(rest, b"coroutine body")
        self.assertEqual(self.heads, [])

    def test_failures(self) -> None:
        """Raising, nonsense and silence fail the request, without the cause; the connection and the edge go on."""
        edge = self.begin()
        for todo, cause in (("raise", "secret cause"), ("nonsense", "yes"), ("never", "no answer")):
            head, body = self.get(edge, f"/?{todo}")
            self.assertTrue(head.startswith(b"HTTP/1.1 500 "), head)
            self.assertNotIn(cause.encode(), body)
            record = self.recordOf(edge, f"/?{todo}")
            self.assertIn(cause, record["error"])
            self.assertEqual(record["plugin_errors"], ["first"])
            self.until(lambda words=f"finished first 500 /?{todo}": words in edge.said())
        self.until(lambda: "cancelled first" in edge.said())
        self.assertEqual(self.heads, [])
        self.assertTrue(self.get(edge)[0].startswith(b"HTTP/1.1 200 "))

    def test_client(self) -> None:
        """A plugin asks somebody else first: here the edge itself, on another connection."""
        edge = self.begin()
        where = f"http://127.0.0.1:{edge.port}/asked"
        head, _ = self.get(edge, "/?self", f"X-Where: {where}\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 200 "), head)
        self.assertEqual([line.split(b" ")[1] for line in self.heads], [b"/asked", b"/asked", b"/?self"])
        self.assertIn(b"X-Asked: 200\r\n", self.heads[-1])

    def test_filter(self) -> None:
        """A filter changes the body, and the framing follows."""
        edge = self.begin()
        client = self.connect(edge)
        for _ in range(2):
            client.sendall(b"GET /?shout HTTP/1.1\r\nHost: a\r\n\r\n")
            head, rest = readHead(client)
            while b"QUIET" not in rest:
                rest += client.recv(100)
            self.assertTrue(b"Content-Length: 5\r\n" in head or b"chunked" in head, head)

    def test_clientLeaves(self) -> None:
        """A plugin's wait is cancelled when the client leaves."""
        edge = self.begin()
        client = self.connect(edge)
        client.sendall(b"GET /?never HTTP/1.1\r\nHost: a\r\n\r\n")
        client.close()
        self.until(lambda: "cancelled first" in edge.said())
        self.assertEqual(self.recordOf(edge, "/?never")["status"], 499)
