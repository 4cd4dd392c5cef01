"""Plugins in locked processes, through a real edge: replaced under traffic, rolled back, ended, and back again."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

from tests.harness import EdgeProcess, readAll
from tests.integration.test_reconfiguring import ReconfiguringCase

CODE = """
import os, time
from twisted.internet.defer import Deferred
from zope.interface import implementer
from revproxy.interfaces import *

VERSION = {version!r}

@implementer(IMiddleware, ILifecycle, IStateful, IConfigurable, IHealthCheck)
class PluginMain:
    name = "says"
    def __init__(self, config):
        self.config, self.count = config, 0
    def validateConfig(self, config):
        if config.get("word") == "bad":
            raise ValueError("bad is no word")
    def updateConfig(self, config):
        self.config = config
    def start(self):
        {start}
    def stop(self):
        pass
    def checkHealth(self):
        {health}
    def exportState(self):
        return {{"count": self.count}}
    def importState(self, state, version):
        self.count = state["count"]
    def handle(self, context):
        path = context.request.path
        if path == "/spin":
            while True: pass
        if path == "/sleep":
            time.sleep(60)
        if path == "/exit":
            os._exit(3)
        if path == "/execve":
            os.execv("/bin/true", ["true"])
        if path == "/raise":
            raise ValueError("on purpose")
        if path == "/never":
            return Deferred()
        if path == "/eat":
            return context.respond(200, str(len(bytearray(600 << 20))))
        self.count += 1
        return context.respond(200, f"{{VERSION}} {{self.config.get('word')}} {{os.getpid()}} {{self.count}}")
"""


def code(version: str = "one", start: str = "pass", health: str = "pass") -> str:
    """A plugin that says who it is."""
    return CODE.format(version=version, start=start, health=health)


def manifest(**more: Any) -> str:
    """Its plugin.json."""
    limits = {"timeout_ms": 400}
    return json.dumps({"name": "says", "version": "1.0.0", "isolation": "process", "limits": limits, **more})


def isThere(pid: int) -> bool:
    """Whether there is a process of that number, and it has not ended."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


class LockedCase(ReconfiguringCase):
    """One plugin in a locked process."""

    def locked(self, extra: str = "", start: str = "pass", **more: Any) -> EdgeProcess:
        files = {"plugins/says/plugin.json": manifest(**more), "plugins/says/plugin.py": code(start=start)}
        return self.begin(files, extra)

    def said(self, edge: EdgeProcess, target: str = "/") -> list[str]:
        """What the plugin says: version, word, pid, count."""
        return self.get(edge, target)[1].decode().split(" ")

    def statusOf(self, edge: EdgeProcess, target: str) -> int:
        return int(self.get(edge, target)[0].split(b" ")[1])

    def change(self, edge: EdgeProcess, text: str, name: str = "plugin.py") -> None:
        draft = edge.folder / "plugins/says" / f".{name}.new"
        draft.write_text(text)
        draft.replace(edge.folder / "plugins/says" / name)


class Clients:
    """Many that ask without a pause, until they are told to stop. :ivar answers: what they got, in order."""

    def __init__(self, edge: EdgeProcess, count: int) -> None:
        self.answers: list[tuple[int, bytes, float]] = []
        self._isOver = False
        self._port = edge.port
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    @property
    def last(self) -> bytes:
        """The body of the last answer."""
        return self.answers[-1][1] if self.answers else b""

    def _ask(self) -> None:
        while not self._isOver:
            began = time.monotonic()
            with socket.create_connection(("127.0.0.1", self._port), timeout=60) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                head, _, body = readAll(client).partition(b"\r\n\r\n")
            self.answers.append((int(head.split(b" ")[1]), body, time.monotonic() - began))

    def stop(self) -> None:
        self._isOver = True
        for thread in self._threads:
            thread.join(60)


