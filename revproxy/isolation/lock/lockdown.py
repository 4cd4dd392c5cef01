"""
The lock that a process puts on itself.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from revproxy.isolation.lock.descriptors import Descriptors
from revproxy.isolation.lock.landlock import Landlock
from revproxy.isolation.lock.layers import NAMES, Layer, Layers, Lock, Report
from revproxy.isolation.lock.limits import Limits
from revproxy.isolation.lock.namespaces import ROOM_STEPS, UserNamespace
from revproxy.isolation.lock.newcode import NoNewCode
from revproxy.isolation.lock.privileges import NoCapabilities, NoNewPrivileges, OwnUser, ParentDeath, Undumpable
from revproxy.isolation.lock.probes import holes
from revproxy.isolation.lock.seccomp import Filter
from revproxy.isolation.lock.step import Step


def order(lock: Lock) -> tuple[type[Step], ...]:
    """
    The layers, as they are to be put on one after the other: each needs what a later one takes away.

    With a user namespace the user comes first, and in there it may have rooms of its own; without one only root may
    have them, and root is what it will not be for long.
    """
    rooms: tuple[type[Step], ...] = (*ROOM_STEPS, OwnUser)
    if "user-namespace" in lock.use:
        rooms = (OwnUser, UserNamespace, *ROOM_STEPS)
    return (
        Descriptors,
        Limits,
        *rooms,
        NoCapabilities,
        Undumpable,
        ParentDeath,
        NoNewPrivileges,
        Landlock,
        NoNewCode,
        Filter,
    )


def lockDown(lock: Lock, steps: Sequence[type[Step]] | None = None) -> Report:
    """
    Locks the calling process, for good, and tries whether the lock holds.

    To be called in a process with one thread, that has imported everything it will need, before any byte comes in that
    nobody trusts. Most of the lock is a thread's own: another that is there already is a hole. Does not return if the
    parent is gone.

    :param steps: for tests; else :func:`order`.
    :return: with the level that was reached. Without a level, or with a lower one than is demanded, the caller must
        end the process.
    """
    threads = _threads()
    done = {layer.name: layer for layer in (step(lock).run() for step in (order(lock) if steps is None else steps))}
    layers = Layers(tuple(done.get(name, Layer(name, "not to be used")) for name in NAMES))
    others = () if threads == 1 else (f"it has {threads} threads, and one is locked",)
    return Report(layers, (*others, *holes(lock)))


def _threads() -> int:
    """Of this process. Where there is no /proc it cannot be asked, and whoever looks from outside cannot look."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 1
