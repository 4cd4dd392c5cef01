"""
The tier ``process``: what all plugins in locked processes have in common, and one of them put together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from revproxy.errors import LimitName
from revproxy.figures import Figures
from revproxy.isolation.brokering import AskUpstream, Broker
from revproxy.isolation.frames import Load
from revproxy.isolation.knownrequests import KnownRequests
from revproxy.isolation.lockedmiddleware import LockedMiddleware
from revproxy.isolation.pluginprocess import Process
from revproxy.isolation.process.processes import Processes
from revproxy.isolation.processfigures import ProcessFigures
from revproxy.isolation.processlimits import ProcessLimits
from revproxy.isolation.succession import Succession
from revproxy.isolation.upcalls import Upcalls
from revproxy.loop.deadlines import Deadlines
from revproxy.permissions import Permissions


class Pool(Protocol):
    """Locked processes: what is needed of a `revproxy.isolation.process.processes.Processes`."""

    @property
    def level(self) -> str | None: ...

    @property
    def layers(self) -> Mapping[str, str]: ...

    def take(self, version: str, memoryBytes: int = ...) -> Deferred[Any]: ...

    def close(self) -> Deferred[None]: ...


def poolOf(reactor: Any, minimumLevel: str, uids: tuple[int, int] | None) -> Pool:
    """
    Locked processes.

    :param minimumLevel: how well they have to be locked: ``A``, ``B`` or ``C``.
    :param uids: the first and the last of the users that they may run as; None: as the edge.
    """
    return Processes(reactor, minimumLevel, uids)


@dataclass(frozen=True, slots=True)
class Books:
    """
    Where it is put down what a plugin does.

    :ivar figures: what its version counts by itself.
    :ivar counters: what its version does: `revproxy.dataplane.counters.Counters`.
    :ivar storeOf: gives what it keeps over restarts.
    :ivar failed: told what its code has raised outside of calls, and how its process has ended by itself.
    :ivar exceeded: told of a limit that was exceeded, in words, where no failure tells of it.
    :ivar isHeard: whether what it logs is.
    """

    figures: Figures
    counters: Any
    storeOf: Callable[[], Any]
    failed: Callable[[BaseException], None]
    exceeded: Callable[[LimitName, str], None]
    isHeard: bool = True


class ProcessTier:
    """
    Of one worker.

    :param clock: the reactor.
    :param deadlines: for calls; swept each 20 ms.
    :param take: gives a locked process, for a version, by any name, with so many bytes of memory.
    :param askUpstream: sends requests to upstreams.
    """

    def __init__(
        self,
        clock: Any,
        deadlines: Deadlines,
        take: Callable[[str, int], Deferred[Any]],
        askUpstream: AskUpstream,
    ) -> None:
        self._clock = clock
        self._deadlines = deadlines
        self._take = take
        self._askUpstream = askUpstream

    def middleware(
        self, load: Load, permissions: Permissions, limits: ProcessLimits, books: Books
    ) -> LockedMiddleware:
        """
        :param load: what its process is told that it is to become.
        :returns: a middleware that is not loaded yet.
        """
        requests, now = KnownRequests(), self._deadlines.now
        figures = ProcessFigures(books.figures, lambda text: upcalls.exceeded("labels", text))
        upcalls = Upcalls(
            load.name, load.version, permissions, limits, requests, figures, now,
            failed=books.failed, exceeded=books.exceeded, isHeard=books.isHeard,
        )  # fmt: skip
        take: Callable[[], Deferred[Process]] = partial(self._take, f"{load.name} {load.digest}", limits.memory)
        succession = Succession(take, load, limits, self._clock, self._deadlines, upcalls, books.failed)
        upcalls.broker = Broker(
            permissions, limits, requests, self._askUpstream, books.storeOf, now,
            exceeded=upcalls.exceeded, notRepeatable=succession.notRepeatable,
        )  # fmt: skip
        stop = upcalls.broker.stop
        middleware = LockedMiddleware(load.name, succession, requests, permissions, stop, books.counters)
        upcalls.sendInterim = middleware.interim
        return middleware
