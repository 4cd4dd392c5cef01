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

import gc
import sys
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from time import perf_counter
from types import BuiltinFunctionType, FrameType, ModuleType
from typing import Any

from revproxy.worker.lifecycle.hiddenholders import framesOfThreads, hiddenHolders
from revproxy.worker.lifecycle.holdernames import endOf, kindOf, placeOf, wayOf

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
        end = endOf(holder)
        if end is not None:
            self._tell(end, via)
            return True
        way = wayOf(holder)
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
        for what, thing in hiddenHolders():
            # A bound method may be made anew each time it is asked for.
            parts = (thing, getattr(thing, "__func__", None), getattr(thing, "__self__", None))
            if any(id(one) in self._reached for one in parts if one is not None):
                self._tell(what)
        for thread, frame in framesOfThreads():
            # Not its locals: to read them is to have them kept, in a copy that lasts as long as the call.
            if id(frame.f_globals) in self._reached:
                self._tell(f"a thread: {thread.name}, in {placeOf(frame)}")

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
        end = endOf(thing) if inside else None
        self._tell(end or f"module attribute {name}", [f"a {inside}"] if inside and not end else ())

    def _tellTops(self) -> None:
        """Those whose own holders cannot be seen."""
        for key, thing in self._reached.items():
            if key not in self._answered:
                way = wayOf(thing) or f"an object of class {kindOf(thing)}"
                self._tell(f"{way}, held by something that cannot be seen")


def _keysOf(holder: dict[Any, Any], held: list[Any]) -> Iterator[str]:
    wanted = {id(one) for one in held}
    return (str(key) for key, value in list(holder.items()) if id(value) in wanted)


def _mayHold(thing: Any) -> bool:
    # What the collector does not track holds nothing that it tracks.
    return gc.is_tracked(thing) and not isinstance(thing, _ATOMS)


def _isModule(module: Any) -> bool:
    return isinstance(module, ModuleType)
