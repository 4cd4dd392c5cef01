"""A real edge tells a real receiver, also after it was killed."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
from typing import Any

from standardwebhooks import Webhook

from tests.harness import EdgeCase, EdgeProcess, RawOrigin, readExactly, readHead

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
OK = b"HTTP/1.1 204 No Content\r\n\r\n"


class AlertTests(EdgeCase):
    """With a pager that a function speaks for."""

    def setUp(self) -> None:
        self.heard: list[tuple[str, str]] = []
        self.pager = self.origin(self._page)

    def _page(self, peer: socket.socket) -> None:
        head, rest = readHead(peer)
        fields = {name.lower(): text for name, _, text in (
            line.partition(": ") for line in head.decode().split("\r\n")[1:-2])}
        body = rest + readExactly(peer, int(fields["content-length"]) - len(rest))
        data: Any = Webhook(SECRET).verify(body, fields)
        self.heard += [(alert["labels"]["alertname"], alert["status"]) for alert in data["data"]["alerts"]]
        peer.sendall(OK)

    def edge(self, rules: str, origin: RawOrigin) -> EdgeProcess:
        return self.start([origin], (
            f"alerts:\n  receivers: [{{name: pager, webhook: '{self.pager.url}/x', secret: {SECRET}}}]\n"
            f"  ready_made: false\n  group_wait: 0\n  group_interval: 10s\n  rules: {rules}\n"))

    def test_target(self) -> None:
        """A target that is gone is told, once, though many requests find out."""
        origin = self.answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        edge = self.edge("[{name: target-down, for: 0}, {name: errors, when: error_share > 50%, over: 10s, for: 0}]",
                         origin)
        self.get(edge)
        origin.close()
        wanted = {("target-down", "firing"), ("errors", "firing")}
        self.until(lambda: self.get(edge) and wanted <= set(self.heard))
        self.assertEqual(len(self.heard), 2)

    def test_refused(self) -> None:
        """So is a revproxy.yaml that is refused, and that it is in order again; a rule is refused with its line."""
        edge = self.edge("[{name: refused, for: 0}]", self.answering(OK))
        path = edge.folder / "revproxy.yaml"
        good = path.read_text()
        path.write_text(good.replace("name: refused, for: 0", "name: a, on: nothing"))
        self.until(lambda: ("refused", "firing") in self.heard)
        self.assertIn('$.alerts.rules[0].on: no event is named "nothing"', edge.said())
        path.write_text(good)
        self.until(lambda: ("refused", "resolved") in self.heard)
        self.assertEqual(self.heard, [("refused", "firing"), ("refused", "resolved")])

    def test_killed(self) -> None:
        """An edge that was killed is told of by the next one; and one that ended in order is told of as such."""
        origin = self.answering(OK)
        edge = self.edge("[{name: crash}, {name: restart}]", origin)
        self.until(lambda: (edge.folder / "var" / "alerts.json").exists())
        self.assertIs(json.loads((edge.folder / "var" / "alerts.json").read_text())["isRunning"], True)
        edge.process.send_signal(signal.SIGKILL)
        edge.status()
        second = self._again(edge)
        self.until(lambda: ("crash", "firing") in self.heard)
        second.terminate()
        self.assertEqual(second.status(), 0)
        self._again(edge)
        self.until(lambda: ("restart", "firing") in self.heard)
        # One that was heard, and whose answer came too late for the end of the edge, is told once more.
        self.assertEqual(list(dict.fromkeys(self.heard)), [("crash", "firing"), ("restart", "firing")])
        self.assertLessEqual(self.heard.count(("crash", "firing")), 2)
        self.assertEqual(self.heard.count(("restart", "firing")), 1)

    def _again(self, edge: EdgeProcess) -> EdgeProcess:
        again = EdgeProcess(edge.folder, edge.port, ["--config", "revproxy.yaml"])
        self.addCleanup(again.kill)
        self.until(lambda: "listening on" in again.said() or again.process.poll() is not None)
        self.assertIsNone(again.process.poll(), again.said())
        return again

    def test_silentReceiver(self) -> None:
        """A receiver that accepts and never answers holds no request, nor the end of the edge."""
        silent: list[bytes] = []

        def accepts(peer: socket.socket) -> None:
            silent.append(peer.recv(65536))
            while peer.recv(65536):
                pass

        self.pager = self.origin(accepts)
        edge = self.edge("[{name: a, when: rate < 100000, of: edge, over: 10s}]", self.answering(OK))
        self.until(lambda: silent)
        for _ in range(20):
            self.assertIn(b" 204 ", self.get(edge)[0])
        edge.terminate()
        self.assertEqual(edge.status(), 0)
        self.assertTrue(os.path.exists(edge.folder / "var" / "alerts.json"))
