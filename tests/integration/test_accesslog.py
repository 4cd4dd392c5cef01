"""
The access log of a running ``twistd revproxy``: complete, rotated, and on a disk that is full.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.harness import PATIENCE, freePort


class AccessLogTests(SynchronousTestCase):
    """
    Requests are answered by the edge itself; there is no origin.
    """

    def start(self, access: str) -> None:
        """
        An edge whose access log goes there, connected to.
        """
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        port = freePort()
        config = self.folder / "revproxy.yaml"
        config.write_text(
            f"listeners: [{{endpoint: 'tcp:{port}:interface=127.0.0.1'}}]\n"
            "routes: [{name: fixed, respond: {body: hello}}]\n"
            f"logging: {{access: {access}, format: json}}\n"
        )
        twistd = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()", "--pidfile=", "-n"]
        with (self.folder / "edge.log").open("wb") as log:
            command = [*twistd, "revproxy", "--config", str(config)]
            self.edge = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log)
        self.addCleanup(self.end)
        deadline = time.monotonic() + PATIENCE
        while self.edge.poll() is None and time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.02)
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        self.addCleanup(self.connection.close)

    def end(self) -> int:
        """
        The exit status after SIGTERM.
        """
        self.edge.terminate()
        try:
            return self.edge.wait(PATIENCE)
        finally:
            self.edge.kill()
            self.edge.wait()

    def ask(self, target: str) -> None:
        """
        One request, answered.
        """
        self.connection.request("GET", target)
        self.assertEqual(self.connection.getresponse().read(), b"hello")

    def targets(self, name: str) -> list[str]:
        """
        What the lines of a file are about, in order.
        """
        return [json.loads(line)["target"] for line in (self.folder / name).read_bytes().splitlines()]

    def test_complete(self) -> None:
        """
        After the end there is a line for each request, the last one included.
        """
        self.start("access.log")
        asked = [f"/{number}" for number in range(500)]
        for target in asked:
            self.ask(target)
        self.assertEqual(self.end(), 0)
        self.assertEqual(self.targets("access.log"), asked)

    def test_rotated(self) -> None:
        """
        After a rename and SIGUSR1 a new file is begun; the request from before is in the old one.
        """
        self.start("access.log")
        self.ask("/before")
        (self.folder / "access.log").rename(self.folder / "access.log.1")
        self.edge.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + PATIENCE
        while not (self.folder / "access.log").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        self.ask("/after")
        self.assertEqual(self.end(), 0)
        self.assertEqual(self.targets("access.log.1"), ["/before"])
        self.assertEqual(self.targets("access.log"), ["/after"])

    def test_full(self) -> None:
        """
        A full disk costs lines, and nothing else: requests are answered, the end is in time and clean.
        """
        self.start("/dev/full")
        for number in range(500):
            self.ask(f"/{number}")
        begun = time.monotonic()
        self.assertEqual(self.end(), 0)
        self.assertLess(time.monotonic() - begun, PATIENCE / 2)
        log = (self.folder / "edge.log").read_text()
        self.assertEqual(log.count("No space left on device"), 1, log)
        self.assertIn("500 lines were lost", log)

    if not os.path.exists("/dev/full"):
        test_full.skip = "no /dev/full here"  # type: ignore[attr-defined]
