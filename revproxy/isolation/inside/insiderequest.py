"""
One request as a plugin in a locked process has it: made from what the edge tells, and compared with that afterwards.

The context is the very class that plugins know, so they find nothing else than in the edge's own process. What they may
not see is not in it.
"""

from __future__ import annotations

from typing import Any

from revproxy.body import Body
from revproxy.context import Context, Outcome, Peer, Request, Response
from revproxy.destination import NamedPlace
from revproxy.errors import EdgeError
from revproxy.headers import Field, Headers
from revproxy.isolation.frames import (
    Answered,
    BodyChanged,
    Call,
    Fields,
    NewResponse,
    OutcomeSeen,
    RequestHead,
    ResponseHead,
    Unchanged,
)
from revproxy.isolation.inside.asks import Asks
from revproxy.isolation.inside.bodysource import EdgesBody
from revproxy.isolation.inside.toldfields import changedFields, fieldsOf, headersOf
from revproxy.isolation.plainvalues import Told, changedSince, decodedValues, takeOver


class Interim:
    """
    Keeps 1xx answers until they are told (`revproxy.context.Answering`).

    :ivar isAnswered: whether it is too late for them.
    """

    def __init__(self) -> None:
        self.isAnswered = False
        self._sent: list[tuple[int, Fields]] = []

    def informational(self, status: int, headers: Headers) -> bool:
        """One more."""
        if not self.isAnswered:
            self._sent.append((status, fieldsOf(headers)))
        return not self.isAnswered

    def take(self) -> tuple[tuple[int, Fields], ...]:
        """Those that were not told."""
        if not self._sent:
            return ()
        sent, self._sent = tuple(self._sent), []
        return sent


