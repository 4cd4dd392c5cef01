"""
What of the lock this machine has, for whoever runs here: found by trying it.
"""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from typing import Final

from revproxy.isolation.lock.kernel import prepare
from revproxy.isolation.lock.layers import NAMES, Layer, Layers, Lock, Report
from revproxy.isolation.lock.limits import addressSpace
from revproxy.isolation.lock.lockdown import lockDown
from revproxy.isolation.lock.syscalls import UnknownMachine, thisMachine
from revproxy.isolation.lock.trial import attemptInChild
from revproxy.isolation.lock.watching import obstacle

ROOM_TO_TRY: Final = 64 << 20
"""Bytes of address space that a child which tries the lock has, beside those of the process it comes from."""


def detect(uid: int | None = None) -> Layers:
    """
    Which layers can be had here: children of this process put the whole lock on, and what cannot be had is left out of
    the next one's. Takes 10 to 100 ms. The process should have one thread, as every one that forks.

    :param uid: a user that processes may become; None: there is none.
    :return: `usable` of it is what `Lock.use` is to be, and `level` what will be reached.
    """
    try:
        thisMachine()
    except UnknownMachine as error:
        return nothing(str(error))
    prepare()
    if why := obstacle():
        return nothing(why)
    lock = Lock(addressSpace() + ROOM_TO_TRY, os.getpid(), (), uid)
    without: dict[str, Layer] = {}
    while True:
        report = _attempt(lock)
        failed = next((layer for layer in report.layers if layer.name in lock.use and not layer.isEnforced), None)
        if failed is None:
            return Layers(tuple(without.get(layer.name, layer) for layer in report.layers))
        # One at a time, in the order of the lock: what comes later may have failed because of it.
        without[failed.name] = failed
        lock = replace(lock, use=lock.use - {failed.name})


def nothing(reason: str) -> Layers:
    """No layer at all, all for one reason."""
    return Layers(tuple(Layer(name, reason) for name in NAMES))


def _attempt(lock: Lock) -> Report:
    def inside(writing: int) -> bytes:
        return json.dumps(lockDown(replace(lock, keepFds=(writing,))).asDict()).encode()

    trial = attemptInChild(inside)
    if trial.status == 0:
        return Report.of(json.loads(trial.said))
    if trial.status < 0:
        return Report(nothing(f"a process that locked itself died of {signal.Signals(-trial.status).name}"))
    return Report(nothing(f"a process could not lock itself: {trial.said.decode(errors='replace')[-500:]}"))
