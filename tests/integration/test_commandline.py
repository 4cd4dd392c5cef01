"""The ``revproxy`` command in a process of its own, and the socket of an edge."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from revproxy.admin.api import Api
from revproxy.admin.controlsocket import ControlSocket
from revproxy.admin.operation import Call, Operation, Parameter
from revproxy.admin.role import Role
from revproxy.admin.router import Router
from revproxy.control.commands import NotThere
from tests.cli.test_report import plugin, terminalEnvironment

reactor: Any = _reactor


class OperationsDouble:
    """Knows the plugin ``hello``."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any, Any]] = []

    async def plugins(self, call: Call) -> Any:
        return {"items": [plugin("hello")], "configuration": {"source": "revproxy.yaml", "failure": None}}

    async def change(self, call: Call) -> Any:
        self.calls.append((call.values["command"], call.values["name"], call.body))
        if call.values["name"] != "hello":
            raise NotThere("no such plugin")
        return {"text": [f"{call.values['command']} done"], "refused": []}

    def operations(self) -> list[Operation]:
        parameters = tuple(Parameter(name, "", place="path", required=True) for name in ("name", "command"))
        return [
            Operation("GET", "/plugins", Role.READ, "plugins", "", self.plugins, (Parameter("removed", ""),)),
            Operation("POST", "/plugins/{name}/{command}", Role.OPERATE, "change", "", self.change, parameters, {}),
        ]


class CommandTests(TestCase):
    """Against a real socket, in a folder whose path is longer than a socket's may be."""

    timeout = 300

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute() / ("x" * 120)
        (self.folder / "state").mkdir(parents=True)
        (self.folder / "revproxy.yaml").write_text("state: state\nlisteners: no\n")
        self.double = OperationsDouble()
        api = Api(Router(self.double.operations()), lambda: deferLater(reactor, 0))
        self.socket = ControlSocket(reactor, self.folder / "state" / "control.sock", api)
        self.socket.open()
        self.addCleanup(lambda: Deferred.fromCoroutine(self.socket.close()))

    async def run_(self, *arguments: str, stdout: Any = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "revproxy.cli.main", *arguments]
        environment = terminalEnvironment() | {"PYTHONPATH": os.pathsep.join(sys.path)}
        result: subprocess.CompletedProcess[str] = await deferToThread(
            subprocess.run, command, cwd=self.folder, env=environment, text=True, stdout=stdout,
            stderr=subprocess.PIPE, timeout=120,
        )  # fmt: skip
        return result

    async def test_change(self) -> None:
        """What it asks for is done, what the edge says is printed."""
        result = await self.run_("rollback", "hello", "1.0.0")
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "rollback done\n", ""))
        self.assertEqual(self.double.calls, [("rollback", "hello", {"version": "1.0.0"})])

    async def test_refused(self) -> None:
        """A refusal is one line and status 1."""
        result = await self.run_("disable", "helo")
        self.assertEqual((result.returncode, result.stdout, result.stderr), (1, "", "Error: no such plugin\n"))

    async def test_json(self) -> None:
        """For programs."""
        self.assertEqual(json.loads((await self.run_("plugins", "--json")).stdout), [plugin("hello")])

    async def test_stopped(self) -> None:
        """An edge that has been stopped."""
        await self.socket.close()
        result = await self.run_("plugins")
        self.assertEqual(result.returncode, 3)
        self.assertIn("state/control.sock: no edge listens there", result.stderr)

    async def test_terminal(self) -> None:
        """A table with colours for whoever looks at it; columns for a pipe."""
        self.assertNotIn("\x1b", (await self.run_("plugins")).stdout)
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        result = await self.run_("plugins", stdout=theirs)
        os.close(theirs)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertIn("\x1b[32mrunning", os.read(ours, 65536).decode())
