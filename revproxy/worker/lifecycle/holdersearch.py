"""
Who still holds a plugin that should be gone.

Reference counting knows how many hold an object, not who. The collector can be asked for those that refer to an object,
and those that refer to them, and so on backwards, until somebody is reached who has a name: a thread, a delayed call,
a log handler, an attribute of another module. What is on the way without being an end (a pending Deferred, a coroutine,
a Failure) is told too.

Two kinds of holders cannot be found that way. Some keep references where the collector does not look (``atexit``, the
frames of running threads, signal handlers); these are asked directly. And objects that were frozen
(:func:`gc.freeze`) are left out of the collector's answer: the program's own modules, mostly. So if nobody with a name
was found, the modules are searched forwards, which takes longer.

The search runs in the reactor's thread: it is done in slices, with limits on breadth and depth, and gives names, no
proof. While it lasts it keeps the plugin alive itself.
"""

from __future__ import annotations

import atexit
import functools
import gc
import logging
import signal
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from time import perf_counter
from types import (
    AsyncGeneratorType,
    BuiltinFunctionType,
    CoroutineType,
    FrameType,
    GeneratorType,
    ModuleType,
)
from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.base import DelayedCall
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import LogPublisher
from twisted.python.components import globalRegistry
from twisted.python.failure import Failure
from zope.interface.adapter import AdapterLookupBase, BaseAdapterRegistry

from revproxy.worker.lifecycle.bundlefinder import ROOT
from revproxy.worker.lifecycle.tracebacks import plainFile

MAX_HOLDERS = 8
"""Holders that are told."""

MAX_TEXT = 200
"""Characters of each."""

_MAX_LEVELS = 30
_MAX_REACHED = 20_000
_MAX_VISITED = 200_000
_ENOUGH = 20_000
_SLICE = 0.005
_ATOMS = (ModuleType, BuiltinFunctionType)
_SUSPENDED = (CoroutineType, GeneratorType, AsyncGeneratorType)


