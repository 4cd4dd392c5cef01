"""
The process of a demo's edge.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone, ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure


class EdgeProcess(ProcessProtocol):  # type: ignore[misc]
    """
    The edge's process, writing where we write and reading nothing.

    :ivar status: its exit status once it has ended; negative, the signal that ended it.
    """

    def __init__(self) -> None:
        self.status: int | None = None
        self._waiting: list[Deferred[int]] = []

    def start(self, reactor: Any, command: Sequence[str]) -> None:
        """
        Start it; once.
        """
        nothing = os.open(os.devnull, os.O_RDONLY)
        try:
            reactor.spawnProcess(self, command[0], command, env=os.environ, childFDs={0: nothing, 1: 1, 2: 2})
        finally:
            os.close(nothing)

    def processEnded(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
        error = reason.value
        code, number = getattr(error, "exitCode", None), getattr(error, "signal", None)
        self.status = status = -number if number else code or 0
        waiting, self._waiting = self._waiting, []
        for ended in waiting:
            ended.callback(status)

    def ended(self) -> Deferred[int]:
        """
        Fires with the status when it has ended, at once when it has.
        """
        if self.status is not None:
            return succeed(self.status)
        deferred: Deferred[int] = Deferred()
        self._waiting.append(deferred)
        return deferred

    def end(self) -> Deferred[int]:
        """
        SIGTERM: what runs finishes. Fires when it has ended.
        """
        if self.status is None and self.transport is not None:
            try:
                self.transport.signalProcess("TERM")
            except ProcessExitedAlready:
                pass  # its end is about to be reported
        return self.ended()
