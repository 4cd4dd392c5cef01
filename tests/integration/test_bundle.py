"""A support archive of a real edge, into which secrets were planted in every way there is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.cli.test_bundlecommand import contents
from tests.harness import EdgeCase, freePort

CONFIG = """
listeners: [{{endpoint: "tcp:PORT:interface=127.0.0.1", trusted_proxies: [127.0.0.1]}}]
routes: [{{respond: {{body: hello}}, name: all}}]
plugins:
  directory: plugins
  config:
    keeper:
      key: {{$env: BUNDLE_KEY}}
      other: {{$file: secret.txt}}
      api_key: Planted-plain-text
metrics: {{endpoint: "tcp:{port}:interface=127.0.0.1"}}
logging: {{access: access.log}}
"""

PLUGIN = """
from zope.interface import implementer

from revproxy.interfaces import IMiddleware


@implementer(IMiddleware)
class PluginMain:
    name = "keeper"

    def __init__(self, config):
        self.config = config

    def handle(self, context):
        if context.request.path == "/fails":
            raise ValueError(" ".join(self.config.values()))
        return True
"""

PLANTED = ("Planted-env-value", "Planted-file-value", "Planted-plain-text", "Planted-query", "Planted-header",
           "Planted-cookie")  # fmt: skip
ADDRESS = "203.0.113.77"


class BundleTests(EdgeCase):
    """One edge that was given secrets."""

    def setUp(self) -> None:
        os.environ["BUNDLE_KEY"] = PLANTED[0]
        self.addCleanup(os.environ.pop, "BUNDLE_KEY")
        manifest = json.dumps({"name": "keeper", "version": "1.0.0", "on_error": "open"})
        files: dict[str, str | bytes] = {
            "secret.txt": PLANTED[1],
            "plugins/keeper/plugin.json": manifest,
            "plugins/keeper/plugin.py": PLUGIN,
        }
        self.edge = self.launch(CONFIG.format(port=freePort()), files=files)
        self.until(lambda: self.edge.said().count("listening on") == 2 or self.edge.process.poll() is not None)
        self.assertIsNone(self.edge.process.poll(), self.edge.said())

    def bundle(self, *options: str) -> dict[str, str]:
        """What is in the archive."""
        path = Path(self.edge.folder, f"{len(options)}.tar.gz")
        command = [sys.executable, "-m", "revproxy.cli", "bundle", "-o", str(path), *options]
        done = subprocess.run(command, cwd=self.edge.folder, capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return contents(path)

    def test_planted(self) -> None:
        """Nothing of what was planted is in it, whatever the edge and the plugin say of it; all else is."""
        fields = f"Authorization: Bearer {PLANTED[4]}\r\nCookie: a={PLANTED[5]}\r\nX-Forwarded-For: {ADDRESS}\r\n"
        for path in ("/", "/fails", f"/?token={PLANTED[3]}"):
            self.get(self.edge, path, fields)
        found = self.bundle()
        for name, text in found.items():
            for planted in (*PLANTED, ADDRESS):
                self.assertNotIn(planted, text, name)
        names = {"CONTENTS.txt", "alerts.json", "certificates.json", "config.json", "doctor.json", "events.json",
                 "history.json", "metrics.txt", "plan.json", "plugins.json", "requests.json", "status.json",
                 "upstreams.json", "versions.json"}  # fmt: skip
        self.assertEqual(set(found), names)
        self.assertIn("http_server_request_duration_seconds_count", found["metrics.txt"])
        self.assertIn("***", found["config.json"])
        requests = json.loads(found["requests.json"])["items"]
        self.assertEqual([each["target"] for each in reversed(requests)], ["/", "/fails", "/?***"])
        self.assertIn("ValueError", found["plugins.json"])
        self.assertIn(ADDRESS, self.bundle("--clients")["requests.json"])
