"""Plugins whose code does not come back, in every place where it is called outside of requests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.harness import PATIENCE, EdgeProcess
from tests.integration.test_reconfiguring import ReconfiguringCase, plugin

HANGS = """
from zope.interface import implementer
from revproxy.interfaces import IHealthCheck, ILifecycle, IMiddleware

@implementer(IMiddleware, ILifecycle, IHealthCheck)
class Hangs:
    name = "says"
    def handle(self, context):
        return True
    def start(self):
        hang("start")
    def stop(self):
        pass
    def checkHealth(self):
        hang("checkHealth")

def hang(where):
    while where == WHERE:
        pass

hang("import")

def PluginMain(config):
    hang("PluginMain")
    return Hangs()
"""
MANIFEST = json.dumps({"name": "says", "version": "1.0.0"})


def hanging(where: str) -> str:
    """Code that hangs there."""
    return f"WHERE = {where!r}\n{HANGS}"


class HangingTests(ReconfiguringCase):
    """Pure Python that never ends is ended; the version that ran runs on."""

    def begun(self) -> EdgeProcess:
        return self.begin({"plugins/says/plugin.json": MANIFEST, "plugins/says/plugin.py": plugin("'one'")})

    def test_whileServing(self) -> None:
        """In start and checkHealth of a new version: ended after seconds, refused with the line; requests go on."""
        edge = self.begun()
        for where in ("start", "checkHealth"):
            (edge.folder / "plugins/says/plugin.py").write_text(hanging(where))
            reason = f"{where} held the reactor for more than 5 s"
            self.until(lambda reason=reason: reason in edge.said(), edge.said())  # type: ignore[misc]
            self.assertEqual(self.says(edge), "one")

    def test_atRestart(self) -> None:
        """At import and in start when the edge begins again: what ran before runs, and why is said."""
        edge = self.begun()
        edge.terminate()
        self.assertEqual(edge.status(), 0)
        for where in ("import", "start"):
            (edge.folder / "plugins/says/plugin.py").write_text(hanging(where))
            again = EdgeProcess(edge.folder, edge.port, ["--config", "revproxy.yaml"])
            self.addCleanup(again.kill)
            self.until(lambda again=again: "listening on" in again.said(), again.said())  # type: ignore[misc]
            self.assertEqual(self.says(again), "one")
            self.assertIn("refused", again.said())
            again.process.send_signal(signal.SIGTERM)
            self.assertEqual(again.status(), 0)

    def test_check(self) -> None:
        """revproxy check says it, too."""
        folder = Path(self.mktemp()).absolute()
        (folder / "plugins/says").mkdir(parents=True)
        (folder / "plugins/says/plugin.json").write_text(MANIFEST)
        (folder / "plugins/says/plugin.py").write_text(hanging("PluginMain"))
        (folder / "revproxy.yaml").write_text(self.text().replace("PORT", "1"))
        done = subprocess.run(
            [sys.executable, "-m", "revproxy.cli.main", "check"], cwd=folder, capture_output=True, text=True,
            timeout=PATIENCE, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("PluginMain raised PluginStalled: it did not come back within 5 s", done.stdout)
