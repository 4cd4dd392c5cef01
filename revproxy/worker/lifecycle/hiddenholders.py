"""Holders that the collector does not see, or may have been told not to."""

from __future__ import annotations

import atexit
import functools
import logging
import signal
import sys
import threading
import weakref
from collections.abc import Iterator
from types import FrameType
from typing import Any

from twisted.python.components import globalRegistry

from revproxy.worker.lifecycle.holdernames import describeHandler


def hiddenHolders() -> Iterator[tuple[str, Any]]:
    """Things that are called one day, each with what to call whoever keeps it.

    They are kept where the collector does not look, or may have been told not to.
    """
    for callback in _atexitCallbacks():
        yield "atexit callback", callback
    for number in signal.valid_signals():
        handler = signal.getsignal(number)
        if callable(handler):
            yield f"a signal handler of {signal.Signals(number).name}", handler
    for info in list(weakref.finalize._registry.values()):  # type: ignore[attr-defined]
        yield "a weakref.finalize", info.func
    for name in ("excepthook", "displayhook", "unraisablehook"):
        yield f"sys.{name}", getattr(sys, name)
    for thing in _within(vars(globalRegistry)["_adapters"], 6):
        yield "an adapter registry", thing
    for logger in [logging.root, *logging.root.manager.loggerDict.values()]:
        if isinstance(logger, logging.Logger):
            for logHandler in logger.handlers:
                yield describeHandler(logHandler) or "", logHandler


def _atexitCallbacks() -> list[Any]:
    """There is no list of them; but each is compared with what is to be taken out."""
    seen: list[Any] = []

    class Probe:
        def __eq__(self, other: object) -> bool:
            seen.append(other)
            return False

        __hash__ = None  # type: ignore[assignment]

    atexit.unregister(Probe())  # type: ignore[arg-type]
    return [callback.func if isinstance(callback, functools.partial) else callback for callback in seen]


def _within(thing: Any, depth: int) -> Iterator[Any]:
    if isinstance(thing, (dict, list, tuple)) and depth:
        for inner in list(thing.values()) if isinstance(thing, dict) else thing:
            yield from _within(inner, depth - 1)
    else:
        yield thing


def framesOfThreads() -> Iterator[tuple[threading.Thread, FrameType]]:
    """All frames of all threads but this one, the innermost of each first."""
    frames = sys._current_frames()
    for thread in threading.enumerate():
        frame = frames.get(thread.ident or 0) if thread is not threading.current_thread() else None
        while frame is not None:
            yield thread, frame
            frame = frame.f_back
