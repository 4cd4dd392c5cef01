"""``twistd -n revproxy --reload``: real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.harness import PATIENCE, EdgeCase, EdgeProcess, freePort

LONG = 120.0
"""Seconds until a test gives up on processes that start one after the other."""

MODULE = """\
from twisted.web.resource import Resource

class Root(Resource):
    isLeaf = True
    def render(self, request):
        return b"{answer}"

root = Root()
"""
PLUGIN = """\
from zope.interface import implementer
from revproxy.interfaces import IMiddleware

@implementer(IMiddleware)
class PluginMain:
    name = "stamp"
    def __init__(self, config): ...
    def handle(self, context):
        return True
"""
CONFIG = """\
listeners: [{{endpoint: 'tcp:{port}:interface=127.0.0.1'}}]
routes: [{{resource: reloaded_resource.root}}]
plugins: {{directory: ./plugins}}
logging: {{access: null}}
"""


def childrenOf(pid: int) -> list[int]:
    """The processes that a process has started."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def isAlive(pid: int) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class ReloadTests(EdgeCase):
    """One edge, its module changed, its end."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        self.module = self.folder / "reloaded_resource.py"
        self.module.write_text(MODULE.format(answer="first"))
        plugin = self.folder / "plugins" / "stamp"
        plugin.mkdir(parents=True)
        (plugin / "plugin.json").write_text('{"name": "stamp", "version": "1.0.0"}')
        self.plugin = plugin / "plugin.py"
        self.plugin.write_text(PLUGIN)
        self.port = freePort()
        self.config = self.folder / "revproxy.yaml"
        self.config.write_text(CONFIG.format(port=self.port))

    def launchReloading(self) -> EdgeProcess:
        edge = EdgeProcess(self.folder, self.port, ["--reload", "--config", "revproxy.yaml"])
        self.children: set[int] = set()
        self.addCleanup(self.end, edge)
        return edge

    def end(self, edge: EdgeProcess) -> None:
        """Whatever is left."""
        self.noteChildren(edge)
        edge.kill()
        for child in filter(isAlive, self.children):
            os.kill(child, signal.SIGKILL)

    def noteChildren(self, edge: EdgeProcess) -> set[int]:
        self.children.update(childrenOf(edge.process.pid))
        return self.children

    def answer(self, edge: EdgeProcess) -> bytes:
        """What is served, empty if nothing is."""
        self.noteChildren(edge)
        self.assertIsNone(edge.process.poll(), edge.said())
        try:
            return self.get(edge)[1]
        except OSError:
            return b""

    def awaitAnswer(self, edge: EdgeProcess, expected: bytes) -> None:
        self.until(lambda: self.answer(edge) == expected, f"never {expected!r}: {edge.said()}")

    def change(self, edge: EdgeProcess, answer: str) -> None:
        """
        Write the module, and have its answer served. hupper asks once a second which modules there are, and forgets
        what changed while it started a process: what comes too early is written again, but not while one is starting.
        """
        ends = time.monotonic() + LONG
        writtenAt = -LONG
        while (served := self.answer(edge)) != answer.encode():
            now = time.monotonic()
            self.assertLess(now, ends, edge.said())
            if now > writtenAt + (LONG / 40 if served else LONG / 4):
                self.module.write_text(MODULE.format(answer=answer))
                writtenAt = now
            time.sleep(0.02)

    def writeUntil(self, path: Path, text: str, fact: Callable[[], Any]) -> None:
        """Write a file, and again while nothing comes of it, for the same reason."""
        writtenAt = -LONG

        def isSo() -> Any:
            nonlocal writtenAt
            if not (result := fact()) and time.monotonic() > writtenAt + LONG / 4:
                path.write_text(text)
                writtenAt = time.monotonic()
            return result

        self.until(isSo, text)

    def assertEnds(self, edge: EdgeProcess) -> None:
        self.noteChildren(edge)
        edge.terminate()
        self.assertEqual(edge.status(), 0, edge.said())
        self.assertTrue(self.children)
        self.until(lambda: not any(map(isAlive, self.children)), "an orphan is left")

    def test_restarts(self) -> None:
        """A changed module is served by a new process; a changed plugin is no reason; SIGTERM ends both, gracefully."""
        edge = self.launchReloading()
        self.awaitAnswer(edge, b"first")
        self.change(edge, "second")
        (child,) = childrenOf(edge.process.pid)
        self.plugin.write_text(PLUGIN + "\n# changed\n")
        self.change(edge, "third")
        self.assertNotIn("plugin.py", edge.said())
        self.assertNotEqual([child], childrenOf(edge.process.pid))
        self.assertNotIn("forcefully", edge.said())
        self.assertEnds(edge)

    def test_brokenModule(self) -> None:
        """A module that cannot be imported is waited for."""
        edge = self.launchReloading()
        self.awaitAnswer(edge, b"first")
        self.change(edge, "second")
        self.writeUntil(self.module, "this is no Python\n",
                        lambda: "SyntaxError" in edge.said() or "invalid syntax" in edge.said())  # fmt: skip
        self.change(edge, "third")
        self.assertEnds(edge)

    def test_brokenConfiguration(self) -> None:
        """An edge that would not start for its configuration is started when that has changed."""
        good = self.config.read_text()
        self.config.write_text("nonsense: 1\n")
        edge = self.launchReloading()
        self.until(lambda: "waiting for a change" in edge.said(), "it does not wait")
        self.assertIn("nonsense", edge.said())
        self.writeUntil(self.config, good, lambda: self.answer(edge) == b"first")
        self.assertEnds(edge)

    def test_endsWhileItWaits(self) -> None:
        """Then, too, both processes end when they are asked to."""
        self.config.write_text("nonsense: 1\n")
        edge = self.launchReloading()
        self.until(lambda: "waiting for a change" in edge.said(), "it does not wait")
        self.assertEnds(edge)

    def test_watcherIsKilled(self) -> None:
        """When the process that watches is killed, the edge ends: nobody could end it otherwise."""
        edge = self.launchReloading()
        self.awaitAnswer(edge, b"first")
        self.noteChildren(edge)
        edge.kill()
        self.until(lambda: not any(map(isAlive, self.children)), "an orphan is left")

    def test_daemon(self) -> None:
        """Without -n it is refused, with the reason."""
        arguments = ["revproxy", "--reload", "--config", "revproxy.yaml"]
        command = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()", *arguments]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual(done.returncode, 1)
        self.assertIn("twistd -n revproxy --reload", done.stdout + done.stderr)
