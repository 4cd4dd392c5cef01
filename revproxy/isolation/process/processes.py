"""
All locked processes of an edge.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger

from revproxy.isolation.process.cgroups import Cgroups
from revproxy.isolation.process.crashes import Crashes
from revproxy.isolation.process.descriptors import Descriptors
from revproxy.isolation.process.gone import Gone
from revproxy.isolation.process.lockedprocess import LockedProcess
from revproxy.isolation.process.maker import Maker
from revproxy.isolation.process.requests import Requests
from revproxy.isolation.process.usage import mayLimitOthers
from revproxy.isolation.processlimits import DEFAULT_MEMORY

T = TypeVar("T")

MOST_MEMORY: Final = 16 << 30
"""Bytes that it may have at all; spare processes may have that as long as they are nobody's."""

AT_ONCE: Final = 1.0
"""Seconds within which the end of a spare one counts as a failure to make one."""

FAILURES: Final = 3
"""Failures in a row to make a process, after which whoever waits for one is told."""

QUIET: Final = 30.0
"""Seconds before it is tried again then, or when this machine cannot lock a process well enough."""

CLOSING: Final = 5.0
"""Seconds that processes have to end, together; they are killed, and it is the kernel that takes its time."""

SETTLING: Final = 0.1
"""Seconds that who was given a spare one has the machine to itself: to make the next takes as long as to become a
plugin, and somebody may wait for that."""

IDLE: Final = 60.0
"""Seconds that nobody has one, nor asks for one, after which the spare ones and the template end, too."""

_TEMPLATE: Final = "\0template"


class Unavailable(Exception):
    """
    There is no locked process to be had: this machine cannot lock one well enough, or has no memory, descriptors or
    users for it. The text says which, and what to do.
    """


