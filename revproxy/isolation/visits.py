"""
The requests that a plugin in a locked process has to do with, from its first call to their end.
"""

from __future__ import annotations

from collections.abc import Callable
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

    __slots__ = ("_over", "broken", "context", "head", "number", "place", "readings", "streams", "told")

    def __init__(self, number: int, context: Context, over: Callable[[Visit], None]) -> None:
        """:param over: called when the request is over."""
        self.number = number
        self.context = context
        self._over = over
        self.told: Told = {}
        self.head: RequestHead | None = None
        self.place: object = None
        self.readings = 0
        self.broken: list[Exception] = []
        self.streams = False

    def stopProducing(self) -> None:
        """The request is over: told as to whatever makes a body of it (see `revproxy.context.Context.over`)."""
        self._over(self)

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

    :ivar onOver: called with each when its request is over, unless it has ended before.
    """

    def __init__(self) -> None:
        self.onOver: Callable[[Visit], None] = lambda visit: None
        self._byContext: dict[Context, Visit] = {}
        self._byNumber: dict[int, Visit] = {}
        self._next = count(1).__next__

    def __len__(self) -> int:
        return len(self._byNumber)

    def begin(self, context: Context) -> Visit:
        """
        A request comes, for a call or two. It is to be ended with :meth:`end`, or to be kept until the request is over.
        """
        visit = Visit(self._next(), context, self._over)
        self._byNumber[visit.number] = visit
        return visit

    def keep(self, visit: Visit) -> None:
        """The plugin has to do with the request until that is over."""
        context = visit.context
        if context not in self._byContext:
            self._byContext[context] = visit
            context._made += (visit,)

    def of(self, context: Context) -> Visit:
        """That of a request which is kept, or from now on is."""
        visit = self._byContext.get(context)
        if visit is None:
            visit = self.begin(context)
            self.keep(visit)
        return visit

    def find(self, number: int) -> Visit | None:
        """The one that a process calls so."""
        return self._byNumber.get(number)

    def end(self, visit: Visit) -> bool:
        """Nothing more comes of it. :returns: whether it had not ended before."""
        self._byContext.pop(visit.context, None)
        return self._byNumber.pop(visit.number, None) is not None

    def _over(self, visit: Visit) -> None:
        if self.end(visit):
            self.onOver(visit)
