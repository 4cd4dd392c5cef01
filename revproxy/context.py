"""
One request as a plugin sees it: :class:`Context`, with its :class:`~revproxy.messages.Request` and
:class:`~revproxy.messages.Response`.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NoReturn, Protocol

from revproxy.body import Body
from revproxy.checked import Checked, finalStatus, kept, text, told
from revproxy.destination import NOWHERE, Place, Routed
from revproxy.errors import EdgeError, answerParts
from revproxy.headers import TOKEN, Field, Headers  # noqa: F401  (TOKEN could be had from here in 0.1.0)
from revproxy.logfields import LogFields
from revproxy.messages import Peer, Request, Response
from revproxy.pieces import Pieces, isIterator
from revproxy.toolbox import Services, Toolbox

__all__ = ["Body", "Context", "Headers", "Outcome", "Peer", "Request", "Response"]


Piece = bytes | bytearray | memoryview | str

Content = Piece | Iterator[Piece] | AsyncIterable[Piece]
"""What an answer may consist of."""


def _answerWith(context: Context, response: Any) -> None:
    """
    A plugin assigns an answer.

    :raises TypeError: if it is none, or has parts that cannot be sent.
    """
    if not isinstance(response, Response):
        raise TypeError(f"not a Response: {told(response)}; context.respond(status, body, headers) makes one")
    if not isinstance(response._headers, Headers):
        raise TypeError(f"its headers are no Headers: {told(response._headers)}; use Headers.of({{name: value}})")
    if not (response._body is None or isinstance(response._body, Body)):
        raise TypeError(f"its body is no Body: {told(response._body)}; Body.of(data) makes one")
    if response._status != 101 or not hasattr(response, "tunnel"):
        finalStatus(response._status)
    response._context = context
    context._response = response


@dataclass(slots=True)
class Outcome:
    """
    How a request ended, for observers.

    :ivar status: what the client got; 499 if it left first.
    :ivar bytesIn: bytes of the request body that were received.
    :ivar bytesOut: bytes of the answer, head included, that were written.
    :ivar seconds: from the first byte of the head to the last byte of the answer.
    :ivar upstream: the target that answered, or None.
    :ivar upstreamSeconds: until the target's head was there, or None.
    :ivar interruptedBy: the plugin that answered, or None.
    :ivar error: the cause when it went wrong, or None.
    """

    status: int = 0
    bytesIn: int = 0
    bytesOut: int = 0
    seconds: float = 0.0
    upstream: str | None = None
    upstreamSeconds: float | None = None
    interruptedBy: str | None = None
    error: EdgeError | None = None


class Answering(Protocol):
    """The edge's side of one request, for its context."""

    @property
    def isAnswered(self) -> bool:
        """Whether something of the answer was sent."""

    def informational(self, status: int, headers: Headers) -> bool:
        """Send a 1xx answer. :returns: False if the final one came before."""


class Ending(Protocol):
    """What has to do with a request until its end."""

    def stopProducing(self) -> None:
        """It is over."""


