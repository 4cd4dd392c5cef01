"""
Everything that can go wrong with one request, and what the client is told of it.

Each :class:`EdgeError` carries the ``status`` and the public ``text`` of the answer. The message given to the
constructor is the cause: it goes to the log, never to the client (RFC 9110 §15.5, §15.6).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Literal

from twisted.python.failure import Failure

from revproxy.checked import content, finalStatus
from revproxy.headers import Headers


def printable(text: str, limit: int | None = None) -> str:
    """
    A text of somebody else's, for a log or a terminal: control characters as escapes, lines stay lines.

    :param limit: characters above which it is cut, and says how many it had; None for no limit.
    """
    if limit is not None and len(text) > limit:
        text = f"{text[:limit]}\u2026({len(text)} characters)"
    return "".join(
        character if character.isprintable() or character == "\n" else character.encode("unicode_escape").decode()
        for character in text
    )


REASONS: dict[int, str] = {status.value: status.phrase for status in HTTPStatus}
"""The registered reason phrase of every status code."""
REASONS[413] = "Content Too Large"
REASONS[416] = "Range Not Satisfiable"
REASONS[422] = "Unprocessable Content"


def answerParts(status: int, body: object, headers: Mapping[str, str] | None) -> tuple[int, Headers, bytes]:
    """
    What an answer consists of: text becomes UTF-8, and says so unless ``headers`` have a content type.

    :raises ValueError: for a status outside 200–599, or a header that cannot be sent.
    :raises TypeError: for what is no status, body, or headers.
    """
    status = finalStatus(status)
    fields = Headers.of(headers) if headers else Headers()
    if isinstance(body, str):
        body = body.encode()
        if fields.find(b"content-type") is None:
            fields.fields.append((b"content-type", b"Content-Type", b"text/plain; charset=utf-8"))
    return status, fields, content(body)


class EdgeError(Exception):
    """
    The root: an error that can become a response.

    :param message: the cause, for the log.
    :cvar status: of the response.
    :cvar text: what the client is told.
    :cvar retryAfter: seconds after which another try may go better; None: nobody knows.
    """

    retryAfter: int | None = None
    status = 500
    text = "The edge could not handle this request."


class BadRequest(EdgeError):
    """The request is malformed or ambiguous (RFC 9112 §2.2, §3.2, §6.3); the connection closes."""

    status = 400
    text = "The request is malformed."


class AmbiguousPath(BadRequest):
    """An origin may read the path in another way than the edge, and would have to be protected by another route."""


class NotFound(EdgeError):
    """No route, or no such file."""

    status = 404
    text = "Nothing is served here."


class MethodNotAllowed(EdgeError):
    """
    The route does not take this method, or its leaf does not answer it (RFC 9110 §15.5.6).

    :ivar allowed: the methods that are; empty if that is not known.
    """

    status = 405
    text = "This method is not allowed here."

    def __init__(self, message: str, allowed: Sequence[bytes] = ()) -> None:
        super().__init__(message)
        self.allowed = allowed


class RequestTimeout(EdgeError):
    """The client was too slow with its head or body (RFC 9110 §15.5.9)."""

    status = 408
    text = "The request took too long to arrive."


class PreconditionFailed(EdgeError):
    """``If-Match`` or ``If-Unmodified-Since`` does not hold (RFC 9110 §15.5.13)."""

    status = 412
    text = "The condition of the request does not hold."


class BodyTooLarge(EdgeError):
    """A body is larger than its limit."""

    status = 413
    text = "The request body is too large."


class TargetTooLong(EdgeError):
    """The request target is longer than the limit (RFC 9110 §15.5.15)."""

    status = 414
    text = "The request target is too long."


class RangeNotSatisfiable(EdgeError):
    """Nothing of the range asked for is there (RFC 9110 §15.5.17)."""

    status = 416
    text = "The range asked for is not there."


class ExpectationFailed(EdgeError):
    """An ``Expect`` other than ``100-continue`` (RFC 9110 §10.1.1)."""

    status = 417
    text = "The expectation cannot be met."


class Misdirected(EdgeError):
    """The TLS name and the Host disagree on a protected host (RFC 9110 §15.5.20)."""

    status = 421
    text = "This connection may not be used for that host."


class HeadersTooLarge(EdgeError):
    """The head is larger, or has more fields, than the limits allow (RFC 6585 §5)."""

    status = 431
    text = "The request header is too large."


class ClientGone(EdgeError):
    """The client left before its answer was complete; nobody sees this status but the log."""

    status = 499
    text = "The client closed the request."


class PluginFailed(EdgeError):
    """A middleware raised, timed out or answered nonsense, and its ``on_error`` is ``closed``."""

    status = 500
    text = "The edge could not handle this request."


class Refused(EdgeError):
    """
    Raised by a plugin to answer a request here and now: from ``handle``, from ``handleResponse``, and from a filter of
    a body, as long as nothing of the answer was sent. It is no failure of the plugin.

    :ivar body: of the answer, as bytes.
    :ivar headers: of the answer.
    """

    def __init__(self, status: int, body: bytes | str = b"", headers: Mapping[str, str] | None = None) -> None:
        """
        :param status: from 200 to 599.
        :param body: bytes, or text (sent as UTF-8, with a content type unless ``headers`` has one).
        :raises ValueError: for a status or a header that cannot be sent.
        :raises TypeError: for what is no status, body, or headers.
        """
        self.status, self.headers, self.body = answerParts(status, body, headers)
        self.text = REASONS.get(self.status, "")
        super().__init__(f"{self.status} {self.text}")


class NotSupported(EdgeError):
    """A method or transfer coding the edge does not implement (RFC 9112 §6.1)."""

    status = 501
    text = "This kind of request is not supported."


class UpstreamError(EdgeError):
    """The origin could not be reached, or its answer was not HTTP that may be passed on."""

    status = 502
    text = "The upstream server could not be reached or gave no valid answer."


class ConnectFailed(UpstreamError):
    """No connection to the origin: refused, unresolvable, TLS not verified. Nothing was sent."""


class ConnectionStale(UpstreamError):
    """A kept connection turned out closed before any byte of an answer."""


class BadResponse(UpstreamError):
    """The origin's answer is malformed, ambiguous, over limits or truncated."""


