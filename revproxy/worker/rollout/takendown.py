"""
Requests that are taken down: what each plugin in them was asked, and did.

A share of requests takes a chain whose middleware are wrapped. To the chain, to the plugin and to the request nothing
is different: what is written down is copied, and nothing that goes wrong here is anybody's failure.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import isawaitable
from time import perf_counter, time
from typing import Any, Final, NamedTuple
from weakref import WeakValueDictionary

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import directlyProvides, providedBy

from revproxy.context import Context
from revproxy.errors import NotPermitted
from revproxy.interfaces import IHosted, IResponseMiddleware
from revproxy.replay.capture import MOST_BODY, Capture
from revproxy.replay.recordedcall import Phase, RecordedExchange, RecordedResponse
from revproxy.replay.recordedrequest import PluginCall, RecordedRequest
from revproxy.replay.selftime import Steps
from revproxy.replay.toldclient import ToldClient, listenedTo
from revproxy.worker.lifecycle.instance import Instance

MOST: Final = 128
"""Requests that are taken down at a time. Of more, nothing is, unless one of them is a stream."""

LONG: Final = 5.0
"""Seconds from which on a request that is being answered is a stream: it is given to who wants it as it is."""

Taker = Callable[["TakenRequest"], None]
"""
Is given a request that was taken down, when it is over: the shadow of a trial, or a recording. One that has an
attribute ``plugins``, a set of names, wants the calls of no others; one that has ``dropped``, a function, is told so
when there were too many requests at a time to take down one more.
"""


def _unheeded() -> None:
    """Whoever does not want to know."""


class TakenCall(NamedTuple):
    """A call of an instance."""

    instance: Instance
    capture: Capture


class TakenRequest:
    """
    A request as it was taken down.

    :ivar calls: of plugins, in the order in which they were made.
    :ivar status: that it was answered with; 499 if it was not.
    """

    __slots__ = ("_at", "_began", "_context", "_id", "_over", "_plugins", "_route", "calls", "status", "takers")

    def __init__(
        self,
        context: Context,
        takers: tuple[Taker, ...],
        over: Callable[[Context, TakenRequest], None],
        began: float = 0.0,
    ) -> None:
        """
        :param over: told of its end.
        :param began: when, by any clock.
        """
        self._at = time()
        self._began = began
        self._context: Context | None = context
        self._over = over
        self._id = context.id
        self._route = context._route.name
        self.calls: list[TakenCall] = []
        self.status = 499
        self.takers = takers
        self._plugins: frozenset[str] | None = frozenset()
        for taker in takers:
            plugins: frozenset[str] | None = getattr(taker, "plugins", None)
            self._plugins = None if plugins is None or self._plugins is None else self._plugins | plugins

    def wants(self, plugin: str) -> bool:
        """Whether somebody wants the calls of a plugin."""
        return self._plugins is None or plugin in self._plugins

    def stopProducing(self) -> None:
        """The request is over: told as to whatever makes a body of it (see `revproxy.context.Context.over`)."""
        context, self._context = self._context, None
        if context is not None:
            if context._response is not None:
                self.status = context._response._status
            self._over(context, self)

    def isStream(self, now: float) -> bool:
        """Whether it is answered, and may go on for hours. :param now: by the same clock."""
        context = self._context
        return context is not None and now - self._began >= LONG and context.isAnswered

    def of(self, plugins: frozenset[str]) -> dict[Instance, list[Capture]]:
        """The calls of some plugins, by the instance that has served."""
        found: dict[Instance, list[Capture]] = {}
        for instance, capture in self.calls:
            if instance.version.name in plugins:
                found.setdefault(instance, []).append(capture)
        return found

    def recorded(self) -> RecordedRequest:
        """As a value."""
        calls = tuple(
            PluginCall(
                instance.version.name, instance.version.id.number, instance.version.id.digest or "", capture.call(),
                capture.outcome(),
            )
            for instance, capture in self.calls
        )  # fmt: skip
        return RecordedRequest(self._id, self._at, self._route, calls, self._origin(calls), self.status)

    @staticmethod
    def _origin(calls: tuple[PluginCall, ...]) -> RecordedResponse | None:
        """What came to the first plugin on the way out; unless a plugin has answered, that is the origin's."""
        if any(each.call.phase == "handle" and each.outcome.verdict is not True for each in calls):
            return None
        return next((each.call.response for each in calls if each.call.phase == "handleResponse"), None)


