"""
All locked processes of an edge.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

from revproxy.isolation.process.lockedprocess import LockedProcess

T = TypeVar("T")

DEFAULT_MEMORY = 128 << 20
"""Bytes that a plugin may have in memory beside what every locked process has, if it does not say."""


class Unavailable(Exception):
    """
    There is no locked process to be had: this machine cannot lock one well enough, or has no memory, descriptors or
    users for it. The text says which, and what to do.
    """


class Processes:
    """
    All locked processes of an edge, and spare ones.

    It costs nothing until :meth:`take` is called for the first time.
    """

    def __init__(
        self,
        reactor: Any,
        minimumLevel: str = "C",
        uids: tuple[int, int] | None = None,
        spares: int = 1,
        inside: str = "revproxy.isolation.inside.main",
    ) -> None:
        """
        :param reactor: provides `IReactorFDSet` and `IReactorTime`. It need not run yet: see :meth:`waitFor`.
        :param minimumLevel: how well they have to be locked: ``"A"``, ``"B"`` or ``"C"``.
        :param uids: the first and the last of the users that they may run as, one each; None: as the edge.
        :param spares: that are kept ready.
        :param inside: the module whose ``serve(fd, holdPage)`` each of them calls when it is locked: a descriptor of
            the stream, and a `revproxy.isolation.holdpage.HoldPage`. It returns at the end of the stream.
        """
        raise NotImplementedError

    @property
    def level(self) -> str | None:
        """How well they are locked: ``"A"``, ``"B"`` or ``"C"``; None: not at all, or nobody has asked for one yet."""
        raise NotImplementedError

    @property
    def layers(self) -> Mapping[str, str]:
        """By layer, ``"enforced"`` or the reason why it is not; empty as long as nobody has asked for a process."""
        raise NotImplementedError

    def examine(self) -> Deferred[None]:
        """
        Find out `level` and `layers`, as :meth:`take` does when it is called for the first time.

        :returns: fails with :class:`Unavailable`.
        """
        raise NotImplementedError

    def take(self, version: str, memoryBytes: int = DEFAULT_MEMORY) -> Deferred[LockedProcess]:
        """
        A process of one's own, locked, that waits for `Load`.

        After crashes of the same version it comes later: at once after the first, then after 1, 2, 4 … 30 seconds.
        One that has run for a minute without a crash begins anew.

        :param version: whose it is to be, in any words: crashes are counted by it.
        :param memoryBytes: that it may have beside what every locked process has; then its allocations fail.
        :returns: fails with :class:`Unavailable`. Cancelling gives the process back.
        """
        raise NotImplementedError

    def waitFor(self, waiting: Deferred[T], seconds: float) -> T:
        """
        Before the reactor runs: go on with what locked processes do, and with nothing else, until a Deferred fires.

        :returns: its result.
        :raises TimeoutError: it has not fired in time; it is cancelled. If it fails, what it fails with.
        """
        raise NotImplementedError

    def close(self) -> Deferred[None]:
        """End all of them. Nothing can be taken then. :returns: fires when all have ended."""
        raise NotImplementedError
