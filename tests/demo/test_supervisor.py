"""
Tests for `revproxy.demo.supervisor`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.interfaces import IProcessTransport
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides

from revproxy.demo.supervisor import Supervisor, digests


class FakeProcess:
    """
    A child that ends when told to.
    """

    def __init__(self, protocol: Any, command: Sequence[str]) -> None:
        directlyProvides(self, IProcessTransport)
        self.protocol = protocol
        self.command = command
        self.signals: list[str] = []
        protocol.makeConnection(self)

    def signalProcess(self, name: str) -> None:
        self.signals.append(name)

    def ends(self, status: int = 0) -> None:
        """
        With this exit status.
        """
        reason = ProcessTerminated(exitCode=status) if status else ProcessDone(0)
        self.protocol.processEnded(Failure(reason))


class SupervisorTests(SynchronousTestCase):
    """
    Driven by a clock; processes and files are stand-ins.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.processes: list[FakeProcess] = []
        self.accepts = True
        self.state = {"greeting/plugin.py": b"1"}
        self.told: list[str] = []
        self.supervisor = Supervisor(
            clock=self.clock,
            spawn=lambda protocol, command: self.processes.append(FakeProcess(protocol, command)),
            edge=["edge"],
            check=["check"],
            listening=lambda: succeed(self.accepts),
            state=lambda: dict(self.state),
            tell=self.told.append,
        )

    def commands(self) -> list[str]:
        """
        What was started so far.
        """
        return [process.command[0] for process in self.processes]

    def running(self) -> Deferred[None]:
        """
        An edge is up and watched.
        """
        self.assertTrue(self.successResultOf(Deferred.fromCoroutine(self.supervisor.start())))
        return Deferred.fromCoroutine(self.supervisor.watch())

    def edit(self, content: bytes) -> None:
        """
        Change a plugin, and let the change be seen.
        """
        self.state["greeting/plugin.py"] = content
        self.clock.pump([0.25, 0.25])

    def test_startWaits(self) -> None:
        """
        Starting is over when the edge accepts connections.
        """
        self.accepts = False
        started = Deferred.fromCoroutine(self.supervisor.start())
        self.clock.pump([0.05] * 3)
        self.assertNoResult(started)
        self.accepts = True
        self.clock.advance(0.05)
        self.assertTrue(self.successResultOf(started))

    def test_startFails(self) -> None:
        """
        An edge that ends before it listens did not start.
        """
        self.accepts = False
        started = Deferred.fromCoroutine(self.supervisor.start())
        self.processes[0].ends(1)
        self.clock.advance(0.05)
        self.assertFalse(self.successResultOf(started))

    def test_restart(self) -> None:
        """
        A changed plugin is checked; then the edge is ended, and another one started when it is gone.
        """
        self.running()
        self.edit(b"2")
        self.assertEqual(self.commands(), ["edge", "check"])
        self.assertEqual(self.processes[0].signals, [])
        self.processes[1].ends()
        self.assertEqual(self.processes[0].signals, ["TERM"])
        self.assertEqual(self.commands(), ["edge", "check"])
        self.processes[0].ends()
        self.assertEqual(self.commands(), ["edge", "check", "edge"])
        self.assertEqual(self.told, ["changed: greeting/plugin.py", "restarted."])

    def test_refused(self) -> None:
        """
        While a plugin is broken the edge runs on; when it is mended the edge restarts.
        """
        self.running()
        self.edit(b"broken")
        self.processes[1].ends(1)
        self.assertEqual(self.processes[0].signals, [])
        self.edit(b"mended")
        self.processes[2].ends()
        self.assertEqual(self.processes[0].signals, ["TERM"])

    def test_unchanged(self) -> None:
        """
        Nothing happens while nothing changes, nor when a change is taken back at once.
        """
        self.running()
        self.clock.pump([0.25] * 10)
        self.state["greeting/plugin.py"] = b"2"
        self.clock.advance(0.25)
        self.state["greeting/plugin.py"] = b"1"
        self.clock.pump([0.25] * 10)
        self.assertEqual(self.commands(), ["edge"])

    def test_stillBeingWritten(self) -> None:
        """
        Files that keep changing are left alone until they rest.
        """
        self.running()
        for content in (b"2", b"3", b"4"):
            self.state["greeting/plugin.py"] = content
            self.clock.advance(0.25)
        self.assertEqual(self.commands(), ["edge"])
        self.clock.advance(0.25)
        self.assertEqual(self.commands(), ["edge", "check"])

    def test_crash(self) -> None:
        """
        An edge that ends by itself is told of once, and started with the next change.
        """
        self.running()
        self.processes[0].ends(3)
        self.clock.pump([0.25] * 4)
        self.assertEqual(len(self.told), 1)
        self.assertIn("status 3", self.told[0])
        self.edit(b"2")
        self.processes[1].ends()
        self.assertEqual(self.commands(), ["edge", "check", "edge"])

    def test_end(self) -> None:
        """
        Ending waits for the edge, and ends the watching.
        """
        watching = self.running()
        ended = Deferred.fromCoroutine(self.supervisor.end())
        self.assertNoResult(ended)
        self.processes[0].ends()
        self.successResultOf(ended)
        self.clock.advance(0.25)
        self.successResultOf(watching)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_endWhileRestarting(self) -> None:
        """
        No edge is started after the end was asked for.
        """
        self.running()
        self.edit(b"2")
        self.processes[1].ends()
        ended = Deferred.fromCoroutine(self.supervisor.end())
        self.processes[0].ends()
        self.successResultOf(ended)
        self.assertEqual(self.commands(), ["edge", "check"])


class DigestsTests(SynchronousTestCase):
    """
    What counts as a change.
    """

    def test_contents(self) -> None:
        """
        Files of all kinds count, at any depth; caches and what editors leave behind do not.
        """
        folder = Path(self.mktemp())
        (folder / "a" / "__pycache__").mkdir(parents=True)
        for name in ("a/plugin.py", "a/plugin.json", "a/.plugin.py.swp", "a/__pycache__/plugin.pyc"):
            (folder / name).write_text(name)
        before = digests(folder)
        self.assertEqual(set(before), {"a/plugin.py", "a/plugin.json"})
        (folder / "a/plugin.py").write_text("other")
        after = digests(folder)
        self.assertNotEqual(after["a/plugin.py"], before["a/plugin.py"])
        self.assertEqual(after["a/plugin.json"], before["a/plugin.json"])

    def test_absent(self) -> None:
        """
        A folder that is not there is an empty one.
        """
        self.assertEqual(digests(Path(self.mktemp())), {})
