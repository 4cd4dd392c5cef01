"""
One request's life: route, chain, leaf, chain back, answer, finish.

An exchange looks once for the current generation, and what it finds there is its own to the end. At any time it waits
for at most one thing, a Deferred; when the client leaves, that one is cancelled, and with it all that hangs on it.
However it ends, ``_finish`` runs exactly once: observers, the record of it, the chain's release.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from os import urandom
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from revproxy.context import Context, Outcome, Request, Response
from revproxy.dataplane.admission import Guards, checkMethod, checkName
from revproxy.dataplane.exchangerecord import recordOf
from revproxy.dataplane.http.answerhead import discard, httpDate, keepFramed
from revproxy.dataplane.http.errorpage import errorResponse
from revproxy.dataplane.http.interfaces import IClientStream, ILeaf
from revproxy.dataplane.http.tracing import TRACEPARENT, ownOf
from revproxy.dataplane.http1.requesthead import hostname as hostnameOf
from revproxy.dataplane.link import unsendable
from revproxy.dataplane.rerouting import chosenAnew
from revproxy.destination import NOWHERE, SETTLED, Goal
from revproxy.errors import BrokenOff, ClientGone, EdgeError, NotFound, PluginFailed, Refused
from revproxy.headers import Headers
from revproxy.secrets import masked

if TYPE_CHECKING:
    from revproxy.dataplane.chain import Chain
    from revproxy.dataplane.edge import Edge
    from revproxy.loop.deadlines import Deadlines

_serial = count(1).__next__
_prefix = urandom(6).hex().encode()


def _bare(error: EdgeError) -> EdgeError:
    """
    An error without the frames it was raised in.

    They hold the exchange that holds the error: that would keep it, with the head of its request and whatever was being
    worked out, until the garbage collector runs, which it is told to do rarely.
    """
    error.__traceback__ = error.__context__ = None
    return error


class Exchange:
    """
    One request and its answer.

    :ivar began: when its head was complete, by the edge's monotonic clock.
    :ivar chain: what it goes through; None until its route is found.
    :ivar context: what plugins see.
    :ivar generation: the number of the one it came in with; 0 before.
    :ivar methods: those its route takes; None if that does not say, or there is none.
    :ivar attempts: how many targets it was sent to, or was to be.
    :ivar pool: the name of the upstream that the last of them belongs to.
    :ivar shown: what is in its fields of the trace, as plugins see it; empty if it is not there.
    :ivar trace: the trace it belongs to, as :mod:`~revproxy.dataplane.http.tracing` has it; empty without.
    :ivar upstream: the target that was tried last, for the log.
    :ivar upstreamSeconds: how long its head took.
    """

    __slots__ = (
        "_answer",
        "_done",
        "_edge",
        "_guards",
        "_hostname",
        "_route",
        "_sentAt",
        "_stream",
        "_waiting",
        "attempts",
        "began",
        "chain",
        "context",
        "error",
        "generation",
        "methods",
        "pool",
        "shown",
        "trace",
        "upstream",
        "upstreamSeconds",
    )

    _log = Logger()

    def __init__(
        self, edge: Edge, guards: Guards | None, stream: IClientStream, request: Request, hostname: bytes
    ) -> None:
        """
        :param guards: None where no host is protected.
        :param stream: where the answer is written.
        :param hostname: the request's host in lower case, without port.
        """
        self._edge = edge
        self._guards = guards
        self._stream = stream
        self._hostname = hostname
        self.began = edge.monotonic()
        self._waiting: Deferred[Any] | None = None
        self._answer: Response | None = None
        self._done = False
        self.context = Context(request, NOWHERE, b"%b%08x" % (_prefix, _serial()))
        self.chain: Chain | None = None
        self.methods: frozenset[bytes] | None = None
        self.error: EdgeError | None = None
        self.attempts = 0
        self.pool = ""
        self.trace = b""
        self.shown = b""
        self.upstream: str | None = None
        self.generation = 0
        self._sentAt = 0.0
        self.upstreamSeconds: float | None = None

    # The way in

    def begin(self) -> None:
        """Find the route and run its chain."""
        context = self.context
        try:
            generation = self._edge.generation
            self.generation = generation.number
            route = generation.find(self._hostname, context._request._rawTarget)
            if route is None:
                raise NotFound("no route for this host and path")
            chain = self.chain = generation.chains[route.group]
            chain.active += 1
            context._route = route
            if self._guards is not None:
                checkName(context._request, self._hostname, self._guards)
            methods = self.methods = route.methods
            if methods is not None or context._request._rawMethod == b"TRACE":
                checkMethod(context._request._rawMethod, methods)
            if not chain.links:
                route.leaf.render(self)
                return
            context._exchange = self
            if self.trace:
                self.showTrace()
            verdict = chain.enter(context)
            if verdict is True and context._goal is None:
                context._goal = SETTLED
                route.leaf.render(self)
            elif verdict is False:
                self._respond()
            else:
                self._route = route
                if verdict is True:
                    self._onward()
                else:
                    self.wait(verdict, self._entered)
        except Exception:
            self.failed(Failure())

    def showTrace(self) -> None:
        """Whoever sees the request's fields from here on sees its trace."""
        own = self.shown = ownOf(self.trace)
        self.context._request._headers.fields.append((TRACEPARENT, TRACEPARENT, own))

    def _entered(self, verdict: bool) -> None:
        if verdict:
            self._onward()
        else:
            self._respond()

    def _onward(self) -> None:
        """The way in is over, unless a plugin has the route chosen anew."""
        context = self.context
        goal = context._goal
        while goal is not None and goal.isRerouting:
            verdict = self._reroute(goal)
            if verdict is False:
                self._respond()
                return
            if verdict is not True:
                self.wait(verdict, self._entered)
                return
        route = self._route
        leaf: ILeaf = route.leaf
        if goal is None:
            context._goal = SETTLED
        else:
            goal.isSettled = True
            if goal.upstream is not None and goal.destinations is not None:
                leaf = goal.destinations.leaf(goal.upstream, goal.origin, route.path if route.strips else b"")
        leaf.render(self)

    def _reroute(self, goal: Goal) -> bool | Deferred[bool]:
        """
        By what serves now, which may be another generation than the one that the request began with.

        :returns: as :meth:`Chain.enter`, for what the chain of the new route has beside the links passed.
        """
        context = self.context
        request = context._request
        assert self.chain is not None
        self._hostname = hostnameOf(request._rawHost) if request._rawHost else b""
        route, self.chain = chosenAnew(self._edge.generation, context, goal, self.chain, self._hostname)
        self._route = route
        self.methods = route.methods
        if self._guards is not None:
            checkName(request, self._hostname, self._guards)
        if route.methods is not None or request._rawMethod == b"TRACE":
            checkMethod(request._rawMethod, route.methods)
        return self.chain.enter(context)

    def answerThrough(self, wrap: Callable[[IClientStream], IClientStream]) -> None:
        """Have what is answered go through something that stands before the client."""
        self._stream = wrap(self._stream)

    def wait(self, deferred: Deferred[Any], callback: Any) -> None:
        """Wait for this next; it is cancelled when the client leaves."""
        self._waiting = deferred
        deferred.addCallbacks(self._arrived, self.failed, (callback,))

    def _arrived(self, result: Any, callback: Any) -> None:
        self._waiting = None
        try:
            callback(result)
        except BaseException:
            # Cheaper than a second link in the Deferred, and as sure.
            self.failed(Failure())

    @property
    def elapsed(self) -> float:
        """Seconds since the head was complete."""
        return self._edge.monotonic() - self.began

    @property
    def deadlines(self) -> Deadlines:
        """For what a leaf waits for."""
        return self._edge.deadlines

    # The leaf's answer

    def waitForOrigin(self, answer: Deferred[Response]) -> None:
        """The request is on its way; 101 (a :class:`~revproxy.dataplane.http1.client.Switched`) opens a tunnel."""
        self._sentAt = self._edge.monotonic()
        self._waiting = answer
        answer.addCallbacks(self._originAnswered, self.failed)

    def _originAnswered(self, response: Response) -> None:
        self.upstreamSeconds = self._edge.monotonic() - self._sentAt
        self._waiting = None
        self.context._response = response
        try:
            self._respond()
        except Exception:
            # Cheaper than a second link in the Deferred, and as sure.
            self.failed(Failure())

    def informational(self, status: int, headers: Headers) -> bool:
        """The origin, or a plugin, sends a 1xx answer. :returns: False if the final one came before."""
        if self._done or self._answer is not None:
            return False
        self._stream.sendInformational(status, headers)
        return True

    def answered(self, response: Response) -> None:
        """The leaf has an answer; its body may still be on its way."""
        self._waiting = None
        if self._done:
            discard(response)
            return
        self.context._response = response
        self._respond()

    def failed(self, failure: Failure) -> None:
        """The leaf, or the chain, has none."""
        self._waiting = None
        if self._done:
            if not failure.check(CancelledError, ClientGone):
                self._log.failure("after request {id} was over", failure, id=self.context.id)
            return
        if self._answer is not None:
            # The answer is on its way: only the connection's end can tell the client.
            self._log.failure("while answering request {id}", failure, id=self.context.id)
            self._brokenBy(failure.value)
            return
        error = failure.value
        if not isinstance(error, EdgeError):
            self._log.failure("request {id} failed", failure, id=self.context.id)
            error = EdgeError(masked(failure.getErrorMessage()))
        try:
            self._fail(error)
        except Exception:
            self._log.failure("no way to answer request {id}", id=self.context.id)
            self._brokenBy(error)

    def _brokenBy(self, error: BaseException | None) -> None:
        """Only the connection's end can tell the client; the log says that this was not the client's doing."""
        self.error = self.error or _bare(error if isinstance(error, EdgeError) else EdgeError(str(error)))
        self._stream.abort()

    def _note(self, error: EdgeError) -> None:
        """Why the request ends as it does; that a plugin refuses it is no error."""
        self.error = None if isinstance(error, Refused) else _bare(error)

    def _fail(self, error: EdgeError) -> None:
        self._note(error)
        context = self.context
        context._response = errorResponse(error, context._request, context.id)
        self._respond()

    # The way out

    def _respond(self) -> None:
        """Run the chain back, then write."""
        context = self.context
        chain = self.chain
        if context._depth and chain is not None and chain.hasResponders:
            original = context._response
            if original is not None:
                original._context = context
            try:
                later = chain.leave(context)
            except EdgeError as error:
                self._withhold(error, original)
                return
            if later is not None:
                self._waiting = later
                extra = (original,)
                later.addCallbacks(self._returned, self._returnFailed, callbackArgs=extra, errbackArgs=extra)
                later.addErrback(self.failed)
                return
            self._returned(None, original)
            return
        self._write()

    def _returned(self, _: None, original: Response | None) -> None:
        """The way back through the chain is over. :param original: the answer that it began with."""
        self._waiting = None
        response = self.context._response
        if original is not response:
            # A plugin put another answer in its place.
            discard(original)
        wrong = unsendable(response)
        if wrong is not None:
            self._withhold(PluginFailed(wrong), response if isinstance(response, Response) else None)
            return
        assert response is not None
        if hasattr(response, "tunnel"):
            if response._status != 101:
                discard(response)
        elif response._body is not None and response._body.framed:
            keepFramed(response._body, response._headers)
        self._write()

    def _returnFailed(self, failure: Failure, original: Response | None) -> None:
        self._waiting = None
        if failure.check(CancelledError):
            discard(original)
            return
        error = failure.value
        self._withhold(error if isinstance(error, EdgeError) else EdgeError(str(error)), original)

    def _withhold(self, error: EdgeError, original: Response | None) -> None:
        """A plugin failed on the way out and is not to be passed over: the answer must not get out."""
        discard(original)
        self._note(error)
        context = self.context
        context._response = errorResponse(error, context._request, context.id)
        self._write()

    def _write(self) -> None:
        response = self.context._response
        assert response is not None
        self._answer = response
        if response._headers.find(b"date") is None:
            # RFC 9110 §6.6.1 asks it of whoever passes a response on.
            response._headers.fields.append((b"date", b"Date", httpDate(int(self._edge.now()))))
        if response._status == 101:
            self._stream.switchProtocols(response, response.tunnel)  # type: ignore[attr-defined]
        else:
            self._stream.sendResponse(response)

    @property
    def isAnswered(self) -> bool:
        """Whether something of the answer was sent."""
        return self._done or (self._answer is not None and self._stream.hasSent)

    # The end

    def responseWithheld(self, reason: Failure) -> None:
        """The body has failed before anything was sent: the client can still be told."""
        error = reason.value
        self._withhold(error if isinstance(error, EdgeError) else EdgeError(reason.getErrorMessage()), None)

    def responseSent(self, bytesIn: int, bytesOut: int) -> None:
        """The last byte is with the transport."""
        self._finish(bytesIn, bytesOut)

    def responseFailed(self, reason: Failure, bytesIn: int, bytesOut: int) -> None:
        """The body broke off on the origin's side."""
        error = reason.value
        self.error = _bare(error) if isinstance(error, EdgeError) else EdgeError(masked(reason.getErrorMessage()))
        self._finish(bytesIn, bytesOut)

    def breakingOff(self, reason: str) -> None:
        """The edge ends the connection, and :meth:`clientLost` comes next, or the end of the tunnel."""
        self.error = self.error or BrokenOff(reason)

    def clientLost(self, bytesIn: int, bytesOut: int) -> None:
        """The connection is gone before the end."""
        if self._done:
            return
        self._answer = self._answer if bytesOut else None  # it may have waited for its first bytes
        self.error = self.error or ClientGone("the client left")
        waiting, self._waiting = self._waiting, None
        self._finish(bytesIn, bytesOut)
        if waiting is not None:
            waiting.cancel()
        else:
            discard(self.context._response)

    def _finish(self, bytesIn: int, bytesOut: int) -> None:
        if self._done:
            return
        self._done = True
        context = self.context
        chain = self.chain
        edge = self._edge
        seconds = edge.monotonic() - self.began
        response = self._answer
        if response is not None:
            status = response._status
        else:
            status = BrokenOff.status if isinstance(self.error, BrokenOff) else ClientGone.status
        if chain is not None and chain.hasObservers:
            context._outcome = Outcome(
                status, bytesIn, bytesOut, seconds, self.upstream, self.upstreamSeconds, context._interruptedBy,
                self.error,
            )  # fmt: skip
            later = chain.finished(context)
            if later is not None:
                # Its release, below, is not the last one.
                chain.hold(later)
        if edge.recorder is not None:
            edge.recorder.record(recordOf(self, status, seconds, bytesIn, bytesOut))
        if context._exchange is not None:  # plugins had to do with it
            context.over()
        if chain is not None:
            chain.release()
