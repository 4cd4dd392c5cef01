"""
A call made once more on a copy: what a middleware does with a request that another has had.

It runs on doubles of all that it could touch. Requests of its own are answered as they were before; what it logs,
counts, stores or sets in motion through them goes nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import isawaitable
from time import perf_counter
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.task import deferLater

from revproxy.context import Context
from revproxy.context import Outcome as Ended
from revproxy.destination import Destinations
from revproxy.errors import Foreign, PluginTimeout
from revproxy.interfaces import IObserver, IResponseMiddleware
from revproxy.loop.waiting import notLonger
from revproxy.replay.capture import MOST_BODY, Capture
from revproxy.replay.copiedcontext import answeredContext, copiedContext
from revproxy.replay.outcome import Outcome
from revproxy.replay.recordedcall import Phase, RecordedCall
from revproxy.replay.replayedclient import NotComparable, ReplayedClient
from revproxy.replay.replaytoolbox import AnyDestinations, ReplayToolbox
from revproxy.replay.selftime import Steps

LOOK: Final = 0.005
"""Seconds until it is looked again whether a filter has answered."""


class Remake:
    """
    Of one middleware. It makes one request again at a time.

    :ivar client: what answers requests of its own that it sends by its host: those of the request that is made again.
    """

    def __init__(
        self,
        middleware: Any,
        name: str,
        clock: Any,
        seconds: float,
        *,
        folder: str = "",
        destinations: Destinations | None = None,
        client: ReplayedClient | None = None,
        now: Callable[[], float] = perf_counter,
        most: int = MOST_BODY,
    ) -> None:
        """
        :param middleware: or what guards it; nobody else calls it.
        :param name: of the plugin.
        :param clock: an `IReactorTime`.
        :param seconds: that an answer may take that does not come at once; one that takes longer is a failure.
        :param folder: of the plugin, to tell where it raises.
        :param destinations: the upstreams that it may choose among; None: any.
        :param client: what answers requests of its own, if its host has it, too.
        :param now: the time in seconds, for self times.
        :param most: bytes of each body that are compared.
        """
        self._middleware = middleware
        self._name = name
        self._clock = clock
        self._seconds = seconds
        self._folder = folder
        self._now = now
        self._most = most
        self._unknown = ""
        self._destinations = AnyDestinations(self._notKnown) if destinations is None else destinations
        self.client = ReplayedClient() if client is None else client
        self.client.unknown = self._notKnown
        self._answers = IResponseMiddleware.providedBy(middleware)
        self._observes = IObserver.providedBy(middleware)

    def again(self, calls: Sequence[RecordedCall], status: int = 200) -> Deferred[tuple[Outcome, ...]]:
        """
        Make the calls of one request, ``handle`` and perhaps ``handleResponse``, on one context; then that is over, and
        ``finished`` is told, of which nothing is compared.

        :param status: that the request was answered with.

        :returns: their outcomes, in order; none of an answer if it has stopped the request itself. Does not fail.
            Cancelling gives up what is waited for: the outcome is not comparable then.
        """
        return Deferred.fromCoroutine(self._again(calls, status))

    def _notKnown(self, what: str) -> Exception:
        self._unknown = self._unknown or what
        return NotComparable(what)

    async def _again(self, calls: Sequence[RecordedCall], status: int) -> tuple[Outcome, ...]:
        self._unknown = ""
        self.client.forget()
        context: Context | None = None
        captures: list[tuple[Capture, str]] = []
        try:
            for call in calls:
                if call.phase == "handleResponse" and not self._answers:
                    continue
                self.client.tell(call.told)
                if context is None:
                    context = copiedContext(call, self._notKnown)
                else:
                    answeredContext(context, call, self._notKnown)
                capture = await self._made(context, call.phase)
                captures.append((capture, self._unknown))
                if call.phase == "handle" and capture.verdict is not True:
                    break
            await self._bodies([capture for capture, _ in captures])
            made = tuple(self._outcome(*each) for each in captures)
            if context is not None and self._observes:
                await self._finished(context, status)
            return made
        finally:
            if context is not None:
                context.over()

    async def _finished(self, context: Context, status: int) -> None:
        """Whoever counts what is under way counts it down here."""
        response = context._response
        context._outcome = Ended(status if response is None else response._status)
        context._toolbox = self._toolbox()
        try:
            answer = self._middleware.finished(context)
            if isinstance(answer, Deferred) or isawaitable(answer):
                waiting = answer if isinstance(answer, Deferred) else Deferred.fromCoroutine(_awaited(answer))
                await notLonger(waiting, self._seconds, self._clock)
        except Foreign:
            pass  # as to a request, it is nothing to the copy

    def _toolbox(self) -> ReplayToolbox:
        return ReplayToolbox(
            self._name, self.client, self._destinations, self._clock, self._seconds, self._notKnown
        )

    async def _bodies(self, captures: Sequence[Capture]) -> None:
        """Wait for filters that answer later."""
        ends = self._clock.seconds() + self._seconds
        while any(capture.isOpen for capture in captures) and self._clock.seconds() < ends:
            await deferLater(self._clock, LOOK)

    @staticmethod
    def _outcome(capture: Capture, unknown: str) -> Outcome:
        if unknown:
            capture.incomparable = unknown
        return capture.outcome()

    async def _made(self, context: Context, phase: Phase) -> Capture:
        """One call, to its answer."""
        context._toolbox = self._toolbox()
        capture = Capture(context, phase, self._folder, self._most)
        call = self._middleware.handle if phase == "handle" else self._middleware.handleResponse
        began = self._now()
        try:
            try:
                answer = call(context)
            finally:
                capture.seconds += self._now() - began
            if isinstance(answer, Deferred) or isawaitable(answer):
                answer = await self._waited(answer, capture)
            capture.over(answer)
        except DeferredTimeout:
            capture.failed(PluginTimeout(f"no answer within {self._seconds:g} s"))
        except Foreign as error:  # its own CancelledError, and one of whoever gives this up, among them
            capture.failed(error)
        return capture

    async def _waited(self, answer: Any, capture: Capture) -> Any:
        def lasted(seconds: float) -> None:
            capture.seconds += seconds

        waiting = answer if isinstance(answer, Deferred) else Deferred.fromCoroutine(
            _awaited(Steps(answer, self._now, lasted))
        )
        return await notLonger(waiting, self._seconds, self._clock)


async def _awaited(answer: Any) -> Any:
    return await answer