class Unavailable(EdgeError):
    """No target may be tried, or too many requests wait already."""

    status = 503
    text = "The service is temporarily unavailable."


class TunnelsFull(EdgeError):
    """The origin has switched protocols, and there are as many tunnels to it already as there may be."""

    status = 503
    text = "The service is temporarily unavailable."


class PluginQuarantined(EdgeError):
    """
    A plugin this request would have gone through is out of service, and its ``on_error`` is ``closed``.

    Raised by what stands in the plugin's place; it is no failure of the plugin, so nobody counts or logs it as one.
    """

    status = 503
    text = "A part of this service is temporarily out of order."
    retryAfter = 10


class PluginMissing(PluginQuarantined):
    """A plugin that is required on this request's route cannot be had."""


class BrokenOff(EdgeError):
    """The edge ended the request before it was over; nobody sees this status but the log."""

    status = 503
    text = "The edge ended this request."


class UpstreamTimeout(EdgeError):
    """The origin did not connect, answer or go on in time."""

    status = 504
    text = "The upstream server did not answer in time."


class ConnectTimedOut(UpstreamTimeout):
    """No connection to the origin in time. Nothing was sent."""


class VersionNotSupported(EdgeError):
    """An HTTP version other than 1.0 and 1.1 on the wire."""

    status = 505
    text = "This HTTP version is not supported."


class PluginStalled(BaseException):
    """
    A plugin's call held the reactor too long and was ended.

    Raised by the interval-timer guard inside the running call, at whatever line it has reached. Not an
    :class:`Exception`, so that a plugin's own ``except Exception`` does not swallow it; the chain takes it for a
    failure of the plugin.
    """


class PluginTimeout(Exception):
    """A plugin's code did not answer within its time."""


LimitName = Literal[
    "wall", "cpu", "cpu-share", "memory", "concurrency", "body", "reply", "calls", "log", "stderr", "labels"
]
"""
What a plugin has too much of: time for one call; processor time for one call, or in a minute; memory; calls at a time;
bytes of a body that it reads; bytes that it answers with; requests of its own in a second; lines of the log; output;
and values of labels.
"""


class FailedElsewhere(Exception):
    """
    A plugin's code has failed in another process.

    :ivar traceback: as that process tells it; empty if it does not.
    """

    traceback = ""


class LimitExceeded(Exception):
    """
    A plugin had too much of something.

    :ivar limit: of what.
    """

    def __init__(self, limit: LimitName, text: str) -> None:
        super().__init__(text)
        self.limit = limit


class NotPermitted(PermissionError):
    """
    A plugin did what it has no permission for.

    :ivar permission: what to ask for, as ``read_headers: Cookie``.
    """

    def __init__(self, what: str, permission: str) -> None:
        super().__init__(
            f"{what} is not permitted: ask for it in plugin.json, under permissions ({permission}), and have it granted"
        )
        self.permission = permission


Foreign = (Exception, SystemExit, KeyboardInterrupt, asyncio.CancelledError, PluginStalled)
"""What may come out of foreign code that is waited for, and must not go further."""


class WrongAnswer(TypeError):
    """
    A method of a plugin answered what it must not.

    :ivar method: its name.
    """

    def __init__(self, method: str, text: str) -> None:
        super().__init__(f"{method} answered {text}")
        self.method = method


_HINTS: tuple[tuple[type[BaseException], str, str], ...] = (
    (RuntimeError, r"no running event loop|There is no current event loop",
     "what is written for asyncio runs by host.asyncio(coroutine)"),
    (AttributeError, r"'NoneType' object has no attribute '(headers|status|reason|body)'",
     "there is no context.response in handle: change it in handleResponse, or answer by context.respond"),
    (AttributeError, r"'(Guarded)?Context' object has no attribute",
     "what belongs to one request goes into context.values"),
    (TypeError, r"'(Guarded|GuardedJoined)?Headers' object (is not subscriptable|does not support item)",
     "headers have get, getAll, set, add and remove"),
)
"""What authors meet and what does not say so itself: the error, how its text begins, what to do."""


def hintFor(error: BaseException | None) -> str:
    """What to do about an error that authors meet and that does not say so itself; with a semicolon before it."""
    for kind, text, hint in _HINTS:
        if type(error) is kind and re.match(text, str(error)):
            return f"; {hint}"
    return ""


class NotAnException(Exception):
    """Foreign code has raised what is no :class:`Exception`, as ``GeneratorExit``; the text says what."""


def asException(failure: Failure) -> Failure:
    """
    What foreign code that is waited for has raised, as what a coroutine may catch: neither the ``GeneratorExit`` that
    ends coroutines, nor what nobody expects.
    """
    error = failure.value
    if error is None or isinstance(error, Foreign):
        return failure
    text = f"{type(error).__name__}: {failure.getErrorMessage()}".rstrip(": ")
    return Failure(NotAnException(text).with_traceback(error.__traceback__))
