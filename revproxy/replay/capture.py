"""
One call of a plugin, taken down while it is made: the same way for a real request, and for a copy of one.

What is taken from the context are references and short copies; values are made of them when somebody wants them.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from twisted.internet.defer import CancelledError

from revproxy.context import Context
from revproxy.errors import EdgeError, PluginQuarantined, Refused
from revproxy.headers import Field, Headers
from revproxy.messages import Response
from revproxy.replay.bodytap import BodyUse, useOf, useOver
from revproxy.replay.outcome import Outcome, Raised
from revproxy.replay.raising import raisedBy, refusalIn
from revproxy.replay.recordedcall import HeaderPair, Phase, RecordedCall, RecordedExchange, RecordedResponse
from revproxy.replay.writtenvalues import written

MOST_BODY: Final = 65536
"""Bytes of a body that are kept."""

GIVEN_UP: Final = "it was given up while it waited"
BROKEN_BODY: Final = "a body broke off"
OPEN_BODY: Final = "a body had not come to its end"
UNREADABLE: Final = "what it has left in values cannot be looked at"
QUARANTINED: Final = "it is quarantined"

CANNOT_BE_WRITTEN: Final = "(cannot be written)"
"""In the place of a value that the plugin has left, which is none of JSON's."""


class _Interim:
    """The edge's side of a request, for the time of one call: interim answers are noted on their way."""

    __slots__ = ("_of", "sent")

    def __init__(self, exchange: Any, sent: list[int]) -> None:
        self._of = exchange
        self.sent = sent

    def __getattr__(self, name: str) -> Any:
        return getattr(self._of, name)

    @property
    def isAnswered(self) -> bool:
        """Whether something of the answer was sent."""
        answered: bool = self._of.isAnswered
        return answered

    def informational(self, status: int, headers: Headers) -> bool:
        """Send a 1xx answer."""
        sent: bool = self._of.informational(status, headers)
        if sent:
            self.sent.append(status)
        return sent


class _Head(NamedTuple):
    """What a request is, and where it goes, at some moment."""

    method: bytes
    target: bytes
    host: bytes
    fields: list[Field]
    upstream: str


def _headOf(context: Context) -> _Head:
    request, goal = context._request, context._goal
    upstream = "" if goal is None or goal.upstream is None else _chosen(goal.upstream, goal.origin)
    return _Head(request._rawMethod, request._rawTarget, request._rawHost, request._headers.fields.copy(), upstream)


