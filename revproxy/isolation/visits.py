"""
The requests that a plugin in a locked process has to do with, from its first call to their end.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from revproxy.context import Context
from revproxy.isolation.frames import RequestHead
from revproxy.isolation.plainvalues import Told


class Visit:
    """
    One request's.

    :ivar number: what the process calls the request.
    :ivar told: what it knows of the request's values.
    :ivar head: what it knows of the request; None: nothing.
    :ivar place: the cell that knows all this; another knows nothing.
    :ivar readings: how many bodies of the request it waits for.
    :ivar broken: why bodies that it has waited for will not come, as the request has it.
    :ivar streams: whether it goes on with the request's bodies after its answer: filters, or pieces of an answer.
    """

    __slots__ = ("broken", "context", "head", "number", "place", "readings", "streams", "told")

    def __init__(self, number: int, context: Context) -> None:
        self.number = number
        self.context = context
        self.told: Told = {}
        self.head: RequestHead | None = None
        self.place: object = None
        self.readings = 0
        self.broken: list[Exception] = []
        self.streams = False

    def movesTo(self, place: object) -> None:
        """It is told to this cell next, which may know nothing of it."""
        if self.place is not place:
            self.place = place
            self.head = None
            self.told = {}
            self.readings = 0


class Visits:
    """
    Those of one instance.
    """

    def __init__(self) -> None:
        self._byContext: dict[Context, Visit] = {}
        self._byNumber: dict[int, Visit] = {}
        self._next = count(1).__next__

    def __len__(self) -> int:
        return len(self._byNumber)

    def __iter__(self) -> Iterator[Visit]:
        return iter(list(self._byNumber.values()))

    def of(self, context: Context) -> Visit:
        """That of a request, which may begin with this."""
        visit = self._byContext.get(context)
        if visit is None:
            visit = self._byContext[context] = Visit(self._next(), context)
            self._byNumber[visit.number] = visit
        return visit

    def find(self, number: int) -> Visit | None:
        """The one that a process calls so."""
        return self._byNumber.get(number)

    def end(self, context: Context) -> Visit | None:
        """The request is over. :returns: its visit, if there was one."""
        visit = self._byContext.pop(context, None)
        if visit is not None:
            del self._byNumber[visit.number]
        return visit
