"""
Locks in children of a test, which look at them and are gone with it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace

from revproxy.isolation.lock.detection import detect
from revproxy.isolation.lock.kernel import prepare
from revproxy.isolation.lock.layers import Layers, Lock, Report
from revproxy.isolation.lock.limits import addressSpace
from revproxy.isolation.lock.lockdown import lockDown, order
from revproxy.isolation.lock.outside import checkOutside
from revproxy.isolation.lock.step import Step
from revproxy.isolation.lock.trial import Trial, attemptInChild

ROOM = 128 << 20
"""Bytes of address space beside what the test has already."""

UID = 300123
"""A user that nobody is."""


def machine() -> Layers:
    """What there is here, for whoever runs the tests."""
    return detect(UID if os.geteuid() == 0 else None)


def lockFor(layers: Layers) -> Lock:
    """All of it."""
    prepare()
    uid = UID if "user" in layers.usable else None
    return Lock(addressSpace() + ROOM, os.getpid(), (), uid, layers.usable)


def report(lock: Lock, steps: Sequence[type[Step]] | None = None) -> Report:
    """What a child says that locks itself so."""

    def inside(writing: int) -> bytes:
        return json.dumps(lockDown(replace(lock, keepFds=(writing,)), steps).asDict()).encode()

    trial = attemptInChild(inside)
    assert trial.status == 0, trial
    return Report.of(json.loads(trial.said))


def inLocked(lock: Lock, work: Callable[[], object]) -> Trial:
    """What a function returns in a locked child, as text; status 3 and the error, if it raises."""

    def inside(writing: int) -> bytes:
        found = lockDown(replace(lock, keepFds=(0, 1, 2, writing)))
        assert found.level is not None, found
        try:
            return repr(work()).encode()
        except Exception as error:
            os.write(writing, repr(error).encode())
            os._exit(3)

    return attemptInChild(inside)


def fromOutside(lock: Lock, steps: Sequence[type[Step]] | None = None) -> tuple[str, ...]:
    """What is wrong with a child that locks itself so, as its parent sees it."""
    reading, writing = os.pipe()
    waiting, done = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            lockDown(replace(lock, keepFds=(writing, waiting)), steps)
            os.write(writing, b"locked")
            os.read(waiting, 1)
        finally:
            os._exit(0)
    os.close(writing)
    os.close(waiting)
    try:
        assert os.read(reading, 6) == b"locked", "it has not come that far"
        return checkOutside(pid, lock)
    finally:
        os.close(reading)
        os.close(done)
        os.waitpid(pid, 0)


def orderWithout(lock: Lock, name: str) -> tuple[type[Step], ...]:
    """All steps, one of which does nothing, though it is tried as ever."""

    def off(step: type[Step]) -> type[Step]:
        return type(step.__name__, (step,), {"apply": lambda self: None}) if step.name == name else step

    return tuple(map(off, order(lock)))
