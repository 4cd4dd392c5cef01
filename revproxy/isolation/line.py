"""
What a locked process was asked and has not answered, in the order in which it was asked.

A process runs one piece of code at a time. What it is asked it begins in order, so the oldest that it has neither
answered nor said to be waiting is the one that it is at, if it is at any: the head of the line. The time of the others
does not run meanwhile, for they cannot help it. Pure: the time is always told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from revproxy.isolation.frames import Down
from revproxy.loop.waiting import Bounded

UNBOUNDED = float("inf")


class Ask(Bounded):
    """
    One thing that a process is asked: a call, a step, a piece. Fires with the frame of the answer, or fails.

    :ivar number: by which it is answered.
    :ivar hold: seconds of CPU that its code may take in one go; twice as many, if it is at something else.
    :ivar limit: seconds that it may take in all, as long as it is not behind others.
    :ivar request: the number of the request that it belongs to; 0: none.
    :ivar isRepeatable: whether another process may be asked the same if this one ends: it has caused nothing outside.
    :ivar isRepeated: whether one was.
    :ivar asked: when the process was asked.
    :ivar due: when it is to be given up, once it waits; `UNBOUNDED` before.
    """

    def __init__(
        self,
        number: int,
        make: Callable[[Any, int], Down],
        cancelled: Callable[[Any], None] | None,
        hold: float = UNBOUNDED,
        limit: float = UNBOUNDED,
        request: int = 0,
        isRepeatable: bool = False,
    ) -> None:
        """
        :param make: of a process and the number, what it is sent.
        :param cancelled: called with this when nobody waits for the answer any more.
        """
        super().__init__(cancelled)
        self.number = number
        self.make = make
        self.hold = hold
        self.limit = limit
        self.request = request
        self.isRepeatable = isRepeatable
        self.isRepeated = False
        self.asked = 0.0
        self.due = UNBOUNDED

    def fail(self, error: BaseException) -> None:
        """Fail with this; nothing, if it was given up: with another of its request, that has failed before it."""
        if not self.called:
            self.errback(error)


class Line:
    """
    Of one process.

    :ivar count: how many are in it.
    :ivar headSince: since when the head of the line is that.
    """

    __slots__ = ("_dueNext", "_running", "_waiting", "count", "headSince")

    def __init__(self) -> None:
        self._running: dict[int, Ask] = {}
        self._waiting: dict[int, Ask] = {}
        self._dueNext = UNBOUNDED
        self.count = 0
        self.headSince = 0.0

    def __iter__(self) -> Iterator[Ask]:
        """In the order in which they were asked."""
        return iter(sorted((*self._running.values(), *self._waiting.values()), key=lambda ask: ask.number))

    @property
    def head(self) -> Ask | None:
        """The one that the process is at, or will be next; None: all that it was asked waits."""
        return next(iter(self._running.values()), None)

    def find(self, number: int) -> Ask | None:
        """The one of that number, if it is not answered."""
        return self._running.get(number) or self._waiting.get(number)

    def add(self, ask: Ask, now: float) -> None:
        """The process is asked."""
        ask.asked = now
        if not self._running:
            self.headSince = now
        self._running[ask.number] = ask
        self.count += 1

    def take(self, number: int, now: float) -> Ask | None:
        """It is over. :returns: the one of that number; None: there is none."""
        ask = self._running.get(number)
        if ask is None:
            ask = self._waiting.pop(number, None)
            self.count -= ask is not None
            return ask
        running = self._running
        if next(iter(running)) != number:
            self._passOver(ask, now)
        del running[number]
        self.count -= 1
        self.headSince = now
        return ask

    def waits(self, number: int, now: float) -> bool:
        """Its code has begun, and waits for something. :returns: whether that is news."""
        ask = self._running.get(number)
        if ask is None:
            return False
        self._passOver(ask, now)
        self._wait(ask, now)
        return True

    def _passOver(self, ask: Ask, now: float) -> None:
        """Whatever was asked before this one has begun before it, and so waits, whether the process says so or not."""
        while (head := self.head) is not ask and head is not None:
            self._wait(head, now)

    def _wait(self, ask: Ask, now: float) -> None:
        del self._running[ask.number]
        # Its time began when it was at the head of the line, and not when it was asked.
        ask.due = max(ask.asked, self.headSince) + ask.limit
        self._dueNext = min(self._dueNext, ask.due)
        self._waiting[ask.number] = ask
        self.headSince = now

    def due(self, now: float) -> list[Ask]:
        """Those that have waited for as long as they may."""
        if now < self._dueNext:
            return []
        found = [ask for ask in self._waiting.values() if ask.due <= now]
        self._dueNext = min((ask.due for ask in self._waiting.values() if ask.due > now), default=UNBOUNDED)
        return found

    def prolong(self, ask: Ask, now: float) -> None:
        """What it waits for is not its own doing: its time begins again."""
        ask.due = now + ask.limit
        self._dueNext = min(self._dueNext, ask.due)

    def behind(self, since: float) -> list[Ask]:
        """Those that were asked before a time, and that the process has not come to."""
        found = []
        for ask in list(self._running.values())[1:]:
            if ask.asked > since:
                break
            found.append(ask)
        return found

    def clear(self) -> list[Ask]:
        """All of them, in order; none is left."""
        asks = list(self)
        self._running.clear()
        self._waiting.clear()
        self.count = 0
        self._dueNext = UNBOUNDED
        return asks
