"""
One locked process, as the edge has it.
"""

from __future__ import annotations

from collections.abc import Callable

from revproxy.isolation.frames import Down, Up
from revproxy.isolation.holdpage import Hold
from revproxy.isolation.process.gone import Gone


class LockedProcess:
    """
    One locked process, as the edge has it: made by `Processes.take`, locked, and waiting for `Load`.

    What it says comes to the callbacks of :meth:`attach`, never from within :meth:`send` or :meth:`kill`.

    :ivar pid: its number; nobody else's until ``onGone`` was called.
    :ivar level: how well it is locked: ``"A"``, ``"B"`` or ``"C"``.
    :ivar isGone: whether it has ended, or was killed: nothing is heard of it any more but ``onGone``.
    :ivar unsent: bytes of frames that it has not taken yet.
    """

    pid: int
    level: str
    isGone: bool
    unsent: int

    def attach(
        self,
        onFrame: Callable[[Up], None],
        onGone: Callable[[Gone], None],
        onOutput: Callable[[str], None],
    ) -> None:
        """
        Who is told. To be called once, before the first frame is sent.

        :param onFrame: each frame that comes, decoded: its types and lengths are as `frames` says, and all else is
            hostile. If this raises, the process is killed.
        :param onGone: once, last of all, however it has ended; its number may be another's then.
        :param onOutput: each line that it has written to stdout or stderr: at most 64 KB in a minute, control
            characters escaped. What was dropped is told in a line, too.
        """
        raise NotImplementedError

    def send(self, frame: Down) -> None:
        """
        Frames of one turn of the event loop leave together, at its end. To one that is gone nothing is sent.

        A process that does not take what it is sent, beyond `MOST_UNSENT` bytes, is killed.
        """
        raise NotImplementedError

    def kill(self, why: str, isFault: bool = True) -> None:
        """
        End it now, whatever it does. ``onGone`` is called a little later. Nothing, if it is gone.

        :param why: in words: comes back as `Gone.why`.
        :param isFault: False: it is not needed any more; it does not count as a crash of its version.
        """
        raise NotImplementedError

    def held(self) -> Hold | None:
        """Which call's code runs in it now, as it says itself; None: none's."""
        raise NotImplementedError

    def cpuSeconds(self) -> float:
        """What it has computed since it was taken, in seconds of CPU time: 0.4 µs to ask. 0 if it is gone."""
        raise NotImplementedError

    def memoryBytes(self) -> int:
        """What it has in memory that is its own, in bytes. 0 if it is gone."""
        raise NotImplementedError
