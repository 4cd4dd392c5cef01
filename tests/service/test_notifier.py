"""What a service manager is told, over a real socket."""

from __future__ import annotations

import os
import signal
import socket
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.service.notifier import Notifier
from tests.harness import PATIENCE
from tests.service.test_foreground import RunCase
from tests.socketfolder import socketFolder


def managerSocket(case: Any, address: str) -> socket.socket:
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    case.addCleanup(manager.close)
    manager.bind(address)
    manager.settimeout(PATIENCE)
    return manager


class NotifierTests(SynchronousTestCase):
    """`Notifier`."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.address = str(socketFolder(self) / "notify")

    def notifier(self, environment: dict[str, str]) -> Notifier:
        return Notifier(self.clock, environment, lambda: 5_000_700)

    def test_told(self) -> None:
        """What is said, word for word; what the manager has said is no child's business."""
        manager = managerSocket(self, self.address)
        environment = {"NOTIFY_SOCKET": self.address, "WATCHDOG_USEC": "", "HOME": "/"}
        notifier = self.notifier(environment)
        self.assertEqual(environment, {"HOME": "/"})
        notifier.ready("serving\nMAINPID=1")
        notifier.reloading()
        notifier.status("a")
        notifier.stopping()
        told = [manager.recv(1000) for _ in range(4)]
        self.assertEqual(told[0], b"READY=1\nSTATUS=serving MAINPID=1")
        self.assertEqual(told[1:3], [b"RELOADING=1\nMONOTONIC_USEC=5000", b"STATUS=a"])
        self.assertTrue(told[3].startswith(b"STOPPING=1\nSTATUS=stopping"))

    def test_abstract(self) -> None:
        """A name that is in no file system."""
        name = f"revproxy-test-{os.getpid()}"
        manager = managerSocket(self, f"\0{name}")
        self.notifier({"NOTIFY_SOCKET": f"@{name}"}).status("a")
        self.assertEqual(manager.recv(100), b"STATUS=a")

    def test_heartbeat(self) -> None:
        """From ready on, each half of the time that the manager waits; not after the end."""
        manager = managerSocket(self, self.address)
        manager.setblocking(False)
        notifier = self.notifier({"NOTIFY_SOCKET": self.address, "WATCHDOG_USEC": "6000000",
                                  "WATCHDOG_PID": str(os.getpid())})
        self.clock.advance(10)
        notifier.ready("a")
        notifier.ready("b")
        self.clock.pump([3, 2.9, 0.1])
        told = [manager.recv(100) for _ in range(5)]
        self.assertEqual([each for each in told if each == b"WATCHDOG=1"], [b"WATCHDOG=1"] * 3)
        notifier.stop()
        self.clock.advance(100)
        self.assertRaises(BlockingIOError, manager.recv, 100)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_notOurs(self) -> None:
        """The heartbeat of another process is not ours."""
        self.notifier({"NOTIFY_SOCKET": self.address, "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}).ready("a")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nobody(self) -> None:
        """Nobody asks, nobody listens, nobody reads, or the name is none: nothing happens."""
        for environment in ({}, {"NOTIFY_SOCKET": self.address}, {"NOTIFY_SOCKET": "a\0b"},
                            {"NOTIFY_SOCKET": "x" * 300}):
            self.notifier(environment).ready("a")
        managerSocket(self, self.address)
        notifier = self.notifier({"NOTIFY_SOCKET": self.address})
        for _ in range(1000):
            notifier.status("a" * 400)


class EdgeTests(RunCase):
    """An edge under a manager."""

    def test_edge(self) -> None:
        """Ready when it serves; reloading and ready again; alive meanwhile; stopping."""
        address = str(socketFolder(self) / "notify")
        manager = managerSocket(self, address)
        (self.folder / "plugins").mkdir()
        with (self.folder / "revproxy.yaml").open("a") as file:
            file.write("plugins: {directory: plugins}\n")
        edge = self.process(env={**os.environ, "NOTIFY_SOCKET": address, "WATCHDOG_USEC": "20000"})
        self.assertEqual(manager.recv(1000), b"READY=1\nSTATUS=serving with 0 plugins")
        self.assertEqual(self.answer(), b"one")
        self.told(manager, b"WATCHDOG=1")
        broken = self.folder / "plugins" / "broken"
        broken.mkdir()
        (broken / "plugin.json").write_text("{")
        edge.process.send_signal(signal.SIGHUP)
        self.assertIn(b"\nMONOTONIC_USEC=", self.told(manager, b"RELOADING=1"))
        self.assertEqual(self.told(manager, b"READY=1"), b"READY=1\nSTATUS=serving with 0 plugins; refused: broken")
        edge.terminate()
        self.told(manager, b"STOPPING=1")
        self.assertEqual(edge.status(), 0, edge.said())

    def test_refused(self) -> None:
        """Why it does not start is in the status."""
        address = str(socketFolder(self) / "notify")
        manager = managerSocket(self, address)
        with socket.create_server(("127.0.0.1", self.port)):
            self.refused(env={**os.environ, "NOTIFY_SOCKET": address})
        self.assertIn(b"STATUS=cannot start: Couldn't listen on", manager.recv(1000))

    def told(self, manager: socket.socket, first: bytes) -> bytes:
        """The next message that begins with this line."""
        while (message := manager.recv(1000)).split(b"\n")[0] != first:
            pass
        return message
