"""
A plugin in a locked process, as its chain has it: a middleware whose answers come later.

For each call the request is told as far as the plugin may see it, and what comes back is put into the context as far as
the plugin may change it. A request that the process has to do with is a *visit*, until the request's end.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import Any, cast

import msgspec
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import alsoProvides, implementer

from revproxy import interfaces
from revproxy.context import Context
from revproxy.errors import WrongAnswer
from revproxy.interfaces import IMiddleware
from revproxy.isolation.edits import Edits, Streams
from revproxy.isolation.frames import Answered, Call, Failed, Fields, Filter, Over, Phase, Piece, Pull, RequestHead
from revproxy.isolation.plainvalues import changedSince
from revproxy.isolation.remotefailure import ProcessEnded, failureOf, refusalOf
from revproxy.isolation.sight import Sight, outcomeSeen
from revproxy.isolation.tenancy import Tenancy
from revproxy.isolation.visits import Visit, Visits
from revproxy.permissions import Permissions

COMPANIONS = ("IResponseMiddleware", "IObserver", "ILifecycle", "IHealthCheck", "IConfigurable", "IStateful")
"""Interfaces that the plugin may provide, and this then provides for it. `IHosted` is dealt with in the process."""


@implementer(IMiddleware)
class Guest:
    """
    The middleware.

    :ivar name: the plugin's.
    :ivar tenancy: its processes.
    :ivar visits: the requests it has to do with.
    """

    def __init__(
        self,
        name: str,
        tenancy: Tenancy,
        visits: Visits,
        permissions: Permissions,
        stop: Callable[[], None],
        counters: Any,
    ) -> None:
        """
        :param stop: called when it ends, before its process does.
        :param counters: of its version: `revproxy.dataplane.counters.Counters`.
        """
        self.name = name
        self.tenancy = tenancy
        self.visits = visits
        self._sight = Sight(permissions)
        self._permissions = permissions
        self._edits = Edits(permissions, Streams(self._filter, self._pieces))
        self._stop = stop
        self._counters = counters
        self._keeps = False
        visits.onOver = self._over
        self._limit = tenancy.limits.call
        self._targetsTold: dict[str, tuple[tuple[str, bool], ...]] | None = None
        self._targetsPlace: object = None

    # Its life

    async def load(self) -> None:
        """
        Have a process become the plugin. From then on this provides what the plugin does.

        :raises revproxy.isolation.tenancy.NotLoaded:
        """
        tenancy = self.tenancy
        await tenancy.open()
        names = tenancy.interfaces
        alsoProvides(self, *(getattr(interfaces, name) for name in COMPANIONS if name in names))
        self._keeps = "IObserver" in names or "IResponseMiddleware" in names

    async def end(self) -> bool:
        """End it. :returns: whether its process is gone."""
        self._stop()
        return await self.tenancy.end()

    async def start(self) -> None:
        """As `revproxy.interfaces.ILifecycle.start`."""
        await self.tenancy.step("start")
        self.tenancy.isStarted = True

    async def stop(self) -> None:
        """As `revproxy.interfaces.ILifecycle.stop`."""
        self.tenancy.isStarted = False
        await self.tenancy.step("stop")

    async def checkHealth(self) -> None:
        """As `revproxy.interfaces.IHealthCheck.checkHealth`."""
        await self.tenancy.step("checkHealth")

    async def validate(self, config: Mapping[str, Any]) -> None:
        """Have the plugin look at a configuration. :raises RemoteFailure: it does not take it."""
        await self.tenancy.step("validateConfig", _json(config))

    def validateConfig(self, config: Mapping[str, Any]) -> None:
        """As `revproxy.interfaces.IConfigurable.validateConfig`; the plugin's own is asked by :meth:`validate`."""

    async def updateConfig(self, config: Mapping[str, Any]) -> None:
        """As `revproxy.interfaces.IConfigurable.updateConfig`; a process that follows has this one, too."""
        data = _json(config)
        await self.tenancy.step("updateConfig", data)
        self.tenancy.load = msgspec.structs.replace(self.tenancy.load, config=data)

    async def exportState(self) -> Any:
        """As `revproxy.interfaces.IStateful.exportState`."""
        return json.loads(await self.tenancy.step("exportState"))

    async def importState(self, state: Any, version: str) -> None:
        """As `revproxy.interfaces.IStateful.importState`."""
        await self.tenancy.step("importState", _json([state, version]))

    # Its calls

    def handle(self, context: Context) -> Deferred[bool]:
        """As `revproxy.interfaces.IMiddleware.handle`."""
        visit = self.visits.of(context) if self._keeps else self.visits.begin(context)
        self._counters.inFlight += 1
        asked = self._call(visit, "handle")
        asked.addCallbacks(self._answered, self._failed, (visit, "handle"), errbackArgs=(visit,))
        return cast("Deferred[bool]", asked)

    def handleResponse(self, context: Context) -> Deferred[None]:
        """As `revproxy.interfaces.IResponseMiddleware.handleResponse`."""
        visit = self.visits.of(context)
        self._counters.inFlight += 1
        asked = self._call(visit, "handleResponse")
        asked.addCallbacks(self._answered, self._failed, (visit, "handleResponse"), errbackArgs=(visit,))
        return cast("Deferred[None]", asked)

    def finished(self, context: Context) -> Awaitable[None]:
        """As `revproxy.interfaces.IObserver.finished`; the end of the visit."""
        visit = self.visits.of(context)
        asked = self._call(visit, "finished")
        self.visits.end(visit)
        return asked.addCallback(self._observed).addBoth(self._overAfter, visit)

    def _call(self, visit: Visit, phase: Phase) -> Deferred[Any]:
        return self.tenancy.call(partial(self._frame, visit, phase), visit.number, phase != "finished", self._limit)

    def _failed(self, failure: Failure, visit: Visit) -> Failure:
        """Nothing has come of a call."""
        self._settle(visit)
        return failure

    def _settle(self, visit: Visit, isOver: bool = False) -> None:
        """
        After a call: whether the plugin has still to do with the request.

        :param isOver: whether the process knows that, if it has not.
        """
        self._counters.inFlight -= 1
        if visit.streams:
            self.visits.keep(visit)
        elif not self._keeps and self.visits.end(visit) and not isOver:
            self._over(visit)

    def _frame(self, visit: Visit, phase: Phase, cell: object, number: int) -> Call:
        """What a process is told of a call; one that knows nothing of the request yet, all of it."""
        visit.movesTo(cell)
        context = visit.context
        head: RequestHead | None = self._sight.request(context)
        response = context._response
        if self._keeps:
            # What has changed since, by whomever, is told once more.
            head, visit.head = None if head == visit.head else head, head
        return Call(
            number,
            visit.number,
            phase,
            head,
            self._sight.response(response) if response is not None and phase != "handle" else None,
            changedSince(visit.told, context._values) if context._values or visit.told else b"",
            outcomeSeen(context._outcome) if phase == "finished" else None,
            self._targets(context, cell) if self._permissions.upstreams and phase == "handle" else None,
        )

    def _targets(self, context: Context, cell: object) -> dict[str, tuple[tuple[str, bool], ...]] | None:
        """Those of the upstreams that it may choose; None if the process knows."""
        destinations = context._tools().destinations
        targets = {}
        for name in self._permissions.upstreams:
            try:
                free = frozenset(destinations.available(name))
                targets[name] = tuple((url, url in free) for url in destinations.origins(name))
            except ValueError:
                continue  # there is none of that name now
        if cell is self._targetsPlace and targets == self._targetsTold:
            return None
        self._targetsPlace, self._targetsTold = cell, targets
        return targets

    def _answered(self, frame: Any, visit: Visit, phase: str) -> bool | None:
        """:raises Exception: the call has failed, or has answered what it must not."""
        isOver = False
        try:
            if type(frame) is Answered:
                isOver = frame.isWhole
                return self._edits.apply(visit, frame, phase)
            if isinstance(frame, Failed):
                raise self._failure(frame, visit)
            raise WrongAnswer(phase, f"a {type(frame).__name__}")
        finally:
            self._settle(visit, isOver)

    def _failure(self, frame: Failed, visit: Visit) -> Exception:
        if frame.status:
            return refusalOf(frame, self._permissions)
        for error in visit.broken:
            if type(error).__name__ == frame.kind:
                return error  # it only passes on why a body broke off
        return failureOf(frame)

    @staticmethod
    def _observed(frame: Any) -> None:
        if isinstance(frame, Failed):
            raise failureOf(frame)

    def _overAfter(self, result: Any, visit: Visit) -> Any:
        self._over(visit)
        return result

    def _over(self, visit: Visit) -> None:
        cell = self.tenancy.cell
        if cell is not None and cell is visit.place:
            cell.send(Over(visit.number))

    def interim(self, number: int, answers: tuple[tuple[int, Fields], ...]) -> None:
        """
        The plugin sends 1xx answers, and has not answered yet.

        :raises WrongAnswer: they cannot be sent, or it may not.
        """
        visit = self.visits.find(number)
        if visit is not None:
            self._edits.sendInformational(visit.context, answers)

    # Bodies

    def _filter(self, visit: Visit, isResponse: bool) -> Callable[[bytes, bool], Deferred[bytes]]:
        """What a body's pieces pass: the plugin's filters, in its process."""

        def passed(data: bytes, isLast: bool) -> Deferred[bytes]:
            def frame(cell: object, number: int) -> Filter:
                return Filter(number, visit.number, isResponse, data, isLast)

            return self._streamed(visit, frame).addCallback(self._piece, visit)

        return passed

    async def _pieces(self, visit: Visit) -> AsyncIterator[bytes]:
        """Those of an answer that the plugin makes."""
        isOver = False
        try:
            while not isOver:
                piece = await self._streamed(visit, lambda cell, number: Pull(number, visit.number))
                data = self._piece(piece, visit)
                isOver = piece.isLast
                if data:
                    yield data
        finally:
            if not isOver and visit.place is self.tenancy.cell:
                ended = self._streamed(visit, lambda cell, number: Pull(number, visit.number, True))
                ended.addErrback(lambda failure: None)

    def _streamed(self, visit: Visit, frame: Callable[[object, int], Any]) -> Deferred[Any]:
        """A piece is asked for of the process that has begun with it; no other could go on."""
        if visit.place is not self.tenancy.cell:
            raise ProcessEnded("the process that was at this body has ended")
        return self.tenancy.call(frame, visit.number, False, self._limit)

    def _piece(self, frame: Any, visit: Visit) -> bytes:
        if isinstance(frame, Failed):
            raise self._failure(frame, visit)
        if not isinstance(frame, Piece):
            raise WrongAnswer("a filter", f"a {type(frame).__name__}")
        return frame.data


def _json(value: Any) -> bytes:
    """What the process is told. Secrets are text like any other there."""
    return json.dumps(value).encode()

