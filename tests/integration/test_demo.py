"""
What ``make run`` does, with real processes on loopback.
"""

from __future__ import annotations

import os
import queue
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.cli.edgeclient import EdgeClient, Refused
from tests.harness import PATIENCE, freePort

ROOT = Path(__file__).parents[2]


class DemoTests(SynchronousTestCase):
    """
    One demo, from its start to its end.
    """

    def setUp(self) -> None:
        base = Path(self.mktemp()).absolute()
        self.plugins = base / "plugins"
        shutil.copytree(ROOT / "plugins", self.plugins, ignore=shutil.ignore_patterns("__pycache__"))
        self.http, self.https = freePort(), freePort()
        self.admin = freePort()
        ports = ["--http", str(self.http), "--https", str(self.https), "--origin", "0", "--admin", str(self.admin)]
        self.state = base / "var"
        folders = ["--plugins", str(self.plugins), "--state", str(self.state)]
        command = [sys.executable, "-m", "revproxy.demo.run", *ports, *folders]
        self.demo = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(self.end)
        self.seen: list[str] = []
        self.lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self) -> None:
        """
        In a thread: what the demo prints.
        """
        assert self.demo.stdout is not None
        with self.demo.stdout as stream:
            for line in stream:
                self.lines.put(line)

    def end(self, number: int = signal.SIGTERM) -> int:
        """
        The exit status after a signal.
        """
        self.demo.send_signal(number)
        try:
            return self.demo.wait(PATIENCE)
        finally:
            self.demo.kill()
            self.demo.wait()

    def awaitLine(self, text: str) -> None:
        """
        Read on until a line has this text.
        """
        while True:
            try:
                self.seen.append(self.lines.get(timeout=PATIENCE))
            except queue.Empty:
                raise AssertionError(f"no {text!r} in:\n{''.join(self.seen)}") from None
            if text in self.seen[-1]:
                return

    def get(self, url: str) -> str:
        """
        The page; whoever signed the certificate.
        """
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        handlers = (urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
        with urllib.request.build_opener(*handlers).open(url, timeout=PATIENCE) as answer:
            return str(answer.read().decode())

    def awaitPage(self, url: str, text: str) -> None:
        """
        Ask until the page has this text.
        """
        ends = time.monotonic() + PATIENCE
        while text not in (page := self.get(url)):
            if time.monotonic() > ends:
                self.fail(f"no {text!r} in:\n{page}")
            time.sleep(0.02)

    def test_demo(self) -> None:
        """
        Pages come over HTTP and HTTPS through the plugins; an edited plugin is served by the same process, a broken one
        is not served; Ctrl-C ends everything.
        """
        self.awaitLine("The edge runs.")
        urls = [f"http://127.0.0.1:{self.http}/", f"https://127.0.0.1:{self.https}/"]
        for url in urls:
            self.assertIn("served through revproxy", self.get(url))
        process = (self.state / "lock").read_text()

        manifest = self.plugins / "html-banner" / "plugin.json"
        text = manifest.read_text()
        manifest.write_text(text.replace("served through revproxy", "edited"))
        self.awaitPage(urls[0], '<p class="banner">edited</p>')

        manifest.write_text("{")
        self.awaitLine("plugin.json:1:2: not JSON")
        self.assertIn('<p class="banner">edited</p>', self.get(urls[0]))
        self.assertEqual((self.state / "lock").read_text(), process)

        self.assertEqual(self.end(signal.SIGINT), 0)
        self.assertRaises(OSError, self.get, urls[0])

    def test_edgeEnds(self) -> None:
        """
        Without an edge there is no demo.
        """
        self.awaitLine("The edge runs.")
        os.kill(int((self.state / "lock").read_text()), signal.SIGKILL)
        self.awaitLine("The edge has ended with status -9")
        self.assertEqual(self.demo.wait(PATIENCE), 1)

    def test_hangUp(self) -> None:
        """
        When the terminal is closed the edge ends, too.
        """
        self.awaitLine("The edge runs.")
        self.assertEqual(self.end(signal.SIGHUP), 0)
        self.assertRaises(OSError, self.get, f"http://127.0.0.1:{self.http}/")

    def test_dashboard(self) -> None:
        """
        The address of the dashboard that it prints signs in, once.
        """
        self.awaitLine("#login=")
        url, _, code = self.seen[-1].split()[-1].partition("#login=")
        self.assertEqual(url, f"http://127.0.0.1:{self.admin}/")
        client = EdgeClient(url)
        self.assertEqual(client.ask("POST", "session", body={"code": code})["role"], "admin")
        self.assertEqual(self.assertRaises(Refused, client.ask, "POST", "session", body={"code": code}).status, 401)
