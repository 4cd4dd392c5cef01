"""What a plugin keeps outlives swaps and the edge, however that ends."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from tests.harness import EdgeCase, EdgeProcess

CODE = """
from zope.interface import implementer
from revproxy.interfaces import IHosted, IMiddleware

@implementer(IMiddleware, IHosted)
class PluginMain:
    name = "count"
    def __init__(self, config): pass
    def attach(self, host):
        self.host = host
    async def handle(self, context):
        count = await self.host.store.get("count", 0) + 1
        await self.host.store.set("count", count)
        return context.respond(200, f"{count} VERSION")
"""


class StoreTests(EdgeCase):
    """A plugin that counts requests in its store."""

    def begin(self, folder: Path) -> EdgeProcess:
        """An edge with this state folder."""
        edge = self.launch(
            "listeners: [{endpoint: 'tcp:PORT:interface=127.0.0.1'}]\nroutes: [{respond: {body: hello}}]\n"
            f"plugins: {{directory: plugins}}\nstate: {folder}\n",
            files={"plugins/count/plugin.json": json.dumps({"name": "count", "version": "1"}),
                   "plugins/count/plugin.py": CODE.replace("VERSION", "first")},
        )  # fmt: skip
        self.until(lambda: "listening on" in edge.said())
        return edge

    def test_survives(self) -> None:
        """A swap, SIGKILL in the middle of service, and an ordinary end: no request that was answered is forgotten."""
        state = Path(self.mktemp()).absolute()
        edge = self.begin(state)
        for number in (1, 2, 3):
            self.assertEqual(self.get(edge)[1], f"{number} first".encode())
        (edge.folder / "plugins" / "count" / "plugin.py").write_text(CODE.replace("VERSION", "second"))
        answers = [b"3 first"]
        self.until(lambda: answers.append(self.get(edge)[1]) or answers[-1].endswith(b"second"))
        self.assertEqual([int(answer.split()[0]) for answer in answers], list(range(3, 3 + len(answers))))
        edge.process.send_signal(signal.SIGKILL)
        edge.status()
        count = int(answers[-1].split()[0])
        edge = self.begin(state)
        self.assertEqual(self.get(edge)[1], f"{count + 1} first".encode())
        edge.terminate()
        self.assertEqual(edge.status(), 0)
        edge = self.begin(state)
        self.assertEqual(self.get(edge)[1], f"{count + 2} first".encode())
