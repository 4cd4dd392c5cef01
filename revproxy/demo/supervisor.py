"""
Keeps an edge running while its plugins are being edited.

Only a makeshift for trying things out: a changed plugin is checked, then the edge is ended with SIGTERM, which lets
running requests finish, and started again. For that moment new connections are refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone, ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IProcessTransport, IReactorTime
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

__all__ = ["Supervisor", "digests"]

_POLL = 0.25
_PROBE = 0.05


def digests(folder: Path) -> dict[str, bytes]:
    """
    The state of a folder of sources: relative path to digest. What editors and Python leave behind is passed over.
    """
    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        if any(part.startswith((".", "__pycache__")) for part in name.parts) or name.suffix in (".swp", ".pyc"):
            continue
        try:
            found[str(name)] = hashlib.sha256(path.read_bytes()).digest()
        except OSError:
            continue  # a folder, or gone since
    return found


class _Process(ProcessProtocol):
    """
    A child and how it ended.

    :ivar status: its exit status once it has ended; negative, the signal that ended it.
    """

    status: int | None = None

    def __init__(self) -> None:
        self._waiting: list[Deferred[int]] = []

    def processEnded(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
        error = reason.value
        if isinstance(error, ProcessTerminated):
            self.status = error.exitCode if error.signal is None else -error.signal
        else:
            assert isinstance(error, ProcessDone)
            self.status = 0
        waiting, self._waiting = self._waiting, []
        for ended in waiting:
            ended.callback(self.status or 0)

    def ended(self) -> Deferred[int]:
        """
        Fires with the status when the process has ended, at once when it has.
        """
        if self.status is not None:
            return succeed(self.status)
        deferred: Deferred[int] = Deferred()
        self._waiting.append(deferred)
        return deferred

    def terminate(self) -> Deferred[int]:
        """
        SIGTERM; fires when the process has ended.
        """
        if self.status is None and self.transport is not None:
            try:
                IProcessTransport(self.transport).signalProcess("TERM")
            except ProcessExitedAlready:
                pass  # its end is about to be reported
        return self.ended()


class Spawn(Protocol):
    """
    Starts a command with our standard output.
    """

    def __call__(self, process: ProcessProtocol, command: Sequence[str], /) -> object: ...


class Supervisor:
    """
    One edge, started, watched, restarted, ended.

    :param clock: for waiting.
    :param spawn: starts a process.
    :param edge: the command that is the edge.
    :param check: the command that finds out, by its exit status, whether the edge would start.
    :param listening: tells whether the edge accepts connections.
    :param state: what is watched, as something comparable; see `digests`.
    :param tell: shows a line to whoever watches.
    """

    def __init__(
        self,
        clock: IReactorTime,
        spawn: Spawn,
        edge: Sequence[str],
        check: Sequence[str],
        listening: Callable[[], Awaitable[bool]],
        state: Callable[[], Mapping[str, bytes]],
        tell: Callable[[str], None],
    ) -> None:
        self._clock = clock
        self._spawn = spawn
        self._edge = edge
        self._check = check
        self._listening = listening
        self._state = state
        self._tell = tell
        self._running: _Process | None = None
        self._ending = False
        self._seen = state()

    async def start(self) -> bool:
        """
        Start the edge and wait until it accepts connections.

        :return: False when it ended instead.
        """
        self._running = edge = _Process()
        self._spawn(edge, self._edge)
        while edge.status is None:
            if await self._listening():
                return True
            await deferLater(self._clock, _PROBE)
        return False

    async def end(self) -> None:
        """
        End the edge, wait until it has ended, and start no other.
        """
        self._ending = True
        await self._stop()

    async def _stop(self) -> None:
        if self._running is not None:
            await self._running.terminate()

    async def watch(self) -> None:
        """
        Restart the edge whenever what is watched has changed and then stayed as it is for a moment, until the end.
        """
        latest = self._seen
        while not self._ending:
            await deferLater(self._clock, _POLL)
            before, latest = latest, self._state()
            if latest == before and latest != self._seen:
                await self._changed(latest)
            self._noticeEnd()

    async def _changed(self, state: Mapping[str, bytes]) -> None:
        """
        What runs is not touched before the check says that its successor would run.
        """
        names = sorted(name for name in state.keys() | self._seen.keys() if state.get(name) != self._seen.get(name))
        self._seen = state
        self._tell(f"changed: {', '.join(names)}")
        check = _Process()
        self._spawn(check, self._check)
        if await check.ended():
            self._tell("this would not start. Mend it and save again; what runs is untouched.")
            return
        await self._stop()
        if not self._ending:
            self._tell("restarted." if await self.start() else "the edge did not start.")

    def _noticeEnd(self) -> None:
        """
        An edge that ended by itself is told of once; the next change starts another.
        """
        if self._running is not None and self._running.status is not None:
            self._tell(f"the edge has ended with status {self._running.status}. Save a plugin to start it again.")
            self._running = None