class SwapTests(LockedCase):
    """Files change while requests come."""

    def lost(self, edge: EdgeProcess) -> list[dict[str, Any]]:
        """Events of requests that a new version does not know of."""
        items = self.ask(edge, "GET", "events", limit=1000)["items"]
        return [event for event in items if event["kind"] == "handover-lost"]

    def test_replaced(self) -> None:
        """
        A new version takes over with the state, and no request fails; the process before it is gone. State takes its
        time from one process to another: an event tells of requests that come meanwhile, and of no fewer than these.
        """
        edge = self.locked()
        first = self.said(edge)
        self.assertEqual(first[:2], ["one", "None"])
        clients = Clients(edge, 4)
        for version in ("two", "three"):
            self.change(edge, code(version))
            self.until(lambda: clients.last.startswith(version.encode()))  # noqa: B023
        clients.stop()
        self.assertEqual({status for status, _, _ in clients.answers}, {200})
        last = self.said(edge)
        lost = sum(int(re.search(r"up to (\d+) request", event["text"])[1]) for event in self.lost(edge))  # type: ignore[index]
        count, expected = int(last[3]), len(clients.answers) + 2
        self.assertTrue(expected - lost <= count <= expected, (expected, lost, count))
        self.until(lambda: not isThere(int(first[2])))
        self.assertEqual(self.kinds(edge).count("replaced"), 2)

    def test_refused(self) -> None:
        """What cannot be imported, does not start or is not well is refused by file and line; what runs runs on."""
        edge = self.locked()
        first = self.said(edge)
        for text, reason in (
            ("1/0\n", "plugin.py:1: importing it raised ZeroDivisionError"),
            (code(start="raise OSError('no')"), "start raised OSError: no"),
            (code(health="raise OSError('ill')"), "checkHealth raised OSError: ill"),
            ("import os\nos._exit(5)\n", "it has ended with 5"),
            ("while True: pass\n", "in one go, and its process was ended"),
            ("def PluginMain(config): return None\n", "PluginMain returned nothing"),
        ):
            self.change(edge, text)
            self.until(lambda reason=reason: reason in edge.said(), reason)  # type: ignore[misc]
            self.assertEqual(self.said(edge)[2], first[2], reason)

    def test_configuredInPlace(self) -> None:
        """A configuration is taken in place, in the same process; one that the plugin refuses is not."""
        edge = self.locked()
        pid = self.said(edge)[2]
        self.change(edge, manifest(config={"word": "good"}), "plugin.json")
        self.until(lambda: self.said(edge)[1] == "good")
        self.change(edge, manifest(config={"word": "bad"}), "plugin.json")
        self.until(lambda: "bad is no word" in edge.said(), edge.said())
        self.assertEqual(self.said(edge)[1:3], ["good", pid])
        os.kill(int(pid), signal.SIGKILL)
        self.until(lambda: self.said(edge)[1:2] == ["good"], "another process has another configuration")

    def test_rolledBack(self) -> None:
        """A version that fails at work is taken out, and the one before it is back in a process of its own."""
        edge = self.locked()
        self.change(edge, code("two"))
        self.until(lambda: self.said(edge)[0] == "two")
        for _ in range(6):
            self.statusOf(edge, "/raise")
        self.until(lambda: self.said(edge)[0] == "one", edge.said())
        self.until(lambda: "quarantined" in self.kinds(edge), edge.said())

    def test_moved(self) -> None:
        """From the edge's own process into a locked one and back, by revproxy.yaml, with its state."""
        edge = self.begin({"plugins/says/plugin.json": manifest(isolation="inline"), "plugins/says/plugin.py": code()})
        self.assertEqual(self.said(edge)[2:], [str(edge.process.pid), "1"])
        for isolation, isOwn in (("process", False), ("inline", True)):
            text = (edge.folder / "revproxy.yaml").read_text().partition("plugins:")
            (edge.folder / "revproxy.yaml").write_text(
                text[0] + f"plugins: {{directory: plugins, settle: 0.15, isolation: {{says: {isolation}}}}}\n"
                "logging: {access: access.log}\n"
            )
            self.until(lambda isOwn=isOwn: (self.said(edge)[2] == str(edge.process.pid)) is isOwn, edge.said())  # type: ignore[misc]
        self.assertGreater(int(self.said(edge)[3]), 3)

    def test_ended(self) -> None:
        """With the edge all processes end; removing the plugin ends its own."""
        edge = self.locked()
        pid = int(self.said(edge)[2])
        (edge.folder / "plugins/says").rename(edge.folder / "says.gone")
        self.until(lambda: not isThere(pid), edge.said())
        (edge.folder / "says.gone").rename(edge.folder / "plugins/says")
        self.until(lambda: self.get(edge)[1].startswith(b"one"))
        pid = int(self.said(edge)[2])
        edge.terminate()
        self.assertEqual(edge.status(), 0, edge.said())
        self.assertFalse(isThere(pid))


