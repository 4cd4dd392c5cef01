"""The state folder is deleted under an edge that runs, in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.harness import EdgeProcess, freePort
from tests.service.test_foreground import RunCase

MANIFEST = '{"name": "a", "version": "VERSION", "entry_point": "PluginMain"}'
CODE = """
from zope.interface import implementer
from revproxy.interfaces import IMiddleware

@implementer(IMiddleware)
class PluginMain:
    name = "a"
    def __init__(self, config): ...
    def handle(self, context): return context.respond(200, "VERSION")
"""


class DeletedTests(RunCase):
    """With a plugin that runs in its second version."""

    def setUp(self) -> None:
        super().setUp()
        self.state = self.folder / "var"
        self.plugin = self.folder / "plugins" / "a"
        self.plugin.mkdir(parents=True)
        with (self.folder / "revproxy.yaml").open("a") as file:
            file.write("plugins: {directory: plugins}\n")
        self.write_("1.0")
        self.edge = self.running()
        self.write_("2.0")
        self.until(lambda: self.answer() == b"2.0")
        self.until(lambda: '"2.0"' in (self.state / "plugins.json").read_text(), "it is not written down")

    def write_(self, version: str) -> None:
        (self.plugin / "plugin.py").write_text(CODE.replace("VERSION", version))
        (self.plugin / "plugin.json").write_text(MANIFEST.replace("VERSION", version))

    def delete(self, folder: Path) -> None:
        """As ``rm -rf`` does it, whatever the edge writes and renames there meanwhile: again, until it is gone."""
        while folder.exists():
            shutil.rmtree(folder, ignore_errors=True)

    def command(self, *arguments: str) -> Any:
        """What a command says, as JSON; None if it fails."""
        command = [sys.executable, "-m", "revproxy.cli", *arguments, "--state", str(self.state), "--json"]
        root = Path(__file__).parent.parent.parent
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=root)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def hasEvent(self, kind: str) -> bool:
        return f"{kind}: " in self.edge.said()

    def test_deleted(self) -> None:
        """All is made anew within seconds: the lock, what is remembered, the version that runs, the socket."""
        digest = json.loads((self.state / "plugins.json").read_text())["plugins"]["a"]["running"]
        self.delete(self.state)
        # If the edge looks while it is deleted, it makes a part of it anew, which is deleted, too.
        whole = [self.state / name for name in ("lock", "control.sock", f"versions/a/{digest}/plugin.py")]
        self.until(lambda: self.hasEvent("state-restored") and all(path.exists() for path in whole))
        restored = self.edge.said().count("state-restored")
        self.assertEqual((self.state / "lock").read_text(), f"{self.edge.process.pid}\n")
        self.assertEqual(self.state.stat().st_mode & 0o777, 0o700)
        [known] = self.command("plugins", "a")
        self.assertEqual([version["digest"] for version in known["versions"]], [digest])
        self.assertEqual(self.command("disable", "a")["refused"], [])
        self.assertEqual(self.answer(), b"one")
        self.ended(self.edge)
        self.assertEqual(self.edge.said().count("state-restored"), restored)
        texts = [json.loads(line)["text"] for line in (self.state / "events.jsonl").read_text().splitlines()]
        self.assertIn("revproxy disable a", texts)
        kept = {"lock", "plugins.json", "versions", "events.jsonl", "audit", "history", "alerts.json"}
        self.assertEqual({path.name for path in self.state.iterdir()}, kept)
        self.edge = self.running()
        self.assertEqual(self.answer(), b"one")

    def test_part(self) -> None:
        """A part of it, too."""
        for name in ("control.sock", "plugins.json"):
            (self.state / name).unlink()
            self.until((self.state / name).exists, f"{name} is not made anew")
        self.delete(self.state / "versions")
        self.until(lambda: self.edge.said().count("state-restored") >= 3)
        self.until(lambda: len(list((self.state / "versions" / "a").glob("*.sha256"))) == 1)
        self.assertIsNotNone(self.command("plugins"))
        self.assertIsNotNone(self.command("token", "new", "ci", "--role", "read"))
        self.until((self.state / "tokens.json").exists)
        (self.state / "tokens.json").unlink()
        self.until((self.state / "tokens.json").exists, "tokens would be gone after a restart")

    def test_secondEdge(self) -> None:
        """In the moment in which it is gone a second edge of the same configuration has no port, and leaves nothing."""
        self.delete(self.state)
        folder = self.folder / "second"
        folder.mkdir()
        second = EdgeProcess(folder, self.port, ["--config", "../revproxy.yaml"], None)
        self.addCleanup(second.kill)
        self.assertEqual(second.status(), 1, second.said())
        self.assertIn("Couldn't listen on", second.said())
        self.until(lambda: self.hasEvent("state-restored"))
        self.assertEqual((self.state / "lock").read_text(), f"{self.edge.process.pid}\n")

    def test_taken(self) -> None:
        """One on another port that was quicker keeps it; the first writes nothing there, and has it again later."""
        config = (self.folder / "revproxy.yaml").read_text().replace(str(self.port), str(freePort()))
        (self.folder / "other.yaml").write_text(config)
        os.kill(self.edge.process.pid, signal.SIGSTOP)
        self.delete(self.state)
        folder = self.folder / "second"
        folder.mkdir()
        second = EdgeProcess(folder, 0, ["--config", "../other.yaml"], None)
        self.addCleanup(second.kill)
        self.until(lambda: "listening on" in second.said())
        os.kill(self.edge.process.pid, signal.SIGCONT)
        self.until(lambda: self.hasEvent("state-lost"))
        self.assertIn(f"is in use by process {second.process.pid}", self.edge.said())
        self.write_("3.0")
        self.until(lambda: self.answer() == b"3.0")
        self.assertEqual((self.state / "lock").read_text(), f"{second.process.pid}\n")
        self.assertIsNotNone(self.command("plugins"))
        second.terminate()
        self.assertEqual(second.status(), 0, second.said())
        self.until(lambda: self.hasEvent("state-restored"))
        self.assertEqual((self.state / "lock").read_text(), f"{self.edge.process.pid}\n")
        self.assertIsNotNone(self.command("plugins"))

    def test_takenToTheEnd(self) -> None:
        """An edge that ends leaves what is another's: its socket answers on."""
        config = (self.folder / "revproxy.yaml").read_text().replace(str(self.port), str(freePort()))
        (self.folder / "other.yaml").write_text(config)
        os.kill(self.edge.process.pid, signal.SIGSTOP)
        self.delete(self.state)
        folder = self.folder / "second"
        folder.mkdir()
        second = EdgeProcess(folder, 0, ["--config", "../other.yaml"], None)
        self.addCleanup(second.kill)
        self.until(lambda: "listening on" in second.said())
        self.edge.process.send_signal(signal.SIGTERM)
        os.kill(self.edge.process.pid, signal.SIGCONT)
        self.assertEqual(self.edge.status(), 0, self.edge.said())
        self.assertIsNotNone(self.command("plugins"))
