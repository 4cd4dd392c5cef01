"""Processes that begin where others have ended."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.behaviour.test_stoppingLosesNothing import MANIFEST, plugin
from tests.harness import PATIENCE, EdgeCase, EdgeProcess


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


class RefusedStartTests(EdgeCase):
    """What is wrong with what is remembered, when an edge does not start."""

    BAD = "import (\n"

    def begin(self, plugin: str, **files: str) -> EdgeProcess:
        """:param plugin: its code. :param files: in the state folder, by name without its suffix."""
        config = "listeners: [{endpoint: 'tcp:PORT:interface=127.0.0.1'}]\nroutes: [{respond: {body: hello}}]\n"
        return self.launch(config + "plugins: {directory: plugins}\n", files={
            "plugins/one/plugin.json": MANIFEST,
            "plugins/one/plugin.py": plugin,
            **{f"var/{name}.json": text for name, text in files.items()},
        })  # fmt: skip

    def test_damaged(self) -> None:
        """A damaged plugins.json, which may be why nothing stands in, is told beside the plugin's error."""
        edge = self.begin(self.BAD, plugins="{")
        self.assertEqual(edge.status(), 1, edge.said())
        path = edge.folder / "var" / "plugins.json"
        self.assertIn("plugin.py:1", edge.said())
        self.assertIn(f"{path}: is damaged: ", edge.said())
        self.assertIn("the file is now plugins.json.damaged-1", edge.said())
        self.assertEqual(edge.said().count(str(path)), 1)

    def test_sound(self) -> None:
        """One that is not there is not told of."""
        edge = self.begin(self.BAD)
        self.assertEqual(edge.status(), 1, edge.said())
        self.assertNotIn("plugins.json", edge.said())

    def test_storedVersion(self) -> None:
        """When a plugin does not start, it is told why what ran before does not either."""
        digest = "0" * 64
        ledger = {"one": {"versions": [{"digest": digest, "version": "0.9", "ran_at": 1.0}], "running": digest}}
        edge = self.begin(plugin("raise OSError('unwell')")["plugins/one/plugin.py"],
                          plugins=json.dumps({"format": 1, "plugins": ledger}))  # fmt: skip
        self.assertEqual(edge.status(), 1, edge.said())
        self.assertIn("unwell", edge.said())
        self.assertIn("what ran before cannot stand in: ", edge.said())
        self.assertIn("there is no such version of one", edge.said())


class UnwrittenTests(EdgeCase):
    """The disk does not take what a command has changed."""

    def begun(self, ledger: Path) -> None:
        """Wait until all is written that is written at the start, and commands are listened to."""
        self.until(lambda: ledger.exists() and ledger.with_name("control.sock").exists())
        self.until(lambda: "listening on" in self.edge.said())

    def run_(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "revproxy.cli.main", *arguments, "--state", str(self.edge.folder / "var")]
        return subprocess.run(command, text=True, capture_output=True, timeout=PATIENCE)

    def test_command(self) -> None:
        """It is done, standard error says that it would not outlive a restart, the status is 1; ``reload`` tries
        again."""
        config = "listeners: [{endpoint: 'tcp:PORT:interface=127.0.0.1'}]\nroutes: [{respond: {body: hello}}]\n"
        self.edge = self.launch(config + "plugins: {directory: plugins}\n", files=plugin("pass"))
        ledger = self.edge.folder / "var" / "plugins.json"
        self.begun(ledger)
        before = ledger.read_text()
        # Where the new file is written first, before it takes the old one's place.
        obstacle = ledger.with_name(".plugins.json.new")
        self.until(lambda: not obstacle.exists())
        obstacle.mkdir()
        result = self.run_("disable", "one")
        self.assertEqual((result.returncode, ledger.read_text()), (1, before))
        self.assertTrue(result.stdout.startswith("one: switched off\n"), result.stdout)
        self.assertRegex(result.stderr, "^refused: state: in force, but not written down: .*plugins.json: cannot be "
                         "written: .*; lost with a restart until it can be\n$")
        obstacle.rmdir()
        result = self.run_("reload")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertNotEqual(ledger.read_text(), before)

    def test_atTheEnd(self) -> None:
        """What could be written by then is written when the edge ends."""
        config = "listeners: [{endpoint: 'tcp:PORT:interface=127.0.0.1'}]\nroutes: [{respond: {body: hello}}]\n"
        self.edge = self.launch(config + "plugins: {directory: plugins}\n", files=plugin("pass"))
        ledger = self.edge.folder / "var" / "plugins.json"
        self.begun(ledger)
        obstacle = ledger.with_name(".plugins.json.new")
        self.until(lambda: not obstacle.exists())
        obstacle.mkdir()
        self.assertEqual(self.run_("disable", "one").returncode, 1)
        obstacle.rmdir()
        self.edge.terminate()
        self.assertEqual(self.edge.status(), 0, self.edge.said())
        self.assertIs(json.loads(ledger.read_text())["plugins"]["one"]["enabled"], False)
        self.assertIn("all that is in force is written down again", self.edge.said())


class EndTests(EdgeCase):
    """What hangs when the edge is told to stop keeps it for some seconds, and not for ever."""

    CONFIG = (
        "listeners: [{endpoint: 'tcp:PORT:interface=127.0.0.1'}]\nroutes: [{respond: {body: hello}}]\n"
        "plugins: {directory: plugins}\n"
    )

    def begin(self, start: str) -> EdgeProcess:
        """:param start: what the plugin's ``start`` does."""
        edge = self.launch(self.CONFIG, files=plugin(start))
        self.until(lambda: "listening on" in edge.said())
        return edge

    def test_disk(self) -> None:
        """A disk that does not answer."""
        hanging = "import os, threading\n\ndef hang(*_):\n    print('the disk hangs', flush=True)\n    "
        hanging += "threading.Event().wait()\n\nos.fsync = hang\n"
        edge = self.begin("pass")
        code = edge.folder / "plugins" / "one" / "plugin.py"
        code.write_text(hanging + code.read_text())
        self.until(lambda: "the disk hangs" in edge.said())
        edge.terminate()
        self.assertEqual(edge.status(), 0, edge.said())

    def test_thread(self) -> None:
        """A thread of a plugin."""
        edge = self.begin("import threading; threading.Thread(target=threading.Event().wait, name='mine').start()")
        edge.terminate()
        self.assertEqual(edge.status(), 0, edge.said())
        self.assertIn("ends although threads still run: mine", edge.said())
