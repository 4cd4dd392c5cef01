"""
A real edge sends spans to a real receiver; a receiver that never answers delays neither requests nor the end.
"""

from __future__ import annotations

import socket
import time

from tests.control.traces.receiver import Receiver, attributesOf
from tests.harness import EdgeCase, readHead

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class ExportTests(EdgeCase):
    """An edge before one origin."""

    def receiver(self, status: int = 200) -> Receiver:
        """One that ends with the test."""
        receiver = Receiver(status)
        self.addCleanup(receiver.close)
        return receiver

    def traces(self, receiver: Receiver) -> str:
        """The section of the configuration."""
        return f"traces: {{otlp: '{receiver.url}', sample: 100%}}\nlogging: {{access: access.log, remember: 0}}\n"

    def test_sent(self) -> None:
        """Trace ids of access log, origin and receiver are the same; so is the span that the origin was told."""
        receiver = self.receiver()
        heard: list[bytes] = []

        def answer(peer: socket.socket) -> None:
            while head := readHead(peer)[0]:
                heard.append(head)
                peer.sendall(OK)

        origin = self.origin(answer)
        running = self.launch(
            "listeners: [{endpoint: 'tcp:PORT:interface=127.0.0.1'}]\n"
            f"upstreams: {{app: {{targets: ['{origin.url}']}}}}\n" + self.traces(receiver)
        )
        self.until(lambda: "listening on" in running.said())
        self.until(lambda: self.get(running, "/a?token=s3cret")[1] == b"ok")
        self.until(lambda: len(receiver.spans) >= 2)
        line = self.recordOf(running, "/a?token=s3cret")
        spans = [span for _, span in receiver.spans if span.trace_id.hex() == line["trace_id"]]
        server, client = sorted(spans, key=lambda span: span.kind)
        self.assertEqual((server.name, client.parent_span_id), ("GET /", server.span_id))
        self.assertEqual(attributesOf(server)["revproxy.request_id"], line["id"])
        self.assertIn(f"00-{line['trace_id']}-{client.span_id.hex()}-03".encode(), b"".join(heard))
        self.assertNotIn("s3cret", repr(receiver.spans))

    def test_silentReceiver(self) -> None:
        """Requests are answered as ever, and the edge ends within seconds."""
        receiver = self.receiver(0)
        edge = self.launch(
            "listeners: [{endpoint: 'tcp:PORT:interface=127.0.0.1'}]\nroutes: [{respond: {body: ok}}]\n"
            + self.traces(receiver)
        )
        self.until(lambda: "listening on" in edge.said())
        self.until(lambda: self.get(edge)[1] == b"ok")
        self.until(lambda: receiver.requests)
        slowest = 0.0
        for _ in range(20):
            began = time.monotonic()
            self.assertEqual(self.get(edge)[1], b"ok")
            slowest = max(slowest, time.monotonic() - began)
        self.assertLess(slowest, 2.0)
        began = time.monotonic()
        edge.terminate()
        self.assertEqual(edge.status(), 0)
        self.assertLess(time.monotonic() - began, 10.0)
