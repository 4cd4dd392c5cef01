"""
What the parts of the data plane ask of each other, whatever version of HTTP is spoken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.web.resource import IResource
from zope.interface import Interface

if TYPE_CHECKING:
    from revproxy.context import Headers, Response


class IClientStream(Interface):
    """The connection side of one exchange: where the answer is written."""

    def sendInformational(status: int, headers: Headers) -> None:
        """Pass on a 1xx answer (RFC 9110 §15.2); left out for HTTP/1.0."""

    def sendResponse(response: Response) -> None:
        """Write the answer; ``exchange.responseSent`` or ``exchange.responseFailed`` is called when that is over."""

    def switchProtocols(response: Response, tunnel: Any) -> None:
        """Write a 101 answer and join the client's connection with the tunnel (RFC 9110 §7.8)."""

    def abort() -> None:
        """Break off: the client must not take what it has for whole."""


class ILeaf(IResource):
    """
    A node of the resource tree that answers. ``render`` is given the :class:`revproxy.dataplane.exchange.Exchange`
    as its request and returns ``NOT_DONE_YET``; it calls ``exchange.answered`` or ``exchange.failed``, once.
    """
