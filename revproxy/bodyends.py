"""
What stands at the two ends of a body: where its bytes come from, and where they go.
"""

from __future__ import annotations

from twisted.python.failure import Failure
from zope.interface import Interface, implementer


class IBodySource(Interface):
    """Where the bytes of a :class:`~revproxy.body.Body` come from."""

    def pauseProducing() -> None:
        """Give no more data until resumed."""

    def resumeProducing() -> None:
        """Go on."""

    def stopProducing() -> None:
        """The rest is not wanted."""


class IBodySink(Interface):
    """Where the bytes of a :class:`~revproxy.body.Body` go. Exactly one of the last two is called, once."""

    def bodyData(data: bytes) -> None:
        """Some bytes, never empty."""

    def bodyFinished() -> None:
        """The body is complete; ``body.trailers`` is set if there are any."""

    def bodyFailed(reason: Failure) -> None:
        """The body will never be complete."""


@implementer(IBodySink)
class Nowhere:
    """A sink that drops everything."""

    __slots__ = ()

    def bodyData(self, data: bytes) -> None:
        pass

    def bodyFinished(self) -> None:
        pass

    def bodyFailed(self, reason: Failure) -> None:
        pass


NOWHERE = Nowhere()
"""The one there has to be."""
