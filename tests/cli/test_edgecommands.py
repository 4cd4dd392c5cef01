"""The commands of ``revproxy`` that ask a running edge, which here is a thread with answers."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections import deque
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from revproxy.cli.main import main
from tests.cli.test_report import failure, plugin
from tests.socketfolder import socketFolder

PATIENCE = 60.0


CONFIGURATION = {"source": "r.yaml", "failure": None}


class Status:
    """An answer of this status, which is no 200."""

    def __init__(self, status: int, value: Any) -> None:
        self.status = status
        self.value = value


class EdgeThread:
    """
    Gives every request the same answer, or each the next of several.

    :ivar requests: as they came, in order: method, path below the API with its query, and body.
    :ivar headers: of each, by names in lower case.
    """

    def __init__(self, path: Path, answer: Any) -> None:
        """:param answer: what JSON can say; or a `Status`; or bytes as they are; a deque has several of these."""
        self.headers: list[dict[str, str]] = []
        self.requests: list[tuple[str, str, Any]] = []
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
                self._request(lines)
                client.sendall(self._said())

    def _request(self, lines: Any) -> None:
        first = lines.readline().decode().split()
        length, headers = 0, {}
        while (line := lines.readline().strip()):
            name, _, value = line.lower().partition(b": ")
            headers[name.decode()] = value.decode()
            length = int(value) if name == b"content-length" else length
        body = json.loads(lines.read(length)) if length else None
        if first:
            self.headers.append(headers)
            self.requests.append((first[0], first[1].removeprefix("/api/v1/"), body))

    def _said(self) -> bytes:
        answer = self._answer.popleft() if isinstance(self._answer, deque) else self._answer
        if isinstance(answer, bytes):
            return answer
        one = answer if isinstance(answer, Status) else Status(200, answer)
        body = json.dumps(one.value).encode()
        head = f"HTTP/1.1 {one.status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode() + body

    def close(self) -> None:
        with contextlib.suppress(OSError):  # closed already
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
        """:param answer: as `EdgeThread` takes it; a list is one of items."""
        if isinstance(answer, list):
            answer = {"items": answer, "configuration": CONFIGURATION, "next": None}
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
        self.assertIn("a/control.sock: no edge", self.run_("plugins", status=3).stderr)
        self.edge([], "a")
        self.assertEqual(self.run_("plugins").stdout, "no plugins\n")

    def test_broken(self) -> None:
        """A file that is cut off before it names the folder: it is said that this is a guess, if nobody answers."""
        Path("revproxy.yaml").write_text("listeners: [\n")
        said = self.run_("plugins", status=3).stderr
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
            result = self.run_(*command, status=3)
            self.assertTrue(result.stderr.startswith("Error: var/control.sock: no edge listens there; start one"))
            self.assertEqual((result.stdout, result.stderr.count("\n")), ("", 1))

    def test_ended(self) -> None:
        """An edge that says nothing more, or half of it."""
        for answer in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", b"HTTP/1.1 2"):
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
        self.assertEqual(edge.requests, [("GET", "plugins", None)])

    def test_plugin(self) -> None:
        """One of them."""
        edge = self.edge(plugin("hello"))
        self.assertTrue(self.run_("plugins", "hello").stdout.startswith("hello 1.2.0 (0123456789ab): running\n"))
        self.assertEqual(edge.requests, [("GET", "plugins/hello", None)])

    def test_events(self) -> None:
        """So many."""
        edge = self.edge([{"at": 0.0, "kind": "loaded", "plugin": "a", "version": "", "text": "it runs"}])
        self.assertIn("loaded", self.run_("events", "-n", "7").stdout)
        self.assertEqual(edge.requests, [("GET", "events?limit=7", None)])
        self.run_("events", "-n", "0", status=2)

    def test_follow(self) -> None:
        """What has happened, and then what happens, from there on."""
        first, second = ({"number": number, "at": 1.0, "kind": "refused", "plugin": "a", "version": "", "text": text}
                         for number, text in ((7, "one"), (8, "two")))
        head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
        stream = f"{head}id: 8\ndata: {json.dumps(second)}\n\n".encode()
        edge = self.edge(deque([{"items": [first]}, stream]))
        result = self.run_("events", "-f", "--kind", "refused", "--kind", "loaded", "--plugin", "a", status=1)
        edge.close()
        self.assertEqual([line.split()[2:] for line in result.stdout.splitlines()],
                         [["refused", "a", "one"], ["refused", "a", "two"]])
        self.assertIn("the edge has ended it", result.stderr)
        query = "kind=refused&kind=loaded&plugin=a"
        self.assertEqual([path for _, path, _ in edge.requests],
                         [f"events?limit=20&{query}", f"events/stream?{query}"])
        self.assertEqual(edge.headers[-1]["last-event-id"], "7")

    def test_followJSON(self) -> None:
        """A line of JSON for each."""
        event = {"number": 7, "at": 0.0, "kind": "refused", "plugin": "a", "version": "", "text": "one"}
        edge = self.edge(deque([{"items": [event]}, Status(503, {"title": "Service Unavailable", "status": 503})]))
        result = self.run_("events", "-f", "--json", status=1)
        edge.close()
        self.assertEqual([json.loads(line) for line in result.stdout.splitlines()], [event])

    def test_json(self) -> None:
        """The result as it came."""
        result = [plugin("hello\x1b")]
        self.edge(result)
        for arguments in (("plugins", "--json"), ("events", "--json")):
            self.assertEqual(json.loads(self.run_(*arguments).stdout), result)

    def test_jsonOfOne(self) -> None:
        """The same, for one."""
        self.edge(plugin("hello"))
        self.assertEqual(json.loads(self.run_("plugins", "hello", "--json").stdout), [plugin("hello")])

    def test_unknown(self) -> None:
        """The edge's refusal is one line."""
        self.edge(Status(404, {"status": 404, "detail": 'no plugin named "x"\x1b;\nreally'}))
        result = self.run_("plugins", "x", status=1)
        self.assertEqual((result.stdout, result.stderr), ("", 'Error: no plugin named "x"\\x1b; really\n'))