class Processes:
    """
    All locked processes of an edge, and spare ones.

    It costs nothing until :meth:`take` is called for the first time. That call is to come from the thread that the edge
    ends with: with it, however it ends, the kernel ends them.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        minimumLevel: str = "C",
        uids: tuple[int, int] | None = None,
        spares: int = 1,
        inside: str = "revproxy.isolation.inside.main",
        findCgroups: Callable[[Descriptors], Cgroups] = Cgroups.find,
        without: tuple[str, ...] = (),
        now: Callable[[], float] = monotonic,
    ) -> None:
        """
        :param reactor: provides `IReactorFDSet` and `IReactorTime`. It need not run yet: see :meth:`waitFor`.
        :param minimumLevel: how well they have to be locked: ``"A"``, ``"B"`` or ``"C"``.
        :param uids: the first and the last of the users that they may run as, one each, if the edge is root; None: as
            the edge.
        :param spares: that are kept ready.
        :param inside: the module whose ``serve(fd, holdPage)`` each of them calls when it is locked: a descriptor of
            the stream, and a `revproxy.isolation.holdpage.HoldPage`. It returns at the end of the stream.
        :param findCgroups: finds the part of the tree that is the edge's; raises `NotDelegated`.
        :param without: names of optional layers that are not to be used: for tests.
        """
        self._descriptors = Descriptors(reactor)
        self._maker = Maker(self._descriptors, inside, minimumLevel, uids, findCgroups, without)
        self._maker.onStanding = self._balance
        self._maker.onReady = self._balance
        self._maker.onRefused = self._refused
        self._maker.onMade = self._made
        self._maker.onNotMade = self._notMade
        self._maker.onEnding = self._ending
        self._maker.onEnd = self._hasEnded
        self._maker.onTemplateGone = self._templateGone
        self._crashes = Crashes(now)
        self._wantedSpares = spares
        self._spares: list[LockedProcess] = []
        self._versions: dict[LockedProcess, str] = {}
        self._requests = Requests(self._descriptors, self._due)
        self._isUsed = self._isResting = False
        self._canNarrow = uids is None or mayLimitOthers()
        self._failures = 0
        self._settling: Any = None
        self._again: Any = None
        self._idle: Any = None
        self._closeLimit: Any = None
        self._templateSince = 0.0
        self._refusal = ""
        self._isClosed = False
        self._closing: list[Deferred[None]] = []

    @property
    def level(self) -> str | None:
        """How well they are locked: ``"A"``, ``"B"`` or ``"C"``; None: not at all, or nobody has asked for one yet."""
        return self._maker.machine.level if self._maker.machine is not None else None

    @property
    def layers(self) -> Mapping[str, str]:
        """By layer, ``"enforced"`` or the reason why it is not; empty as long as nobody has asked for a process."""
        if self._maker.machine is None:
            return {}
        found = {layer.name: layer.reason or "enforced" for layer in self._maker.machine}
        return {**found, "cgroup": self._maker.cgroupsOff or "enforced"}

    @property
    def taken(self) -> int:
        """Processes that are somebody's."""
        return len(self._versions)

    @property
    def spares(self) -> int:
        """Processes that are ready and nobody's."""
        return sum(not spare.isGone for spare in self._spares)

    def take(self, version: str, memoryBytes: int = DEFAULT_MEMORY) -> Deferred[LockedProcess]:
        """
        A process of one's own, locked, that waits for `Load`.

        After crashes of the same version it comes later: at once after the first, then after 1, 2, 4 … 30 seconds.
        One that has run for a minute without a crash begins anew.

        :param version: whose it is to be, in any words: crashes are counted by it.
        :param memoryBytes: that it may have beside what every locked process has; then its allocations fail.
        :returns: fails with :class:`Unavailable`. Cancelling gives the process back.
        """
        if why := self._refusal or ("the edge ends" if self._isClosed else ""):
            return fail(Unavailable(why))
        if memoryBytes > MOST_MEMORY:
            return fail(Unavailable(f"{memoryBytes >> 20} MB are asked for, and {MOST_MEMORY >> 20} are the most"))
        self._isUsed = True
        return self._requests.add(version, memoryBytes, self._crashes.waits(version))

    def _due(self) -> None:
        self._failures = min(self._failures, FAILURES - 1)
        self._balance()

    def waitFor(self, waiting: Deferred[T], seconds: float) -> T:
        """
        Before the reactor runs: go on with what locked processes do, and with nothing else, until a Deferred fires.

        :returns: its result.
        :raises TimeoutError: it has not fired in time; it is cancelled. If it fails, what it fails with.
        """
        return self._descriptors.waitFor(waiting, seconds)

    # Spare ones, and whom they are given to

    def _balance(self) -> None:
        """Give what is there, and make what is missing."""
        if self._isClosed or self._refusal:
            return
        self._hand()
        if not self._maker.isRunning:
            if self._isUsed:
                self._startTemplate()
        elif self._maker.isStanding and self._failures < FAILURES:
            self._makeMissing()

    def _startTemplate(self) -> None:
        if wait := self._crashes.waits(_TEMPLATE):
            self._tryAgain(wait)
            return
        self._templateSince = monotonic()
        try:
            self._maker.start()
        except OSError as error:
            self._templateGone(f"not been started: {error}", False)

    def _makeMissing(self) -> None:
        wanted = Counter(self._size(request.memoryBytes) for request in self._requests)
        if self._isUsed and self._settling is None:
            for size in {self._size(process.memoryLimit) for process in self._versions} or {self._size(DEFAULT_MEMORY)}:
                wanted[size] += self._wantedSpares
        there = Counter(spare.memoryLimit for spare in self._spares if not spare.isGone)
        for size in (wanted - there - self._maker.sizesInMaking).elements():
            try:
                self._maker.make(size)
            except OSError as error:
                self._failAll(str(error))
                self._tryAgain(QUIET)
                return

    def _size(self, memoryBytes: int) -> int:
        """With which a process is made for one who asks for so much."""
        return MOST_MEMORY if self._canNarrow else memoryBytes

    def _hand(self) -> None:
        if not self._maker.isReady:
            return
        for request in self._requests:
            # Whoever was given one may have asked for the next.
            if request in self._requests and (process := self._fitting(request.memoryBytes)) is not None:
                self._spares.remove(process)
                self._versions[process] = request.version
                self._failures = 0
                if self._settling is None:
                    self._settling = self._descriptors.later(SETTLING, self._settled)
                process.taken()
                self._requests.give(request, process)

    def _settled(self) -> None:
        self._settling = None
        self._balance()

    def _fitting(self, memoryBytes: int) -> LockedProcess | None:
        for spare in self._spares:
            if not spare.isGone and spare.memoryLimit == self._size(memoryBytes):
                if self._maker.limitMemory(spare, memoryBytes):
                    return spare
                self._narrowNoMore()
                break
        return None

    def _narrowNoMore(self) -> None:
        """
        In some containers not even root may limit the memory of another process: they are made with their limit then,
        and the spare ones are for who does not say what he needs.
        """
        self._canNarrow = False
        for spare in self._spares:
            spare.kill("it is too large", isFault=False)

    # What the maker tells

    def _refused(self, why: str) -> None:
        self._log.error("no plugin can run in a locked process: {why}", why=why)
        self._refusal, self._isUsed = why, False
        self._failAll(why)
        self._tryAgain(QUIET)

    def _made(self, process: LockedProcess) -> None:
        self._spares.append(process)
        if not self._canNarrow and process.memoryLimit == MOST_MEMORY:
            process.kill("it is too large", isFault=False)
        self._balance()

    def _notMade(self, why: str) -> None:
        self._log.warn("a locked process could not be made: {why}", why=why)
        self._fail(why)
        self._balance()

    def _fail(self, why: str) -> None:
        self._failures += 1
        if self._failures >= FAILURES:
            self._failAll(why)
            self._tryAgain(QUIET)

    def _ending(self, process: LockedProcess, gone: Gone) -> None:
        """Before who has it is told, and asks for the next."""
        version = self._versions.pop(process, None)
        if version is not None:
            if gone.isFault:
                self._crashes.crashed(version, process.seconds)
        elif process in self._spares:
            self._spares.remove(process)
            if gone.isFault and process.seconds < AT_ONCE:
                self._fail(" | ".join([f"a spare process has ended: {gone.text}", *process.firstLines]))

    def _hasEnded(self, process: LockedProcess, gone: Gone) -> None:
        if self._isUsed and not self._isClosed and self._idle is None and not self._isNeeded:
            self._idle = self._descriptors.later(IDLE, self._rest)
        self._balance()

    @property
    def _isNeeded(self) -> bool:
        """Whether anybody has one, or waits for one."""
        return bool(self._versions or self._requests)

    def _rest(self) -> None:
        """Nobody has needed one for some time."""
        self._idle = None
        if not self._isNeeded:
            self._isUsed, self._isResting = False, True
            self._maker.end("nobody needs it")

    def _templateGone(self, how: str, wasReady: bool) -> None:
        if self._isClosed:
            self._hasClosed()
        elif self._isResting:
            self._isResting = False
            self._balance()
        elif not self._refusal:
            self._crashes.crashed(_TEMPLATE, monotonic() - self._templateSince)
            self._log.error(
                "the template of locked processes has {how}; another takes its place, and plugins in locked processes "
                "wait for it. If it happens again, the machine's log may say why (out of memory?)",
                how=how,
            )
            if not wasReady:
                self._failAll(f"no process can be locked: its template has {how}")
            self._balance()

    def _failAll(self, why: str) -> None:
        self._requests.failDue(Unavailable(why))

    def _tryAgain(self, seconds: float) -> None:
        if self._again is None:
            self._again = self._descriptors.later(seconds, self._goOn)

    def _goOn(self) -> None:
        self._again, self._failures, self._refusal = None, 0, ""
        self._balance()

    # The end

    def close(self) -> Deferred[None]:
        """End all of them. Nothing can be taken then. :returns: fires when all have ended."""
        closed: Deferred[None] = Deferred()
        self._closing.append(closed)
        if not self._isClosed:
            self._isClosed = True
            for timer in (self._again, self._idle, self._settling):
                if timer is not None:
                    timer.cancel()
            self._failAll("the edge ends")
            self._requests.failAll(Unavailable("the edge ends"))
            self._closeLimit = self._descriptors.later(CLOSING, self._hasClosed)
            self._maker.end("the edge ends")
        if not self._maker.isRunning:
            self._hasClosed()
        return closed

    def _hasClosed(self) -> None:
        if self._closeLimit.active():
            self._closeLimit.cancel()
        closing, self._closing = self._closing, []
        for each in closing:
            each.callback(None)
