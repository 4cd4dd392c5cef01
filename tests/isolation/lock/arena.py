"""
``python -m tests.isolation.lock.arena SETUP``: makes attacks from locked processes, one each, and says what came of it.

A process of its own, because it becomes another user, loses calls for good, and is attacked. What it says is a line of
JSON for the lock, and one for each attack.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import socket
import sys
import time
from dataclasses import asdict, dataclass, replace
from typing import Any

from revproxy.isolation.lock.detection import detect
from revproxy.isolation.lock.kernel import prctl, prepare
from revproxy.isolation.lock.layers import Layers, Lock
from revproxy.isolation.lock.limits import addressSpace
from revproxy.isolation.lock.lockdown import lockDown
from tests.isolation.lock.attacks import ALL
from tests.isolation.lock.attacks.attack import Attack, NotHere, World
from tests.isolation.lock.faults import takeAway
from tests.isolation.lock.victim import Victim

PATIENCE = 60.0
"""Seconds that one attack may take."""

ROOM = 128 << 20
"""Bytes of address space that an attacker has for itself."""

_SUBREAPER, _DUMPABLE = 36, 4
_WORKED, _NOT_HERE, _STOPPED, _UNLOCKED = 0, 4, 3, 5


@dataclass(frozen=True, slots=True)
class Setup:
    """
    :ivar isLocked: whether attackers lock themselves.
    :ivar user: that attacked and attackers are; None: whoever starts this.
    :ivar uid: that attackers become by the lock.
    :ivar without: the features of this machine that are taken away: names of `tests.isolation.lock.faults.FAULTS`.
    :ivar only: names of attacks; empty: all.
    """

    isLocked: bool = True
    user: int | None = None
    uid: int | None = None
    without: tuple[str, ...] = ()
    only: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    :ivar what: ``"worked"``, ``"stopped"``, or ``"not here"``: this kernel does not have what it would use.
    :ivar how: in words.
    """

    attack: str
    what: str
    how: str


class Arena:
    """
    Makes one attack after the other.
    """

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.victim = Victim(setup.user)
        if setup.user is not None:
            os.setgroups([])
            os.setresgid(setup.user, setup.user, setup.user)
            os.setresuid(setup.user, setup.user, setup.user)
            prctl(_DUMPABLE, 1)
        for name in setup.without:
            takeAway(name)
        self.layers = detect(setup.uid) if setup.isLocked else Layers()
        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
        prctl(_SUBREAPER, 1)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        self.victim.watch()
        self._lock = Lock(addressSpace() + ROOM, os.getpid(), (), setup.uid, self.layers.usable)

    def make(self, attack: Attack) -> Outcome:
        """One."""
        reading, writing = os.pipe()
        mine, its = socket.socketpair()
        world = self.victim.world(its.fileno())
        pid = os.fork()
        if pid == 0:
            self._attack(attack, writing, world)
        os.close(writing)
        its.close()
        status = _end(pid)
        effects = list(self.victim.effects())
        said = os.read(reading, 4096).decode(errors="replace")
        os.close(reading)
        mine.close()
        return self._judge(attack, status, said, effects)

    def _attack(self, attack: Attack, writing: int, world: World) -> None:
        """In the child; never returns."""
        code, said = _UNLOCKED, ""
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
            prepared = attack.prepare(world) if attack.prepare else None
            if self.setup.isLocked:
                kept = (0, 1, 2, writing, world.stream, *([prepared] if attack.keep else []))
                report = lockDown(replace(self._lock, keepFds=kept))
                assert report.level == self.layers.level, report
            code = _WORKED
            attack.run(world, prepared)
        except NotHere as reason:
            code, said = _NOT_HERE, str(reason)
        except BaseException as error:
            code, said = (_STOPPED if code == _WORKED else _UNLOCKED), repr(error)
            if isinstance(error, OSError) and error.errno == errno.ENOSYS and not self.setup.isLocked:
                code = _NOT_HERE
        finally:
            os.write(writing, said.encode()[:4000])
            os._exit(code)

    def _judge(self, attack: Attack, status: int | None, said: str, effects: list[str]) -> Outcome:
        if effects:
            return Outcome(attack.name, "worked", "; ".join(effects))
        if status is None:
            return Outcome(attack.name, "worked", "it stopped, and neither answers nor ends")
        if os.WCOREDUMP(status):
            return Outcome(attack.name, "worked", "its memory is in a file now")
        code = os.waitstatus_to_exitcode(status)
        if code < 0:
            how = f"died of {signal.Signals(-code).name}"
            isRight = code == -signal.SIGSYS or not (attack.deadly and self.setup.isLocked)
            return Outcome(attack.name, "stopped" if isRight else "worked", how)
        if code == _STOPPED and attack.deadly and self.setup.isLocked:
            return Outcome(attack.name, "worked", f"should have died of SIGSYS, but: {said}")
        what = {_WORKED: "worked", _NOT_HERE: "not here", _STOPPED: "stopped"}.get(code, "worked")
        return Outcome(attack.name, what, said or "it returned")


def _end(pid: int) -> int | None:
    """How a child has ended. None: it did not; then it is ended now."""
    until = time.monotonic() + PATIENCE
    while True:
        seen, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
        if seen and not os.WIFSTOPPED(status):
            return status
        left = until - time.monotonic()
        if seen or left <= 0:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return None
        signal.sigtimedwait({signal.SIGCHLD}, left)


def main(said: str) -> None:
    """
    :param said: a :class:`Setup` as JSON.
    """
    given: dict[str, Any] = json.loads(said)
    setup = Setup(**{**given, "without": tuple(given.get("without", ())), "only": tuple(given.get("only", ()))})
    prepare()
    arena = Arena(setup)
    try:
        print(json.dumps({"level": arena.layers.level, "layers": arena.layers.asList()}), flush=True)
        for attack in ALL:
            isMade = setup.isLocked or not attack.unproven
            if isMade and (not setup.only or attack.name in setup.only):
                print(json.dumps(asdict(arena.make(attack))), flush=True)
    finally:
        arena.victim.close()


if __name__ == "__main__":
    main(sys.argv[1])
