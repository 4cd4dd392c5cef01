"""
Schemathesis over the admin API of a real edge: what the description says is asked in all ways that it allows, and in
some that it does not, and what is answered is compared with it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from urllib.request import Request, urlopen

from revproxy.cli.edgeclient import EdgeClient
from tests.harness import EdgeCase, EdgeProcess, freePort

CONFIG = """listeners: [{endpoint: 'tcp:PORT:interface=127.0.0.1'}]
upstreams: {app: {targets: ['http://127.0.0.1:1', 'http://127.0.0.1:2']}}
routes: [{path: /up, upstream: app}, {respond: {body: hi}}]
logging: {access: off}
plugins: {directory: plugins}
admin: {endpoint: 'tcp:ADMIN:interface=127.0.0.1'}
"""

PLUGIN = """
from zope.interface import implementer
from revproxy.interfaces import IMiddleware

@implementer(IMiddleware)
class PluginMain:
    name = "hello"
    def __init__(self, config): pass
    def handle(self, context): return True
"""

MANIFEST = '{"name": "hello", "version": "1.0.0"}'

SEMANTIC = ("listRequests", "getTraffic", "silenceAlerts", "rehearseRequest", "verifyAuditRecords", "record")
"""
Operations that read a text which no schema describes: an address, a URL, a matcher, a share of 100 % at most. They may
refuse what fits it; so may those that say that they do (412, 422, 428).
"""

SETTINGS = """
[checks]
negative_data_rejection.expected-statuses = [
    "400", "401", "403", "404", "405", "406", "409", "413", "415", "421", "422", "428", "429", "431", "5xx",
]

[[operations]]
include-operation-id-regex = "{semantic}"
checks.positive_data_acceptance.enabled = false
"""


class FuzzCase(EdgeCase):
    """Asks an edge that nobody else needs."""

    def fuzz(self, examples: int, phases: str = "coverage,fuzzing") -> None:
        """
        No failure is found, and the edge is as well as before.

        :param examples: for each operation.
        """
        port = freePort()
        files: dict[str, str | bytes] = {"plugins/hello/plugin.py": PLUGIN, "plugins/hello/plugin.json": MANIFEST}
        edge = self.launch(CONFIG.replace("ADMIN", str(port)), files=files)
        socket = edge.folder / "var" / "control.sock"
        self.until(lambda: socket.exists() or edge.process.poll() is not None)
        self.assertIsNone(edge.process.poll(), edge.said())
        self.until(lambda: "admin: listening on" in edge.said())
        for path in ("/", "/up", "/a?b=c"):
            self.get(edge, path)
        token = EdgeClient(socket).ask("POST", "tokens", body={"name": "fuzz", "role": "admin"})["token"]
        self.describe(edge, port, token)
        self.run_(edge, port, token, examples, phases)
        self.assertEqual(EdgeClient(socket).ask("GET", "session")["role"], "admin")
        self.assertIn(b"hi", self.get(edge)[1])
        said = edge.said()
        for mistake in ("admin API: ", "Unhandled"):  # that a plugin does not take a configuration is none of ours
            if mistake in said:
                self.fail(said[said.index(mistake) :][:3000])
        edge.terminate()
        self.assertEqual(edge.status(), 0)

    def describe(self, edge: EdgeProcess, port: int, token: str) -> None:
        """Have the description in a file: there its own server is not asked for it."""
        request = Request(f"http://127.0.0.1:{port}/openapi.json", headers={"Authorization": f"Bearer {token}"})
        with urlopen(request, timeout=60) as answer:
            document = json.load(answer)
        (edge.folder / "openapi.json").write_text(json.dumps(document))
        ways = [way for place in document["paths"].values() for way in place.values()]
        semantic = {way["operationId"] for way in ways if way["responses"].keys() & {"412", "422", "428"}} | {*SEMANTIC}
        (edge.folder / "schemathesis.toml").write_text(SETTINGS.format(semantic=f"^({'|'.join(semantic)})$"))

    def run_(self, edge: EdgeProcess, port: int, token: str, examples: int, phases: str) -> None:
        command = [
            sys.executable, "-m", "schemathesis.cli", "run", "openapi.json", "--url", f"http://127.0.0.1:{port}",
            "--header", f"Authorization: Bearer {token}", "--max-examples", str(examples), "--phases", phases,
            # Streams do not end. That bad credentials are refused everywhere is another test's business: here they are
            # so many that they are answered 429.
            "--exclude-operation-id-regex", "^stream", "--exclude-checks", "ignored_auth",
            "--generation-database", "none", "--request-timeout", "60", "--warnings", "off", "--no-color",
            "--suppress-health-check", "all",
        ]  # fmt: skip
        done = subprocess.run(command, cwd=edge.folder, capture_output=True, text=True, timeout=3600)
        lines = [line[:400] for line in (done.stdout + done.stderr).splitlines()]
        self.assertEqual(done.returncode, 0, "\n".join(lines[-200:]))
