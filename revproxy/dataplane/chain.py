"""
The compiled order of middleware, run forth and back.

While middleware answer at once, a request goes through in one loop; the first Deferred or coroutine moves the rest
into its callbacks. Both paths run the same rules, and a test runs the same suite over both.

The rules: on the way in, links run in order until one answers False. On the way out, those that let the request pass
run in reverse. Observers hear of every end. What a link raises, or answers instead of a bool, or does not answer in
time, is its own failure: with ``on_error: closed`` the request fails with 500, with ``open`` the link is passed over.

What each plugin does is counted in its :class:`~revproxy.dataplane.counters.Counters`. The chain counts the requests
that are under way in it: once it is out of service, and there are none, nothing uses its plugins any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import isawaitable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.python.failure import Failure

from revproxy.context import Context
from revproxy.dataplane.counters import FINISHED, HANDLE, RESPONSE, SAMPLE, Counters
from revproxy.dataplane.link import Link, giveUp, unsendable, waitFor
from revproxy.dataplane.sampledcalls import either, handling, oneIn, responding
from revproxy.dataplane.sampling import Attention, sampled, timed
from revproxy.dataplane.story import isSampled, timedWait, waitBegins, waitEnds
from revproxy.errors import Foreign, PluginFailed, PluginQuarantined, WrongAnswer
from revproxy.interfaces import IMiddleware
from revproxy.requestrecord import ArmMet

MOST_FINISHING = 1000
"""How many calls of ``finished`` that have not done a plugin may have under way on one route."""

_Calls = tuple[tuple[Link, Callable[[Context], Any], Counters], ...]
"""The way in: each link with its ``handle``, in order."""

_Responders = tuple[tuple[int, Link, Callable[[Context], Any], Counters], ...]
"""The way out: the links that want responses, each with its index and its ``handleResponse``, in reverse order."""


def _callsOf(links: Sequence[Link]) -> _Calls:
    return tuple((link, link.handle, link.counters) for link in links)


def _respondersOf(links: Sequence[Link]) -> _Responders:
    indexed = reversed(list(enumerate(links)))
    return tuple(
        (index, link, link.handleResponse, link.counters)
        for index, link in indexed
        if link.handleResponse is not None
    )


def _timedCalls(calls: _Calls, weight: int, attention: Attention) -> _Calls:
    return tuple((link, timed(handle, link, HANDLE, weight, attention), counters) for link, handle, counters in calls)


def _timedResponders(responders: _Responders, weight: int, attention: Attention) -> _Responders:
    return tuple(
        (index, link, timed(call, link, RESPONSE, weight, attention), counters)
        for index, link, call, counters in responders
    )


class Chain:
    """
    The middleware of one route, in order. Compiled when it is made: what becomes of its links later does not matter.

    :ivar active: exchanges that have begun with it and not ended.
    :ivar arms: what its requests meet of versions on trial.
    :ivar explains: one in so many of its requests is in the sample of those that are explained; 0: none is. None:
        nothing is noted of any.
    :ivar links: all of them.
    :ivar hasResponders: whether any of them wants responses.
    :ivar hasObservers: whether any of them wants to know the end.
    """

    __slots__ = (
        "__weakref__",
        "_bounds",
        "_idle",
        "_laterCalls",
        "_laterResponders",
        "_nextCalls",
        "_nextResponders",
        "_observers",
        "_passed",
        "_sampledCalls",
        "_sampledResponders",
        "active",
        "arms",
        "explains",
        "hasObservers",
        "hasResponders",
        "links",
    )

    def __init__(
        self,
        links: Sequence[Link],
        passed: int = 0,
        explains: int | None = None,
        arms: tuple[ArmMet, ...] = (),
    ) -> None:
        """
        :param passed: how many of them a request has behind it when it enters.
        :param explains: see :attr:`explains`.
        :param arms: see :attr:`arms`.
        :raises TypeError: if one of them does not provide IMiddleware.
        """
        for link in links:
            if not IMiddleware.providedBy(link.instance):
                raise TypeError(f"{link.name} does not provide IMiddleware")
        calls, responders = _callsOf(links), _respondersOf(links)
        ahead = calls[passed:]
        self._passed = passed
        self.links = tuple(links)
        self.active = 0
        self.arms = arms
        self._idle: list[Deferred[None]] | None = None
        self._bounds = any(link.bodyBytes is not None for link in links)
        attention = Attention()
        self._laterCalls = _timedCalls(calls, 1, attention)
        self._nextCalls: Callable[[], _Calls] = sampled(
            ahead, _timedCalls(ahead, SAMPLE, attention), self._laterCalls[passed:], attention
        )
        attention = Attention()
        self._laterResponders = _timedResponders(responders, 1, attention)
        self._nextResponders: Callable[[], _Responders] = sampled(
            responders, _timedResponders(responders, SAMPLE, attention), self._laterResponders, attention
        )
        self.explains = explains
        self._sampledCalls: _Calls = ()
        self._sampledResponders: _Responders = ()
        if explains is not None:
            self._explain(explains)
        self._observers = tuple((link, link.finished, link.counters) for link in links if link.finished is not None)
        self.hasResponders = bool(responders)
        self.hasObservers = bool(self._observers)

    def _explain(self, every: int) -> None:
        calls = tuple((link, handling(call, link), counters) for link, call, counters in self._laterCalls)
        responders = tuple(
            (index, link, responding(call, link), counters) for index, link, call, counters in self._laterResponders
        )
        self._sampledCalls, self._sampledResponders = calls[self._passed :], responders
        self._nextCalls = oneIn(every, self._nextCalls, self._sampledCalls)
        self._laterCalls = tuple(
            (link, either(usual, call), counters)
            for (link, usual, counters), (_, call, _) in zip(self._laterCalls, calls, strict=True)
        )
        self._laterResponders = tuple(
            (index, link, either(usual, call), counters)
            for (index, link, usual, counters), (_, _, call, _) in zip(self._laterResponders, responders, strict=True)
        )

    def enter(self, context: Context) -> bool | Deferred[bool]:
        """
        Run the way in. Sets ``context.depth`` to the number of links that let the request pass.

        :returns: True to go on to the leaf, or to another route if the last link has asked for it; False if
            ``context.response`` is the answer; or a Deferred of that.
        :raises PluginFailed: if a link failed and its policy is ``closed``.
        :raises PluginQuarantined: what stands in the place of a link raised it; this is nobody's failure.
        """
        depth = self._passed
        bounds = self._bounds
        context._request._context = context
        calls = self._nextCalls()
        if self.explains is not None:
            if context._before is None:
                context._before = context._request._headers.fields.copy()
            elif isSampled(context):  # in the chain that it came through
                calls = self._sampledCalls
        for link, handle, counters in calls:
            context._toolbox = link
            if bounds:
                context._request.body.readLimit = link.bodyBytes
            counters.calls += 1
            try:
                verdict = handle(context)
            except PluginQuarantined:
                counters.calls -= 1
                context._depth = depth
                raise
            except BaseException:  # foreign code
                context._depth = depth
                link.failed(context, Failure())
                verdict = True
            if verdict is True:
                depth += 1
                if context._goal is not None and context._goal.isRerouting:
                    break
            elif verdict is False:
                context._depth = depth
                return self._interrupted(context, link)
            elif getattr(verdict.__class__, "isBounded", False):
                context._depth = depth
                if self.explains is not None:
                    waitBegins(context, link, HANDLE)
                extra = context, depth
                bounded: Deferred[Any] = verdict
                return bounded.addCallbacks(self._arrived, self._failed, extra, errbackArgs=extra)
            else:
                context._depth = depth
                return Deferred.fromCoroutine(self._enterLater(context, depth, verdict))
        context._depth = depth
        return True

    def _arrived(self, verdict: Any, context: Context, depth: int) -> bool | Deferred[bool]:
        """A bounded answer. A coroutine costs more than the usual end of the way in."""
        waitEnds(context)
        if verdict is True and depth + 1 == len(self._laterCalls):
            context._depth = depth + 1
            return True
        return Deferred.fromCoroutine(self._enterLater(context, depth, verdict))

    def _failed(self, failure: Failure, context: Context, depth: int) -> bool | Failure | Deferred[bool]:
        """As :meth:`enter`: what a link fails with, later."""
        waitEnds(context)
        if failure.check(CancelledError):
            return failure
        self.links[depth].failed(context, failure)
        return self._arrived(True, context, depth)

    async def _enterLater(self, context: Context, depth: int, verdict: Any) -> bool:
        """The rest of the way in, from the link whose answer is awaited."""
        calls = self._laterCalls
        while True:
            link = calls[depth][0]
            try:
                if verdict is not True and verdict is not False:
                    verdict = await self._wait(context, link, verdict, "handle", "True or False")
                    if verdict is not True and verdict is not False:
                        raise WrongAnswer("handle", f"{verdict!r}, which is neither True nor False")
            except CancelledError:
                raise
            except Foreign:
                link.failed(context, Failure())
                verdict = True
            if verdict is False:
                return self._interrupted(context, link)
            depth += 1
            context._depth = depth
            goal = context._goal
            if depth == len(calls) or (goal is not None and goal.isRerouting):
                return True
            link, handle, counters = calls[depth]
            context._toolbox = link
            if self._bounds:
                context._request.body.readLimit = link.bodyBytes
            counters.calls += 1
            try:
                verdict = handle(context)
            except PluginQuarantined:
                counters.calls -= 1
                raise
            except BaseException:  # foreign code
                link.failed(context, Failure())
                verdict = True

    def _wait(self, context: Context, link: Link, answer: Any, method: str, wanted: str) -> Deferred[Any]:
        waiting = waitFor(context, link, answer, method, wanted)
        return waiting if self.explains is None else timedWait(waiting, context, link, method)

    def _interrupted(self, context: Context, link: Link) -> bool:
        wrong = unsendable(context._response)
        if wrong is not None:
            try:
                raise WrongAnswer("handle", f"False, but {wrong}: return context.respond(status, body)")
            except TypeError:
                link.failed(context, Failure())
            # A plugin that has said stop cannot be passed over: nobody knows what it wanted.
            raise PluginFailed(f"{link.name} {link.version}: stopped the request, but {wrong}")
        link.interrupted(context, HANDLE)
        return False

    def leave(self, context: Context) -> Deferred[None] | None:
        """
        Run the way out for the links that let the request pass.

        :returns: None when done, or a Deferred of that.
        :raises PluginFailed: as :meth:`enter`.
        """
        depth = context._depth
        responders = self._nextResponders()
        if self.explains is not None:
            if context._response is not None:
                context._answerBefore = context._response._headers.fields.copy()
            if context._story is not None and isSampled(context):
                responders = self._sampledResponders
        for index, link, handleResponse, counters in responders:
            if index >= depth:
                continue
            context._toolbox = link
            counters.responses += 1
            if self._bounds and context._response is not None:
                context._response.body.readLimit = link.bodyBytes
            try:
                answer = handleResponse(context)
            except BaseException:  # foreign code
                link.failed(context, Failure(), RESPONSE)
                continue
            # False too: ``return context.respond(…)`` puts another answer in the place of this one.
            if answer is not None and answer.__class__ is not bool:
                return Deferred.fromCoroutine(self._leaveLater(context, index, answer))
        return None

    async def _leaveLater(self, context: Context, waiting: int, answer: Any) -> None:
        """The rest of the way out, from the link (by its index) whose answer is awaited."""
        for index, link, handleResponse, counters in self._laterResponders:
            if index > waiting:
                continue
            context._toolbox = link
            if self._bounds and context._response is not None:
                context._response.body.readLimit = link.bodyBytes
            if index < waiting:
                counters.responses += 1
                try:
                    answer = handleResponse(context)
                except BaseException:  # foreign code
                    link.failed(context, Failure(), RESPONSE)
                    continue
            try:
                if answer is not None and answer.__class__ is not bool:
                    answer = await self._wait(context, link, answer, "handleResponse", "None")
                    if answer is not None and answer.__class__ is not bool:
                        raise WrongAnswer("handleResponse", f"{answer!r}: it must be None")
            except CancelledError:
                raise
            except Foreign:
                link.failed(context, Failure(), RESPONSE)

    def finished(self, context: Context) -> Deferred[None] | None:
        """
        Tell the observers. What they raise is theirs, and nothing to the request.

        :returns: None when all of them have done, or a Deferred of that; it does not fail.
        """
        later: list[tuple[Link, Any]] | None = None
        for link, finished, counters in self._observers:
            context._toolbox = link
            counters.observed += 1
            try:
                answer = finished(context)
            except BaseException:  # foreign code
                link.blame(Failure(), "{name} {version} failed as observer", FINISHED)
            else:
                if answer is not None and (isinstance(answer, Deferred) or isawaitable(answer)):
                    later = later or []
                    later.append((link, answer))
        return None if later is None else Deferred.fromCoroutine(self._finishLater(context, later))

    async def _finishLater(self, context: Context, later: Sequence[tuple[Link, Any]]) -> None:
        """Observers that have not done, one after the other: each finds its own tools in the context."""
        for link, answer in later:
            context._toolbox = link
            if link.finishing >= MOST_FINISHING:
                giveUp(answer)
                link.blame(
                    Failure(RuntimeError(f"{MOST_FINISHING} calls of finished are under way: one more is not made")),
                    "{name} {version} failed as observer",
                    FINISHED,
                )
                continue
            link.finishing += 1
            try:
                await waitFor(None, link, answer, "finished", "None")
            except Foreign:
                link.blame(Failure(), "{name} {version} failed as observer", FINISHED)
            finally:
                link.finishing -= 1

    # Who uses it

    @property
    def branches(self) -> tuple[Chain, ...]:
        """The chains that requests may take which come here."""
        return (self,)

    def armFor(self, context: Context) -> Chain:
        """The chain that a request takes which comes here."""
        return self

    @property
    def parts(self) -> tuple[Chain, ...]:
        """The chains of routes that a request in it has come through, which count it as active."""
        return (self,)

    def release(self) -> None:
        """An exchange has ended."""
        self.active -= 1
        if self._idle is not None and self.active == 0:
            waiting, self._idle = self._idle, None
            for deferred in waiting:
                deferred.callback(None)

    def hold(self, later: Deferred[None]) -> None:
        """An exchange that ends has something left to do here: that counts as another one until then."""
        for part in self.parts:
            part.active += 1
        later.addBoth(lambda _: self.release())

    def whenIdle(self) -> Deferred[None]:
        """Fires when no exchange uses it. Cancelling gives up the wait."""
        if self.active == 0:
            return succeed(None)
        if self._idle is None:
            self._idle = []
        waiting: Deferred[None] = Deferred(self._forget)
        self._idle.append(waiting)
        return waiting

    def _forget(self, waiting: Deferred[None]) -> None:
        if self._idle is not None and waiting in self._idle:
            self._idle.remove(waiting)
