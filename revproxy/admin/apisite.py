"""
One door's API on the wire: a factory of connections.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory

from revproxy.admin.api import Api, Visit
from revproxy.admin.beginnings import Beginnings
from revproxy.admin.callers import Caller, Callers
from revproxy.admin.channel import ApiChannel
from revproxy.admin.door import Door, Head
from revproxy.admin.reply import Reply
from revproxy.admin.stream import Stream, Streams


class ApiSite(Factory):  # type: ignore[misc]
    """
    :ivar beginnings: requests that are about to begin.
    :ivar callers: its connections.
    :ivar streams: those that are being told something.
    """

    noisy = False

    def __init__(self, clock: Any, api: Api, door: Door, callers: Callers, streams: Streams, prefix: str) -> None:
        """
        :param clock: provides `IReactorTime`.
        :param prefix: what the log calls it.
        """
        self.beginnings = Beginnings(clock)
        self.callers = callers
        self.streams = streams
        self._api = api
        self._door = door
        self._prefix = prefix

    def logPrefix(self) -> str:
        """What the log calls the port."""
        return self._prefix

    def buildProtocol(self, addr: Any) -> ApiChannel:
        """A client connects."""
        return ApiChannel(self)

    def log(self, request: Any) -> None:
        """Part of twisted.web's factory: it has a log of its own, which nobody reads."""

    def visit(self, head: Head, caller: Caller) -> Visit:
        """:raises Problem: it may not be asked."""
        visit = self._api.visit(head, self._door)
        caller.isKnown = caller.isKnown or bool(visit.entry.actor.name)
        isRescue = visit.found is not None and visit.found.operation.isRescue
        self.callers.checkPlace(caller, isRescue)
        return visit

    async def perform(self, visit: Visit, body: bytes) -> Reply | Stream:
        """:raises Problem: it was not done."""
        return await self._api.perform(visit, body)

    def dismiss(self) -> None:
        """End all connections that wait for nothing, and the others when they are answered; new ones may come."""
        self.streams.endThose(lambda actor: True)
        self.callers.dismiss()

    def close(self) -> Deferred[None]:
        """End all connections. :returns: fires when they are gone."""
        self.streams.close()
        return self.callers.close()


__all__ = ["ApiSite"]
