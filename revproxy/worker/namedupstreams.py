"""
Requests of plugins in locked processes: to upstreams that are configured, by their names.

They take the upstream's own way: its targets and how one is chosen, its connections and its TLS. What a plugin is
granted by name cannot be another place by the name of a host.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from revproxy.body import HIGH_WATER, Body
from revproxy.context import Response
from revproxy.dataplane.upstream.outgoing import Outgoing
from revproxy.dataplane.upstream.target import Target
from revproxy.dataplane.upstream.upstream import Upstream
from revproxy.errors import BodyTooLarge, Unavailable, UpstreamTimeout
from revproxy.isolation.brokering import Sent
from revproxy.isolation.frames import SendRequest
from revproxy.loop.waiting import notLonger
from revproxy.worker.upstreamfactory import Known


class NamedUpstreams:
    """
    Those of a worker.
    """

    def __init__(self, known: Callable[[], Known], clock: Any) -> None:
        """
        :param known: those that are configured now, by name.
        """
        self._known = known
        self._clock = clock

    def ask(
        self, frame: SendRequest, seconds: float, most: int, hold: Callable[[int], None] = lambda size: None
    ) -> Deferred[Sent]:
        """
        Send a request.

        :param seconds: until the whole answer is here.
        :param most: bytes of the answer's body.
        :param hold: called with the bytes of it that will be held, before they are; raises if that is too much.
        :returns: the answer. Cancelling ends the connection it was sent on.
        """
        known = self._known().get(frame.upstream)
        if known is None:
            raise Unavailable(f"there is no upstream {frame.upstream} in revproxy.yaml")
        sending = Deferred.fromCoroutine(self._send(known[1], frame, most, hold))
        return notLonger(sending, seconds, self._clock).addErrback(_asTimeout, seconds)

    async def _send(self, upstream: Upstream, frame: SendRequest, most: int, hold: Callable[[int], None]) -> Sent:
        response: Response = await _PluginsRequest(upstream, frame).begin()
        try:
            body = await _read(response.body, most, hold)
        except BaseException:
            response.body.detach()
            response.body.stopProducing()
            raise
        fields = [(name, value) for _, name, value in response._headers.fields]
        return response._status, response.reason.encode("latin-1"), fields, body


async def _read(body: Body, most: int, hold: Callable[[int], None]) -> bytes:
    """All of it; of one whose length is not known, no more is taken at a time than was asked for before."""
    if body._length is not None:
        if body._length <= most:
            hold(body._length)
        return await body.read(most)
    size = min(HIGH_WATER, most)
    hold(size)
    while True:
        try:
            return await body.read(size)
        except BodyTooLarge:
            if size >= most:
                raise
            more = min(3 * size, most - size)
            hold(more)
            size += more


def _asTimeout(failure: Any, seconds: float) -> Any:
    if failure.check(CancelledError):
        return failure
    if failure.type.__name__ == "TimeoutError":
        raise UpstreamTimeout(f"no answer within {seconds:g} s")
    return failure


class _PluginsRequest(Outgoing):
    """As the plugin has written it, to whichever target it goes."""

    __slots__ = ("_fields", "_path")

    def __init__(self, upstream: Upstream, frame: SendRequest) -> None:
        body = Body.of(frame.body) if frame.body else None
        super().__init__(upstream, frame.method, body, None)
        self._fields = frame.fields
        self._path = frame.target

    def aimAt(self, target: Target) -> None:
        """The host is the target's."""
        parts = [self.method, b" ", self._path, b" HTTP/1.1\r\nHost: ", target.host, b"\r\n"]
        for name, value in self._fields:
            parts += (name, b": ", value, b"\r\n")
        if self.body is not None:
            parts.append(b"Content-Length: %d\r\n" % (self.body._length or 0))
        elif self.method in (b"POST", b"PUT", b"PATCH"):
            parts.append(b"Content-Length: 0\r\n")
        parts.append(b"\r\n")
        self.head = b"".join(parts)
