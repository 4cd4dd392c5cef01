"""What holds the loop of an edge, seen from within: each event that takes long, by the name of what it calls.

Loaded by the edge's interpreter (:data:`CUSTOMIZE`). Times are CPU time of the loop's own thread, for on a busy machine
the clock measures who else is at work; what waits for the interpreter's lock is not in them. Two looks at that clock
for each event make a request dearer by a few per cent, so latencies are not measured beside it.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

CUSTOMIZE = "from benchmarks.loopprobe import install\ninstall()\n"
"""The interpreter's ``sitecustomize``."""

REPORT = "REVPROXY_HOLDS"
"""The variable that names the file that is written."""

_LEAST = 0.001
"""Seconds from which on an event is told of."""

_EACH = 0.5
"""Seconds between two looks at what is to be told."""


@dataclass(frozen=True, slots=True)
class Hold:
    """
    An event that took long.

    :ivar at: when it was over, in seconds since the epoch.
    :ivar seconds: CPU time.
    :ivar name: what was called.
    """

    at: float
    seconds: float
    name: str


def read(path: Path, since: float, until: float) -> list[Hold]:
    """Those of some time, the longest first."""
    lines = path.read_text().splitlines() if path.exists() else []
    holds = [Hold(*json.loads(line)) for line in lines if line.endswith("]")]
    return sorted((hold for hold in holds if since <= hold.at <= until), key=lambda hold: -hold.seconds)


class _Probe:
    """Times what the loop calls."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._holds: list[Hold] = []
        self._step = ("", 0.0)
        self._collection = 0.0

    def timed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def timedCall(*arguments: Any, **named: Any) -> Any:
            self._step = ("", 0.0)
            began = time.thread_time()
            try:
                return call(*arguments, **named)
            finally:
                seconds = time.thread_time() - began
                if seconds >= _LEAST:
                    self._note(seconds, call, arguments)

        return timedCall

    def step(self, iterator: Any, began: float) -> None:
        """A part of what a Cooperator does was done: the longest of a turn names it."""
        seconds = time.thread_time() - began
        if seconds > self._step[1]:
            self._step = getattr(iterator, "__qualname__", type(iterator).__name__), seconds

    def collecting(self, phase: str, about: dict[str, int]) -> None:
        """Part of `gc.callbacks`."""
        if phase == "start":
            self._collection = time.thread_time()
            return
        seconds = time.thread_time() - self._collection
        if seconds >= _LEAST:
            name = f"the collector, generation {about['generation']}, in {_inside()}"
            self._holds.append(Hold(time.time(), seconds, name))

    def _note(self, seconds: float, call: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        name = nameOf(call, arguments)
        if self._step[0]:
            name += f" ({self._step[0]}: {self._step[1] * 1e3:.1f} ms)"
        self._holds.append(Hold(time.time(), seconds, name))

    def tell(self) -> None:
        """For ever, in a thread of its own."""
        while True:
            time.sleep(_EACH)
            holds, self._holds = self._holds, []
            if holds:
                with self._path.open("a") as file:
                    file.writelines(json.dumps([hold.at, hold.seconds, hold.name]) + "\n" for hold in holds)


def _inside() -> str:
    """The function that the collector interrupts, or that calls it."""
    frame = sys._getframe(2)
    return frame.f_code.co_qualname


def nameOf(call: Any, arguments: tuple[Any, ...] = ()) -> str:
    """What is called; of an answer of the API, also what was asked."""
    while isinstance(call, partial):
        call = call.func
    owner = getattr(call, "__self__", None)
    if owner is None and arguments and not isinstance(arguments[0], (str, bytes, int, float, dict, list, tuple)):
        owner = arguments[0]
    path = getattr(owner, "path", None)
    name = getattr(call, "__qualname__", type(call).__name__)
    protocol = getattr(owner, "protocol", None)
    if protocol is not None:
        name += f" of {type(protocol).__name__}"
    return f"{name} {path.decode('latin-1')}" if isinstance(path, bytes) else name


def install() -> None:
    """Time what the loop of this process will call, if somebody wants to know."""
    path = os.environ.get(REPORT)
    if not path:
        return
    import twisted.internet.base
    import twisted.internet.task
    import twisted.internet.tcp

    import revproxy.dataplane.net.eagerconnection as eager

    base: Any = twisted.internet.base
    tcp: Any = twisted.internet.tcp
    tasks: Any = twisted.internet.task.CooperativeTask
    eagerKind: Any = eager.EagerConnection
    probe = _Probe(Path(path))

    class Timed(base.DelayedCall):  # type: ignore[misc]
        def __init__(self, time: float, func: Any, *rest: Any, **named: Any) -> None:
            super().__init__(time, probe.timed(func), *rest, **named)

    base.DelayedCall = Timed
    fromThread = base.ReactorBase.callFromThread
    base.ReactorBase.callFromThread = lambda self, f, *rest, **named: fromThread(self, probe.timed(f), *rest, **named)
    for kind in (eagerKind, tcp.Connection, tcp.Port):
        kind.doRead = probe.timed(kind.doRead)
    unit = tasks._oneWorkUnit

    def oneWorkUnit(self: Any) -> None:
        began = time.thread_time()
        unit(self)
        probe.step(self._iterator, began)

    tasks._oneWorkUnit = oneWorkUnit
    gc.callbacks.append(probe.collecting)
    threading.Thread(target=probe.tell, daemon=True, name="probe").start()