class HolderSearch:
    """
    One search.

    :ivar done: whether it is over.
    """

    __slots__ = (
        "_answered",
        "_frontier",
        "_modules",
        "_names",
        "_phases",
        "_reached",
        "_via",
        "_visited",
        "done",
    )

    def __init__(self, remains: Iterable[object]) -> None:
        """:param remains: what should be gone."""
        self._frontier: list[Any] = list(remains)
        self._reached: dict[int, Any] = {id(one): one for one in self._frontier}
        # The innermost and the outermost on the way to it.
        self._via: dict[int, tuple[str, ...]] = {}
        self._answered: set[int] = set()
        self._names: dict[str, None] = {}
        # By the identity of its dictionary: that is what the collector finds.
        self._modules = {id(vars(module)): name for name, module in list(sys.modules.items()) if _isModule(module)}
        self._visited: set[int] = set()
        self._phases = self._run()
        self.done = False

    def step(self) -> None:
        """Go on for some milliseconds."""
        if not self.done and next(self._phases, self) is self:
            self.done = True

    def holders(self) -> tuple[str, ...]:
        """What was found, once it is done."""
        return tuple(one if len(one) <= MAX_TEXT else one[: MAX_TEXT - 1] + "…" for one in self._names)[:MAX_HOLDERS]

    def close(self) -> None:
        """Let go of everything that was looked at."""
        self._phases.close()
        self._frontier, self._reached = [], {}
        self.done = True

    def _run(self) -> Generator[None, None, None]:
        for _ in range(_MAX_LEVELS):
            if not self._frontier or len(self._reached) > _MAX_REACHED:
                break
            self._level()
            yield
        self._askDirectly()
        yield
        if not self._names:
            yield from self._searchForwards()
        if not self._names:
            self._tellTops()

    # Backwards

    def _level(self) -> None:
        frontier = self._frontier
        own = {id(self), id(frontier), id(self._reached), id(self._phases)}
        here = {id(one) for one in frontier}
        following: list[Any] = []
        own.add(id(following))
        for holder in gc.get_referrers(*frontier):
            if id(holder) in own or (isinstance(holder, FrameType) and holder.f_code.co_filename == __file__):
                continue
            held = [one for one in gc.get_referents(holder) if id(one) in here]
            self._answered.update(id(one) for one in held)
            if id(holder) not in self._reached and held:
                self._reached[id(holder)] = holder
                if not self._tellEnd(holder, held):
                    following.append(holder)
        self._frontier = following

    def _tellEnd(self, holder: Any, held: list[Any]) -> bool:
        """Whether it is somebody with a name, beyond whom one need not look."""
        via = self._via.get(id(held[0]), ())
        name = self._modules.get(id(holder))
        if name is not None:
            for key in _keysOf(holder, held):
                self._tell(f"module attribute {name}.{key}", via)
            return True
        if holder is sys.modules:
            self._tell(f"sys.modules[{next(_keysOf(holder, held), '?')!r}]")
            return True
        end = _endOf(holder)
        if end is not None:
            self._tell(end, via)
            return True
        way = _wayOf(holder)
        if way is not None:
            via = (*via[:1], way)
        if via:
            self._via[id(holder)] = via
        return False

    def _tell(self, name: str, via: Iterable[str] = ()) -> None:
        ways = " and ".join(reversed(list(via)))
        self._names[f"{name}, through {ways}" if ways else name] = None

    # Directly

    def _askDirectly(self) -> None:
        for what, thing in _unseen():
            # A bound method may be made anew each time it is asked for.
            parts = (thing, getattr(thing, "__func__", None), getattr(thing, "__self__", None))
            if any(id(one) in self._reached for one in parts if one is not None):
                self._tell(what)
        for thread, frame in _framesOfThreads():
            # Not its locals: to read them is to have them kept, in a copy that lasts as long as the call.
            if id(frame.f_globals) in self._reached:
                self._tell(f"a thread: {thread.name}, in {_placeOf(frame)}")

    # Forwards

    def _searchForwards(self) -> Iterator[None]:
        visited = self._visited
        visited.update((id(self), id(self._reached), id(self._frontier), id(self._phases), id(visited)))
        waiting: deque[tuple[Iterator[Any], str, str]] = deque()
        visited.add(id(waiting))
        for module in list(sys.modules.values()):
            if _isModule(module) and id(vars(module)) in self._modules:
                visited.add(id(vars(module)))
                for key, value in list(vars(module).items()):
                    if _mayHold(value):
                        waiting.append((iter((value,)), f"{module.__name__}.{key}", ""))
                if len(visited) % 100 == 0:
                    yield
        last = _MAX_VISITED
        ends = perf_counter() + _SLICE
        while waiting and len(visited) < last and len(self._names) < MAX_HOLDERS:
            things, name, inside = waiting.popleft()
            for thing in things:
                if id(thing) in self._reached:
                    self._tellForwards(thing, name, inside)
                    last = min(last, len(visited) + _ENOUGH)
                elif id(thing) not in visited and _mayHold(thing):
                    visited.add(id(thing))
                    waiting.append((iter(gc.get_referents(thing)), name, type(thing).__qualname__))
                if perf_counter() > ends:
                    yield
                    ends = perf_counter() + _SLICE
        while waiting:
            for _ in range(min(5000, len(waiting))):
                waiting.pop()
            yield

    def _tellForwards(self, thing: Any, name: str, inside: str) -> None:
        end = _endOf(thing) if inside else None
        self._tell(end or f"module attribute {name}", [f"a {inside}"] if inside and not end else ())

    def _tellTops(self) -> None:
        """Those whose own holders cannot be seen."""
        for key, thing in self._reached.items():
            if key not in self._answered:
                way = _wayOf(thing) or f"an object of class {_kindOf(thing)}"
                self._tell(f"{way}, held by something that cannot be seen")


def _endOf(thing: Any) -> str | None:
    """The name of what keeps things alive by itself."""
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


def _describeHandler(handler: logging.Handler) -> str | None:
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
    (logging.Handler, _describeHandler),
    (logging.Logger, lambda logger: f"logging.getLogger({logger.name!r})"),
    (LogPublisher, lambda _: "a log observer of twisted.logger"),
    ((BaseAdapterRegistry, AdapterLookupBase), lambda _: "an adapter registry"),
    (weakref.finalize._Info, lambda _: "a weakref.finalize"),  # type: ignore[attr-defined]
    (functools._lru_cache_wrapper, _describeCache),
    (FileDescriptor, _describeConnection),
    (type, _describeClass),
)


