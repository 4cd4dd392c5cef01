"""
What a locked process may ask of the edge: the body of a request, an answer of an upstream, a value of its store. The
edge looks whether that was granted, and does it in its place, as often as it may be asked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import msgspec
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure

from revproxy.errors import BodyTooLarge, EdgeError, LimitName, NotPermitted, printable
from revproxy.headers import EDGES_OWN, isFieldValue, isToken
from revproxy.isolation.frames import ReadBody, Reply, SendRequest, UseStore
from revproxy.isolation.knownrequests import KnownRequest, KnownRequests
from revproxy.isolation.processlimits import ProcessLimits, Rate
from revproxy.paths import targetFault
from revproxy.permissions import Permissions

SAFE = frozenset((b"GET", b"HEAD", b"OPTIONS"))
"""Methods that change nothing (RFC 9110 §9.2.1): a call that has used others is not made again."""

LONGEST = 30.0
"""Seconds that a request to an upstream may take."""

Sent = tuple[int, bytes, Sequence[tuple[bytes, bytes]], bytes]
"""What an upstream has answered: status, reason, fields, body."""

AskUpstream = Callable[[SendRequest, float, int], "Deferred[Sent]"]
"""Sends a request to the upstream of that name: given it, the seconds that it may take, and the bytes of its answer."""

_encode = msgspec.msgpack.Encoder().encode


class Asker(Protocol):
    """The process that has asked."""

    isLost: bool

    def send(self, frame: Reply) -> None:
        """Send the answer."""


class TooMuch(Exception):
    """A plugin has asked for more than it may; the text says of what."""


class Broker:
    """
    Of one instance.
    """

    def __init__(
        self,
        permissions: Permissions,
        limits: ProcessLimits,
        requests: KnownRequests,
        askUpstream: AskUpstream,
        storeOf: Callable[[], Any],
        now: Callable[[], float],
        *,
        exceeded: Callable[[LimitName, str], None],
        notRepeatable: Callable[[int | None], None],
    ) -> None:
        """
        :param storeOf: gives the plugin's store.
        :param exceeded: told of a limit that was exceeded, by its name, and in words.
        :param notRepeatable: told the number of a request whose calls have caused something; None: any's may have.
        """
        self._permissions = permissions
        self._limits = limits
        self._requests = requests
        self._askUpstream = askUpstream
        self._storeOf = storeOf
        self._rate = Rate(limits.brokered, limits.brokered, now)
        self._exceeded = exceeded
        self._notRepeatable = notRepeatable
        self._waiting: set[Deferred[Any]] = set()
        self._reading = 0

    @property
    def underWay(self) -> int:
        """How many requests and operations are not answered. Of a body there is one reading at a time by itself."""
        return len(self._waiting) - self._reading

    def serve(self, process: Asker, frame: ReadBody | SendRequest | UseStore) -> None:
        """Do it; the answer is sent to the process then."""
        try:
            if isinstance(frame, ReadBody):
                answer = self._readBody(process, frame)
            else:
                self._count()
                answer = self._sendRequest(frame) if isinstance(frame, SendRequest) else self._useStore(frame)
        except (NotPermitted, TooMuch, ValueError, LookupError) as error:
            process.send(_failed(frame.number, error))
            return
        self._waiting.add(answer)
        self._reading += isinstance(frame, ReadBody)
        answer.addBoth(self._over, answer, isinstance(frame, ReadBody))
        answer.addCallbacks(
            partial(self._done, process, frame.number), partial(self._broke, process, frame.number)
        )

    def stop(self) -> None:
        """Nobody waits for any of it any more."""
        for waiting in list(self._waiting):
            waiting.cancel()

    def _count(self) -> None:
        if self.underWay >= self._limits.underWay:
            text = f"{self._limits.underWay} requests to upstreams and operations on its store are under way"
            self._exceeded("calls", text)
            raise TooMuch(text)
        if not self._rate.takes():
            text = f"it asks the edge for more than {self._limits.brokered:g} things in a second"
            self._exceeded("calls", text)
            raise TooMuch(text)

    def _over(self, result: Any, answer: Deferred[Any], isReading: bool) -> Any:
        self._waiting.discard(answer)
        self._reading -= isReading
        return result

    @staticmethod
    def _done(process: Asker, number: int, value: bytes) -> None:
        process.send(Reply(number, value))

    @staticmethod
    def _broke(process: Asker, number: int, failure: Failure) -> None:
        error = failure.value
        process.send(_failed(number, error if isinstance(error, Exception) else RuntimeError("it was given up")))

    # Bodies

    def _readBody(self, process: Asker, frame: ReadBody) -> Deferred[bytes]:
        if self._permissions.body == "none":
            raise NotPermitted("to read a body", "body: read")
        known = self._requests.find(frame.request)
        if known is None or known.process is not process:
            raise LookupError("the request is over")
        context = known.context
        response = context._response
        if frame.isResponse and response is None:
            raise LookupError("there is no answer yet")
        body = response.body if frame.isResponse and response is not None else context._request.body
        if body.isBeingRead:
            raise ValueError("this body is already being read")
        known.readings += 1
        isOurs = frame.limit >= self._limits.body
        return body.read(min(frame.limit, self._limits.body)).addCallbacks(
            self._bodyRead, self._bodyBroken, callbackArgs=(known,), errbackArgs=(known, isOurs)
        )

    @staticmethod
    def _bodyRead(data: bytes, known: KnownRequest) -> bytes:
        known.readings = max(0, known.readings - 1)
        return data

    def _bodyBroken(self, failure: Failure, known: KnownRequest, isOurs: bool) -> Failure:
        """:param isOurs: whether the limit of what it reads is the edge's."""
        known.readings = max(0, known.readings - 1)
        error = failure.value
        if isOurs and isinstance(error, BodyTooLarge):
            self._exceeded("body", f"it reads a body of more than {self._limits.body} bytes")
        if isinstance(error, EdgeError) and known.context.bodyBrokenBy(error):
            known.broken.append(error)
        return failure

    # Upstreams

    def _sendRequest(self, frame: SendRequest) -> Deferred[bytes]:
        if frame.upstream not in self._permissions.upstreams:
            name = printable(frame.upstream, 100)
            raise NotPermitted(f"to send a request to {name}", f"upstreams: {name}")
        _checkRequest(frame)
        if frame.method not in SAFE:
            self._notRepeatable(frame.request)
        timeout = min(LONGEST, frame.timeout) if frame.timeout is not None and frame.timeout > 0 else LONGEST
        sent = maybeDeferred(self._askUpstream, frame, timeout, self._limits.body)
        return sent.addCallback(_encode)

    # The store

    def _useStore(self, frame: UseStore) -> Deferred[bytes]:
        if not self._permissions.store:
            raise NotPermitted("to use the store", "store")
        store = self._storeOf()
        done: Deferred[Any]
        if frame.action == "get":
            done = store.get(frame.key, _MISSING).addCallback(_found)
        elif frame.action == "set":
            self._changesStore()
            done = store.set(frame.key, _jsonOf(frame.value))
        elif frame.action == "delete":
            self._changesStore()
            done = store.delete(frame.key)
        else:
            done = store.keys(frame.key)
        return done.addCallback(_encode)

    def _changesStore(self) -> None:
        """Whose call it is is not told: none of those under way is made again."""
        self._notRepeatable(None)


_MISSING: Any = object()


def _found(value: Any) -> list[Any]:
    return [] if value is _MISSING else [value]


def _jsonOf(data: bytes) -> Any:
    """:raises ValueError: it is none."""
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("a value is nested too deeply") from None


def _checkRequest(frame: SendRequest) -> None:
    """:raises ValueError: it cannot be sent."""
    if not isToken(frame.method):
        raise ValueError("not a method")
    if not frame.target.startswith(b"/") or targetFault(frame.target) is not None:
        raise ValueError("not a path: it starts with a slash, and what is no character of a URL is percent-encoded")
    if sum(len(name) + len(value) for name, value in frame.fields) > 64 * 1024 or len(frame.fields) > 256:
        raise ValueError("too many header fields")
    for name, value in frame.fields:
        if not isToken(name) or name.lower() in EDGES_OWN or name.lower() == b"host" or not isFieldValue(value):
            raise ValueError(f"a header field that cannot be sent: {printable(name.decode('latin-1'), 100)}")


def _failed(number: int, error: Exception) -> Reply:
    kind = PermissionError if isinstance(error, NotPermitted) else type(error)
    return Reply(number, b"", kind.__name__, str(error)[:1000] or kind.__name__)
