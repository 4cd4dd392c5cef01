"""
A real Alertmanager, Debian's, is told by a real edge, and tells others.
"""

from __future__ import annotations

import json
import socket
import threading
import urllib.request
from pathlib import Path
from typing import Any

from tests.harness import EdgeCase, EdgeProcess, RawOrigin, freePort, readExactly, readHead
from tests.thorough.servers import Server
from tests.tools import needs

CONFIG = """
route: {receiver: hook, group_wait: 0s, group_interval: 1s, repeat_interval: 1h, group_by: [alertname]}
receivers: [{name: hook, webhook_configs: [{url: "URL", send_resolved: true}]}]
"""

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@needs("prometheus-alertmanager")
class AlertmanagerTests(EdgeCase):
    """It takes what it is sent, tells it, and tells that it is over."""

    def setUp(self) -> None:
        self.told: list[tuple[str, str]] = []
        hook = self.origin(self._heard)
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        (self.folder / "alertmanager.yml").write_text(CONFIG.replace("URL", hook.url))
        self.port = freePort()
        self.alertmanager = self._started()

    def _started(self) -> Server:
        server = Server(self.folder, self.port, [
            "prometheus-alertmanager", "--config.file=alertmanager.yml", f"--storage.path={self.folder}/data",
            f"--web.listen-address=127.0.0.1:{self.port}", "--cluster.listen-address="])
        self.addCleanup(server.end)
        return server

    def _heard(self, peer: socket.socket) -> None:
        """What the Alertmanager tells others."""
        while (head := readHead(peer))[0]:
            length = int(head[0].lower().partition(b"content-length: ")[2].partition(b"\r")[0])
            message = json.loads(head[1] + readExactly(peer, length - len(head[1])))
            for alert in message["alerts"]:
                labels = alert["labels"]
                self.told.append((f"{labels['alertname']} {labels.get('upstream', '')}", alert["status"]))
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    def edge(self) -> tuple[EdgeProcess, RawOrigin]:
        """Before an origin that is to go down; beside the real one there is an Alertmanager that is not there."""
        origin = self.answering(ANSWER)
        urls = f"['http://127.0.0.1:{self.port}', 'http://127.0.0.1:{freePort()}']"
        edge = self.start([], (
            f"upstreams: {{app: {{targets: ['{origin.url}'], max_fails: 1, fail_timeout: 100ms}}}}\n"
            f"alerts: {{receivers: [{{name: ops, alertmanager: {urls}}}], ready_made: false, labels: {{site: fra1}},\n"
            "  rules: [{name: target-down, for: 0}]}\n"))
        return edge, origin

    def _comesBack(self, port: int) -> None:
        """An origin where one was before."""
        listening = socket.create_server(("127.0.0.1", port))
        self.addCleanup(listening.close)

        def accept() -> None:
            while True:
                try:
                    peer, _ = listening.accept()
                except OSError:
                    return
                with peer:
                    while readHead(peer)[0]:
                        peer.sendall(ANSWER)

        threading.Thread(target=accept, daemon=True).start()

    def alerts(self) -> list[Any]:
        """What the Alertmanager knows."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v2/alerts") as answer:
            found: list[Any] = json.load(answer)
        return found

    def test_told(self) -> None:
        """A target that goes down and comes back."""
        edge, origin = self.edge()
        self.assertIn(b"200 OK", self.get(edge)[0])
        origin.close()
        self.until(lambda: b" 502 " in self.get(edge)[0])
        self.until(lambda: ("target-down app", "firing") in self.told, "it is not told")
        (alert,) = self.alerts()
        self.assertEqual(alert["labels"], {
            "alertname": "target-down", "severity": "warning", "site": "fra1", "event": "target-down",
            "upstream": "app", "target": origin.url})
        self.assertEqual(alert["annotations"]["summary"], "A target does not answer")
        self._comesBack(origin.port)
        self.until(lambda: b" 200 " in self.get(edge)[0])
        self.until(lambda: ("target-down app", "resolved") in self.told, "it is not told that it is over")
        self.assertEqual(self.told, [("target-down app", "firing"), ("target-down app", "resolved")])

    def test_away(self) -> None:
        """An Alertmanager that was away is told when it is back, and tells it once."""
        edge, origin = self.edge()
        self.assertIn(b"200 OK", self.get(edge)[0])
        self.alertmanager.end()
        origin.close()
        self.until(lambda: b" 502 " in self.get(edge)[0])
        self.until(lambda: "alert-undelivered" in edge.said(), "that it is away is no event")
        self.alertmanager = self._started()
        self.until(lambda: self.told, "it is not told")
        self.assertEqual(self.told, [("target-down app", "firing")])
