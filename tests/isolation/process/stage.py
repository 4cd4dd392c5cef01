"""
Real locked processes for tests, with a clock that is advanced.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from revproxy.isolation.frames import Done, Step, Up
from revproxy.isolation.process.gone import Gone
from revproxy.isolation.process.lockedprocess import LockedProcess
from revproxy.isolation.process.processes import Processes
from tests.isolation.process.turns import Turns

INSIDES = str(Path(__file__).parent)
"""Where modules are that stand for the inside: on the path itself, for the package of tests imports much."""

OBEDIENT = "obedient"


class Owner:
    """
    Who has a process.

    :ivar frames, gone, lines: what it has been told.
    """

    def __init__(self, reactor: Turns, process: LockedProcess) -> None:
        self.frames: list[Up] = []
        self.gone: list[Gone] = []
        self.lines: list[str] = []
        self.process = process
        self._reactor = reactor
        self._number = 0
        process.attach(self.frames.append, self.gone.append, self.lines.append)

    def tell(self, *deed: Any) -> int:
        """:param deed: one of `tests.isolation.process.obedient`, and its arguments. :returns: the step's number."""
        self._number += 1
        self.process.send(Step(self._number, "updateConfig", json.dumps(deed).encode()))
        return self._number

    def do(self, *deed: Any) -> Any:
        """As :meth:`tell`. :returns: what comes of it."""
        number = self.tell(*deed)
        answer: list[Done] = []
        self._reactor.until(lambda: self.gone or self._answers(number, answer))
        assert not self.gone, (self.gone, self.lines)
        return json.loads(answer[0].value)

    def _answers(self, number: int, into: list[Done]) -> bool:
        into[:] = [frame for frame in self.frames if isinstance(frame, Done) and frame.number == number]
        return bool(into)

    def end(self) -> Gone:
        """Waits for its end."""
        self._reactor.until(lambda: self.gone)
        assert len(self.gone) == 1
        return self.gone[0]


class ProcessesTestCase(SynchronousTestCase):
    """Ends what a test has made. Time stands."""

    reactor: Turns
    _common: Processes | None = None

    def setUp(self) -> None:
        """Each test has its own time."""
        self.patch(sys, "path", [*sys.path, INSIDES])
        self.reactor = Turns()

    @classmethod
    def tearDownClass(cls) -> None:
        """What the tests of a class have in common ends."""
        if cls._common is not None:
            closed, cls._common = cls._common.close(), None
            cls.reactor.until(lambda: closed.called)

    def common(self) -> Processes:
        """Processes that the tests of a class have in common, and their time: to begin with a template takes long."""
        cls = type(self)
        if cls._common is None:
            cls.reactor = Turns()
            cls._common = Processes(cls.reactor, inside=OBEDIENT, spares=0, now=cls.reactor.seconds)
        self.reactor = cls.reactor
        return cls._common

    def make(self, inside: str = OBEDIENT, **options: Any) -> Processes:
        """Processes that end with the test; none is spare unless a test says so."""
        processes = Processes(
            self.reactor, inside=inside, now=self.reactor.seconds, **{"spares": 0, **options}
        )
        self.addCleanup(self.close, processes)
        return processes

    def close(self, processes: Processes) -> None:
        """Ends all of them."""
        self.wait(processes.close())

    def wait(self, waiting: Deferred[Any]) -> Any:
        """Until it fires. :returns: its result."""
        fired: list[Any] = []
        waiting.addBoth(fired.append)
        self.reactor.until(lambda: fired)
        if hasattr(fired[0], "raiseException"):
            fired[0].raiseException()
        return fired[0]

    def one(self, **options: Any) -> Owner:
        """One of the common ones."""
        return self.take(self.common(), version=self.id(), **options)

    def take(self, processes: Processes, version: str = "quota 1.0.0", **options: Any) -> Owner:
        """One of them."""
        return Owner(self.reactor, self.wait(processes.take(version, **options)))

    def templateOf(self, pid: int) -> int:
        """Who has forked a process."""
        return int(fieldsOf(pid)["PPid"])


def fieldsOf(pid: int) -> dict[str, str]:
    """What the kernel says of a process."""
    lines = Path("/proc", str(pid), "status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def isThere(pid: int) -> bool:
    """Whether a process exists, as a zombie too."""
    return Path("/proc", str(pid)).exists()


def openOf(pid: int | str = "self") -> int:
    """How many descriptors a process has."""
    return len(os.listdir(f"/proc/{pid}/fd"))