class Context(Routed):
    """
    One request on its way through the chain.

    :ivar request: the request.
    :ivar response: the answer, once there is one.
    :ivar values: what plugins pass to each other within this request.
    :ivar serial: the edge's own number for the request, as bytes: its :attr:`id` until a plugin sets another.
    :ivar outcome: how it ended; for observers only.
    :ivar depth: how many links have let the request pass; kept by the chain.
    :ivar interruptedBy: the name of the plugin that answered instead of the route, or None.
    :ivar pluginErrors: names of plugins whose failure failed the request.
    :ivar pluginsSkipped: names of plugins that failed and were passed over (``on_error: open``).
    """

    __slots__ = (
        "_answerBefore",
        "_before",
        "_depth",
        "_exchange",
        "_fields",
        "_id",
        "_interruptedBy",
        "_made",
        "_outcome",
        "_pluginErrors",
        "_pluginsSkipped",
        "_request",
        "_response",
        "_serial",
        "_standings",
        "_story",
        "_toolbox",
        "_values",
        "request",
    )

    response: Checked[Response | None] = property(attrgetter("_response"), _answerWith)  # type: ignore[assignment]
    depth: Checked[int] = kept("_depth")
    interruptedBy: Checked[str | None] = kept("_interruptedBy")
    outcome: Checked[Outcome] = kept("_outcome")
    pluginErrors: Checked[tuple[str, ...]] = kept("_pluginErrors")
    pluginsSkipped: Checked[tuple[str, ...]] = kept("_pluginsSkipped")
    serial: Checked[bytes] = kept("_serial", "context.id may be set")

    def __init__(self, request: Request, route: Place = NOWHERE, serial: bytes = b"") -> None:
        # As Routed does; a call would cost each request more than these lines.
        self._route = route
        self._goal = None
        # Read far more often than anything else, so it is not checked; the edge goes by its own.
        self.request = self._request = request
        self._exchange: Answering | None = None
        self._response: Response | None = None
        self._serial = serial
        self._outcome = _UNFINISHED
        self._depth = 0
        self._interruptedBy: str | None = None
        self._pluginErrors: tuple[str, ...] = ()
        self._pluginsSkipped: tuple[str, ...] = ()
        self._id: str | None = None
        self._values: dict[str, Any] | None = None
        self._fields: LogFields | None = None
        self._toolbox: Toolbox | None = None
        # What was to be sent piece by piece, whether or not it is, and who else is to know of the request's end.
        self._made: tuple[Ending, ...] = ()
        # For whoever asks later why it went so: fields as they came, of both messages; see dataplane/story.py.
        self._before: list[Field] | None = None
        self._answerBefore: list[Field] | None = None
        self._story: Any = None
        # Where its client stands in trials of versions; see dataplane/fork.py.
        self._standings: Any = None

    @property
    def id(self) -> str:
        """
        The request's id: in error pages, the access log, and wherever a plugin puts it.

        :raises ValueError: when set to what is not printable ASCII of 1 to 255 characters.
        """
        if self._id is None:
            self._id = self._serial.decode("ascii")
        return self._id

    @id.setter
    def id(self, id: str) -> None:
        if not text(id, "an id") or len(id) > 255 or not (id.isascii() and id.isprintable()):
            raise ValueError(f"an id is printable ASCII, for it is sent in a header: {id[:300]!r}")
        # As plain text: whoever writes the log takes no other.
        self._id = str.__str__(id)

    @property
    def isReadingBody(self) -> bool:
        """Whether a plugin waits for a body of this request."""
        body = self._request._body
        if body is not None and body.isBeingRead:
            return True
        response = self._response
        return response is not None and response._body is not None and response._body.isBeingRead

    @property
    def values(self) -> dict[str, Any]:
        """A dict of this request's own."""
        values = self._values
        if values is None:
            values = self._values = {}
        return values

    @values.setter
    def values(self, values: Any) -> NoReturn:
        raise AttributeError('context.values stays: context.values["name"] = value, or context.values.update(…)')

    @property
    def fields(self) -> LogFields:
        """
        What the access log is to say of this request besides: ``context.fields["tenant"] = "a"``. In JSON it is in
        ``fields``; the combined format has no room for it. Names and values are checked where they are assigned: text
        (cut at 256 characters), numbers, true, false and None, 16 of them.
        """
        fields = self._fields
        if fields is None:
            fields = self._fields = LogFields()
        return fields

    @fields.setter
    def fields(self, fields: Any) -> NoReturn:
        raise AttributeError('context.fields stays: context.fields["name"] = value, or context.fields.update(…)')

    @property
    def client(self) -> Any:
        """
        A treq client of the plugin's own: no shared cookies, bounded connections, deadlines.

        :raises RuntimeError: if no plugin is being called.
        """
        return self._tools().client

    @property
    def services(self) -> Services:
        """
        What other plugins provide, looked up by zope interface.

        :raises RuntimeError: if no plugin is being called.
        """
        return Services(self._tools())

    @property
    def log(self) -> Any:
        """
        A :class:`twisted.logger.Logger` in the plugin's name.

        :raises RuntimeError: if no plugin is being called.
        """
        return self._tools().log

    def respond(
        self,
        status: int,
        body: Content = b"",
        headers: Mapping[str, str] | None = None,
    ) -> bool:
        """
        Answer the request here. ``return context.respond(403, "no")`` reads well in a middleware.

        :param body: bytes, or text (sent as UTF-8, with a content type unless ``headers`` has one). Or an iterator of
            such pieces, also an asynchronous one: it is asked for a piece as the client takes them, and closed at the
            end, or when the client leaves.
        :returns: False, always.
        :raises ValueError: for a status outside 200–599 or a header that cannot be sent.
        :raises TypeError: for a status that is no int, a body that is neither bytes nor text, or headers that are none.
        """
        if not isinstance(body, (bytes, str)) and isIterator(body):
            status, fields, _ = answerParts(status, b"", headers)
            pieces = Pieces(body, self, self._tools())
            self._made += (pieces,)
            made = pieces.body
        else:
            status, fields, data = answerParts(status, body, headers)
            made = Body.of(data)
        response = self._response = Response(status, None, fields, made)
        response._context = self
        return False

    def sendInformational(self, status: int, headers: Mapping[str, str] | None = None) -> None:
        """
        Send an interim answer before the final one, as often as you like: ``context.sendInformational(103, {"Link":
        "</style.css>; rel=preload"})`` (RFC 8297). A client that speaks HTTP/1.0 is sent none.

        :param status: from 102 to 199; 100 and 101 are the edge's own.
        :raises ValueError: for another status, or a header that cannot be sent.
        :raises TypeError: for what is no status, or no headers.
        :raises RuntimeError: if the final answer is on its way.
        """
        if not isinstance(status, int) or isinstance(status, bool):
            raise TypeError(f"a status is an int, not {told(status)}")
        if not 102 <= status <= 199:
            raise ValueError(f"an interim status is from 102 to 199, not {status}; the edge itself sends 100 and 101")
        fields = Headers.of(headers) if headers else Headers()
        if self._exchange is None or not self._exchange.informational(int(status), fields):
            raise RuntimeError("the answer is on its way: interim ones are sent from handle or handleResponse")

    @property
    def isAnswered(self) -> bool:
        """Whether something of the answer was sent: then it cannot be another one any more."""
        return self._exchange is None or self._exchange.isAnswered

    def isFilteredBy(self, name: str) -> bool:
        """Whether a plugin of that name filters or makes a body of this request."""
        bodies = (self._request._body, None if self._response is None else self._response._body)
        return any(body is not None and body.isFilteredBy(name) for body in bodies)

    def over(self) -> None:
        """The request is over: what refers back to this lets go, so that nothing waits for the garbage collector."""
        self._exchange = self._before = self._answerBefore = self._story = None
        for pieces in self._made:
            # Perhaps of an answer that another has taken the place of.
            pieces.stopProducing()
        request, response = self._request, self._response
        request._context = None
        if request._body is not None:
            request._body._context = None
        if response is not None:
            response._context = None
            if response._body is not None:
                response._body._context = None

    def bodyBrokenBy(self, error: Exception) -> bool:
        """Whether a body of this request will never be complete for exactly this reason."""
        bodies = (self._request._body, None if self._response is None else self._response._body)
        return any(body is not None and body.brokenBy(error) for body in bodies)

    def _isOnItsWayIn(self) -> bool:
        return self._toolbox is not None and self._response is None and not self._outcome.status

    def _tools(self) -> Toolbox:
        if self._toolbox is None:
            raise RuntimeError("only a plugin that is being called may ask for this")
        return self._toolbox


_UNFINISHED = Outcome()
