"""Tests for `revproxy.cli.edgeclient`: files, then blocking clients in threads, and a real socket."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase

from revproxy.cli import edgeclient
from revproxy.cli.edgeclient import LONG, EdgeClient, EdgeNotRunning, NoAnswer, Refused, pathOf, statePath
from revproxy.config.document import parseYAML
from revproxy.config.problems import ConfigErrors
from tests.admin.doors import DoorCase


class StatePathTests(SynchronousTestCase):
    """Files, sound and broken."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()

    def state(self, text: str) -> Path:
        """What a file with this text says."""
        path = self.folder / "r.yaml"
        path.write_text(text)
        return statePath(path)

    def test_sound(self) -> None:
        """Relative to the file; absolute; left out."""
        self.assertEqual(self.state("state: ./x\n"), self.folder / "x")
        self.assertEqual(self.state("{state: /srv/x, listeners: []}"), Path("/srv/x"))
        self.patch(os, "environ", {"STATE": "elsewhere"})
        self.assertEqual(self.state("state: {$env: STATE}\n"), self.folder / "elsewhere")
        self.assertEqual(self.state("state: {$env: NONE}\n"), self.folder / "var")
        self.assertEqual(self.state("listeners: []\n"), self.folder / "var")
        self.assertEqual(self.state(""), self.folder / "var")

    def test_long(self) -> None:
        """Of a long file only the line is parsed; all of it if that line alone does not say it."""
        parsed: list[int] = []

        def counted(text: str, source: str) -> Any:
            parsed.append(len(text))
            return parseYAML(text, source)

        self.patch(edgeclient, "parseYAML", counted)
        rest = "listeners: []\n" + "# long\n" * LONG
        self.assertEqual(self.state(f"{rest}state: './x y' # here\n"), self.folder / "x y")
        self.assertEqual(self.state(f"state: ./x\n# there\n\n{rest}"), self.folder / "x")
        self.assertLess(max(parsed), 100)
        for text in ("state: ./a\n  b", "state: >-\n  ./a b", "state:\n  ./a b"):
            self.assertEqual(self.state(f"{rest}{text}\n"), self.folder / "a b", text)
        self.assertEqual(self.state(f"limits: &x ./a\n{rest}state: *x\n"), self.folder / "a")
        self.assertEqual(self.state(rest), self.folder / "var")

    def test_broken(self) -> None:
        """Unknown keys, wrong kinds, and what is no YAML at all do not hide it."""
        for rest in ("nonsense: 1\n", "listeners: [\n", "a: 1\na: 2\n", "x: !tag y\n", "\tlisteners\n"):
            self.assertEqual(self.state(f"{rest}state: 'a b'  # here\n"), self.folder / "a b", rest)
            self.assertEqual(self.state(f"state: x\n{rest}"), self.folder / "x", rest)

    def test_useless(self) -> None:
        """A state that is no path is as good as none; so is one deeper inside."""
        for text in ("state: 7\n", "state: [\n", "state:\n", "a:\n  state: x\n", "[]", 'state: "\\0"\n'):
            self.assertEqual(self.state(text), self.folder / "var", text)

    def test_unreadable(self) -> None:
        """A file that is not there."""
        error = self.assertRaises(ConfigErrors, statePath, self.folder / "none.yaml")
        self.assertIn("none.yaml: cannot be read: No such file", str(error))


class CallTests(DoorCase):
    """Asking."""

    async def test_result(self) -> None:
        """What is asked arrives, the result comes back, however large."""
        expected = {"called": "pin", "body": {"version": None}}
        self.assertEqual(await self.call("pin", version=None), expected)
        self.assertEqual(self.double.calls, [("pin", {"version": None})])
        self.assertEqual(len(await self.call("big")), 1 << 20)

    async def test_query(self) -> None:
        """Values of a query: what is not there is left out, a list is repeated, anything is quoted."""
        query = {"number": 3, "flag": True, "share": None, "word": ["a b", "&c"], "text": "ä=/"}
        client = EdgeClient(self.path)
        self.assertEqual(await deferToThread(client.ask, "GET", "echo", query), query)
        usual = {"number": 7, "flag": False, "share": None, "word": None, "text": None}
        self.assertEqual(await deferToThread(client.ask, "GET", "echo", {"flag": False, "text": None}), usual)

    def test_path(self) -> None:
        """Whatever is in a part of a path, it stays one."""
        self.assertEqual(pathOf("plugins", "a/../b?", "pin"), "plugins/a%2F..%2Fb%3F/pin")

    async def test_refusal(self) -> None:
        """A refusal is the edge's own text, and says what kind it is of."""
        for name, status, text in (("refuse", 409, "not today"), ("missing", 404, "what?")):
            error = await self.assertFailure(self.call(name), Refused)
            self.assertEqual((str(error), error.status, error.problem["status"]), (text, status, status))

    async def test_mistake(self) -> None:
        """A mistake of ours is told, logged, and costs nothing else; so is a result that is none."""
        error = await self.assertFailure(self.call("break"), Refused)
        self.assertEqual((str(error), error.status), ("ZeroDivisionError: ours; the edge's log has more", 500))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        error = await self.assertFailure(self.call("nojson"), Refused)
        self.assertIn("TypeError", str(error))
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)
        await self.call("again")

    async def test_nobody(self) -> None:
        """Without an edge the error names the socket and what to do; what a dead one left is as good as nothing."""
        await self.socket.close()
        self.assertFalse(self.path.exists())
        dead = socket.socket(socket.AF_UNIX)
        for prepare in (lambda: None, lambda: dead.bind(str(self.path)), dead.close):
            prepare()
            error = await self.assertFailure(self.call("x"), EdgeNotRunning)
            self.assertTrue(str(error).startswith(f"{self.path}: no edge listens there; start one with revproxy run"))
            self.assertIn("an edge whose state folder cannot be written has no socket", str(error))

    async def test_notOurs(self) -> None:
        """A path that leads through a file; something that is no edge."""
        error = await self.assertFailure(self.call("x", self.path / "y"), EdgeNotRunning)
        self.assertIn("no edge listens there", str(error))
        self.assertIn("is wanted", str(self.assertRaises(EdgeNotRunning, EdgeClient("ftp://x").ask, "GET", "x")))

    def test_inTheClear(self) -> None:
        """A token is not sent to another machine without TLS; nobody is connected to."""
        for url in ("http://192.0.2.1:9900", "http://edge.example", "http://[2001:db8::1]:1"):
            error = self.assertRaises(EdgeNotRunning, EdgeClient(url, "rvp_x").ask, "GET", "session")
            self.assertIn("a token would travel in the clear", str(error))

    async def test_late(self) -> None:
        """An edge that takes too long is not waited for; what it was asked still happens."""
        error = await self.assertFailure(self.call("wait", timeout=0.05), NoAnswer)
        self.assertIn("no answer within 0.05 s; the edge may still do it", str(error))
        await self.until(lambda: self.double.calls)
        self.double.gate.callback("")
        self.assertEqual(self.double.finished, ["wait"])
        await self.call("again")

    async def test_ends(self) -> None:
        """An edge that ends meanwhile."""
        waiting = self.assertFailure(self.call("wait"), NoAnswer)
        await self.until(lambda: self.double.calls)
        await self.socket.close()
        self.assertIn("ended before it had answered", str(await waiting))
        self.double.gate.callback("")
        # Writing the answer may pause for a turn.
        await deferLater(reactor, 0)  # type: ignore[arg-type]
