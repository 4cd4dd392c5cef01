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
from revproxy.isolation.lock.lockdown import lockDown
from revproxy.isolation.lock.syscalls import UnknownMachine, thisMachine
from revproxy.isolation.lock.trial import attemptInChild

ROOM_TO_TRY: Final = 1 << 30
"""Bytes of address space of a child that tries the lock: that of the process it comes from and some more."""


def detect(uid: int | None = None) -> Layers:
    """
    Which layers can be had here, each tried in children of this process, that has to have one thread. What can be had
    is tried all together: that is the lock which every process puts on.

    :param uid: a user that processes may become; None: there is none.
    :return: `usable` of it is what `Lock.use` is to be, and `level` what will be reached.
    """
    try:
        thisMachine()
    except UnknownMachine as error:
        return nothing(str(error))
    prepare()
    lock = Lock(ROOM_TO_TRY, os.getpid(), (), uid)
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
