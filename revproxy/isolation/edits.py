"""
What a call in a locked process has changed, put into the context: looked at first, and taken whole or not at all.

An answer is hostile input. What is no HTTP, what would change how messages are delimited, and what the plugin is not
granted makes the whole answer a failure of the plugin, and the request is as it was.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

from revproxy.body import Body
from revproxy.bodyfilters import Filter
from revproxy.checked import finalStatus
from revproxy.context import Context, Response
from revproxy.errors import LimitExceeded, WrongAnswer
from revproxy.headers import Headers, isFieldValue
from revproxy.isolation.fieldchecks import BadField, checkedChanges, checkedFields, putFields
from revproxy.isolation.frames import Answered, BodyChanged, Fields, NewResponse, Unchanged
from revproxy.isolation.knownrequests import KnownRequest
from revproxy.isolation.plainvalues import NotPlain, decodedValues, takeOver
from revproxy.isolation.processlimits import MOST_BODY
from revproxy.logfields import LogFields, LogValue
from revproxy.messages import Peer, Request
from revproxy.permissions import Permissions

_NO_VERDICT: Final = "neither True nor False"
_NO_RESPONSE: Final = "False, but left no response: return context.respond(status, body)"

MOST_INFORMATIONAL: Final = 16
"""Interim answers of one request: they are sent whether the client takes them or not."""

Interim = tuple[tuple[int, Fields], ...]
"""1xx answers, as they are told."""


@dataclass(frozen=True, slots=True)
class Streams:
    """
    What goes on after the call, piece by piece, as the process makes it.

    :ivar filter: of a request's body, or (True) an answer's: what its pieces pass.
    :ivar pieces: those of the answer that the plugin makes.
    """

    filter: Callable[[KnownRequest, bool], Filter]
    pieces: Callable[[KnownRequest], AsyncIterator[bytes]]


class Edits:
    """
    Of one plugin.
    """

    def __init__(self, permissions: Permissions, streams: Streams) -> None:
        self._permissions = permissions
        self._streams = streams
        self._seesField = lambda lower: permissions.mayRead(lower.decode("latin-1"))
        names = permissions.writeHeaders
        self._writesHost = permissions.changesHost
        self._writesPath = ":path" in names
        self._writesMethod = ":method" in names

    def apply(self, known: KnownRequest, answered: Answered, phase: str) -> bool | None:
        """
        Make the context of a request what the plugin wants it to be.

        :param phase: ``handle`` or ``handleResponse``.
        :returns: the verdict, of ``handle``.
        :raises WrongAnswer, LimitExceeded: nothing was changed.
        """
        try:
            return self._apply(known, answered, phase)
        except (BadField, NotPlain, _Refusal) as refused:
            raise WrongAnswer(phase, str(refused)) from None

    @staticmethod
    def verdict(unchanged: Unchanged, phase: str) -> bool | None:
        """
        :returns: the verdict of a call that has changed nothing.
        :raises WrongAnswer: it is none.
        """
        verdict = unchanged.verdict
        if phase == "handle" and verdict is not True:
            raise WrongAnswer(phase, _NO_RESPONSE if verdict is False else _NO_VERDICT)
        return verdict

    def _apply(self, known: KnownRequest, answered: Answered, phase: str) -> bool | None:
        verdict = self._verdict(answered, phase)
        context = known.context
        # Each of these looks, and gives what is then done; none of that fails.
        steps = [
            self._goal(context, answered, phase),
            self._head(context._request, answered),
            self._body(context._request.body if answered.body else None, answered.body, known, False),
            self._answer(known, answered),
            self._informational(known, answered.informational),
            self._notes(known, answered),
        ]
        for step in steps:
            if step is not None:
                step()
        return verdict

    @staticmethod
    def _verdict(answered: Answered, phase: str) -> bool | None:
        verdict = answered.verdict
        if phase == "handle" and verdict is None:
            raise _Refusal(_NO_VERDICT)
        if phase == "handle" and verdict is False and answered.response is None:
            raise _Refusal(_NO_RESPONSE)
        return verdict

    # The request

    def _goal(self, context: Context, answered: Answered, phase: str) -> Callable[[], None] | None:
        upstream, origin = answered.upstream, answered.origin
        if upstream is None and origin is None and not answered.reroutes:
            return None
        if phase != "handle":
            raise _Refusal("another upstream, origin or route: that is for handle, and this request is on its way")
        if answered.reroutes and not (self._writesHost or self._writesPath):
            raise _Refusal("reroute(), which takes :path or :authority in write_headers")
        self._checkGoal(context, upstream, origin)

        def choose() -> None:
            if answered.reroutes:
                context.reroute()
            # Nothing chosen is nothing said, unless it takes a choice back.
            if upstream or (upstream == "" and not answered.reroutes and context._goal is not None):
                context.upstream = upstream or None
            if origin:
                context.origin = origin

        return choose

    def _checkGoal(self, context: Context, upstream: str | None, origin: str | None) -> None:
        name = upstream or context.upstream
        if name is not None and (upstream or origin) and name not in self._permissions.upstreams:
            raise _Refusal(f"the choice of upstream {name[:100]!r}, which it is not granted (upstreams)")
        if not (upstream or origin):
            return
        if name is None:
            raise _Refusal("a target, and the route has no upstream")
        try:
            urls = context._tools().destinations.origins(name)
        except ValueError as error:
            raise _Refusal(str(error)) from None
        if origin and origin not in urls:
            raise _Refusal(f"{origin[:200]!r}, which is no target of upstream {name}")

    def _head(self, request: Request, answered: Answered) -> Callable[[], None] | None:
        method, target, host = answered.method, answered.target, answered.host
        changed = answered.fields
        if host is not None:  # its field follows
            changed = tuple([each for each in changed if each[0] != b"host"])
        fields = checkedChanges(changed, self._permissions, "request")
        if method is target is host is None:
            return (lambda: putFields(request._headers, fields, self._seesField)) if fields else None
        for value, isWritten, name in (
            (method, self._writesMethod, ":method"),
            (target, self._writesPath, ":path"),
            (host, self._writesHost, ":authority"),
        ):
            if value is not None and not isWritten:
                raise _Refusal(f"another {name[1:]}, which it is not granted (write_headers: {name})")
        # What these may be is the request's to say: a stand-in is asked, which raises.
        scratch = Request(b"GET", b"/", b"", "1.1", "http", Headers(), Peer("", 0, ""))
        self._setHead(scratch, method, target, host)

        def change() -> None:
            putFields(request._headers, fields, self._seesField)
            self._setHead(request, method, target, host)

        return change

    @staticmethod
    def _setHead(request: Request, method: bytes | None, target: bytes | None, host: bytes | None) -> None:
        try:
            if method is not None:
                request.method = method.decode("latin-1")
            if target is not None:
                request.target = target.decode("latin-1")
            if host is not None:
                request.host = host.decode("latin-1")
        except ValueError as error:
            raise _Refusal(str(error)[:300]) from None

    def _body(
        self, body: Body | None, change: BodyChanged | None, known: KnownRequest, isResponse: bool
    ) -> Callable[[], None] | None:
        if change is None or body is None or (change.replaced is None and not change.isFiltered):
            return None
        if self._permissions.body != "write":
            raise _Refusal("another body, which it is not granted (body: write)")
        data = change.replaced
        if data is not None and len(data) > MOST_BODY:
            raise _tooLarge(len(data))
        if body._sink is not None or body.sealed:
            raise _Refusal("another body, when the body was on its way")

        def put() -> None:
            if data is not None:
                body.replace(data)
            if change.isFiltered:
                known.streams = True
                body.addFilter(self._streams.filter(known, isResponse))

        return put

    # The answer

    def _answer(self, known: KnownRequest, answered: Answered) -> Callable[[], None] | None:
        new = answered.response
        if new is not None:
            return self._newAnswer(known, new)
        response = known.context._response
        fields = checkedChanges(answered.responseFields, self._permissions, "answer")
        if answered.status is None and answered.reason is None and not fields and answered.responseBody is None:
            return None
        if response is None:
            raise _Refusal("a change of the answer, and there is none yet")
        status, reason = self._status(answered.status), self._reason(answered.reason)
        if (status is not None or reason is not None) and not self._permissions.respond:
            raise _Refusal("another status, which it is not granted (respond)")
        putBody = self._body(
            response.body if answered.responseBody else None, answered.responseBody, known, True
        )

        def change() -> None:
            if status is not None:
                response._status = status
                response._rawReason = None
            if reason is not None:
                response._rawReason = reason
            putFields(response._headers, fields, self._seesField)
            if putBody is not None:
                putBody()

        return change

    def _newAnswer(self, known: KnownRequest, new: NewResponse) -> Callable[[], None]:
        context = known.context
        if not self._permissions.respond:
            raise _Refusal("an answer of its own, which it is not granted (respond)")
        if new.body is not None and len(new.body) > MOST_BODY:
            raise _tooLarge(len(new.body))
        status, reason = self._status(new.status), self._reason(new.reason)
        assert status is not None
        fields = Headers(checkedFields(new.fields, self._permissions))

        def respond() -> None:
            if new.body is None:
                known.streams = True
                context.respond(status, self._streams.pieces(known))
                response = context._response
                assert response is not None
                response._headers = fields
                response._rawReason = reason
            else:
                context.response = Response(status, reason, fields, Body.of(new.body))

        return respond

    @staticmethod
    def _status(status: int | None) -> int | None:
        try:
            return None if status is None else finalStatus(status)
        except ValueError as error:
            raise _Refusal(str(error)) from None

    @staticmethod
    def _reason(reason: bytes | None) -> bytes | None:
        if reason is not None and (not isFieldValue(reason) or b"\t" in reason):
            raise _Refusal("a reason phrase with control characters (RFC 9112 §4)")
        return reason

    def sendInformational(self, known: KnownRequest, answers: Interim) -> None:
        """
        Send 1xx answers before there is another.

        :raises WrongAnswer: none is sent.
        """
        try:
            send = self._informational(known, answers)
        except (BadField, _Refusal) as refused:
            raise WrongAnswer("handle", str(refused)) from None
        if send is not None:
            send()

    def _informational(self, known: KnownRequest, answers: Interim) -> Callable[[], None] | None:
        if not answers:
            return None
        if not self._permissions.respond:
            raise _Refusal("an interim answer, which it is not granted (respond)")
        if known.informed + len(answers) > MOST_INFORMATIONAL:
            raise _Refusal(f"more than {MOST_INFORMATIONAL} interim answers to one request")
        sent = []
        for status, fields in answers:
            if not 102 <= status <= 199:
                raise _Refusal(f"an interim status of {status}; it is from 102 to 199")
            sent.append((status, Headers(checkedFields(fields, self._permissions))))

        def send() -> None:
            context = known.context
            known.informed += len(sent)
            for status, headers in sent:
                if context._exchange is not None:
                    context._exchange.informational(status, headers)

        return send

    # What is noted

    def _notes(self, known: KnownRequest, answered: Answered) -> Callable[[], None]:
        context, told = known.context, known.told
        changes, isForOthers = decodedValues(answered.values), self._permissions.changesValues
        logged = self._logged(context, answered.logged)
        id = answered.id
        if id is not None and not (0 < len(id) <= 255 and id.isascii() and id.isprintable()):
            raise _Refusal("an id that is no printable ASCII of 1 to 255 characters")

        def note() -> None:
            if changes and isForOthers:
                takeOver(told, context.values, changes)
            if logged is not None:
                context._fields = logged
            if id is not None:
                context.id = id

        return note

    @staticmethod
    def _logged(context: Context, logged: dict[str, LogValue]) -> LogFields | None:
        if not logged:
            return None
        fields = LogFields()
        try:
            fields.update(context.fields)
            fields.update(logged)
        except (TypeError, ValueError) as error:
            raise _Refusal(str(error)[:300]) from None
        return fields


def _tooLarge(size: int) -> LimitExceeded:
    return LimitExceeded("reply", f"a body of {size} bytes, and {MOST_BODY} are the most")


class _Refusal(Exception):
    """Why an answer is not taken."""
