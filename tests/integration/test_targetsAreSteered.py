"""
Targets that are drained and weighed by the commands of a real edge, under traffic, over a restart.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from revproxy.cli.main import main
from tests.harness import PATIENCE, EdgeCase, EdgeProcess, RawOrigin, readAll, readHead

CONFIG = """\
listeners: [{endpoint: 'tcp:PORT:interface=127.0.0.1'}]
upstreams: {app: {targets: [FIRST, SECOND], max_fails: 1, fail_timeout: 0.2}}
logging: {access: access.log}
"""


class SteeredTests(EdgeCase):
    """Two origins, which say who they are."""

    def setUp(self) -> None:
        self.addCleanup(os.chdir, os.getcwd())
        self.first, self.second = self.named(b"first"), self.named(b"second")
        self.config = CONFIG.replace("FIRST", self.first.url).replace("SECOND", self.second.url)
        self.edge = self.started()

    def named(self, name: bytes) -> RawOrigin:
        """An origin with a name."""
        return self.answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(name), name))

    def started(self) -> EdgeProcess:
        """An edge that serves."""
        edge = self.launch(self.config)
        self.until(lambda: (edge.folder / "var" / "control.sock").exists() and "listening on" in edge.said())
        os.chdir(edge.folder)
        self.until(lambda: self.get(edge)[0].startswith(b"HTTP/1.1 200"))
        return edge

    def command(self, *arguments: str, status: int = 0) -> str:
        """What a command prints."""
        result = CliRunner().invoke(main, [*arguments])
        self.assertEqual(result.exit_code, status, result.output)
        return str(result.output)

    def targets(self) -> dict[str, Any]:
        """What the edge tells of both, by name."""
        [app] = json.loads(self.command("upstreams", "--json"))
        return dict(zip(("first", "second"), app["targets"], strict=True))

    def answering_(self, count: int = 8) -> set[bytes]:
        """Who answers so many requests."""
        return {self.get(self.edge)[1] for _ in range(count)}

    def test_drained(self) -> None:
        """New requests go elsewhere, and the running one ends well."""
        release, heard = threading.Event(), threading.Event()

        def handle(peer: socket.socket) -> None:
            if readHead(peer)[0]:
                heard.set()
                release.wait(PATIENCE)
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")

        slow = self.origin(handle)
        path = Path("revproxy.yaml")
        path.write_text(path.read_text().replace(self.first.url, slow.url))
        self.command("reload")
        clients = [self.connect(self.edge) for _ in range(2)]
        for client in clients:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        self.until(heard.is_set)
        self.command("drain", "app", slow.url, "--reason", "new disk")
        self.assertEqual(self.answering_(), {b"second"})
        target = self.targets()["first"]
        self.assertEqual((target["state"], target["in_flight"]), ("drained", 1))
        self.assertEqual(target["drained"]["reason"], "new disk")
        self.assertIn("with force", self.command("drain", "app", self.second.url, status=1))
        release.set()
        self.assertIn(b"slow", b"".join(readAll(client) for client in clients))
        self.until(lambda: self.targets()["first"]["in_flight"] == 0)

    def test_overRestart(self) -> None:
        """A restart keeps what was said; what is taken back is."""
        self.command("drain", "app", self.first.url, "--for", "1h")
        self.command("weight", "app", self.second.url, "7")
        self.until(lambda: len(json.loads(Path("var/targets.json").read_text())) == 2)
        self.edge.terminate()
        self.assertEqual(self.edge.status(), 0)
        folder = self.edge.folder
        self.edge = EdgeProcess(folder, self.edge.port, ["--config", "revproxy.yaml"])
        self.addCleanup(self.edge.kill)
        self.until(lambda: "listening on" in self.edge.said() and self.isThere())
        self.assertEqual(self.answering_(), {b"second"})
        targets = self.targets()
        self.assertEqual((targets["first"]["state"], targets["second"]["weight"]), ("drained", 7))
        self.command("undrain", "app", self.first.url)
        self.command("weight", "app", self.second.url)
        self.assertEqual(self.answering_(), {b"first", b"second"})

    def isThere(self) -> bool:
        """Whether the edge can be asked."""
        return CliRunner().invoke(main, ["upstreams"]).exit_code == 0

    def test_downAndUp(self) -> None:
        """A target that is gone is an event, and shown as down; so it is when it is back."""
        port = self.first.port
        self.first.close()
        self.until(lambda: self.get(self.edge) and self.targets()["first"]["state"] == "down")
        self.assertIn("efused", self.targets()["first"]["last_failure"]["text"])
        kinds = [event["kind"] for event in json.loads(self.command("events", "-n", "100", "--json"))]
        self.assertIn("target-down", kinds)
        self.assertEqual(self.answering_(), {b"second"})
        self.assertGreater(port, 0)