class TakenDown:
    """
    Of one worker.

    :ivar underWay: the call whose code runs now; None: none that is taken down.
    """

    _log = Logger()

    def __init__(
        self, most: int = MOST, bodyBytes: int = MOST_BODY, now: Callable[[], float] = perf_counter
    ) -> None:
        """
        :param most: requests that are taken down at a time.
        :param bodyBytes: of each body that are kept.
        :param now: the time in seconds, for self times.
        """
        self.underWay: Capture | None = None
        self.bodyBytes = bodyBytes
        self.now = now
        self._most = most
        self._requests: dict[Context, TakenRequest] = {}
        self._wrapped: WeakValueDictionary[int, _TakenMiddleware] = WeakValueDictionary()

    def __len__(self) -> int:
        return len(self._requests)

    def wrap(self, instance: Instance, middleware: Any) -> Any:
        """
        A middleware that is taken down; the same one for the same middleware, as long as anybody has it.

        Detours know a link by its middleware: a request that goes through a taken-down chain has to be rerouted onto
        taken-down chains, or plugins are asked twice.

        :param middleware: what stands in the chain: the instance's object, or what guards it. What is returned provides
            what it does.
        """
        wrapped = self._wrapped.get(id(middleware))
        if wrapped is None or wrapped.middleware is not middleware:
            wrapped = self._wrapped[id(middleware)] = _TakenMiddleware(self, instance, middleware)
        return wrapped

    def begin(self, context: Context, takers: tuple[Taker, ...]) -> None:
        """
        A request goes through a taken-down chain. To be called before it enters; the end comes by itself, with
        ``context.over()``. Without this, wrapped middleware take nothing down.
        """
        known = self._requests.get(context)
        if known is not None:  # it is rerouted
            known.takers += tuple(taker for taker in takers if taker not in known.takers)
            return
        if len(self._requests) >= self._most and not self._makesRoom():
            for taker in takers:
                getattr(taker, "dropped", _unheeded)()
            return
        taken = self._requests[context] = TakenRequest(context, takers, self._over, self.now())
        context._made += (taken,)

    def _makesRoom(self) -> bool:
        """A request has been answered for so long that it is a stream: what it was asked is known, and it is given."""
        now = self.now()
        stream = next((taken for taken in self._requests.values() if taken.isStream(now)), None)
        if stream is not None:
            stream.stopProducing()
        return stream is not None

    def listens(self, sent: Deferred[Any], method: str, url: Any, params: Any) -> Deferred[Any]:
        """A plugin has sent a request by the client of its host: that of the call which runs now, if any does."""
        capture = self.underWay
        return sent if capture is None else listenedTo(sent, capture.told, method, url, params, self.bodyBytes)

    def find(self, context: Context, plugin: str) -> TakenRequest | None:
        """A request that is taken down, if the calls of the plugin are wanted."""
        taken = self._requests.get(context)
        return taken if taken is not None and taken.wants(plugin) else None

    def _over(self, context: Context, taken: TakenRequest) -> None:
        self._requests.pop(context, None)
        for call in taken.calls:
            try:
                call.capture.giveUp()
            except Exception:  # values of plugins may be anything
                self.failed()
        for taker in taken.takers:
            try:
                taker(taken)
            except Exception:
                self.failed()

    def failed(self) -> None:
        """Something has gone wrong here that is nobody's business."""
        self._log.failure("while a request was taken down")


