"""docs/admin.md: what it shows on a command line works, and what it says of roles and statuses is so."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from revproxy.admin.role import Role
from revproxy.cli.edgeclient import EdgeClient
from tests.harness import EdgeCase, EdgeProcess, freePort

PAGE = (Path(__file__).parents[2] / "docs" / "admin.md").read_text("utf-8")

CONFIG = """listeners: [{endpoint: 'tcp:PORT:interface=127.0.0.1'}]
routes: [{respond: {body: hi}}]
logging: {access: off}
plugins: {directory: plugins}
admin: {endpoint: 'tcp:ADMIN:interface=127.0.0.1'}
"""

QUOTA = """
from zope.interface import implementer
from revproxy.interfaces import IMiddleware

@implementer(IMiddleware)
class PluginMain:
    name = "quota"
    def __init__(self, config): pass
    def handle(self, context): return True
"""


class AdminPageTests(EdgeCase):
    """The page's examples, on a real edge; where they name another machine, that is this one."""

    def edge(self) -> EdgeProcess:
        self.admin = freePort()
        files: dict[str, str | bytes] = {
            "plugins/quota/plugin.py": QUOTA,
            "plugins/quota/plugin.json": '{"name": "quota", "version": "1.0.0"}',
        }
        edge = self.launch(CONFIG.replace("ADMIN", str(self.admin)), files=files)
        socket = edge.folder / "var" / "control.sock"
        self.until(lambda: socket.exists() or edge.process.poll() is not None)
        self.until(lambda: "audited" in edge.said() or edge.process.poll() is not None)
        self.assertIsNone(edge.process.poll(), edge.said())
        return edge

    def lines(self) -> list[str]:
        blocks = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
        return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]

    def test_commands(self) -> None:
        """Each command is understood; those of curl are answered with JSON, or a stream."""
        edge = self.edge()
        token = ""
        program = Path(sys.executable).parent
        # The page shows how a token ends before it shows how one is used.
        for line in sorted(self.lines(), key=lambda line: "revoke" in line):
            line = line.replace("https://admin.example.com:9900", f"http://127.0.0.1:{self.admin}")
            if line.startswith("export "):
                continue
            if "-N" in shlex.split(line):
                line = f"timeout 2 {line}"
            number = EdgeClient(edge.folder / "var/control.sock").ask("GET", "tokens")["items"]
            line = line.replace("9AoQ8Phn", number[0]["id"] if number else "9AoQ8Phn")
            environment = {**os.environ, "PATH": f"{program}:{os.environ['PATH']}", "NO_PROXY": "*",
                           "REVPROXY_TOKEN": token}
            done = subprocess.run(
                ["sh", "-c", line], cwd=edge.folder, env=environment, capture_output=True, text=True, timeout=120
            )
            said = f"{line}\n{done.stdout}\n{done.stderr}"
            if "token new" in line and "--for-file" not in line:
                token = done.stdout.strip()
            if "rollback" in line:
                self.assertIn('"status":409', done.stdout, said)  # there is no earlier version here
            elif line.startswith("timeout"):
                self.assertIn("retry: ", done.stdout, said)
            elif "curl" in line:
                self.assertRegex(done.stdout, r'^\{"(items|text)":', said)
            else:
                self.assertEqual(done.returncode, 0, said)
        self.assertTrue(token)

    def test_roles(self) -> None:
        """All roles are there, in their order."""
        table = PAGE[PAGE.index("| role | may |"):].split("\n\n")[0]
        self.assertEqual(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE), [str(role) for role in Role])