class Capture:
    """
    One call.

    :ivar seconds: self time; added to by whoever makes the call.
    :ivar told: what the plugin was answered by others.
    :ivar incomparable: why this cannot be held against another; empty: nothing is known that would keep it from that.
    :ivar isOver: whether it has answered.
    """

    __slots__ = (
        "_after",
        "_answerAfter",
        "_answerBefore",
        "_answerFields",
        "_answerStatus",
        "_answerUse",
        "_before",
        "_context",
        "_exchange",
        "_folder",
        "_id",
        "_informed",
        "_isRerouted",
        "_logged",
        "_loggedBefore",
        "_madeUse",
        "_most",
        "_phase",
        "_raised",
        "_refused",
        "_request",
        "_requestUse",
        "_route",
        "_unwritable",
        "_values",
        "_valuesAfter",
        "_verdict",
        "incomparable",
        "isOver",
        "seconds",
        "told",
    )

    def __init__(self, context: Context, phase: Phase, folder: str = "", most: int = MOST_BODY) -> None:
        """
        :param folder: of the plugin, to tell where it raises.
        :param most: bytes of each body that are kept.
        """
        self._context: Context | None = context
        self._phase: Phase = phase
        self._folder = folder
        self._most = most
        self.seconds = 0.0
        self.told: list[RecordedExchange | Any] = []
        self.incomparable = ""
        self.isOver = False
        self._verdict: bool | None = None
        self._raised: Raised | None = None
        self._refused: RecordedResponse | None = None
        self._informed: list[int] = []
        self._isRerouted = False
        self._logged: dict[str, Any] = {}
        request = self._request = context._request
        self._before = self._after = _headOf(context)
        self._id = context._serial if context._id is None else context._id
        self._route = context._route
        self._values, self._unwritable = written(context._values)
        self._valuesAfter = self._values
        self._loggedBefore = dict(context._fields) if context._fields else {}
        self._requestUse = useOf(request._body, most, folder)
        response = self._answerBefore = context._response if phase == "handleResponse" else None
        self._answerAfter: tuple[int, list[Field]] | None = None
        self._answerStatus = 0
        self._answerFields: list[Field] = []
        self._answerUse: BodyUse | None = None
        self._madeUse: BodyUse | None = None
        if response is not None:
            self._answerStatus = response._status
            self._answerFields = response._headers.fields.copy()
            self._answerUse = useOf(response._body, most, folder)
        self._exchange: Any = context._exchange
        if self._exchange is not None:
            context._exchange = _Interim(self._exchange, self._informed)

    @property
    def isOpen(self) -> bool:
        """Whether more may come of a body, which a filter of the plugin's is at."""
        return not (self._raised or self._refused) and any(map(_isOpen, self._uses()))

    def _uses(self) -> tuple[BodyUse, ...]:
        return (self._requestUse,) if self._madeUse is None else (self._requestUse, self._madeUse)

    @property
    def verdict(self) -> bool | None:
        """What ``handle`` has answered; None where it has not, or has raised."""
        return self._verdict

    # The end of the call

    def over(self, verdict: Any = None) -> None:
        """It has answered."""
        if self.isOver:
            return  # nobody waited any more
        self._verdict = verdict if verdict is True or verdict is False else None
        if self._phase == "handle" and self._verdict is None:
            self._raised = Raised("WrongAnswer", "neither True nor False")
        self._end()

    def failed(self, error: BaseException) -> None:
        """It has raised."""
        if self.isOver:
            return
        context = self._context
        if isinstance(error, (CancelledError, GeneratorExit)):
            self.incomparable = self.incomparable or GIVEN_UP
        elif isinstance(error, PluginQuarantined):
            self.incomparable = QUARANTINED
        elif isinstance(error, EdgeError) and context is not None and context.bodyBrokenBy(error):
            self.incomparable = BROKEN_BODY
        elif isinstance(error, Refused):
            self._verdict = False if self._phase == "handle" else None
            self._refused = refusalIn(error)
        else:
            self._raised = raisedBy(error, self._folder)
        self._end()

    def giveUp(self) -> None:
        """The request is over; nobody waits for the answer, if it has not come."""
        if not self.isOver:
            self.incomparable = self.incomparable or GIVEN_UP
            self._end()

    def _end(self) -> None:
        self.isOver = True
        context, self._context = self._context, None
        if context is None:
            return
        if isinstance(context._exchange, _Interim):
            context._exchange = self._exchange
        self._exchange = None
        self._after = _headOf(context)
        goal = context._goal
        self._isRerouted = goal is not None and goal.isRerouting
        useOver(self._requestUse, self._request._body)
        self._answerOver(context._response)
        try:
            self._leftIn(context)
        except BaseException:  # values of plugins may be anything
            self.incomparable = self.incomparable or UNREADABLE
            raise

    def _leftIn(self, context: Context) -> None:
        self._valuesAfter, others = written(context._values)
        known = self._unwritable
        # What came so is known to nobody. What the plugin itself has left is known to be there.
        self._valuesAfter.update((name, CANNOT_BE_WRITTEN) for name in others if name not in known)
        fields = context._fields
        if fields:
            before = self._loggedBefore
            self._logged = {name: value for name, value in fields.items() if before.get(name, fields) != value}

    def _answerOver(self, response: Response | None) -> None:
        before, use = self._answerBefore, self._answerUse
        self._answerBefore = None
        if response is not before:  # another one, or the first
            if use is not None and before is not None:
                useOver(use, before._body)
            use = None if response is None else useOf(None, self._most, self._folder)
        if use is not None and response is not None:
            useOver(use, response._body)
            self._answerAfter = response._status, response._headers.fields.copy()
            self._madeUse = use

    # Values

    def call(self) -> RecordedCall:
        """What the plugin was asked. A body that is still on its way is taken down as far as it has come."""
        head, request = self._before, self._request
        given = self._requestUse.given
        response = None
        if self._phase == "handleResponse":
            answer = None if self._answerUse is None else self._answerUse.given
            response = RecordedResponse(
                self._answerStatus,
                _pairs(self._answerFields),
                None if answer is None else answer.data,
                answer is not None and answer.isWhole,
            )
        tls = request._tls
        return RecordedCall(
            self._phase,
            head.method,
            head.target,
            head.host,
            request._version,
            request._scheme,
            _pairs(head.fields),
            (request._peer.host, request._peer.port),
            self._id if isinstance(self._id, str) else self._id.decode("ascii"),
            self._route.name,
            str(getattr(tls, "serverName", "") or ""),
            self._values,
            self._unwritable,
            head.upstream,
            None if given is None else given.data,
            given is not None and given.isWhole,
            response,
            tuple(each if isinstance(each, RecordedExchange) else each.recorded() for each in self.told),
            self._route.upstream or "",
        )

    def outcome(self) -> Outcome:
        """What came of it, by now: bodies go on after the call."""
        head = self._after
        uses = self._uses()
        raised = self._raised or next((use.raised for use in uses if use.raised), None)
        response = self._refused or next((use.refused for use in uses if use.refused), None)
        if response is None and self._answerAfter is not None and self._madeUse is not None:
            body, isWhole = _bodyAfter(self._madeUse)
            status, fields = self._answerAfter
            response = RecordedResponse(status, _pairs(fields), body, isWhole)
        incomparable = self.incomparable or (OPEN_BODY if self.isOpen else "")
        made = self._requestUse.made
        digest = "" if made is None or self._requestUse.isUntouched else made.digest()
        return Outcome(
            self._verdict,
            raised,
            response,
            head.target,
            head.host,
            head.method,
            _pairs(head.fields),
            self._valuesAfter,
            head.upstream if head.upstream != self._before.upstream else "",
            digest,
            self._isRerouted,
            tuple(self._informed),
            self._logged,
            self.seconds,
            incomparable,
        )


def _isOpen(use: BodyUse) -> bool:
    """Whether more may come of it."""
    if use.raised or use.refused:
        return False
    return use.body is not None and use.made is not None and not use.made.isOver


def _bodyAfter(use: BodyUse) -> tuple[bytes | None, bool]:
    """None and True: as it was. None and False: it is made piece by piece, which nobody knows here."""
    made = use.made
    if made is None or use.isUntouched:
        return None, True
    if use.body is None and not made.isOver:
        return None, False
    return made.data, made.isWhole


def _chosen(upstream: str, origin: str | None) -> str:
    return upstream if origin is None else f"{upstream} {origin}"


def _pairs(fields: list[Field]) -> tuple[HeaderPair, ...]:
    return tuple([(name, value) for _, name, value in fields])
