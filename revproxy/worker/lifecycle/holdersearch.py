"""
Who still holds a plugin that should be gone: backwards, directly, and if need be forwards.

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
from typing import Any, NamedTuple

from revproxy.worker.lifecycle.hiddenholders import framesOfThreads, hiddenHolders
from revproxy.worker.lifecycle.holdernames import endOf, kindOf, placeOf, wayOf

MAX_HOLDERS = 8
"""Holders that are told."""

MAX_TEXT = 200
"""Characters of each."""

_MAX_LEVELS = 30
"""How far backwards holders of holders are asked for."""

_MAX_REACHED = 20_000
"""Objects after which going backwards ends."""

_MAX_VISITED = 200_000
"""Objects that are looked into on the way forwards."""

_VISITED_MORE = 20_000
"""Of these, how many more once somebody was found."""

_SLICE = 0.005
"""Seconds that a step forwards takes."""

_FREED_AT_ONCE = 5_000
"""Branches that are let go of in one step."""

_ATOMS = (ModuleType, BuiltinFunctionType)


class _Branch(NamedTuple):
    """Where the way forwards goes on: an attribute of a module, and what one object within it refers to."""

    things: Iterator[Any]
    attribute: str
    kind: str
    """Of the object within; empty for the attribute itself."""


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
        "_visited",
        "_ways",
        "done",
    )

    def __init__(self, remains: Iterable[object]) -> None:
        """:param remains: what should be gone."""
        self._frontier: list[Any] = list(remains)
        self._reached: dict[int, Any] = {id(thing): thing for thing in self._frontier}
        # The innermost and the outermost on the way to it.
        self._ways: dict[int, tuple[str, ...]] = {}
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
        """What was found, once it is done; the likeliest first."""
        names = list(self._names)[:MAX_HOLDERS]
        return tuple(name if len(name) <= MAX_TEXT else name[: MAX_TEXT - 1] + "…" for name in names)

    def close(self) -> None:
        """Let go of everything that was seen."""
        self._phases.close()
        self._frontier, self._reached = [], {}
        self.done = True

    def _run(self) -> Generator[None, None, None]:
        for _ in range(_MAX_LEVELS):
            if not self._frontier or len(self._reached) > _MAX_REACHED:
                break
            self._stepBack()
            yield
        self._askDirectly()
        yield
        if not self._names:
            yield from self._searchForwards()
        if not self._names:
            self._tellUnexplained()

    # Backwards

    def _stepBack(self) -> None:
        """From those that were reached last to those that refer to them."""
        frontier = self._frontier
        following: list[Any] = []
        ours = {id(self), id(frontier), id(following), id(self._reached), id(self._phases)}
        wanted = {id(thing) for thing in frontier}
        for holder in gc.get_referrers(*frontier):
            if id(holder) in ours or (isinstance(holder, FrameType) and holder.f_code.co_filename == __file__):
                continue
            held = [thing for thing in gc.get_referents(holder) if id(thing) in wanted]
            self._answered.update(map(id, held))
            if id(holder) not in self._reached and held:
                self._reached[id(holder)] = holder
                if not self._hasName(holder, held):
                    following.append(holder)
        self._frontier = following

    def _hasName(self, holder: Any, held: list[Any]) -> bool:
        """Tell who it is, if it is somebody with a name: nobody beyond it needs to be asked for then."""
        ways = self._ways.get(id(held[0]), ())
        name = self._modules.get(id(holder))
        if name is not None:
            for key in _keysOf(holder, held):
                self._tell(f"module attribute {name}.{key}", ways)
            return True
        if holder is sys.modules:
            self._tell(f"sys.modules[{next(_keysOf(holder, held), '?')!r}]")
            return True
        end = endOf(holder)
        if end is not None:
            self._tell(end, ways)
            return True
        way = wayOf(holder)
        if way is not None:
            ways = (*ways[:1], way)
        if ways:
            self._ways[id(holder)] = ways
        return False

    def _tell(self, name: str, ways: Iterable[str] = ()) -> None:
        through = " and ".join(reversed(list(ways)))
        self._names[f"{name}, through {through}" if through else name] = None

    def _tellUnexplained(self) -> None:
        """Those whose own holders cannot be seen."""
        for key, thing in self._reached.items():
            if key not in self._answered:
                way = wayOf(thing) or f"an object of class {kindOf(thing)}"
                self._tell(f"{way}, held by something that cannot be seen")

    # Directly

    def _askDirectly(self) -> None:
        for name, thing in hiddenHolders():
            # A bound method may be made anew each time it is asked for.
            parts = (thing, getattr(thing, "__func__", None), getattr(thing, "__self__", None))
            if any(id(part) in self._reached for part in parts if part is not None):
                self._tell(name)
        for thread, frame in framesOfThreads():
            # Not its locals: to read them is to have them kept, in a copy that lasts as long as the call.
            if id(frame.f_globals) in self._reached:
                self._tell(f"a thread: {thread.name}, in {placeOf(frame)}")

    # Forwards

    def _searchForwards(self) -> Iterator[None]:
        """Breadth first, from the attributes of all modules to what was reached."""
        branches: deque[_Branch] = deque()
        ours = (self, self._reached, self._frontier, self._phases, self._visited, branches)
        self._visited.update(map(id, ours))
        yield from self._enterModules(branches)
        yield from self._follow(branches)
        while branches:
            for _ in range(min(_FREED_AT_ONCE, len(branches))):
                branches.pop()
            yield

    def _enterModules(self, branches: deque[_Branch]) -> Iterator[None]:
        for module in list(sys.modules.values()):
            if _isModule(module) and id(vars(module)) in self._modules:
                self._visited.add(id(vars(module)))
                for key, value in list(vars(module).items()):
                    if _mayHold(value):
                        branches.append(_Branch(iter((value,)), f"{module.__name__}.{key}", ""))
                if len(self._visited) % 100 == 0:
                    yield

    def _follow(self, branches: deque[_Branch]) -> Iterator[None]:
        visited = self._visited
        last = _MAX_VISITED
        ends = perf_counter() + _SLICE
        while branches and len(visited) < last and len(self._names) < MAX_HOLDERS:
            things, attribute, kind = branches.popleft()
            for thing in things:
                if id(thing) in self._reached:
                    self._tellForwards(thing, attribute, kind)
                    last = min(last, len(visited) + _VISITED_MORE)
                elif id(thing) not in visited and _mayHold(thing):
                    visited.add(id(thing))
                    branches.append(_Branch(iter(gc.get_referents(thing)), attribute, type(thing).__qualname__))
                if perf_counter() > ends:
                    yield
                    ends = perf_counter() + _SLICE

    def _tellForwards(self, thing: Any, attribute: str, kind: str) -> None:
        end = endOf(thing) if kind else None
        if end is not None:
            self._tell(end)
        else:
            self._tell(f"module attribute {attribute}", [f"a {kind}"] if kind else ())


def _keysOf(holder: dict[Any, Any], held: list[Any]) -> Iterator[str]:
    wanted = set(map(id, held))
    return (str(key) for key, value in list(holder.items()) if id(value) in wanted)


def _mayHold(thing: Any) -> bool:
    # What the collector does not track holds nothing that it tracks.
    return gc.is_tracked(thing) and not isinstance(thing, _ATOMS)


def _isModule(module: Any) -> bool:
    return isinstance(module, ModuleType)