def _wayOf(thing: Any) -> str | None:
    """What tells more about the way to whoever has a name."""
    if isinstance(thing, Deferred):
        if thing.called and not thing.paused:
            return None
        added: Any = getattr(thing, "_callbacks", ())  # the public name is deprecated, without a successor
        callbacks = [nameOf(pair[0][0]) for pair in added]
        return f"a pending Deferred with callback {callbacks[0]}" if callbacks else "a pending Deferred"
    if isinstance(thing, _SUSPENDED):
        frame = _frameOf(thing)
        kind = type(thing).__name__.replace("_", " ")
        return None if frame is None else f"a {kind}: {_placeOf(frame)}"
    if isinstance(thing, FrameType):
        return f"a frame: {_placeOf(thing)}"
    if isinstance(thing, Failure):
        return f"a Failure: {getattr(thing.type, '__name__', thing.type)}"
    if isinstance(thing, BaseException):
        return f"an exception: {type(thing).__name__}"
    if type(thing).__module__.startswith("revproxy."):
        return f"the edge's {_kindOf(thing)}"
    return None


def _frameOf(suspended: Any) -> FrameType | None:
    for name in ("cr_frame", "gi_frame", "ag_frame"):
        frame = getattr(suspended, name, None)
        if isinstance(frame, FrameType):
            return frame
    return None


def _unseen() -> Iterator[tuple[str, Any]]:
    """Things that are called one day, and are kept where the collector does not look or may have been told not to."""
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
    for one in _within(vars(globalRegistry)["_adapters"], 6):
        yield "an adapter registry", one
    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    for logger in loggers:
        if isinstance(logger, logging.Logger):
            for one in logger.handlers:
                yield _describeHandler(one) or "", one


def _atexitCallbacks() -> list[Any]:
    """There is no list of them; but each is compared with what is to be taken out."""
    seen: list[Any] = []

    class Probe:
        def __eq__(self, other: object) -> bool:
            seen.append(other)
            return False

        __hash__ = None  # type: ignore[assignment]

    atexit.unregister(Probe())  # type: ignore[arg-type]
    return [one.func if isinstance(one, functools.partial) else one for one in seen]


def _within(thing: Any, depth: int) -> Iterator[Any]:
    if isinstance(thing, (dict, list, tuple)) and depth:
        for one in list(thing.values()) if isinstance(thing, dict) else thing:
            yield from _within(one, depth - 1)
    else:
        yield thing


def _framesOfThreads() -> Iterator[tuple[threading.Thread, FrameType]]:
    frames = sys._current_frames()
    for thread in threading.enumerate():
        frame = frames.get(thread.ident or 0) if thread is not threading.current_thread() else None
        while frame is not None:
            yield thread, frame
            frame = frame.f_back


def _keysOf(holder: dict[Any, Any], held: list[Any]) -> Iterator[str]:
    wanted = {id(one) for one in held}
    return (str(key) for key, value in list(holder.items()) if id(value) in wanted)


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


def _kindOf(thing: Any) -> str:
    kind = type(thing)
    module = kind.__module__.rpartition(".")[2] if _isOfPlugin(kind) else kind.__module__
    return str(kind.__qualname__) if module == "builtins" else f"{module}.{kind.__qualname__}"


def _placeOf(frame: FrameType) -> str:
    code = frame.f_code
    return f"function {code.co_qualname} at {plainFile(code.co_filename).rpartition('/')[2]}:{frame.f_lineno}"


def _mayHold(thing: Any) -> bool:
    # What the collector does not track holds nothing that it tracks.
    return gc.is_tracked(thing) and not isinstance(thing, _ATOMS)


def _isModule(module: Any) -> bool:
    return isinstance(module, ModuleType)


def _isOfPlugin(thing: Any) -> bool:
    return str(getattr(thing, "__module__", "")).startswith(f"{ROOT}.")
