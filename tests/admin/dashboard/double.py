"""
A double of the admin API with a realistic edge behind it, for tests of the dashboard, and to look at:
``python -m tests.admin.dashboard.double``.

It serves the dashboard's files as the edge does, with the same policy, and answers what the contract says. Tests change
what is in `Double.edge`, or have it refuse, hang or be gone.
"""

from __future__ import annotations

import json
import mimetypes
import queue
import socket
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.admin.dashboard.sample import Sample

FILES = Path(__file__).resolve().parents[3] / "revproxy/admin/dashboard"

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)

ROLES = ("read", "observe", "operate", "configure", "admin")
CODE = "once"
"""A code that is good for signing in, once."""


class Double(ThreadingHTTPServer):
    """
    One double.

    :ivar edge: what it answers from.
    :ivar role: of every token.
    :ivar asked: method and path of each request to the API.
    :ivar refusing: problems to answer with, by method and path.
    """

    daemon_threads = True
    request_queue_size = 100
    allow_reuse_address = True

    def __init__(self, port: int = 0, role: str = "admin") -> None:
        self.edge = Sample()
        self.role = role
        self.codes = {CODE}
        self.sessions: set[str] = set()
        self.asked: list[str] = []
        self.refusing: dict[str, tuple[int, dict[str, Any]]] = {}
        self.listeners: list[queue.Queue[tuple[str, dict[str, Any]] | None]] = []
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Conversation)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        """Where the dashboard is."""
        return f"http://127.0.0.1:{self.server_port}/"

    def happen(self, kind: str, text: str, plugin: str = "", version: str = "") -> None:
        """An event, for all streams."""
        event = self.edge.event(kind, text, plugin, version)
        for each in list(self.listeners):
            each.put(("event", event))

    def passes(self, **about: Any) -> dict[str, Any]:
        """A request, for whoever follows."""
        record = self.edge.request(time.time(), **about)
        self.edge.requests.insert(0, record)
        for each in list(self.listeners):
            each.put(("request", record))
        return record

    def get_request(self) -> tuple[socket.socket, Any]:
        client, address = super().get_request()
        self._open.add(client)
        return client, address

    def close_request(self, request: Any) -> None:
        self._open.discard(request)
        super().close_request(request)

    def gone(self) -> int:
        """
        Listen no more, end all connections.

        :returns: the port, for one that comes back.
        """
        port = self.server_port
        self.shutdown()
        self.server_close()
        for each in list(self.listeners):
            each.put(None)
        for client in list(self._open):
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        return port

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Browsers hang up; that is nobody's business."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Conversation(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Double

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path.startswith("/api/v1/"):
            self._api("GET")
        elif url.path in ("/healthz", "/readyz"):
            self._send(200, b"ok\n", "text/plain")
        else:
            self._file(unquote(url.path).strip("/") or "index.html")

    def do_POST(self) -> None:
        self._api("POST")

    def do_PUT(self) -> None:
        self._api("PUT")

    def do_DELETE(self) -> None:
        self._api("DELETE")

    def _send(self, status: int, data: bytes, kind: str, **more: str) -> None:
        self.send_response(status)
        headers = {"Content-Type": kind, "Content-Length": str(len(data)), "Cache-Control": "no-store", **more}
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def _json(self, status: int, value: Any, **more: str) -> None:
        kind = "application/json" if status < 400 else "application/problem+json"
        self._send(status, json.dumps(value).encode(), kind, **more)

    def _problem(self, status: int, detail: str, **more: Any) -> None:
        self._json(status, {"status": status, "title": "Problem", "detail": detail, **more})

    def _file(self, name: str) -> None:
        path = (FILES / name).resolve()
        if not path.is_relative_to(FILES) or not path.is_file():
            self._problem(404, f"there is no {name}")
            return
        kind = "text/javascript" if path.suffix == ".js" else mimetypes.guess_type(path.name)[0] or "text/plain"
        self._send(200, path.read_bytes(), kind, Content_Security_Policy=POLICY, X_Content_Type_Options="nosniff")

    def _who(self) -> str | None:
        cookies = dict(part.strip().partition("=")[::2] for part in self.headers.get("Cookie", "").split(";"))
        return next((name for name in self.server.sessions if cookies.get("session") == name), None)

    def _api(self, method: str) -> None:
        url = urlsplit(self.path)
        path, values = url.path.removeprefix("/api/v1"), {k: v[-1] for k, v in parse_qs(url.query).items()}
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        self.server.asked.append(f"{method} {path}")
        if refused := self.server.refusing.get(f"{method} {path}"):
            self._problem(refused[0], **refused[1])
        elif path == "/session" and method == "POST":
            self._signIn(body)
        elif self._who() is None:
            self._problem(401, "no token, or one that is not known; sign in again")
        elif method != "GET" and self.headers.get("X-Revproxy") != "1":
            self._problem(403, "a change takes the header X-Revproxy")
        elif path == "/session":
            self._session(method)
        elif path in ("/events/stream", "/requests/live"):
            self._stream(path, values)
        else:
            self._answer(method, path, values, body)

    def _signIn(self, body: dict[str, Any]) -> None:
        if body.get("code") in self.server.codes:
            self.server.codes.discard(body["code"])
        elif not str(body.get("token", "")).startswith("rvp_"):
            self._problem(401, "There is no such token, or it has expired.")
            return
        name = f"s{len(self.server.sessions)}-{time.monotonic_ns()}"
        self.server.sessions.add(name)
        self._json(200, {"name": "alice", "role": self.server.role},
                   Set_Cookie=f"session={name}; HttpOnly; SameSite=Strict; Path=/")  # fmt: skip

    def _session(self, method: str) -> None:
        if method == "DELETE":
            self.server.sessions.discard(self._who() or "")
            self._json(200, {})
            return
        self._json(200, {"name": "alice", "role": self.server.role, "expires_at": time.time() + 28800})

    def _answer(self, method: str, path: str, values: dict[str, str], body: dict[str, Any]) -> None:
        edge = self.server.edge
        role = edge.roleFor(method, path)
        if ROLES.index(self.server.role) < ROLES.index(role):
            self._problem(403, f"this takes the role {role}; your token has {self.server.role}")
            return
        try:
            answer: Callable[..., Any] | None = edge.find(method, path)
            if answer is None:
                self._problem(404, f"there is nothing at {path}")
                return
            self._json(200, answer(values, body, self.headers.get("If-Match", "").strip('"')))
        except edge.Refused as refused:
            self._problem(refused.status, str(refused), **refused.more)

    def _stream(self, path: str, values: dict[str, str]) -> None:
        mine: queue.Queue[tuple[str, dict[str, Any]] | None] = queue.Queue()
        wanted = "event" if path == "/events/stream" else "request"
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        last = int(self.headers.get("Last-Event-ID") or 0)
        if wanted == "event" and last:
            for event in [one for one in self.server.edge.events if one["number"] > last]:
                mine.put(("event", event))
        self.server.listeners.append(mine)
        try:
            self.wfile.write(b"retry: 2000\n\n")
            self._tell(mine, wanted)
        finally:
            self.server.listeners.remove(mine)

    def _tell(self, mine: queue.Queue[tuple[str, dict[str, Any]] | None], wanted: str) -> None:
        while True:
            try:
                said = mine.get(timeout=1)
            except queue.Empty:
                self.wfile.write(b":\n\n")
                continue
            if said is None:
                return
            kind, value = said
            if kind == wanted:
                number = f"id: {value['number']}\n" if kind == "event" else ""
                self.wfile.write(f"{number}data: {json.dumps(value)}\n\n".encode())


if __name__ == "__main__":
    double = Double(int(sys.argv[1]) if sys.argv[1:] else 9911)
    double.codes.update(f"look{n}" for n in range(1000))
    print(f"{double.url}#login=look0", flush=True)
    while True:
        time.sleep(0.5)
        double.passes()