class ChangingTests(CommandCase):
    """The rest."""

    def test_calls(self) -> None:
        """Each command is the call of its name, with its arguments."""
        edge = self.edge({"text": ["hello 1.1.0 (0a1b) runs"], "refused": []})
        expected: list[tuple[str, str, Any]] = []
        for command in ("rollback", "pin"):
            for body in ({}, {"version": "1.1.0"}):
                self.run_(command, "hello", *body.values())
                expected.append(("POST", f"plugins/hello/{command}", body))
        for command in ("unpin", "enable", "disable"):
            self.assertEqual(self.run_(command, "hello").stdout, "hello 1.1.0 (0a1b) runs\n")
            expected.append(("POST", f"plugins/hello/{command}", {}))
        self.run_("reload")
        self.run_("reload", "--without-state")
        expected += [("POST", "reload", body) for body in ({}, {"without_state": True})]
        self.assertEqual(edge.requests, expected)

    def test_refused(self) -> None:
        """What was done is on standard output, what was not on standard error, and the status is 1."""
        refused = [{"plugin": "b", "stage": "import", "message": "p.py:1:1: no"},
                   {"plugin": "", "stage": "order", "message": "r.yaml:1:1: no"}]  # fmt: skip
        for status, done in ((200, ["a 2 (00) runs"]), (409, [])):
            answer = {"text": done, "refused": refused}
            edge = self.edge(Status(status, {**answer, "detail": "no"} if status == 409 else answer))
            result = self.run_("reload", status=1)
            self.assertEqual(result.stdout, "".join(f"{line}\n" for line in done))
            self.assertEqual(result.stderr, "refused: b: import: p.py:1:1: no\nrefused: order: r.yaml:1:1: no\n")
            self.assertEqual(json.loads(self.run_("reload", "--json", status=1).stdout), answer)
            edge.close()
            Path("var/control.sock").unlink()

    def test_help(self) -> None:
        """Each command explains itself."""
        for command in ("plugins", "events", "rollback", "pin", "unpin", "enable", "disable", "reload"):
            said = self.run_(command, "--help").stdout
            for words in ("Usage: ", "--config FILE", "--state DIRECTORY", "--url TEXT", "--json"):
                self.assertIn(words, said)
