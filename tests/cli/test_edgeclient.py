"""Tests for `revproxy.cli.edgeclient`: blocking clients in threads, and a real socket."""

from __future__ import annotations

import socket

from revproxy.cli.edgeclient import EdgeNotRunning, NoAnswer
from revproxy.control.commands import CommandError
from tests.control.test_controlsocket import SocketCase


class CallTests(SocketCase):
    """Asking."""

    async def test_result(self) -> None:
        """Arguments arrive, the result comes back, however large."""
        expected = {"called": "pin", "plugin": "x", "version": None}
        self.assertEqual(await self.call("pin", plugin="x", version=None), expected)
        self.assertEqual(self.steering.calls, [("pin", {"plugin": "x", "version": None})])
        self.assertEqual(len(await self.call("big")), 1 << 20)

    async def test_refusal(self) -> None:
        """A refusal is the edge's own text."""
        error = await self.assertFailure(self.call("refuse"), CommandError)
        self.assertEqual(str(error), "not today")

    async def test_mistake(self) -> None:
        """A mistake of ours is told, logged, and costs nothing else; so is a result that is none."""
        error = await self.assertFailure(self.call("break"), CommandError)
        self.assertEqual(str(error), "break: ZeroDivisionError: ours; the edge's log has more")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        error = await self.assertFailure(self.call("bytes"), CommandError)
        self.assertIn("the result cannot be written", str(error))
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
            self.assertTrue(str(error).startswith(f"{self.path}: no edge listens there; start one with twistd"))
            self.assertIn("an edge whose state folder cannot be written has no socket", str(error))

    async def test_notOurs(self) -> None:
        """A path that leads through a file."""
        error = await self.assertFailure(self.call("x", self.path / "y"), EdgeNotRunning)
        self.assertIn("no edge listens there", str(error))

    async def test_late(self) -> None:
        """An edge that takes too long is not waited for; what it was asked still happens."""
        error = await self.assertFailure(self.call("wait", timeout=0.05), NoAnswer)
        self.assertIn("no answer within 0.05 s; the edge may still do it", str(error))
        await self.until(lambda: self.steering.calls)
        self.steering.gate.callback("")
        self.assertEqual(self.steering.finished, ["wait"])
        await self.call("again")

    async def test_ends(self) -> None:
        """An edge that ends meanwhile."""
        waiting = self.assertFailure(self.call("wait"), NoAnswer)
        await self.until(lambda: self.steering.calls)
        await self.socket.close()
        self.assertIn("ended before it had answered", str(await waiting))
        self.steering.gate.callback("")
