"""
A plugin in a locked process, as its chain has it: a middleware whose answers come later.

For each call the request is told as far as the plugin may see it, and what comes back is put into the context as far as
the plugin may change it. A request that the process has to do with is a *known*, until the request's end.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import alsoProvides, implementer

from revproxy import interfaces
from revproxy.context import Context
from revproxy.errors import WrongAnswer
from revproxy.interfaces import IMiddleware
from revproxy.isolation.edits import Edits, Streams
from revproxy.isolation.frames import (
    Answered,
    Call,
    Failed,
    Fields,
    Filter,
    Over,
    Phase,
    Piece,
    Pull,
    RequestHead,
    Unchanged,
)
from revproxy.isolation.knownrequests import KnownRequest, KnownRequests
from revproxy.isolation.plainvalues import changedSince
from revproxy.isolation.remotefailure import ProcessEnded, failureOf, refusalOf
from revproxy.isolation.sight import Sight, outcomeSeen
from revproxy.isolation.succession import Succession
from revproxy.permissions import Permissions

COMPANIONS = ("IResponseMiddleware", "IObserver", "ILifecycle", "IHealthCheck", "IConfigurable", "IStateful")
"""Interfaces that the plugin may provide, and this then provides for it. `IHosted` is dealt with in the process."""

MOST_NOTHINGS = 1_000
"""Pieces in a row that may have nothing in them."""


@implementer(IMiddleware)
class LockedMiddleware:
    """
    The middleware.

    :ivar name: the plugin's.
    :ivar succession: its processes.
    :ivar requests: the requests it has to do with.
    """

    def __init__(
        self,
        name: str,
        succession: Succession,
        requests: KnownRequests,
        permissions: Permissions,
        stop: Callable[[], None],
        counters: Any,
    ) -> None:
        """
        :param stop: called when it ends, before its process does.
        :param counters: of its version: `revproxy.dataplane.counters.Counters`.
        """
        self.name = name
        self.succession = succession
        self.requests = requests
        self._sight = Sight(permissions)
        self._permissions = permissions
        self._edits = Edits(permissions, Streams(self._filter, self._pieces))
        self._stop = stop
        self._counters = counters
        self._keeps = False
        requests.onOver = self._over
        self._limit = succession.limits.call
        self._targetsTold: dict[str, tuple[tuple[str, bool], ...]] | None = None
        self._targetsProcess: object = None

    # Its life

    async def load(self) -> None:
        """
        Have a process become the plugin. From then on this provides what the plugin does.

        :raises revproxy.isolation.succession.NotLoaded:
        """
        succession = self.succession
        await succession.open()
        names = succession.interfaces
        alsoProvides(self, *(getattr(interfaces, name) for name in COMPANIONS if name in names))
        self._keeps = "IObserver" in names or "IResponseMiddleware" in names

    async def end(self) -> bool:
        """End it. :returns: whether its process is gone."""
        self._stop()
        return await self.succession.end()

    async def start(self) -> None:
        """As `revproxy.interfaces.ILifecycle.start`."""
        await self.succession.step("start")
        self.succession.isStarted = True

    async def stop(self) -> None:
        """As `revproxy.interfaces.ILifecycle.stop`."""
        self.succession.isStarted = False
        await self.succession.step("stop")

    async def checkHealth(self) -> None:
        """As `revproxy.interfaces.IHealthCheck.checkHealth`."""
        await self.succession.step("checkHealth")

    async def validate(self, config: Mapping[str, Any]) -> None:
        """Have the plugin look at a configuration. :raises RemoteFailure: it does not take it."""
        await self.succession.step("validateConfig", _json(config))

    def validateConfig(self, config: Mapping[str, Any]) -> None:
        """As `revproxy.interfaces.IConfigurable.validateConfig`; the plugin's own is asked by :meth:`validate`."""

    async def updateConfig(self, config: Mapping[str, Any]) -> None:
        """As `revproxy.interfaces.IConfigurable.updateConfig`; a process that follows has this one, too."""
        data = _json(config)
        await self.succession.step("updateConfig", data)
        self.succession.load = msgspec.structs.replace(self.succession.load, config=data)

    async def exportState(self) -> Any:
        """As `revproxy.interfaces.IStateful.exportState`: JSON, which nobody has made anything of yet."""
        return msgspec.Raw(await self.succession.step("exportState"))

    async def importState(self, state: Any, version: str) -> None:
        """As `revproxy.interfaces.IStateful.importState`."""
        data = bytes(state) if isinstance(state, msgspec.Raw) else _json(state)
        await self.succession.step("importState", b"[%b,%b]" % (data, _json(version)))

    # Its calls

    def handle(self, context: Context) -> Deferred[Any]:
        """As `revproxy.interfaces.IMiddleware.handle`."""
        known = self.requests.of(context) if self._keeps else self.requests.begin(context)
        self._counters.inFlight += 1
        known.calls += 1
        asked = self._call(known, "handle")
        return asked.addCallbacks(self._answered, self._failed, (known, "handle"), errbackArgs=(known,))

    def handleResponse(self, context: Context) -> Deferred[Any]:
        """As `revproxy.interfaces.IResponseMiddleware.handleResponse`."""
        known = self.requests.of(context)
        self._counters.inFlight += 1
        known.calls += 1
        asked = self._call(known, "handleResponse")
        return asked.addCallbacks(self._answered, self._failed, (known, "handleResponse"), errbackArgs=(known,))

    def finished(self, context: Context) -> Awaitable[None]:
        """As `revproxy.interfaces.IObserver.finished`; the end of the known."""
        known = self.requests.of(context)
        asked = self._call(known, "finished")
        self.requests.end(known)
        return asked.addCallback(self._observed).addBoth(self._overAfter, known)

    def _call(self, known: KnownRequest, phase: Phase) -> Deferred[Any]:
        return self.succession.call(partial(self._frame, known, phase), known.number, phase != "finished", self._limit)

    def _failed(self, failure: Failure, known: KnownRequest) -> Failure:
        """Nothing has come of a call."""
        self._settle(known)
        return failure

    def _settle(self, known: KnownRequest, isOver: bool = False) -> None:
        """
        After a call: whether the plugin has still to do with the request.

        :param isOver: whether the process knows that, if it has not.
        """
        self._counters.inFlight -= 1
        known.callOver()
        if known.streams:
            self.requests.keep(known)
        elif not self._keeps and self.requests.end(known) and not isOver:
            self._over(known)

    def _frame(self, known: KnownRequest, phase: Phase, process: object, number: int) -> Call:
        """What a process is told of a call; one that knows nothing of the request yet, all of it."""
        if known.process is not process:
            known.movesTo(process)
        context = known.context
        head: RequestHead | None = self._sight.request(context)
        response = context._response
        if self._keeps:
            # What has changed since, by whomever, is told once more.
            head, known.head = None if head == known.head else head, head
        return Call(
            number,
            known.number,
            phase,
            head,
            self._sight.response(response) if response is not None and phase != "handle" else None,
            self._values(known, context),
            outcomeSeen(context._outcome) if phase == "finished" else None,
            self._targets(context, process) if self._permissions.upstreams and phase == "handle" else None,
        )

    def _values(self, known: KnownRequest, context: Context) -> bytes:
        if not self._permissions.seesValues or not (context._values or known.told):
            return b""
        return changedSince(known.told, context._values)

    def _targets(self, context: Context, process: object) -> dict[str, tuple[tuple[str, bool], ...]] | None:
        """Those of the upstreams that it may choose; None if the process knows."""
        destinations = context._tools().destinations
        targets = {}
        for name in self._permissions.upstreams:
            try:
                free = frozenset(destinations.available(name))
                targets[name] = tuple((url, url in free) for url in destinations.origins(name))
            except ValueError:
                continue  # there is none of that name now
        if process is self._targetsProcess and targets == self._targetsTold:
            return None
        self._targetsProcess, self._targetsTold = process, targets
        return targets

    def _answered(self, frame: Any, known: KnownRequest, phase: str) -> bool | None:
        """:raises Exception: the call has failed, or has answered what it must not."""
        isOver = False
        try:
            kind = type(frame)
            if kind is Unchanged:
                isOver = True
                return True if frame.verdict is True else self._edits.verdict(frame, phase)
            if kind is Answered:
                isOver = frame.isWhole
                return self._edits.apply(known, frame, phase)
            if kind is Failed:
                raise self._failure(frame, known)
            raise WrongAnswer(phase, f"a {type(frame).__name__}")
        finally:
            self._settle(known, isOver)

    def _failure(self, frame: Failed, known: KnownRequest) -> Exception:
        if frame.status:
            return refusalOf(frame, self._permissions)
        for error in known.broken:
            if type(error).__name__ == frame.kind:
                return error  # it only passes on why a body broke off
        return failureOf(frame)

    @staticmethod
    def _observed(frame: Any) -> None:
        if isinstance(frame, Failed):
            raise failureOf(frame)

    def _overAfter(self, result: Any, known: KnownRequest) -> Any:
        self._over(known)
        return result

    def _over(self, known: KnownRequest) -> None:
        process = self.succession.process
        if process is not None and process is known.process:
            process.send(Over(known.number))

    def interim(self, number: int, answers: tuple[tuple[int, Fields], ...]) -> None:
        """
        The plugin sends 1xx answers, and has not answered yet.

        :raises WrongAnswer: they cannot be sent, or it may not.
        """
        known = self.requests.find(number)
        if known is not None:
            self._edits.sendInformational(known, answers)

    # Bodies

    def _filter(self, known: KnownRequest, isResponse: bool) -> Callable[[bytes, bool], Deferred[bytes]]:
        """What a body's pieces pass: the plugin's filters, in its process."""

        def passed(data: bytes, isLast: bool) -> Deferred[bytes]:
            def frame(process: object, number: int) -> Filter:
                return Filter(number, known.number, isResponse, data, isLast)

            return self._streamed(known, frame).addCallback(self._piece, known)

        return passed

    async def _pieces(self, known: KnownRequest) -> AsyncIterator[bytes]:
        """Those of an answer that the plugin makes."""
        isOver, nothings = False, 0
        try:
            while not isOver:
                piece = await self._pulled(known)
                data = self._piece(piece, known)
                isOver = piece.isLast
                if data:
                    nothings = 0
                    yield data
                elif (nothings := nothings + 1) > MOST_NOTHINGS:
                    raise WrongAnswer("an answer made piece by piece", f"{nothings} pieces in a row without a byte")
        finally:
            if not isOver and known.process is self.succession.process:
                ended = self._streamed(known, lambda process, number: Pull(number, known.number, True))
                ended.addErrback(lambda failure: None)

    async def _pulled(self, known: KnownRequest) -> Any:
        """The next piece; meanwhile it may read what it makes it of."""
        known.calls += 1
        try:
            return await self._streamed(known, lambda process, number: Pull(number, known.number))
        finally:
            known.callOver()

    def _streamed(self, known: KnownRequest, frame: Callable[[object, int], Any]) -> Deferred[Any]:
        """A piece is asked for of the process that has begun with it; no other could go on."""
        if known.process is not self.succession.process:
            raise ProcessEnded("the process that was at this body has ended")
        return self.succession.call(frame, known.number, False, self._limit)

    def _piece(self, frame: Any, known: KnownRequest) -> bytes:
        if isinstance(frame, Failed):
            raise self._failure(frame, known)
        if not isinstance(frame, Piece):
            raise WrongAnswer("a filter", f"a {type(frame).__name__}")
        return frame.data


def _json(value: Any) -> bytes:
    """What the process is told. Secrets are text like any other there."""
    return json.dumps(value).encode()

