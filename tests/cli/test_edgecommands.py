"""The commands of ``revproxy`` that ask a running edge, which here is a thread with answers."""

from __future__ import annotations

import json
import os
import socket
import threading
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from revproxy.cli.main import main
from tests.cli.test_report import failure, plugin
from tests.socketfolder import socketFolder

PATIENCE = 60.0


CONFIGURATION = b'{"result": {"source": "r.yaml", "failure": null}}\n'


class EdgeThread:
    """
    Gives every request the same answer, but says of its configuration that it is in force.

    :ivar requests: as they came, in order; without those for the configuration.
    """

    def __init__(self, path: Path, answer: bytes) -> None:
        self.requests: list[dict[str, Any]] = []
        self._answer = answer
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            with client, client.makefile("rb") as lines:
                client.settimeout(PATIENCE)
                line = lines.readline()
                if line:
                    request = json.loads(line)
                    if request["call"] == "configuration":
                        client.sendall(CONFIGURATION)
                        continue
                    self.requests.append(request)
                    client.sendall(self._answer)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(PATIENCE)


class CommandCase(SynchronousTestCase):
    """In a folder that is empty but for ``var``."""

    def setUp(self) -> None:
        folder = socketFolder(self)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(folder)
        Path("var").mkdir()

    def edge(self, answer: Any, state: str = "var") -> EdgeThread:
        """:param answer: the line itself, or the result in it."""
        if not isinstance(answer, bytes):
            answer = json.dumps({"result": answer}).encode() + b"\n"
        made = EdgeThread(Path(state) / "control.sock", answer)
        self.addCleanup(made.close)
        return made

    def run_(self, *arguments: str, status: int = 0) -> Result:
        result = CliRunner().invoke(main, list(arguments))
        self.assertEqual(result.exit_code, status, result.output)
        return result


class WhichEdgeTests(CommandCase):
    """Where the socket is looked for."""

    def setUp(self) -> None:
        super().setUp()
        for name in ("a", "b", "etc/c"):
            Path(name).mkdir(parents=True)

    def test_default(self) -> None:
        """In ./var, or where ./revproxy.yaml says."""
        self.edge([])
        self.assertEqual(self.run_("plugins").stdout, "no plugins\n")
        Path("revproxy.yaml").write_text("state: a\nlisteners: [nonsense\n")
        self.assertIn("a/control.sock: no edge", self.run_("plugins", status=1).stderr)
        self.edge([], "a")
        self.assertEqual(self.run_("plugins").stdout, "no plugins\n")

    def test_broken(self) -> None:
        """A file that is cut off before it names the folder: it is said that this is a guess, if nobody answers."""
        Path("revproxy.yaml").write_text("listeners: [\n")
        said = self.run_("plugins", status=1).stderr
        self.assertIn("revproxy.yaml cannot be parsed and names no state folder, so the usual one was tried. ", said)
        self.edge([])
        self.assertEqual(self.run_("plugins").output, "no plugins\n")

    def test_config(self) -> None:
        """Where a file says, relative to it."""
        Path("etc/r.yaml").write_text("state: c\n")
        self.edge([], "etc/c")
        self.run_("events", "--config", "etc/r.yaml")

    def test_state(self) -> None:
        """The folder itself, whatever there is."""
        Path("revproxy.yaml").write_text("state: a\n")
        self.edge([], "b")
        self.run_("events", "--state", "b")

    def test_refused(self) -> None:
        """Both; and a file that is not there."""
        self.assertIn("do not go together", self.run_("events", "--state", "a", "--config", "b.yaml", status=2).stderr)
        result = self.run_("events", "--config", "b.yaml", status=1)
        self.assertEqual(result.stderr, "Error: b.yaml: cannot be read: No such file or directory\n")

    def test_notRunning(self) -> None:
        """One line that names the socket and what to do."""
        for command in (["plugins"], ["events"], ["reload"], ["rollback", "x"], ["unpin", "x"]):
            result = self.run_(*command, status=1)
            self.assertTrue(result.stderr.startswith("Error: var/control.sock: no edge listens there; start one"))
            self.assertEqual((result.stdout, result.stderr.count("\n")), ("", 1))

    def test_ended(self) -> None:
        """An edge that says nothing more, or half of it."""
        for answer in (b"", b'{"resu'):
            edge = EdgeThread(Path("var/control.sock"), answer)
            result = self.run_("reload", status=1)
            edge.close()
            Path("var/control.sock").unlink()
            self.assertEqual(result.stderr, "Error: the edge ended before it had answered; see its log\n")


