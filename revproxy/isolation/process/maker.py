"""
Makes locked processes: the template, what it forks, and whether that is locked as it has to be.
"""

from __future__ import annotations

import os
import resource
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from twisted.logger import Logger

from revproxy.isolation.lock.layers import Layer, Layers, Lock
from revproxy.isolation.process.cgroups import Cgroups, NotDelegated
from revproxy.isolation.process.descriptors import Descriptors
from revproxy.isolation.process.gone import Gone
from revproxy.isolation.process.limit import Limit
from revproxy.isolation.process.lockedprocess import Ends, LockedProcess
from revproxy.isolation.process.made import Made, tooLow
from revproxy.isolation.process.orders import (
    AnyOrder,
    Begin,
    Ended,
    Fork,
    Forked,
    NotForked,
    Standing,
    Tried,
)
from revproxy.isolation.process.orphan import Orphan
from revproxy.isolation.process.template import KEPT
from revproxy.isolation.process.templateprocess import TemplateProcess
from revproxy.isolation.process.users import Users

STANDING: Final = 60.0
"""Seconds that the template may take to import all it needs, and to try the lock."""

MAKING: Final = 20.0
"""Seconds from the order of a process until it is locked."""


class Maker:
    """
    Makes locked processes.

    :ivar machine: what of the lock this machine has; None: the template stands not yet.
    :ivar isReady: whether processes can be made: the machine is good enough, and what must end a locked process has
        ended all who did it.
    :ivar cgroupsOff: why processes have no cgroups of their own; empty: they have, or nobody has asked.
    :ivar isStanding: whether the template has imported all it needs: processes can be made.
    :ivar onStanding: called when it is so.
    :ivar onReady: called when `isReady` is so; ``onRefused``: when it never will be, with the reason in words.
    :ivar onMade: called with a process that is locked; ``onNotMade``: with the reason.
    :ivar onEnding: called when one that was made has ended, before anybody else is told; ``onEnd``: last of all.
    :ivar onTemplateGone: called when the template has ended, with how, and whether it had been ready.
    """

    _log = Logger()

    def __init__(
        self,
        descriptors: Descriptors,
        inside: str,
        minimumLevel: str,
        uids: tuple[int, int] | None,
        findCgroups: Callable[[Descriptors], Cgroups] = Cgroups.find,
        without: tuple[str, ...] = (),
    ) -> None:
        """
        :param findCgroups: called when the first template is started; raises `NotDelegated`.
        :param without: names of optional layers that are not to be used: for tests.
        """
        self.machine: Layers | None = None
        self.isReady = False
        self.onStanding: Callable[[], None] = _nothing
        self.onReady: Callable[[], None] = _nothing
        self.onRefused: Callable[[str], None] = _nobody
        self.onMade: Callable[[LockedProcess], None] = _nobody
        self.onNotMade: Callable[[str], None] = _nobody
        self.onEnding: Callable[[LockedProcess, Gone], None] = _neither
        self.onEnd: Callable[[LockedProcess, Gone], None] = _neither
        self.onTemplateGone: Callable[[str, bool], None] = _neither
        self._descriptors = descriptors
        self._inside = inside
        self._minimumLevel = minimumLevel
        self._uids = uids
        self.cgroupsOff = ""
        self._users = Users(*uids) if uids is not None and os.geteuid() == 0 else None
        self._findCgroups = findCgroups
        self._cgroups: Cgroups | None = None
        self._off = without
        self._template: TemplateProcess | None = None
        self._standing: Limit | None = None
        self._isEnding = False
        self.isStanding = False
        self._base = 0
        self._number = 0
        self._made: dict[int, Made] = {}
        self._byPid: dict[int, Made] = {}

    @property
    def isRunning(self) -> bool:
        """Whether there is a template, ready or not."""
        return self._template is not None

    @property
    def sizesInMaking(self) -> Counter[int]:
        """How many are in the making, by how much memory they may have."""
        return Counter(made.process.memoryLimit for made in self._made.values() if not made.isMade)

    def start(self) -> None:
        """Begin with a template. :raises OSError: it cannot be started."""
        uid = self._uids[0] if self._uids is not None else None
        if self._cgroups is None and not self.cgroupsOff:
            try:
                self._cgroups = self._findCgroups(self._descriptors)
            except NotDelegated as error:
                self.cgroupsOff = str(error)
        begin = Begin(self._inside, os.getpid(), uid, self._off)
        self._template = TemplateProcess(self._descriptors, begin, self._heed, self._templateGone, self._line)
        self._standing = Limit(self._descriptors, STANDING, self._standsNot)

    def _line(self, line: str) -> None:
        self._log.warn("the template of locked processes says: {line}", line=line)

    def _heed(self, order: AnyOrder, fds: list[int]) -> None:
        if isinstance(order, Forked):
            made = self._byPid[order.pid] = self._made[order.number]
            made.process.forked(order.pid, fds[0])
        elif isinstance(order, Ended):
            self._ended(self._byPid[order.pid], order.status)
        elif isinstance(order, NotForked):
            process = self._made[order.number].process
            process.kill(f"it could not be forked: {order.text}")
            process.ended(None)
        elif isinstance(order, Standing):
            self._stands(order)
        elif isinstance(order, Tried):
            self._tried(order)

    def _without(self, machine: Layers) -> Layers:
        off = {name: Layer(name, "it is switched off") for name in self._off}
        return Layers(tuple(off.get(layer.name, layer) for layer in machine))

    def _stands(self, order: Standing) -> None:
        self.machine, self._base = self._without(Layers.of(order.layers)), order.addressBytes
        if wrong := tooLow(self.machine, self._minimumLevel, "this machine can lock a process"):
            self._refuse(wrong)
        else:
            self.isStanding = True
            self.onStanding()

    def _tried(self, order: Tried) -> None:
        self._stopWaiting()
        if order.survived:
            self._refuse(f"a locked process has survived what must end it: {'; '.join(order.survived)}")
        elif self.isStanding:
            self.isReady = True
            self.onReady()

    def _refuse(self, why: str) -> None:
        self.isStanding = False
        self.onRefused(why)
        self._killTemplate()

    def _stopWaiting(self) -> None:
        if self._standing is not None:
            self._standing.cancel()
            self._standing = None

    def _standsNot(self) -> None:
        self._standing = None
        self._log.error("the template of locked processes is not ready after {seconds:g} s", seconds=STANDING)
        self._killTemplate()

    # Making

    def make(self, memoryBytes: int) -> None:
        """
        Begin with a process; :attr:`onMade` or :attr:`onNotMade` is called, not at once.

        To be called when :attr:`isStanding`.

        :param memoryBytes: that it may have beside what the template has.
        :raises OSError: there are not enough descriptors, or users. The text says which.
        """
        assert self._template is not None and self.machine is not None
        uid = self._takeUser()
        try:
            ends = Ends.open()
        except OSError as error:
            self._giveUser(uid)
            raise OSError(f"a locked process needs four descriptors: {error}") from None
        self._number += 1
        number = self._number
        cgroup = self._cgroups.make(number) if self._cgroups is not None else None
        lock = Lock(self._addressBytes(memoryBytes), self._template.pid, KEPT, uid, self.machine.usable)
        process = LockedProcess(self._descriptors, ends, uid, memoryBytes)
        made = self._made[number] = Made(process, lock, cgroup)
        made.limit = Limit(self._descriptors, MAKING, partial(self._isStuck, made))
        process.onReport = partial(self._reported, made)
        process.onEnding = partial(self._ending, made)
        process.onEnd = partial(self._hasEnded, number)
        self._template.fork(Fork(number, lock.memoryBytes, uid, cgroup.path if cgroup is not None else ""), ends.theirs)
        ends.closeTheirs()

    def _addressBytes(self, memoryBytes: int) -> int:
        """With what the template has; no more than the edge may have itself, for nobody raises that (``ulimit -v``)."""
        wanted, (_, most) = self._base + memoryBytes, resource.getrlimit(resource.RLIMIT_AS)
        return wanted if most == resource.RLIM_INFINITY else min(wanted, most)

    def _isStuck(self, made: Made) -> None:
        made.limit = None
        if made.process.pid:
            made.process.kill(f"it is not locked after {MAKING:g} s")
        else:
            self._log.error("the template of locked processes has forked nothing in {seconds:g} s", seconds=MAKING)
            self._killTemplate()

    def _takeUser(self) -> int | None:
        if self._users is None:
            return None
        uid = self._users.take()
        if uid is None:
            raise OSError(f"all {self._users.total} users of trust.uids are taken: set more aside in revproxy.yaml")
        return uid

    def _giveUser(self, uid: int | None) -> None:
        if self._users is not None and uid is not None:
            self._users.give(uid)

    def _reported(self, made: Made) -> None:
        if wrong := made.wrong(self._minimumLevel):
            made.process.kill(wrong)
            return
        made.stopLimit()
        made.isMade = True
        self._checkCgroup(made)
        self.onMade(made.process)

    def _checkCgroup(self, made: Made) -> None:
        """Where the kernel does not let processes into theirs, the other layers hold without."""
        if made.cgroup is not None and not made.cgroup.has(made.process.pid):
            self._leaveCgroup(made, f"a process could not enter {made.cgroup.path}")

    def _leaveCgroup(self, made: Made, why: str) -> None:
        self.cgroupsOff = why
        self._log.warn("locked processes have no cgroups of their own: {why}", why=why)
        made.cgroup = self._cgroups = None

    def limitMemory(self, process: LockedProcess, memoryBytes: int) -> bool:
        """
        Narrow what a process that was made may have beside what the template has.

        :returns: whether that could be done: in some containers not even root can.
        """
        made = self._byPid[process.pid]
        if not made.narrow(self._addressBytes(memoryBytes)):
            return False
        if made.cgroup is not None:
            try:
                made.cgroup.limit(memoryBytes)
            except OSError as error:
                self._leaveCgroup(made, f"{made.cgroup.path} cannot be limited: {error}")
        return True

    # The end

    def _ended(self, made: Made, status: int) -> None:
        isOver = made.cgroup is not None and made.cgroup.isOverLimit
        made.process.ended(status, "it has taken more memory than it may" if isOver else "")

    def _ending(self, made: Made, gone: Gone) -> None:
        if made.isMade:
            self.onEnding(made.process, gone)

    def _hasEnded(self, number: int, gone: Gone) -> None:
        """Of a process, after all who have to do with it know."""
        made = self._made.pop(number)
        process = made.process
        process.closePidfd()
        if self._byPid.pop(process.pid, None) is not None:
            assert self._template is not None
            self._template.reap(process.pid)
        self._giveUser(process.uid)
        if made.cgroup is not None:
            made.cgroup.remove()
        made.stopLimit()
        if made.isMade:
            self.onEnd(process, gone)
        elif gone.isFault:
            self.onNotMade(" | ".join([gone.text, *process.firstLines]))
        if self._isEnding and not self._made:
            self._closeTemplate()

    def _templateGone(self, how: str) -> None:
        """All that it has forked end with it, by the kernel; to be sure they are told to."""
        assert self._template is not None
        said = " | ".join([how, *self._template.lastLines])
        why = f"the template of locked processes has {how}"
        wasReady = self.isReady
        self.isStanding = self.isReady = self._isEnding = False
        self._stopWaiting()
        self._byPid.clear()  # nobody is left to reap them
        for made in list(self._made.values()):
            process = made.process
            process.kill(why, isFault=False)
            if (pidfd := process.givePidfd()) >= 0:
                Orphan(self._descriptors, pidfd)
            process.ended(None, why, isFault=False)
        self._template = None
        self.onTemplateGone(said, wasReady)

    def end(self, why: str) -> None:
        """
        End all: first the processes, then, when none is left, the template; then :attr:`onTemplateGone`.

        :param why: in words, for those whose processes they are.
        """
        self._isEnding = True
        self.isStanding = self.isReady = False
        for made in list(self._made.values()):
            made.process.kill(why, isFault=False)
        if not self._made:
            self._closeTemplate()

    def _closeTemplate(self) -> None:
        """It reaps what it still has to, and ends."""
        if self._template is not None:
            self._template.close()

    def _killTemplate(self) -> None:
        if self._template is not None:
            self._template.kill()


def _nothing() -> None:
    """Nobody listens yet."""


def _nobody(said: Any) -> None:
    """Nobody listens yet."""


def _neither(said: Any, more: Any) -> None:
    """Nobody listens yet."""
