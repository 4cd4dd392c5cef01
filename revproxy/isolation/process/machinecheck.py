"""
What of the lock this machine has, found out in a child of the template while that imports what takes longest.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TextIO

from revproxy.isolation.lock.canaries import canaries
from revproxy.isolation.lock.detection import detect, nothing
from revproxy.isolation.lock.layers import ROOMS, Layers, Lock
from revproxy.isolation.lock.limits import addressSpace

ROOM: Final = 256 << 20
"""Bytes of address space that a canary may have beside what it has from the template."""

_SLOW: Final = frozenset(("user-namespace", *ROOMS))
"""
Without these canaries are sent: each costs milliseconds, and it is the filter that is to end them. That the whole lock
holds is tried by each process itself.
"""


@dataclass(frozen=True, slots=True)
class MachineCheck:
    """
    A child that tries the lock.

    :ivar fd: can be read when it has said something.
    """

    fd: int
    _pid: int
    _said: TextIO

    @classmethod
    def begin(cls, uid: int | None, without: Sequence[str], endWith: Callable[[int], None]) -> MachineCheck:
        """
        For a process with one thread.

        :param uid: a user that processes may become; None: there is none.
        :param without: optional layers that are not to be used.
        :param endWith: makes a process end with its parent.
        """
        reading, writing = os.pipe()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                endWith(parent)
                with open(writing, "w") as out:
                    _check(out, uid, frozenset(without))
            finally:
                os._exit(0)
        os.close(writing)
        return cls(reading, pid, os.fdopen(reading))

    def layers(self) -> Layers:
        """Waits for the first thing it says: what this machine has."""
        line = self._said.readline()
        return Layers.of(json.loads(line)) if line else nothing("what this machine has could not be tried")

    def survived(self) -> tuple[str, ...]:
        """Waits for the second, and its end: which canaries have survived, a sentence each."""
        line = self._said.readline()
        self.finish()
        return tuple(json.loads(line)) if line else ("what must end a locked process could not be tried",)

    def finish(self) -> None:
        """Waits for its end, once: nobody else would, where the edge is the first process of a container."""
        if not self._said.closed:
            self._said.read()
            self._said.close()
            os.waitpid(self._pid, 0)


def _check(out: TextIO, uid: int | None, without: frozenset[str]) -> None:
    layers = detect(uid)
    _say(out, layers.asList())
    if layers.level is None:  # nobody is locked here
        return
    _say(out, canaries(Lock(addressSpace() + ROOM, os.getpid(), (), uid, layers.usable - without - _SLOW)))


def _say(out: TextIO, value: Any) -> None:
    out.write(json.dumps(value) + "\n")
    out.flush()
