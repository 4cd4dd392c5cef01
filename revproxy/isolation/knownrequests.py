"""
The requests that a plugin in a locked process has to do with, from its first call to their end.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from twisted.internet.defer import Deferred

from revproxy.context import Context
from revproxy.isolation.frames import RequestHead
from revproxy.isolation.plainvalues import Told


class KnownRequest:
    """
    One request's.

    :ivar number: what the process calls the request.
    :ivar told: what it knows of the request's values.
    :ivar head: what it knows of the request; None: nothing.
    :ivar process: the one that knows all this; another knows nothing.
    :ivar calls: how many calls of the request are under way that may read its bodies.
    :ivar readings: bodies of the request that the process waits for.
    :ivar informed: 1xx answers of the request that the plugin has sent.
    :ivar broken: why bodies that it has waited for will not come, as the request has it.
    :ivar streams: whether it goes on with the request's bodies after its answer: filters, or pieces of an answer.
    """

    __slots__ = (
        "_over",
        "broken",
        "calls",
        "context",
        "head",
        "informed",
        "number",
        "process",
        "readings",
        "streams",
        "told",
    )

    def __init__(self, number: int, context: Context, over: Callable[[KnownRequest], None]) -> None:
        """:param over: called when the request is over."""
        self.number = number
        self.context = context
        self._over = over
        self.told: Told = {}
        self.head: RequestHead | None = None
        self.process: object = None
        self.calls = 0
        self.readings: list[Deferred[Any]] = []
        self.informed = 0
        self.broken: list[Exception] = []
        self.streams = False

    def stopProducing(self) -> None:
        """The request is over: told as to whatever makes a body of it (see `revproxy.context.Context.over`)."""
        self._over(self)

    def movesTo(self, process: object) -> None:
        """It is told to this process next, which may know nothing of it."""
        self.process = process
        self.head = None
        self.told = {}

    def callOver(self) -> None:
        """A call has ended; with the last, the plugin reads no more: the bodies are others' then."""
        self.calls -= 1
        if not self.calls and self.readings:
            for reading in list(self.readings):
                reading.cancel()


class KnownRequests:
    """
    Those of one instance.

    :ivar onOver: called with each when its request is over, unless it has ended before.
    """

    def __init__(self) -> None:
        self.onOver: Callable[[KnownRequest], None] = lambda known: None
        self._byContext: dict[Context, KnownRequest] = {}
        self._byNumber: dict[int, KnownRequest] = {}
        self._next = count(1).__next__

    def __len__(self) -> int:
        return len(self._byNumber)

    def begin(self, context: Context) -> KnownRequest:
        """
        A request comes, for a call or two. It is to be ended with :meth:`end`, or to be kept until the request is over.
        """
        known = KnownRequest(self._next(), context, self._over)
        self._byNumber[known.number] = known
        return known

    def keep(self, known: KnownRequest) -> None:
        """The plugin has to do with the request until that is over."""
        context = known.context
        if known not in context._made:
            self._byContext.setdefault(context, known)
            context._made += (known,)

    def of(self, context: Context) -> KnownRequest:
        """That of a request which is kept, or from now on is."""
        known = self._byContext.get(context)
        if known is None:
            known = self.begin(context)
            self.keep(known)
        return known

    def find(self, number: int) -> KnownRequest | None:
        """The one that a process calls so."""
        return self._byNumber.get(number)

    def end(self, known: KnownRequest) -> bool:
        """Nothing more comes of it. :returns: whether it had not ended before."""
        self._byContext.pop(known.context, None)
        return self._byNumber.pop(known.number, None) is not None

    def _over(self, known: KnownRequest) -> None:
        if self.end(known):
            self.onOver(known)
