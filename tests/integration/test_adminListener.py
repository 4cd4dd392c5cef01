"""The admin listener of an edge in a process of its own: plain on loopback, TLS, moved and ended while it runs."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
from contextlib import closing
from pathlib import Path
from typing import Any

from revproxy.cli.edgeclient import EdgeClient, EdgeNotRunning, NoAnswer, Refused
from tests.authority import Authority
from tests.harness import PATIENCE, EdgeCase, EdgeProcess, freePort

BASE = """listeners: [{{endpoint: 'tcp:PORT:interface=127.0.0.1'}}]
routes: [{{respond: {{body: hi}}}}]
logging: {{access: off}}
plugins: {{settle: 0.05}}
{admin}
"""


class ListenerCase(EdgeCase):
    """Edges with an admin listener."""

    def begin(self, admin: str, files: dict[str, str | bytes] | None = None) -> EdgeProcess:
        self.adminPort = freePort()
        edge = self.launch(self.text(admin), None, files, "--debuggable")
        self.until(lambda: self.socketOf(edge).exists() or edge.process.poll() is not None)
        self.assertIsNone(edge.process.poll(), edge.said())
        self.until(lambda: self.asked(edge, "GET", "session"))
        return edge

    def text(self, admin: str) -> str:
        return BASE.format(admin=admin).replace("ADMIN", str(self.adminPort))

    def socketOf(self, edge: EdgeProcess) -> Path:
        return edge.folder / "var" / "control.sock"

    def asked(self, edge: EdgeProcess, method: str, path: str, body: Any = None) -> Any:
        """By the socket; None while nobody listens."""
        try:
            return EdgeClient(self.socketOf(edge)).ask(method, path, None, body)
        except EdgeNotRunning:
            return None

    def configure(self, edge: EdgeProcess, admin: str) -> None:
        draft = edge.folder / "new"
        draft.write_text(self.text(admin).replace("PORT", str(edge.port)))
        draft.replace(edge.folder / "revproxy.yaml")

    def token(self, edge: EdgeProcess, role: str = "admin") -> str:
        return str(self.asked(edge, "POST", "tokens", {"name": "ann", "role": role})["token"])

    def here(self) -> str:
        return f"http://127.0.0.1:{self.adminPort}"


class PlainTests(ListenerCase):
    """On loopback."""

    def test_tokens(self) -> None:
        """A token that was made by the socket is good at the listener; when it is revoked, what it follows ends."""
        edge = self.begin("admin: {endpoint: 'tcp:ADMIN:interface=127.0.0.1'}")
        token = self.token(edge)
        client = EdgeClient(self.here(), token)
        who = client.ask("GET", "session")
        self.assertEqual((who["name"], who["via"], who["address"]), ("ann", "http", "127.0.0.1"))
        following = client.follow("events/stream", last="0")
        self.assertIn("number", next(following)[1])
        self.asked(edge, "DELETE", f"tokens/{who['token']}")
        with self.assertRaises(Exception):  # noqa: B017 - it breaks off, in whatever way
            for _ in following:
                pass
        self.assertEqual(self.assertRaises(Refused, client.ask, "GET", "session").status, 401)
        with self.assertRaises(Refused):
            EdgeClient(self.here()).ask("GET", "plugins")

    def test_dashboard(self) -> None:
        """Its files are there for everybody, with their policy, and what is no file of it is not."""
        self.begin("admin: {endpoint: 'tcp:ADMIN:interface=127.0.0.1'}")
        with closing(http.client.HTTPConnection("127.0.0.1", self.adminPort, timeout=PATIENCE)) as client:
            for path, status in (("/", 200), ("/index.html", 200), ("/style.css", 200), ("/vendor/vendor.json", 200),
                                 ("/vendor/README.md", 404), ("/__init__.py", 404), ("/../pages.py", 404),
                                 ("/%2e%2e/pages.py", 404), ("/vendor/..%2f..%2fpages.py", 404), ("//index.html", 404),
                                 ("/vendor", 404), ("/vendor/", 404), ("/index.html/", 404), ("/./index.html", 404)):
                client.request("GET", path)
                answer = client.getresponse()
                answer.read()
                self.assertEqual(answer.status, status, path)
                self.assertIn("frame-ancestors 'none'", str(answer.headers["Content-Security-Policy"]))
            client.request("GET", "/", headers={"If-None-Match": self.etag(client)})
            answer = client.getresponse()
            self.assertEqual((answer.status, answer.read()), (304, b""))
            client.request("HEAD", "/", headers={"Accept-Encoding": "gzip"})
            answer = client.getresponse()
            self.assertEqual((answer.read(), answer.headers["Content-Encoding"]), (b"", "gzip"))

    def etag(self, client: http.client.HTTPConnection) -> str:
        client.request("GET", "/")
        answer = client.getresponse()
        answer.read()
        return str(answer.headers["ETag"])

    def test_flood(self) -> None:
        """Hundreds who connect and say nothing keep nobody out."""
        edge = self.begin("admin: {endpoint: 'tcp:ADMIN:interface=127.0.0.1'}")
        client = EdgeClient(self.here(), self.token(edge))
        for _ in range(600):
            one = socket.create_connection(("127.0.0.1", self.adminPort), PATIENCE)
            self.addCleanup(one.close)
        self.assertEqual(client.ask("GET", "session")["name"], "ann")
        self.assertLess(len(os.listdir(f"/proc/{edge.process.pid}/fd")), 400)

    def test_moves(self) -> None:
        """It moves, ends, and comes back as the file says; what cannot be is refused, and nothing changes."""
        edge = self.begin("admin: {endpoint: 'tcp:ADMIN:interface=127.0.0.1'}")
        token = self.token(edge)
        old = self.here()
        taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(taken.close)
        self.configure(edge, f"admin: {{endpoint: 'tcp:{taken.getsockname()[1]}:interface=127.0.0.1'}}")
        self.until(lambda: self.failure(edge))
        self.assertIn("$.admin.endpoint: Couldn't listen", self.failure(edge))
        EdgeClient(old, token).ask("GET", "session")
        self.adminPort = freePort()
        self.configure(edge, "admin: {endpoint: 'tcp:ADMIN:interface=127.0.0.1', dashboard: false}")
        self.until(lambda: self.works(self.here(), token))
        self.assertFalse(self.works(old, token))
        self.configure(edge, "")
        self.until(lambda: not self.works(self.here(), token))
        self.configure(edge, "admin: {endpoint: 'tcp:ADMIN:interface=127.0.0.1'}")
        self.until(lambda: self.works(self.here(), token))
        edge.terminate()
        self.assertEqual(edge.status(), 0)
        self.assertNotIn("Unhandled", edge.said())

    def works(self, url: str, token: str) -> bool:
        try:
            EdgeClient(url, token).ask("GET", "session")
        except (EdgeNotRunning, NoAnswer):  # or it is about to close
            return False
        return True

    def failure(self, edge: EdgeProcess) -> str:
        failure = self.asked(edge, "GET", "plugins")["configuration"]["failure"]
        return "" if failure is None else str(failure["message"])


class TLSTests(ListenerCase):
    """By TLS."""

    def test_secure(self) -> None:
        """Cookies are for this host only; a renewed certificate is served without a restart; plain text is not."""
        authority = Authority()
        admin = "admin: {endpoint: 'tcp:ADMIN', tls: {certificates: certs}, hosts: [admin.test]}"
        edge = self.begin(admin, {"certs/a.pem": authority.issue("admin.test").pem})
        token = self.token(edge, "read")
        status, headers, body = self.over(authority, "POST", "/api/v1/session", {"token": token})
        self.assertEqual((status, body["role"]), (200, "read"))
        self.assertRegex(headers["Set-Cookie"], r"^__Host-revproxy=.*; Secure$")
        with self.assertRaises(Exception):  # noqa: B017
            EdgeClient(self.here(), token).ask("GET", "session", timeout=5)
        other = Authority("another")
        draft = edge.folder / "certs" / "draft"
        draft.write_bytes(other.issue("admin.test").pem)
        draft.replace(edge.folder / "certs" / "a.pem")
        self.until(lambda: self.trusts(other))
        draft.write_text("nonsense")
        draft.replace(edge.folder / "certs" / "a.pem")
        self.asked(edge, "POST", "reload")
        self.assertTrue(self.trusts(other))

    def trusts(self, authority: Authority) -> bool:
        try:
            return self.over(authority, "GET", "/healthz")[0] == 200
        except ssl.SSLError:
            return False

    def over(self, authority: Authority, method: str, path: str, body: Any = None) -> tuple[int, Any, Any]:
        context = ssl.create_default_context(cadata=authority.own.certificatePEM.decode())
        plain = socket.create_connection(("127.0.0.1", self.adminPort), PATIENCE)
        with closing(context.wrap_socket(plain, server_hostname="admin.test")) as secure:
            content = b"" if body is None else json.dumps(body).encode()
            head = f"{method} {path} HTTP/1.1\r\nHost: admin.test:{self.adminPort}\r\nConnection: close\r\n" \
                   f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
            secure.sendall(head.encode() + content)
            answer = http.client.HTTPResponse(secure)
            answer.begin()
            data = answer.read()
            isJSON = "json" in str(answer.headers["Content-Type"])
            return answer.status, answer.headers, json.loads(data) if isJSON else data
