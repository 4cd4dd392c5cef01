"""
A context as it was when a call came to a plugin, made once more of what was taken down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred, fail

from revproxy.body import Body
from revproxy.bodyfilters import Filter
from revproxy.context import Context
from revproxy.destination import SETTLED, Goal, NamedPlace
from revproxy.headers import Headers
from revproxy.messages import Peer, Request, Response
from revproxy.replay.recordedcall import HeaderPair, RecordedCall, RecordedResponse
from revproxy.replay.writtenvalues import nameOf, written

UNKNOWN_BODY = "it looks at a body that was not taken down"
UNKNOWN_VALUE = "it looks at a value of another plugin that cannot be copied"
UNKNOWN_CLIENT = "it looks at the client's certificate, or at other parts of TLS"

Unknown = Callable[[str], Exception]
"""Told what is wanted and not known; gives what is raised then."""


class _UnknownBody(Body):
    """A body that was not taken down, or not whole."""

    __slots__ = ("unknown",)

    unknown: Unknown

    def read(self, limit: int) -> Deferred[bytes]:
        return fail(self.unknown(UNKNOWN_BODY))

    def addFilter(self, filter: Filter) -> None:
        self.unknown(UNKNOWN_BODY)


class _CopiedValues(dict[str, Any]):
    """What plugins left, as far as it could be copied."""

    def __init__(self, values: Mapping[str, Any], missing: frozenset[str], unknown: Unknown) -> None:
        super().__init__(written(values)[0])  # whatever is in there may be changed
        self._missing = missing
        self._unknown = unknown

    def _look(self, key: object) -> None:
        if self._missing and not super().__contains__(key) and nameOf(key) in self._missing:
            self._unknown(UNKNOWN_VALUE)

    def __missing__(self, key: str) -> Any:
        self._look(key)
        raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        self._look(key)
        return super().__contains__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self._look(key)
        return super().get(key, default)

    def pop(self, key: str, *default: Any) -> Any:
        self._look(key)
        return super().pop(key, *default)


class _KnownTLS:
    """What is known of the client's TLS."""

    def __init__(self, serverName: str, unknown: Unknown) -> None:
        self.serverName = serverName or None
        self._unknown = unknown

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_"):
            self._unknown(UNKNOWN_CLIENT)
        raise AttributeError(name)


class _Interim:
    """Keeps what is sent before the final answer."""

    isAnswered = False

    def informational(self, status: int, headers: Headers) -> bool:
        """It goes nowhere."""
        return True


def copiedContext(call: RecordedCall, unknown: Unknown) -> Context:
    """For ``handle``, or for ``handleResponse`` where the former is not made again."""
    peer = Peer(call.peer[0], call.peer[1], call.peer[0])
    tls = _KnownTLS(call.serverName, unknown) if call.scheme == "https" else None
    body = _bodyOf(call.body, call.isWhole, unknown)
    request = Request(
        call.method, call.target, call.host, call.version, call.scheme, _headersOf(call.headers), peer, body, tls
    )
    context = Context(request, NamedPlace(call.route, call.routeUpstream or None), call.id.encode("ascii", "replace"))
    request._context = context
    context._exchange = _Interim()
    _goOn(context, call, unknown)
    context._values = _CopiedValues(call.values, frozenset(call.unwritable), unknown)
    if call.phase == "handleResponse":
        _answer(context, call, unknown)
    return context


def answeredContext(context: Context, call: RecordedCall, unknown: Unknown) -> None:
    """
    The answer has come: the context of a ``handle`` that was made again becomes that of ``handleResponse``. What
    others have done to the request meanwhile is there, and so is what this one has left in values.

    :param context: as the call of ``handle`` has left it.
    """
    request, own = context._request, dict(context._values or {})
    request._rawMethod, request._rawTarget, request._rawHost = call.method, call.target, call.host
    request._headers = _headersOf(call.headers)
    _goOn(context, call, unknown)
    values = _CopiedValues(call.values, frozenset(call.unwritable), unknown)
    values.update(own)
    context._values = values
    _answer(context, call, unknown)


def _goOn(context: Context, call: RecordedCall, unknown: Unknown) -> None:
    if call.upstream:
        name, _, origin = call.upstream.partition(" ")
        goal = context._goal = Goal()
        goal.upstream, goal.origin = name, origin or None


def _answer(context: Context, call: RecordedCall, unknown: Unknown) -> None:
    if context._goal is None:
        context._goal = SETTLED
    else:
        context._goal.isSettled = True
        context._goal.isRerouting = False
    if call.response is not None:
        response = context._response = _responseOf(call.response, unknown)
        response._context = context


def _responseOf(told: RecordedResponse, unknown: Unknown) -> Response:
    return Response(told.status, None, _headersOf(told.headers), _bodyOf(told.body, told.isWhole, unknown))


def _headersOf(pairs: tuple[HeaderPair, ...]) -> Headers:
    return Headers([(name.lower(), name, value) for name, value in pairs])


def _bodyOf(data: bytes | None, isWhole: bool, unknown: Unknown) -> Body | None:
    if data is not None and isWhole:
        return Body.of(data) if data else None
    body = _UnknownBody(None, None)
    body.unknown = unknown
    return body