class _TakenMiddleware:
    """
    What stands in a taken-down chain. It provides what the middleware provides.

    :ivar middleware: in its care.
    """

    def __init__(self, takenDown: TakenDown, instance: Instance, middleware: Any) -> None:
        self.middleware = middleware
        self._takenDown = takenDown
        self._now = takenDown.now
        self._instance = instance
        self._name = instance.version.name
        bundle = instance.version.entry.bundle
        self._folder = "" if bundle is None else str(bundle.directory)
        directlyProvides(self, providedBy(middleware))
        self._handle = middleware.handle
        if instance.provides(IHosted):
            self._listen(instance)
        responds = IResponseMiddleware.providedBy(middleware)
        self._handleResponse: Any = middleware.handleResponse if responds else None

    def __getattr__(self, name: str) -> Any:
        if name == "middleware":  # being copied or unpickled
            raise AttributeError(name)
        return getattr(self.middleware, name)

    def handle(self, context: Context) -> Any:
        """As of the middleware."""
        taken = self._takenDown.find(context, self._name)
        return self._handle(context) if taken is None else self._call(taken, "handle", self._handle, context)

    def handleResponse(self, context: Context) -> Any:
        """As of the middleware, if it has it."""
        taken = self._takenDown.find(context, self._name)
        call = self._handleResponse
        return call(context) if taken is None else self._call(taken, "handleResponse", call, context)

    def _listen(self, instance: Instance) -> None:
        try:
            instance.host.client.listens = self._takenDown.listens
        except NotPermitted:
            pass  # it sends no requests

    def _call(self, taken: TakenRequest, phase: Phase, call: Callable[[Context], Any], context: Context) -> Any:
        capture = self._begun(taken, phase, context)
        if capture is None:
            return call(context)
        now, takenDown = self._now, self._takenDown
        began = now()
        takenDown.underWay = capture
        try:
            answer = call(context)
        except BaseException as error:
            capture.seconds += now() - began
            self._ended(capture.failed, error)
            raise
        finally:
            takenDown.underWay = None
        capture.seconds += now() - began
        if answer is None or answer.__class__ is bool:
            self._ended(capture.over, answer)
        elif isinstance(answer, Deferred):
            answer.addBoth(self._arrived, capture)
        elif isawaitable(answer):
            return self._awaited(answer, capture)
        else:
            self._ended(capture.over, answer)
        return answer

    def _begun(self, taken: TakenRequest, phase: Phase, context: Context) -> Capture | None:
        try:
            capture = Capture(context, phase, self._folder, self._takenDown.bodyBytes)
            taken.calls.append(TakenCall(self._instance, capture))
            context._toolbox = _ToldToolbox(context._toolbox, capture, self._takenDown.bodyBytes)  # type: ignore[assignment]
            return capture
        except Exception:  # values of plugins may be anything
            self._takenDown.failed()
            return None

    def _ended(self, end: Callable[[Any], None], result: Any) -> None:
        try:
            end(result)
        except Exception:
            self._takenDown.failed()

    def _arrived(self, result: Any, capture: Capture) -> Any:
        if isinstance(result, Failure):
            self._ended(capture.failed, result.value)
        else:
            self._ended(capture.over, result)
        return result

    async def _awaited(self, answer: Any, capture: Capture) -> Any:
        takenDown = self._takenDown

        def begins() -> None:
            takenDown.underWay = capture

        def lasted(seconds: float) -> None:
            takenDown.underWay = None
            capture.seconds += seconds

        try:
            result = await Steps(answer, self._now, lasted, begins)
        except BaseException as error:
            self._ended(capture.failed, error)
            raise
        self._ended(capture.over, result)
        return result


class _ToldToolbox:
    """What a plugin reaches through its context while it is taken down: what it always reaches, its client told of."""

    __slots__ = ("_capture", "_client", "_most", "_of")

    def __init__(self, toolbox: Any, capture: Capture, most: int) -> None:
        self._of = toolbox
        self._capture = capture
        self._client: ToldClient | None = None
        self._most = most

    def __getattr__(self, name: str) -> Any:
        return getattr(self._of, name)

    @property
    def client(self) -> Any:
        """The plugin's own treq client."""
        if self._client is None:
            self._client = ToldClient(self._of.client, self._capture.told, self._most)
        return self._client

    def upstreamAnswered(self, method: bytes, upstream: str, target: bytes, sent: Any) -> None:
        """An upstream has answered what the plugin, in its locked process, has asked it by its name."""
        status, _, fields, body = sent
        url = f"http://{upstream}{target.decode('latin-1')}"
        told = RecordedExchange(method.decode("latin-1"), url, status, tuple(fields), body[: self._most], "",
                                len(body) <= self._most)  # fmt: skip
        self._capture.told.append(told)
