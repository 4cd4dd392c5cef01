"""
What becomes of each frame that comes into a locked process.

A call's code runs until it answers or waits for something. Whatever goes on with it later (a reply of the edge, a
timer) does so on its account: `holding` tells the edge whose code it is that runs.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import isawaitable, isgenerator
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from revproxy.errors import WrongAnswer, asException
from revproxy.guardedmiddleware import guardedMiddleware
from revproxy.interfaces import IObserver, IResponseMiddleware
from revproxy.isolation.frames import (
    Call,
    Cancel,
    Done,
    Down,
    Fields,
    Filter,
    Load,
    Loaded,
    Over,
    Piece,
    Pull,
    Reply,
    Step,
    Up,
    Waiting,
)
from revproxy.isolation.inside.asks import Asks
from revproxy.isolation.inside.edgeclient import EdgeClient
from revproxy.isolation.inside.edgefigures import EdgeFigures
from revproxy.isolation.inside.edgelog import EdgeLog
from revproxy.isolation.inside.edgestore import EdgeStore
from revproxy.isolation.inside.failures import failed, failedOutside, failedToLoad
from revproxy.isolation.inside.filtering import Filtering
from revproxy.isolation.inside.holding import Holding
from revproxy.isolation.inside.insidehost import InsideHost
from revproxy.isolation.inside.insideplugin import InsidePlugin, LoadFailed
from revproxy.isolation.inside.insiderequest import InsideRequest
from revproxy.isolation.inside.pulling import Pulling
from revproxy.isolation.inside.steps import Steps
from revproxy.isolation.inside.toolbox import InsideToolbox, KnownTargets

_WANTED: Final = {
    "handle": "True or False",
    "handleResponse": "None",
    "finished": "None",
}


class Runtime:
    """
    One plugin, and all that is asked of it.
    """

    def __init__(self, clock: Any, send: Callable[[Up], None], holding: Holding, log: EdgeLog) -> None:
        """
        :param clock: provides `IReactorTime` and `IReactorFromThreads`.
        :param send: has a frame leave soon.
        """
        self._clock = clock
        self._send = send
        self._holding = holding
        self._log = log
        self._asks = Asks(send, holding)
        self._requests: dict[int, InsideRequest] = {}
        self._filterings: dict[tuple[int, bool], Filtering] = {}
        self._pullings: dict[int, Pulling] = {}
        self._waiting: dict[int, Deferred[Any]] = {}
        self._requestOf: dict[int, int] = {}
        self._takers: dict[type, Callable[[Any], None]] = {
            Load: self._load,
            Step: self._step,
            Call: self._call,
            Cancel: self._cancel,
            Over: self._over,
            Filter: self._filter,
            Pull: self._pull,
            Reply: self._asks.answered,
        }

    def take(self, frame: Down) -> None:
        """One has come."""
        self._takers[type(frame)](frame)

    # What it is

    def _load(self, load: Load) -> None:
        try:
            plugin = InsidePlugin(load)
        except LoadFailed as wrong:
            self._send(failedToLoad(wrong.stage, wrong.error, Path(load.directory)))
            return
        self._plugin = plugin
        self._directory = plugin.directory
        permissions = plugin.permissions
        client = EdgeClient(self._asks, permissions, self._requestNow, lambda: self._host)
        log = self._log.logger(plugin.name)
        self._host = InsideHost(
            self._clock,
            plugin.name,
            plugin.version,
            lambda: client,
            lambda: EdgeStore(self._asks),
            permissions,
            log,
            self._failedOutside,
            lambda: self._figures.begin(),
        )
        self._figures = EdgeFigures(self._host.figures, self._clock, self._send)
        self._targets = KnownTargets(permissions)
        self._toolbox = InsideToolbox(
            plugin.name,
            lambda: self._host.client,
            log,
            self._targets,
            self._clock.callLater,
            self._failedOutside,
        )
        self._steps = Steps(plugin, self._host)
        # The edge enforces permissions; here they say at once, and in the plugin's own line, what is not permitted.
        guarded = guardedMiddleware(plugin.object, permissions)
        self._methods = {"handle": guarded.handle}
        if plugin.provides(IResponseMiddleware):
            self._methods["handleResponse"] = guarded.handleResponse
        if plugin.provides(IObserver):
            self._methods["finished"] = guarded.finished
        self._send(Loaded(plugin.interfaces))

    def _failedOutside(self, failure: Failure, function: str) -> None:
        """Its code has failed where nobody waits for it."""
        self._send(failedOutside(asException(failure).value, function, self._directory))

    def failedInLoop(self, error: BaseException) -> None:
        """What a timer has raised that the plugin has set by the reactor itself."""
        self._send(failedOutside(error, "a call of the reactor", self._directory))

    def _requestNow(self) -> int:
        return self._requestOf.get(self._holding.current, 0)

    # Steps

    def _step(self, step: Step) -> None:
        self._holding.enter(step.number)
        try:
            waiting = Deferred.fromCoroutine(self._steps.take(step)).addErrback(asException)
            self._await(step.number, waiting, self._stopped if step.step == "stop" else self._stepDone, self._brokenOff)
        finally:
            self._holding.leave()

    def _stepDone(self, value: bytes, number: int) -> None:
        self._send(Done(number, value))

    def _stopped(self, value: bytes, number: int) -> None:
        self._figures.tell()
        self._send(Done(number, value))

    # Calls

    def _call(self, call: Call) -> None:
        number = call.number
        self._holding.enter(number)
        try:
            request = self._requestFor(call)
            answer = self._methods[call.phase](request.context)
            if answer is True or answer is False or answer is None:
                self._callDone(answer, number, call, request)
            else:
                self._requestOf[number] = call.request
                self._await(number, _deferredOf(answer, call.phase), self._callDone, self._brokenOff, call, request)
        except BaseException as error:  # foreign code
            self._send(failed(number, error, self._directory))
        finally:
            self._holding.leave()

    def _requestFor(self, call: Call) -> InsideRequest:
        if call.targets is not None:
            self._targets.known = call.targets
        request = self._requests.get(call.request)
        if request is None:
            assert call.head is not None, "the edge tells the head of a request that this process has not had"
            request = self._requests[call.request] = InsideRequest(
                call.request, call.head, self._toolbox, self._asks, self._plugin.bodyBytes
            )
        request.begin(call)
        return request

    def _callDone(self, answer: Any, number: int, call: Call, request: InsideRequest) -> None:
        try:
            verdict = _verdictOf(answer, call.phase)
            body = request.unfinishedBody
            if body is not None:
                body.onEnd = lambda: self._callDone(answer, number, call, request)
                self._waits(number)
                return
            self._holding.over(number)
            self._send(request.answered(number, call, verdict))
        except BaseException as error:  # foreign code: whatever it has left in the context
            self._holding.over(number)
            self._send(failed(number, error, self._directory))
            return
        self._keepBodies(call, request)

    def _keepBodies(self, call: Call, request: InsideRequest) -> None:
        """What of its bodies passes through here from now on."""
        source = request.requestBody if call.phase == "handle" else request.responseBody
        if request.made is not None:
            self._pullings[call.request] = Pulling(request.made, self._pieceDone)
        elif source is not None and call.phase != "finished" and source.body._sink is None:
            self._filterings[call.request, call.phase == "handleResponse"] = Filtering(source, self._pieceDone)

    def _over(self, frame: Over) -> None:
        number = frame.request
        request = self._requests.pop(number, None)
        self._filterings.pop((number, False), None)
        self._filterings.pop((number, True), None)
        self._pullings.pop(number, None)
        if request is not None:
            request.over()

    def _cancel(self, frame: Cancel) -> None:
        waiting = self._waiting.pop(frame.number, None)
        self._requestOf.pop(frame.number, None)
        self._holding.over(frame.number)
        if waiting is not None:
            self._holding.enter(frame.number)
            try:
                waiting.cancel()
            finally:
                self._holding.leave()

    # Bodies

    def _filter(self, frame: Filter) -> None:
        filtering = self._filterings.get((frame.request, frame.isResponse))
        self._holding.enter(frame.number)
        try:
            if filtering is None:
                self._send(Piece(frame.number, frame.data, frame.isLast))
            else:
                filtering.pass_(frame)
        finally:
            self._holding.leave()

    def _pull(self, frame: Pull) -> None:
        pulling = self._pullings.get(frame.request)
        self._holding.enter(frame.number)
        try:
            if pulling is None:
                self._send(Piece(frame.number, b"", True))
            else:
                pulling.pull(frame)
        finally:
            self._holding.leave()

    def _pieceDone(self, number: int, made: Piece | Failure | None) -> None:
        if made is None:
            self._waits(number)
            return
        self._holding.over(number)
        if isinstance(made, Failure):
            self._send(failed(number, asException(made).value, self._directory))
        else:
            self._send(made)

    # What waits

    def _await(
        self,
        number: int,
        waiting: Deferred[Any],
        done: Callable[..., None],
        broke: Callable[..., None],
        *extra: Any,
    ) -> None:
        """Answer when it has fired, and say so if that is not yet."""
        self._waiting[number] = waiting
        waiting.addBoth(self._arrived, number, done, broke, extra)
        if number in self._waiting:
            request = next((each for each in extra if isinstance(each, InsideRequest)), None)
            self._waits(number, () if request is None else request.interim.take())

    def _waits(self, number: int, informational: tuple[tuple[int, Fields], ...] = ()) -> None:
        self._holding.waits(number)
        self._send(Waiting(number, informational))

    def _arrived(
        self, result: Any, number: int, done: Callable[..., None], broke: Callable[..., None], extra: tuple[Any, ...]
    ) -> None:
        if self._waiting.pop(number, None) is None:
            return  # nobody waits for it any more
        self._requestOf.pop(number, None)
        self._holding.over(number)
        if isinstance(result, Failure):
            broke(result, number)
        else:
            done(result, number, *extra)

    def _brokenOff(self, failure: Failure, number: int) -> None:
        error = asException(failure).value
        if isinstance(error, CancelledError):
            error = RuntimeError("the middleware's own Deferred was cancelled")
        self._send(failed(number, error, self._directory))


def _deferredOf(answer: Any, method: str) -> Deferred[Any]:
    """:raises TypeError: it is nothing that can be waited for."""
    if isinstance(answer, Deferred):
        return answer
    if isawaitable(answer) and not isgenerator(answer):
        return Deferred.fromCoroutine(_awaited(answer))
    raise WrongAnswer(method, f"{answer!r}: it must be {_WANTED[method]}, or a Deferred or coroutine of that")


async def _awaited(answer: Any) -> Any:
    return await answer


def _verdictOf(answer: Any, phase: str) -> bool | None:
    """:raises WrongAnswer: it is none of what this method answers."""
    if phase == "handle":
        if answer is not True and answer is not False:
            raise WrongAnswer(phase, f"{answer!r}, which is neither True nor False")
        return answer
    # False, too: ``return context.respond(…)`` puts another answer in the place of this one.
    if answer is not None and answer.__class__ is not bool:
        raise WrongAnswer(phase, f"{answer!r}: it must be None")
    return None
