"""
The tier ``process``: what all plugins in locked processes have in common, and one of them put together.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from revproxy.errors import LimitName
from revproxy.figures import Figures
from revproxy.isolation.brokering import AskUpstream, Broker
from revproxy.isolation.cell import Process
from revproxy.isolation.frames import Load
from revproxy.isolation.frontdesk import FrontDesk
from revproxy.isolation.guest import Guest
from revproxy.isolation.guestfigures import GuestFigures
from revproxy.isolation.guestlimits import GuestLimits
from revproxy.isolation.process.processes import Processes
from revproxy.isolation.tenancy import Tenancy
from revproxy.isolation.visits import Visits
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
class Resident:
    """
    What a plugin is that is to run in a locked process.

    :ivar version: its number; ``digest``: of its files.
    :ivar directory: what tracebacks call its place.
    :ivar files: of its bundle, by path.
    :ivar libraries: of distributions that it depends on and does not bring: by the distribution's name, files by path.
    """

    name: str
    version: str
    digest: str
    directory: str
    entryPoint: str
    files: Mapping[str, bytes]
    libraries: Mapping[str, Mapping[str, bytes]]
    config: Mapping[str, Any]
    permissions: Permissions
    limits: GuestLimits

    def load(self) -> Load:
        """What its process is told first of all."""
        return Load(
            self.name,
            self.version,
            self.digest,
            self.directory,
            self.entryPoint,
            dict(self.files),
            {name: dict(files) for name, files in self.libraries.items()},
            json.dumps(self.config).encode(),
            json.dumps(self.permissions.asDict()).encode(),
            self.limits.body,
        )


@dataclass(frozen=True, slots=True)
class Books:
    """
    Where it is put down what a plugin does.

    :ivar figures: what its version counts by itself.
    :ivar counters: what its version does: `revproxy.dataplane.counters.Counters`.
    :ivar storeOf: gives what it keeps over restarts.
    :ivar failed: told what its code has raised outside of calls, and how its process has ended by itself.
    :ivar exceeded: told of a limit that was exceeded, in words, where no failure tells of it.
    """

    figures: Figures
    counters: Any
    storeOf: Callable[[], Any]
    failed: Callable[[BaseException], None]
    exceeded: Callable[[LimitName, str], None]


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

    def guest(self, resident: Resident, books: Books) -> Guest:
        """
        :returns: a middleware that is not loaded yet.
        """
        limits, permissions, now = resident.limits, resident.permissions, self._deadlines.now
        visits = Visits()
        figures = GuestFigures(books.figures, lambda text: desk.exceeded("labels", text))
        desk = FrontDesk(
            resident.name, resident.version, permissions, limits, visits, figures, now,
            failed=books.failed, exceeded=books.exceeded,
        )  # fmt: skip
        take: Callable[[], Deferred[Process]] = partial(
            self._take, f"{resident.name} {resident.digest}", limits.memory
        )
        tenancy = Tenancy(take, resident.load(), limits, self._clock, self._deadlines, desk, books.failed)
        desk.broker = Broker(
            permissions, limits, visits, self._askUpstream, books.storeOf, now,
            exceeded=desk.exceeded, notRepeatable=tenancy.notRepeatable,
        )  # fmt: skip
        guest = Guest(resident.name, tenancy, visits, permissions, desk.broker.stop, books.counters)
        desk.sendInterim = guest.interim
        return guest
