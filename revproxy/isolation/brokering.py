"""
What a locked process may ask of the edge: the body of a request, an answer of an upstream, a value of its store. The
edge looks whether that was granted, and does it in its place, as often as it may be asked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, Protocol

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
from revproxy.store import MAX_VALUE

SAFE = frozenset((b"GET", b"HEAD", b"OPTIONS"))
"""Methods that change nothing (RFC 9110 §9.2.1): a call that has used others is not made again."""

LONGEST = 30.0
"""Seconds that a request to an upstream may take."""

Sent = tuple[int, bytes, Sequence[tuple[bytes, bytes]], bytes]
"""What an upstream has answered: status, reason, fields, body."""

MOST_HELD: Final = 64 << 20
"""Bytes of requests to upstreams, and of their answers, that the edge holds for one instance at a time."""

AskUpstream = Callable[[SendRequest, float, int, Callable[[int], None]], "Deferred[Sent]"]
"""
Sends a request to the upstream of that name: given it, the seconds that it may take, the bytes of its answer, and what
is to be called with the bytes of it that will be held, before they are, and raises if that is too much.
"""

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
        self._waiting: dict[Deferred[Any], Asker] = {}
        self._reading = 0
        self._held = 0

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
        self._waiting[answer] = process
        self._reading += isinstance(frame, ReadBody)
        answer.addBoth(self._over, answer, isinstance(frame, ReadBody))
        answer.addCallbacks(
            partial(self._done, process, frame.number), partial(self._broke, process, frame.number)
        )

    def stop(self) -> None:
        """Nobody waits for any of it any more."""
        for waiting in list(self._waiting):
            waiting.cancel()

    def left(self, process: Asker) -> None:
        """It has ended: nobody waits for what it has asked for. The next may ask for the same."""
        for waiting in [waiting for waiting, asker in self._waiting.items() if asker is process]:
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
        del self._waiting[answer]
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
        if not known.calls:
            raise LookupError("no call of the request is under way: a body is read in handle or handleResponse")
        context = known.context
        response = context._response
        if frame.isResponse and response is None:
            raise LookupError("there is no answer yet")
        body = response.body if frame.isResponse and response is not None else context._request.body
        if body.isBeingRead:
            raise ValueError("this body is already being read")
        isOurs = frame.limit >= self._limits.body
        reading: Deferred[bytes] = body.read(min(frame.limit, self._limits.body))
        known.readings.append(reading)
        return reading.addBoth(self._readOver, reading, known).addErrback(self._bodyBroken, known, isOurs)

    @staticmethod
    def _readOver(result: Any, reading: Deferred[bytes], known: KnownRequest) -> Any:
        known.readings.remove(reading)
        return result

    def _bodyBroken(self, failure: Failure, known: KnownRequest, isOurs: bool) -> Failure:
        """:param isOurs: whether the limit of what it reads is the edge's."""
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
        share = _Share(self._hold)
        share.hold(len(frame.body))
        sent = maybeDeferred(self._askUpstream, frame, timeout, self._limits.body, share.hold)
        return sent.addBoth(share.end).addCallback(self._tell, frame).addCallback(_encode)

    def _tell(self, sent: Sent, frame: SendRequest) -> Sent:
        """Of a request that is taken down, so is what its plugins are answered."""
        known = self._requests.find(frame.request)
        told = None if known is None else getattr(known.context._toolbox, "upstreamAnswered", None)
        if told is not None:
            told(frame.method, frame.upstream, frame.target, sent)
        return sent

    def _hold(self, size: int) -> None:
        """So many bytes more, or fewer. :raises TooMuch: that is too much at a time."""
        if size > 0 and self._held + size > MOST_HELD:
            text = f"requests to upstreams, and their answers, of more than {MOST_HELD >> 20} MB are under way"
            self._exceeded("calls", text)
            raise TooMuch(text)
        self._held += size

    # The store

    def _useStore(self, frame: UseStore) -> Deferred[bytes]:
        if not self._permissions.store:
            raise NotPermitted("to use the store", "store")
        if len(frame.value) > 6 * MAX_VALUE:  # none that is small enough was written so; it is not even looked at
            raise ValueError(f"a value of {len(frame.value)} bytes; {MAX_VALUE} are allowed")
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


class _Share:
    """What is held for one request."""

    def __init__(self, hold: Callable[[int], None]) -> None:
        self._hold = hold
        self._size = 0

    def hold(self, size: int) -> None:
        """:raises TooMuch:"""
        self._hold(size)
        self._size += size

    def end(self, result: Any) -> Any:
        """Nothing is, any more."""
        self._hold(-self._size)
        return result


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
    if not isToken(frame.method) or frame.method == b"CONNECT":
        raise ValueError("not a method, or CONNECT, which makes a tunnel")
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
