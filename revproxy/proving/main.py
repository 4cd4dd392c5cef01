"""
``python -m revproxy.proving.main LEVEL PARENT DESCRIPTOR [CORPUS]``: the inside of a process that proves a version.

:param LEVEL: ``-``, or how well it has to be locked: then it locks itself before it reads its order, which is on
    standard input. ``PARENT`` is the process that it ends with, ``DESCRIPTOR`` takes the report, ``CORPUS`` is the
    recording.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
from twisted.logger import globalLogBeginner

from revproxy.loop.offspring import endOffspring, keepOffspring
from revproxy.loop.parentdeath import endWith
from revproxy.proving.orders import Order, Report

_NICE = 10
"""What it does is less urgent than any request."""

_FIRST_TO_GO = "1000"
"""Where the machine has no memory left, this is what ends, not the edge."""


def main(level: str, parent: str, descriptor: str, corpus: str = "") -> None:
    """Do what is ordered, and report; the process ends here, whatever the version has begun."""
    endWith(int(parent))
    keepOffspring()
    with suppress(OSError):
        os.nice(_NICE)
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
        score.write(_FIRST_TO_GO)
    globalLogBeginner.beginLoggingTo([], discardBuffer=True, redirectStandardIO=False)
    recording = int(corpus) if corpus else None
    problem = ""
    if level != "-":
        from revproxy.proving.locking import lock

        problem = lock(level, tuple(each for each in (int(descriptor), recording) if each is not None))
    if problem:
        report = Report((problem,))
    else:
        with open(0, "rb", closefd=False) as said:
            order = Order.of(said.read())
        report = _jobOf(order, level != "-")(order, recording)
    sys.stdout.flush()
    endOffspring(os.getpid())
    _say(int(descriptor), report)
    os._exit(0)


def _jobOf(order: Order, isLocked: bool) -> Callable[[Order, Any], Report]:
    # Each imports what the others do not need, and a locked process has imported it all by now.
    if order.job == "load":
        from revproxy.proving.loadproof import loads

        return lambda order, recording: loads(order)
    if order.job == "replay":
        from revproxy.proving.replayproof import replays

        return replays
    if isLocked:
        from revproxy.proving.lockedtests import passesInMemory

        return lambda order, recording: passesInMemory(order)
    from revproxy.proving.testproof import passes

    return lambda order, recording: passes(order)


def _say(descriptor: int, report: Report) -> None:
    data = memoryview(msgspec.msgpack.encode(report))
    while data:
        data = data[os.write(descriptor, data) :]
    os.close(descriptor)


if __name__ == "__main__":
    main(*sys.argv[1:])
