"""
One request as a plugin sees it that has said what it needs (``permissions`` in plugin.json), in the edge's own process.

What it may not read it does not see: header fields that are not its own are not there, and other parts raise
:class:`~revproxy.errors.NotPermitted`, as does whatever it may not change or do. The error names what to ask for.

This guards against mistakes, and is no wall: code in the edge's own process can reach whatever the process can. Code
that nobody trusts runs in a locked process (``isolation: process``), where the same permissions hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from revproxy.context import Content, Context, Response
from revproxy.facade import calling, shown
from revproxy.guardedbody import GuardedBody
from revproxy.guardedheaders import unguarded
from revproxy.guardedmessages import GuardedRequest, GuardedResponse
from revproxy.headers import Headers, joined
from revproxy.permissions import NAMED_ONLY
from revproxy.permit import Permit


class GuardedContext(Context):
    """
    A facade of a context, for one call of one plugin; whoever keeps it may go on using it.

    What is said by headers of an answer of its own takes no permission but to answer; fields that let people in have to
    be granted there, too.
    """

    __slots__ = ("_of", "_own", "_permit", "_seenRequest", "_seenResponse")

    def __init__(self, context: Context, permit: Permit) -> None:
        self._of = context
        self._permit = permit
        self._own: Response | None = None
        self._seenRequest: GuardedRequest | None = None
        self._seenResponse: GuardedResponse | None = None

    # The messages

    @property  # type: ignore[override]
    def request(self) -> GuardedRequest:  # type: ignore[override]
        """The request."""
        seen = self._seenRequest
        if seen is None:
            seen = self._seenRequest = GuardedRequest(self._of._request, self._permit)
        return seen

    @property
    def response(self) -> Response | None:
        """The answer, once there is one. One of the plugin's own making is all its own."""
        response, seen = self._of._response, self._seenResponse
        if response is None or response is self._own:
            return response
        if seen is None or seen._of is not response:
            seen = self._seenResponse = GuardedResponse(response, self._permit)
        return seen

    @response.setter
    def response(self, response: Any) -> None:
        if isinstance(response, GuardedResponse):
            response = response._of
        if response is self._of._response and response is not None:
            return
        self._permit.respond("another answer")
        if isinstance(response, Response):
            response._headers = unguarded(response._headers)
            if isinstance(response._body, GuardedBody):
                response._body = response._body._of
            if isinstance(response._headers, Headers):
                self._permitOwn(response._headers)
        self._of.response = response
        self._own = self._of._response

    def respond(self, status: int, body: Content = b"", headers: Mapping[str, str] | None = None) -> bool:
        """As :meth:`Context.respond`. :raises NotPermitted:"""
        self._permit.respond("an answer of its own")
        self._permitOwn(headers)
        answer = self._of.respond(status, body, headers)
        self._own = self._of._response
        return answer

    def sendInformational(self, status: int, headers: Mapping[str, str] | None = None) -> None:
        """As :meth:`Context.sendInformational`. :raises NotPermitted:"""
        self._permit.respond("an interim answer")
        self._permitOwn(headers)
        self._of.sendInformational(status, headers)

    def _permitOwn(self, headers: Mapping[str, str] | Headers | None) -> None:
        """Fields of an answer of its own."""
        for name, _ in Headers.of(headers or ()):
            plain = joined(name.lower().encode("latin-1")).decode("latin-1")
            if plain in NAMED_ONLY:
                self._permit.write(plain, f"the field {name}")

    # Where it goes

    @property
    def upstream(self) -> str | None:
        """As ``context.upstream``."""
        return self._of.upstream

    @upstream.setter
    def upstream(self, name: str | None) -> None:
        self._permit.chooseUpstream(name, "the choice of an upstream")
        self._of.upstream = name

    @property
    def origin(self) -> str | None:
        """As ``context.origin``."""
        return self._of.origin

    @origin.setter
    def origin(self, url: str | None) -> None:
        self._permit.chooseUpstream(self._of.upstream, "the choice of a target")
        self._of.origin = url

    @property
    def origins(self) -> tuple[str, ...]:
        """As ``context.origins``. :raises NotPermitted:"""
        self._permit.chooseUpstream(self._of.upstream, "context.origins")
        return self._of.origins

    reroute = calling("reroute", "context.reroute()", Permit.reroute)
    route = shown("route")

    # The rest is no secret to whoever is asked about the request.

    id = shown("id")
    serial = shown("serial")
    values = shown("values")
    fields = shown("fields")
    outcome = shown("outcome")
    depth = shown("depth")
    interruptedBy = shown("interruptedBy")
    pluginErrors = shown("pluginErrors")
    pluginsSkipped = shown("pluginsSkipped")
    isReadingBody = shown("isReadingBody")
    isAnswered = shown("isAnswered")
    client = shown("client")
    services = shown("services")
    log = shown("log")
    isFilteredBy = calling("isFilteredBy")
    over = calling("over")
    bodyBrokenBy = calling("bodyBrokenBy")

    def __eq__(self, other: object) -> bool:
        return self._of is (other._of if isinstance(other, GuardedContext) else other)

    def __hash__(self) -> int:
        return hash(self._of)
