"""
A plugin in a locked process does what it does in the edge's own: the same plugins, the same requests, the same answers.
"""

from __future__ import annotations

import json
import re
import socket
from typing import Any

from tests.behaviour.examples import ALL, EXAMPLES, Example
from tests.harness import EdgeProcess, RawOrigin, readAll, readExactly, readHead
from tests.integration.test_reconfiguring import ReconfiguringCase

OWN = re.compile(rb"(?im)^(date|x-request-id|traceparent|server|accept-encoding): .*\r\n")
"""Fields that differ from one request to the next, or that treq adds by itself."""


def echo(name: str) -> Any:
    """An origin that answers with what it was sent."""

    def handle(peer: socket.socket) -> None:
        while True:
            head, rest = readHead(peer)
            if not head:
                return
            length = re.search(rb"(?i)content-length: (\d+)", head)
            if re.search(rb"(?i)transfer-encoding: chunked", head):
                data = rest
                while not data.endswith(b"0\r\n\r\n"):
                    data += peer.recv(65536)
                body = b"chunked " + b"".join(re.split(rb"(?:\A|\r\n)[0-9a-f]+\r\n", data))
            else:
                size = int(length[1]) if length else 0
                body = rest + readExactly(peer, size - len(rest))
            told = f"{name}\n".encode() + _ordered(_comparable(head)) + body
            fields = b"X-Origin: 1\r\nX-Origin: 2\r\nSet-Cookie: a=1\r\nServer: origin\r\n"
            peer.sendall(b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (fields, len(told), told))

    return handle


def _whole(answer: bytes) -> bytes:
    """
    However it was framed: a filter that answers at once has made a small body whole before its head is sent, and one in
    a process answers later.
    """
    head, _, body = answer.partition(b"\r\n\r\n")
    if b"\r\nTransfer-Encoding: chunked" in head:
        body = b"".join(re.split(rb"(?:\A|\r\n)[0-9a-f]+\r\n", body)).removesuffix(b"\r\n")
    return _ordered(re.sub(rb"\r\n(Content-Length|Transfer-Encoding): [^\r]*", b"", head)) + b"\r\n\r\n" + body


def _ordered(head: bytes) -> bytes:
    """With its fields in the order of their names: only among those of one name it means anything (RFC 9110 §5.3)."""
    first, *fields = head.rstrip(b"\r\n").split(b"\r\n")
    return b"\r\n".join([first, *sorted(fields, key=lambda field: field.partition(b":")[0].lower())])


def _comparable(head: bytes) -> bytes:
    head = OWN.sub(b"", head)
    head = re.sub(rb"127\.0\.0\.1:\d+", b"HERE", head)
    return re.sub(rb"(?i)request [0-9a-f]{20}", b"request ID", head)


class LikeInlineTests(ReconfiguringCase):
    """One edge has all plugins in its own process, another each in a locked one."""

    def setUp(self) -> None:
        super().setUp()
        self.app: RawOrigin = self.origin(echo("app"))
        self.other: RawOrigin = self.origin(echo("other"))

    def edge(self, isolation: str) -> EdgeProcess:
        """With a route for each plugin."""
        files = {}
        for name, example in EXAMPLES.items():
            manifest = {"name": name, "version": "1.0.0", "enabled": True, **example.more}
            if example.permissions is not None:
                manifest["permissions"] = example.permissions
            files[f"plugins/{name}/plugin.json"] = json.dumps(manifest)
            files[f"plugins/{name}/plugin.py"] = example.code(name)
            for path, content in example.files.items():
                files[f"plugins/{name}/{path}"] = content
        return self.begin(files, self.configuration(isolation))

    def configuration(self, isolation: str) -> str:
        routes = []
        for name in EXAMPLES:
            others = {other: False for other in EXAMPLES if other != name}
            routes.append({"name": name, "host": f"{name}.example", "path": "/", "upstream": "app", "plugins": others})
            off = dict.fromkeys(EXAMPLES, False)
            routes.append({"host": f"{name}.example", "path": "/elsewhere", "upstream": "other", "plugins": off})
        routes.append({"path": "/", "respond": {"body": "hi"}, "plugins": dict.fromkeys(EXAMPLES, False)})
        upstreams = {"app": {"targets": [self.app.url]}, "other": {"targets": [self.other.url]}}
        return f"routes: {json.dumps(routes)}\nupstreams: {json.dumps(upstreams)}\nISOLATION: {isolation}\n"

    def text(self, extra: str = "") -> str:
        extra, _, isolation = extra.partition("ISOLATION: ")
        grants = dict.fromkeys(EXAMPLES, ALL)
        plugins = {
            "directory": "plugins", "settle": 0.15, "isolation": {"*": isolation.strip()} if isolation else {},
            "grants": grants,
        }  # fmt: skip
        quarantine = {"failures": 1000, "share": "100%"}
        return (
            "listeners: [{endpoint: 'tcp:PORT:interface=127.0.0.1'}]\n"
            f"plugins: {json.dumps({**plugins, 'quarantine': quarantine})}\nlogging: {{access: access.log}}\n{extra}"
        )

    def answers(self, edge: EdgeProcess, name: str, example: Example) -> list[bytes]:
        """What a client gets for what it sends."""
        return [self.answer(edge, name, *send) for send in example.sends]

    def answer(self, edge: EdgeProcess, name: str, line: str, fields: str, body: bytes) -> bytes:
        client = self.connect(edge)
        method, _, target = line.partition(" ")
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        head = f"{method} {target} HTTP/1.1\r\nHost: {name}.example\r\nConnection: close\r\n{length}{fields}\r\n"
        client.sendall(head.encode() + body)
        return _whole(_comparable(readAll(client)))

    def test_alike(self) -> None:
        """Whatever the plugin does, the client gets the same."""
        inline, process = self.edge("inline"), self.edge("process")
        different = []
        for name, example in EXAMPLES.items():
            wanted, found = (self.answers(edge, name, example) for edge in (inline, process))
            for send, one, two in zip(example.sends, wanted, found, strict=True):
                if one != two:
                    different.append(f"{name} {send[0]}:\ninline:  {one[:1500]!r}\nprocess: {two[:1500]!r}")
        self.assertEqual(different, [], "\n\n".join(different) + f"\n{process.said()[-6000:]}")