class InsideRequest:
    """
    One request, from its first call to its end.

    :ivar context: as the plugin has it.
    :ivar interim: what it has sent before the answer.
    :ivar made: the body of an answer that it makes piece by piece, once it has answered with one.
    """

    def __init__(self, number: int, head: RequestHead, toolbox: Any, asks: Asks, most: int) -> None:
        """
        :param most: bytes of a body that it may hold.
        """
        self._number = number
        self._head = head
        self._asks = asks
        self._most = most
        self._told: Told = {}
        self._logged: dict[str, Any] = {}
        self._id = head.id
        self.requestBody = self._bodyOf(head.length, False)
        self.responseBody: EdgesBody | None = None
        self.made: Body | None = None
        self.interim = Interim()
        host, port, connected = head.peer
        request = Request(
            head.method,
            head.target,
            head.host,
            head.version,
            head.scheme,
            headersOf(head.fields),
            Peer(host, port, connected),
            None if self.requestBody is None else self.requestBody.body,
        )
        context = self.context = Context(request, NamedPlace(head.route, head.upstream), head.id.encode())
        context._exchange = self.interim
        context._toolbox = toolbox
        request._context = context
        self._raw = head.method, head.target, head.host
        self._fields: list[Field] = []
        self._response: Response | None = None
        self._responseFields: list[Field] = []
        self._responseRaw: tuple[int, bytes | None] = (0, None)

    def _bodyOf(self, length: int | None, isResponse: bool) -> EdgesBody | None:
        if length is None:
            return None
        return EdgesBody(self._asks, self._number, isResponse, length, self._most)

    def begin(self, call: Call) -> None:
        """A call comes: what is told with it is so, and what is there now is what it begins with."""
        context = self.context
        if call.head is not None and call.head is not self._head:
            self._hearHead(call.head)
        if call.values:
            takeOver(self._told, context.values, decodedValues(call.values))
        if call.response is not None:
            self._hearResponse(call.response)
        if call.outcome is not None:
            context._outcome = _outcomeOf(call.outcome)
            self.interim.isAnswered = True
        self._fields = context._request._headers.fields.copy()

    def _hearHead(self, head: RequestHead) -> None:
        """Others have changed the request since this process was told of it."""
        self._head = head
        request = self.context._request
        request._rawMethod, request._rawTarget, request._rawHost = self._raw = head.method, head.target, head.host
        request._headers = headersOf(head.fields)
        request._peer = Peer(*head.peer)
        self.context._route = NamedPlace(head.route, head.upstream)

    def _hearResponse(self, head: ResponseHead) -> None:
        source = self.responseBody = self._bodyOf(head.length, True)
        body = Body.of(b"") if source is None else source.body
        response = self._response = Response(head.status, head.reason, headersOf(head.fields), body)
        response._context = body._context = self.context
        self._responseFields = response._headers.fields.copy()
        self._responseRaw = head.status, head.reason
        self.context._response = response

    # What came of it

    def changedBodies(self) -> tuple[Body, ...]:
        """Those that the plugin has changed, and that have not been told yet."""
        response, body = self.context._response, self.context._request._body
        changed: tuple[Body, ...] = ()
        if body is not None and body.changed and body._sink is None:
            changed = (body,)
        body = None if response is None else response._body
        if body is not None and body.changed and body._sink is None:
            changed += (body,)
        return changed

    def answered(self, number: int, call: Call, verdict: bool | None) -> Answered | Unchanged:
        """What a call has answered and changed."""
        if call.phase == "finished":
            return Unchanged(number)
        context = self.context
        request = context._request
        method, target, host = request._rawMethod, request._rawTarget, request._rawHost
        told: dict[str, Any] = {}
        if (method, target, host) != self._raw:
            told["method"], told["target"], told["host"] = (
                now if now != was else None for now, was in zip((method, target, host), self._raw, strict=True)
            )
            self._raw = method, target, host
        changed = changedFields(self._fields, request._headers)
        if changed:
            # Of a host that was set, the field is a part.
            told["fields"] = changed if told.get("host") is None else tuple(
                each for each in changed if each[0] != b"host"
            )
        if call.phase == "handle":
            self._tellWayIn(told, verdict)
        else:
            self._tellAnswer(told)
        self._tellRest(told)
        return Answered(number, verdict, **told) if told else Unchanged(number, verdict)

    def _tellWayIn(self, told: dict[str, Any], verdict: bool | None) -> None:
        context = self.context
        goal = context._goal
        if goal is not None:
            told["upstream"], told["origin"] = goal.upstream or "", goal.origin or ""
            told["reroutes"] = goal.isRerouting
            goal.isRerouting = False
        if verdict is False:
            if context._response is not None:
                told["response"] = self._newResponse(context._response)
            return
        body = context._request._body
        if body is not None and body.changed:
            told["body"] = _bodyChange(body)

    def _tellAnswer(self, told: dict[str, Any]) -> None:
        response = self.context._response
        assert response is not None
        if response is not self._response:
            told["response"] = self._newResponse(response)
            return
        if (response._status, response._rawReason) != self._responseRaw:
            told["status"], told["reason"] = response._status, response._rawReason
        changed = changedFields(self._responseFields, response._headers)
        if changed:
            told["responseFields"] = changed
        body = response._body
        if body is not None and body.changed:
            told["responseBody"] = _bodyChange(body)

    def _newResponse(self, response: Response) -> NewResponse:
        body = response._body
        self.made = None if body is None or body.isAtHand else body
        data = None if self.made is not None else (b"" if body is None else body.keep())
        return NewResponse(response._status, response._rawReason, fieldsOf(response._headers), data)

    def _tellRest(self, told: dict[str, Any]) -> None:
        context = self.context
        if context._values or self._told:
            values = changedSince(self._told, context._values)
            if values:
                told["values"] = values
        if context._fields is not None:
            logged = dict(context._fields)
            if logged != self._logged:
                told["logged"] = self._logged = logged
        if context._id is not None and context._id != self._id:
            told["id"] = self._id = context._id
        informational = self.interim.take()
        if informational:
            told["informational"] = informational

    def over(self) -> None:
        """The request is over."""
        context = self.context
        response = context._response
        for body in (context._request._body, None if response is None else response._body, self.made):
            if body is not None:
                body.detach()
                body.stopProducing()
        for source in (self.requestBody, self.responseBody):
            if source is not None:
                source.over()
        context.over()


def _bodyChange(body: Body) -> BodyChanged:
    if body.complete:
        return BodyChanged(body.keep())
    return BodyChanged(None, True)


def _outcomeOf(seen: OutcomeSeen) -> Outcome:
    return Outcome(
        seen.status,
        seen.bytesIn,
        seen.bytesOut,
        seen.seconds,
        seen.upstream,
        seen.upstreamSeconds,
        seen.interruptedBy,
        None if seen.error is None else EdgeError(seen.error),
    )
