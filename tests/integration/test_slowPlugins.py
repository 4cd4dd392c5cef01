"""A plugin that blocks on every call, below its time-out: told once, and taken out where that was asked for."""

from __future__ import annotations

from typing import Any

from tests.harness import EdgeCase

CODE = """
import time
from zope.interface import implementer
from revproxy.interfaces import IMiddleware

@implementer(IMiddleware)
class PluginMain:
    name = "slow"
    def __init__(self, config): pass
    def handle(self, context):
        time.sleep(0.3)
        return True
"""


class SlowPluginTests(EdgeCase):
    """One plugin, asked again and again."""

    def test_takenOut(self) -> None:
        """There is one event with rate, time and share; with the next configuration the plugin is out, and 503."""
        edge = self.start(
            [], "upstreams: {}\nroutes: [{respond: {body: hello}}]\n"
            "plugins: {directory: plugins, quarantine: {window: 4s}}\n",
            files={"plugins/slow/plugin.json": '{"name": "slow", "version": "1.0"}', "plugins/slow/plugin.py": CODE},
        )  # fmt: skip

        def asked(word: str) -> Any:
            return self.get(edge)[0] and f" {word}" in edge.said()

        self.until(lambda: asked("slow-plugin: "))
        for _ in range(5):
            self.assertTrue(self.get(edge)[0].startswith(b"HTTP/1.1 200 "))
        said = edge.said()
        self.assertEqual(said.count("slow-plugin: "), 1)
        self.assertLessEqual(said.count(" stalled: "), 1)
        self.assertRegex(said, r"slow-plugin: \d\S* calls a second held the event loop for 0\.3\d s each, \d+% of \d s")
        path = edge.folder / "revproxy.yaml"
        path.write_text(path.read_text().replace("window: 4s", "window: 4s, loop_share: 20%"))
        self.until(lambda: asked("quarantined: "))
        self.until(lambda: self.get(edge)[0].startswith(b"HTTP/1.1 503 "))