class FailureTests(LockedCase):
    """Code that does what it must not: its request fails, and no other."""

    def test_culprits(self) -> None:
        """Each is stopped, one request fails, and the next is answered by another process."""
        edge = self.locked("", limits={"timeout_ms": 400, "memory_mb": 200})
        for target, seconds in (("/spin", 0.4), ("/sleep", 0.4), ("/exit", 0.0), ("/eat", 0.0)):
            before = self.said(edge)[2]
            began = time.monotonic()
            self.assertEqual(self.statusOf(edge, target), 500, target)
            self.assertGreaterEqual(time.monotonic() - began, seconds)
            isSame = self.said(edge)[2] == before
            self.assertEqual(isSame, target == "/eat", target)
        self.assertEqual(self.statusOf(edge, "/never"), 500)
        for limit in ("wall", "memory"):
            self.until(lambda: f"limit-exceeded: {limit}: too much" in edge.said(), limit)  # noqa: B023
        # Where the machine has a tenth of a processor for it, it is ended for the time that it holds its process.
        said = re.compile(r"limit-exceeded: cpu: too much|its code has held its process for ([4-9]|\d\d)")
        self.until(lambda: said.search(edge.said()), edge.said())

    def test_forbidden(self) -> None:
        """A call of the system that is never benign kills the process; the failure says so."""
        edge = self.locked()
        self.assertEqual(self.statusOf(edge, "/execve"), 500)
        self.until(lambda: "SIGSYS" in edge.said(), edge.said())
        self.assertEqual(self.statusOf(edge, "/"), 200)

    def test_innocents(self) -> None:
        """While one call spins under many clients, one request fails, and nobody waits much longer than its budget."""
        edge = self.locked()
        clients = Clients(edge, 8)
        self.until(lambda: len(clients.answers) > 50)
        usual = max(seconds for _, _, seconds in clients.answers)
        began = time.monotonic()
        self.assertEqual(self.statusOf(edge, "/spin"), 500)
        spinning = time.monotonic() - began
        count = len(clients.answers)
        self.until(lambda: len(clients.answers) > count + 50)
        clients.stop()
        self.assertEqual({status for status, _, _ in clients.answers}, {200})
        # A machine that has much else to do is slow in all of it.
        self.assertLess(max(seconds for _, _, seconds in clients.answers), spinning + 1.0 + 5 * usual)

    def test_killed(self) -> None:
        """Somebody kills the process: it is replaced, and started; an event tells that it failed."""
        edge = self.locked(start="print('it starts')")
        pid = int(self.said(edge)[2])
        os.kill(pid, signal.SIGKILL)
        self.until(lambda: int(self.said(edge)[2]) != pid)
        self.assertEqual(edge.said().count("it starts"), 2)
        self.until(lambda: "SIGKILL" in edge.said())

    def test_atStart(self) -> None:
        """What does not start is told at the prompt, and the edge does not begin."""
        files = {"plugins/says/plugin.json": manifest(), "plugins/says/plugin.py": code(start="raise OSError('no')")}
        edge = self.launch(self.text(), files=files)
        self.assertNotEqual(edge.status(), 0)
        self.assertIn("start raised OSError: no", edge.said())
