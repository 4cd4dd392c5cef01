"""What holders are called, in words that help to find them."""

from __future__ import annotations

import functools
import logging
import threading
import weakref
from collections.abc import Callable
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType
from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.base import DelayedCall
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import LogPublisher
from twisted.python.failure import Failure
from zope.interface.adapter import AdapterLookupBase, BaseAdapterRegistry

from revproxy.loading.bundlefinder import ROOT
from revproxy.loading.tracebacks import plainFile

_SUSPENDED = (CoroutineType, GeneratorType, AsyncGeneratorType)


def endOf(thing: Any) -> str | None:
    """The name of what keeps things alive by itself; None if something else must be keeping it."""
    for kind, describe in _ENDS:
        if isinstance(thing, kind):
            return describe(thing)
    return None


def _describeThread(thread: threading.Thread) -> str | None:
    return f"a thread: {thread.name}" if thread.is_alive() else None


def _describeCall(call: DelayedCall) -> str | None:
    if not call.active():
        return None
    return f"a delayed call of the reactor: {nameOf(call.func)} in {call.getTime() - call.seconds():.1f} s"


def _describeLoop(loop: LoopingCall) -> str | None:
    if not loop.running or loop.call is None:
        return None
    return f"a looping call: {nameOf(loop.f)} every {loop.interval:g} s"


def describeHandler(handler: logging.Handler) -> str | None:
    """Whose handler it is; None if no logger has it."""
    known = [logging.root, *logging.root.manager.loggerDict.values()]
    for logger in known:
        if isinstance(logger, logging.Logger) and handler in logger.handlers:
            return f"a log handler of logging.getLogger({'' if logger is logging.root else repr(logger.name)})"
    return None


def _describeClass(kind: type) -> str | None:
    return None if _isOfPlugin(kind) else f"an attribute of class {kind.__module__}.{kind.__qualname__}"


def _describeCache(cached: Any) -> str | None:
    return None if _isOfPlugin(cached) else f"the cache of {cached.__module__}.{nameOf(cached)}"


def _describeConnection(connection: Any) -> str | None:
    return f"a {type(connection).__qualname__} of the reactor" if getattr(connection, "connected", False) else None


_ENDS: tuple[tuple[Any, Callable[[Any], str | None]], ...] = (
    (threading.Thread, _describeThread),
    (DelayedCall, _describeCall),
    (LoopingCall, _describeLoop),
    (logging.Handler, describeHandler),
    (logging.Logger, lambda logger: f"logging.getLogger({logger.name!r})"),
    (LogPublisher, lambda _: "a log observer of twisted.logger"),
    ((BaseAdapterRegistry, AdapterLookupBase), lambda _: "an adapter registry"),
    (weakref.finalize._Info, lambda _: "a weakref.finalize"),  # type: ignore[attr-defined]
    (functools._lru_cache_wrapper, _describeCache),
    (FileDescriptor, _describeConnection),
    (type, _describeClass),
)


def wayOf(thing: Any) -> str | None:
    """What tells more about the way to whoever has a name; None of the many things that tell nothing."""
    if isinstance(thing, Deferred):
        if thing.called and not thing.paused:
            return None
        added: Any = getattr(thing, "_callbacks", ())  # the public name is deprecated, without a successor
        callbacks = [nameOf(pair[0][0]) for pair in added]
        return f"a pending Deferred with callback {callbacks[0]}" if callbacks else "a pending Deferred"
    if isinstance(thing, _SUSPENDED):
        frame = _frameOf(thing)
        kind = type(thing).__name__.replace("_", " ")
        return None if frame is None else f"a {kind}: {placeOf(frame)}"
    if isinstance(thing, FrameType):
        return f"a frame: {placeOf(thing)}"
    if isinstance(thing, Failure):
        return f"a Failure: {getattr(thing.type, '__name__', thing.type)}"
    if isinstance(thing, BaseException):
        return f"an exception: {type(thing).__name__}"
    if type(thing).__module__.startswith("revproxy."):
        return f"the edge's {kindOf(thing)}"
    return None


def _frameOf(suspended: Any) -> FrameType | None:
    for name in ("cr_frame", "gi_frame", "ag_frame"):
        frame = getattr(suspended, name, None)
        if isinstance(frame, FrameType):
            return frame
    return None


def nameOf(function: Any) -> str:
    """``plugin.Limit.tick``: what a callable is called, without the name of the load."""
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif isinstance(function, LoopingCall):
            function = function.f
        elif type(getattr(function, "__self__", None)).__name__ == "_Call":  # of a plugin's host
            function = function.__self__._function
        else:
            break
    module = (getattr(function, "__module__", None) or "").rpartition(".")[2]
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    return f"{module}.{name}" if module else str(name)


def kindOf(thing: Any) -> str:
    """``plugin.Limit``: what a thing's class is called, without the name of the load."""
    kind = type(thing)
    module = kind.__module__.rpartition(".")[2] if _isOfPlugin(kind) else kind.__module__
    return str(kind.__qualname__) if module == "builtins" else f"{module}.{kind.__qualname__}"


def placeOf(frame: FrameType) -> str:
    """``function Limit.tick at plugin.py:12``: where a frame stands."""
    code = frame.f_code
    return f"function {code.co_qualname} at {plainFile(code.co_filename).rpartition('/')[2]}:{frame.f_lineno}"


def _isOfPlugin(thing: Any) -> bool:
    return str(getattr(thing, "__module__", "")).startswith(f"{ROOT}.")