class LookingTests(CommandCase):
    """plugins and events."""

    def test_plugins(self) -> None:
        """All of them."""
        edge = self.edge([plugin("hello"), plugin("bad", state="failed", failure=failure())])
        said = self.run_("plugins").stdout
        self.assertTrue(said.startswith("name   version  state"), said)
        self.assertIn("\nbad: 1.3.0 (ffffffffffff) failed at import: p.py:3:1: SyntaxError\n", said)
        self.assertEqual(edge.requests, [{"call": "plugins", "arguments": {}}])

    def test_plugin(self) -> None:
        """One of them."""
        edge = self.edge([plugin("hello")])
        self.assertTrue(self.run_("plugins", "hello").stdout.startswith("hello 1.2.0 (0123456789ab): running\n"))
        self.assertEqual(edge.requests, [{"call": "plugins", "arguments": {"name": "hello"}}])

    def test_events(self) -> None:
        """So many."""
        edge = self.edge([{"at": 0.0, "kind": "loaded", "plugin": "a", "version": "", "text": "it runs"}])
        self.assertIn("loaded", self.run_("events", "-n", "7").stdout)
        self.assertEqual(edge.requests, [{"call": "events", "arguments": {"count": 7}}])
        self.run_("events", "-n", "0", status=2)

    def test_json(self) -> None:
        """The result as it came."""
        result = [plugin("hello\x1b")]
        self.edge(result)
        for arguments in (("plugins", "--json"), ("plugins", "hello", "--json"), ("events", "--json")):
            self.assertEqual(json.loads(self.run_(*arguments).stdout), result)

    def test_unknown(self) -> None:
        """The edge's refusal is one line."""
        self.edge(b'{"error": "no plugin named \\"x\\"\\u001b;\\nreally"}\n')
        result = self.run_("plugins", "x", status=1)
        self.assertEqual((result.stdout, result.stderr), ("", 'Error: no plugin named "x"\\x1b; really\n'))


class ChangingTests(CommandCase):
    """The rest."""

    def test_calls(self) -> None:
        """Each command is the call of its name, with its arguments."""
        edge = self.edge({"text": ["hello 1.1.0 (0a1b) runs"], "refused": []})
        expected = []
        for command in ("rollback", "pin"):
            for version in (None, "1.1.0"):
                self.run_(command, "hello", *([] if version is None else [version]))
                expected.append({"call": command, "arguments": {"name": "hello", "version": version}})
        for command in ("unpin", "enable", "disable"):
            self.assertEqual(self.run_(command, "hello").stdout, "hello 1.1.0 (0a1b) runs\n")
            expected.append({"call": command, "arguments": {"name": "hello"}})
        self.run_("reload")
        self.run_("reload", "--without-state")
        expected += [{"call": "reload", "arguments": {"without_state": without}} for without in (False, True)]
        self.assertEqual(edge.requests, expected)

    def test_refused(self) -> None:
        """What was done is on standard output, what was not on standard error, and the status is 1."""
        refused = [{"plugin": "b", "stage": "import", "message": "p.py:1:1: no"},
                   {"plugin": "", "stage": "order", "message": "r.yaml:1:1: no"}]  # fmt: skip
        answer = {"text": ["a 2 (00) runs"], "refused": refused}
        self.edge(answer)
        result = self.run_("reload", status=1)
        self.assertEqual(result.stdout, "a 2 (00) runs\n")
        self.assertEqual(result.stderr, "refused: b: import: p.py:1:1: no\nrefused: order: r.yaml:1:1: no\n")
        self.assertEqual(json.loads(self.run_("reload", "--json", status=1).stdout), answer)

    def test_help(self) -> None:
        """Each command explains itself."""
        for command in ("plugins", "events", "rollback", "pin", "unpin", "enable", "disable", "reload"):
            said = self.run_(command, "--help").stdout
            for words in ("Usage: ", "--config FILE", "--state DIRECTORY", "--json"):
                self.assertIn(words, said)
