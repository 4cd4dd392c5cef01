"""Processes that begin where others have ended."""

from __future__ import annotations

from pathlib import Path

from tests.behaviour.test_stoppingLosesNothing import plugin
from tests.harness import EdgeCase, EdgeProcess


class RestartTests(EdgeCase):
    """Two edges, one after the other, with one state folder."""

    def begin(self, start: str) -> EdgeProcess:
        """:param start: what the plugin's ``start`` does."""
        config = (
            "listeners: [{endpoint: 'tcp:PORT:interface=127.0.0.1'}]\nroutes: [{respond: {body: hello}}]\n"
            f"plugins: {{directory: plugins}}\nstate: {self.state}\n"
        )
        return self.launch(config, files=plugin(start))

    def test_stoppedWhileStarting(self) -> None:
        """Told to stop while a plugin's new version starts, the second starts no older one in its place, and listens
        no more."""
        self.state = Path(self.mktemp()).absolute()
        edge = self.begin("print('the old one starts', flush=True)")
        self.until(lambda: "listening on" in edge.said())
        self.until((self.state / "plugins.json").exists)
        edge.terminate()
        self.assertEqual(edge.status(), 0, edge.said())
        edge = self.begin("print('the new one starts', flush=True); return Deferred()")
        self.until(lambda: "the new one starts" in edge.said())
        edge.terminate()
        self.assertEqual(edge.status(), 0, edge.said())
        self.assertNotIn("the old one starts", edge.said())
        self.assertNotIn("listening on", edge.said())
