"""
The calls of one plugin: what is asked of it for requests.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import isawaitable, isgenerator
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from revproxy.errors import WrongAnswer, asException
from revproxy.guardedmiddleware import guardedMiddleware
from revproxy.interfaces import IObserver, IResponseMiddleware
from revproxy.isolation.frames import Call, Filter, Over, Phase, Piece, Pull, Up
from revproxy.isolation.inside.asks import Asks
from revproxy.isolation.inside.failures import failed
from revproxy.isolation.inside.filtering import Filtering
from revproxy.isolation.inside.holding import Holding
from revproxy.isolation.inside.insideplugin import InsidePlugin
from revproxy.isolation.inside.insiderequest import InsideRequest
from revproxy.isolation.inside.pending import Pending
from revproxy.isolation.inside.pulling import Pulling
from revproxy.isolation.inside.toolbox import InsideToolbox

_WANTED: Final[dict[Phase, str]] = {"handle": "True or False", "handleResponse": "None", "finished": "None"}


class Calls:
    """
    Makes them, and knows the requests that are not over.

    :ivar requests: by number.
    """

    def __init__(
        self,
        plugin: InsidePlugin,
        toolbox: InsideToolbox,
        asks: Asks,
        pending: Pending,
        send: Callable[[Up], None],
        holding: Holding,
    ) -> None:
        self.requests: dict[int, InsideRequest] = {}
        self._plugin = plugin
        self._toolbox = toolbox
        self._asks = asks
        self._pending = pending
        self._send = send
        self._holding = holding
        self._filterings: dict[tuple[int, bool], Filtering] = {}
        self._pullings: dict[int, Pulling] = {}
        # The edge enforces permissions; here they say at once, and in the plugin's own line, what is not permitted.
        guarded = guardedMiddleware(plugin.object, plugin.permissions)
        self._methods: dict[Phase, Callable[[Any], Any]] = {"handle": guarded.handle}
        self._isBrief = not (plugin.provides(IResponseMiddleware) or plugin.provides(IObserver))
        if plugin.provides(IResponseMiddleware):
            self._methods["handleResponse"] = guarded.handleResponse
        if plugin.provides(IObserver):
            self._methods["finished"] = guarded.finished

    # Its methods

    def call(self, call: Call) -> None:
        """One of its methods is to be called."""
        number = call.number
        self._holding.enter(number)
        try:
            request = self._requestFor(call)
            answer = self._methods[call.phase](request.context)
            if answer is True or answer is False or answer is None:
                self._done(answer, call, request)
            else:
                self._later(answer, call, request)
        except BaseException as error:  # foreign code
            self._broke(number, error)
        finally:
            self._holding.leave()

    def _requestFor(self, call: Call) -> InsideRequest:
        if call.targets is not None:
            self._toolbox.destinations.known = call.targets
        request = self.requests.get(call.request)
        if request is None:
            assert call.head is not None, "the edge tells the head of a request that this process has not had"
            most = self._plugin.bodyBytes
            request = InsideRequest(call.request, call.head, self._toolbox, self._asks, most)
            self.requests[call.request] = request
        request.begin(call)
        return request

    def _later(self, answer: Any, call: Call, request: InsideRequest) -> None:
        self._pending.isOf(call.number, call.request)
        self._pending.begin(
            call.number,
            _deferredOf(answer, call.phase),
            lambda result: self._done(result, call, request),
            lambda error: self._broke(call.number, error),
            request.interim.take,
        )

    def _done(self, answer: Any, call: Call, request: InsideRequest) -> None:
        """It has answered."""
        number = call.number
        try:
            verdict = _verdictOf(answer, call.phase)
            for body in request.changedBodies():
                if body.failure is not None:
                    self._broke(number, body.failure.value)
                    return
                if body._source is None and body._filters is not None:
                    # It is here as a whole, and a filter has not answered for it: it is told as a whole, too.
                    body.onEnd = lambda: self._done(answer, call, request)
                    self._pending.waits(number)
                    return
            self._pending.over(number)
            answered = request.answered(number, call, verdict)
            self._send(answered)
        except BaseException as error:  # foreign code: whatever it has left in the context
            self._broke(number, error)
        else:
            if self._isBrief and answered.isWhole:
                self._end(call.request)
            else:
                self._keepBodies(call, request)

    def _broke(self, number: int, error: BaseException | None) -> None:
        self._pending.over(number)
        self._send(failed(number, error, self._plugin.directory))

    # Bodies

    def _keepBodies(self, call: Call, request: InsideRequest) -> None:
        """What of its bodies passes through here from now on."""
        source = request.requestBody if call.phase == "handle" else request.responseBody
        if request.made is not None:
            self._pullings[call.request] = Pulling(request.made, self._pieceDone)
        elif source is not None and call.phase != "finished" and source.body._sink is None:
            self._filterings[call.request, call.phase == "handleResponse"] = Filtering(source, self._pieceDone)

    def filter(self, frame: Filter) -> None:
        """A piece is to pass its filters."""
        filtering = self._filterings.get((frame.request, frame.isResponse))
        self._holding.enter(frame.number)
        try:
            if filtering is None:
                self._send(Piece(frame.number, frame.data, frame.isLast))
            else:
                filtering.pass_(frame)
        finally:
            self._holding.leave()

    def pull(self, frame: Pull) -> None:
        """The next piece of its answer is wanted."""
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
            self._pending.waits(number)
        elif isinstance(made, Failure):
            self._broke(number, asException(made).value)
        else:
            self._pending.over(number)
            self._send(made)

    # The end

    def over(self, frame: Over) -> None:
        """A request is over."""
        self._end(frame.request)

    def _end(self, number: int) -> None:
        request = self.requests.pop(number, None)
        self._filterings.pop((number, False), None)
        self._filterings.pop((number, True), None)
        self._pullings.pop(number, None)
        if request is not None:
            request.over()


def _deferredOf(answer: Any, phase: Phase) -> Deferred[Any]:
    """:raises TypeError: it is nothing that can be waited for."""
    if isinstance(answer, Deferred):
        return answer
    if isawaitable(answer) and not isgenerator(answer):
        return Deferred.fromCoroutine(_awaited(answer))
    raise WrongAnswer(phase, f"{answer!r}: it must be {_WANTED[phase]}, or a Deferred or coroutine of that")


async def _awaited(answer: Any) -> Any:
    return await answer


def _verdictOf(answer: Any, phase: Phase) -> bool | None:
    """:raises WrongAnswer: it is none of what this method answers."""
    if phase == "handle":
        if answer is not True and answer is not False:
            raise WrongAnswer(phase, f"{answer!r}, which is neither True nor False")
        return answer
    # False, too: ``return context.respond(…)`` puts another answer in the place of this one.
    if phase == "handleResponse" and answer is not None and answer.__class__ is not bool:
        raise WrongAnswer(phase, f"{answer!r}: it must be None")
    return None
