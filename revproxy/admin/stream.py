"""
Server-sent events: what a handler returns to go on telling.

A client that does not take what it is told is dropped, and comes again with ``Last-Event-ID``; so nothing waits for it,
and what waits for it in memory is bounded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.logger import Logger
from zope.interface import implementer

from revproxy.admin.problem import Problem
from revproxy.admin.reply import encoded
from revproxy.control.actor import Actor

GATHERED = 0.05
"""Seconds for which events are gathered, to be sent at once."""

QUEUE = 1 << 20
"""Bytes that may wait for a client."""

HEARTBEAT = 15.0
"""
Seconds after which a client that is told nothing is sent a comment: so both learn whether the other is there. And after
which a stream ends whose token, or session, has.
"""

STREAMS = 64
"""Clients that are told something, at a time."""

OF_ONE = 24
"""Of one token: whoever has it must not keep all others from being told."""

RETRY = 2000
"""Milliseconds after which a browser comes again."""


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """
    :ivar data: what JSON can say.
    :ivar kind: the ``event``; empty: a ``message``.
    :ivar id: what the client has in ``Last-Event-ID`` when it comes again; empty: it stays what it was.
    """

    data: Any
    kind: str = ""
    id: str = ""


Tell = Callable[[StreamEvent], None]


@dataclass(frozen=True, slots=True)
class Stream:
    """
    :ivar begin: called once the client is connected, with a function that tells it something, at any time, until the
        stream is over; what it returns is then called, once. May tell of things before it returns.
    """

    begin: Callable[[Tell], Callable[[], object]]


class Sink(Protocol):
    """Where a stream goes: the request that asked for it."""

    def write(self, data: bytes) -> None:
        """Send."""

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Learn whether the client takes it."""

    def unregisterProducer(self) -> None:
        """Not any more."""

    def cut(self) -> None:
        """End the connection at once."""


class Streams:
    """
    All streams of one door.

    :ivar limit: how many there may be.
    """

    def __init__(self, clock: Any, limit: int = STREAMS) -> None:
        """:param clock: provides `IReactorTime`."""
        self.limit = limit
        self._clock = clock
        self._open: dict[OpenStream, Actor] = {}
        self._isOver = False

    def __len__(self) -> int:
        return len(self._open)

    def check(self, actor: Actor) -> None:
        """:raises Problem: there is no room for another."""
        if actor.token and sum(each.token == actor.token for each in self._open.values()) >= OF_ONE:
            text = f"{OF_ONE} streams are open for this token, which are the most; end another"
            raise Problem(503, text, headers={"Retry-After": "10"})
        if self._isOver or len(self._open) >= self.limit:
            text = f"{self.limit} streams are open, which are the most; end another, or try again later"
            raise Problem(503, text, headers={"Retry-After": "10"})

    def open(self, stream: Stream, sink: Sink, actor: Actor, stays: Callable[[], bool]) -> OpenStream:
        """
        Begin; the head is sent already.

        :param stays: whether the client still may have it; asked with each heartbeat.
        """
        made = OpenStream(self._clock, sink, self._ended, stays)
        self._open[made] = actor
        made.start(stream)
        return made

    def endThose(self, which: Callable[[Actor], bool]) -> None:
        """End the streams of those who may not have them any more."""
        for each, actor in list(self._open.items()):
            if which(actor):
                each.end()

    def close(self) -> None:
        """End all, and open none any more."""
        self._isOver = True
        self.endThose(lambda actor: True)

    def _ended(self, stream: OpenStream) -> None:
        self._open.pop(stream, None)


@implementer(IPushProducer)
class OpenStream:
    """One client that is being told."""

    _log = Logger()

    def __init__(
        self, clock: Any, sink: Sink, onEnd: Callable[[OpenStream], None], stays: Callable[[], bool]
    ) -> None:
        self._clock = clock
        self._stays = stays
        self._sink: Sink | None = sink
        self._onEnd = onEnd
        self._stop: Callable[[], object] | None = None
        self._waiting: list[bytes] = []
        self._size = 0
        self._isPaused = False
        self._due: IDelayedCall | None = None
        self._beat: IDelayedCall | None = None

    def start(self, stream: Stream) -> None:
        """Have the handler begin."""
        assert self._sink is not None
        self._sink.registerProducer(self, True)
        self._put(b"retry: %d\n\n" % RETRY)
        self._beat = self._clock.callLater(HEARTBEAT, self._heartbeat)
        stop = stream.begin(self.tell)
        if self._sink is None:
            stop()
        else:
            self._stop = stop

    def tell(self, event: StreamEvent) -> None:
        """Send an event, soon. One that comes after the end is dropped."""
        if self._sink is None:
            return
        head = f"event: {event.kind}\n" if event.kind else ""
        if event.id:
            head += f"id: {event.id}\n"
        self._put(head.encode() + b"data: " + encoded(event.data) + b"\n\n")

    def end(self) -> None:
        """Tell nothing more, and end the connection."""
        sink = self._sink
        if sink is not None:
            self.over()
            sink.unregisterProducer()
            sink.cut()

    def over(self) -> None:
        """The client is gone."""
        self._sink = None
        self._waiting.clear()
        for call in (self._due, self._beat):
            if call is not None and call.active():
                call.cancel()
        self._due = self._beat = None
        self._onEnd(self)
        stop, self._stop = self._stop, None
        if stop is not None:
            try:
                stop()
            except Exception:
                self._log.failure("the end of a stream")

    def pauseProducing(self) -> None:
        """The client does not take it."""
        self._isPaused = True

    def resumeProducing(self) -> None:
        """The client takes it again."""
        self._isPaused = False
        self._flush()

    def stopProducing(self) -> None:
        """The connection is lost; whose request it is calls `over`."""

    def _put(self, data: bytes) -> None:
        self._waiting.append(data)
        self._size += len(data)
        if self._size > QUEUE:
            self.end()
        elif self._due is None:
            self._due = self._clock.callLater(GATHERED, self._flush)

    def _flush(self) -> None:
        if self._due is not None and self._due.active():
            self._due.cancel()
        self._due = None
        sink = self._sink
        if sink is not None and self._waiting and not self._isPaused:
            data = b"".join(self._waiting)
            self._waiting.clear()
            self._size = 0
            sink.write(data)

    def _heartbeat(self) -> None:
        if not self._stays():
            self.end()
            return
        self._beat = self._clock.callLater(HEARTBEAT, self._heartbeat)
        if not self._waiting:
            self._put(b":\n\n")


__all__ = ["Stream", "StreamEvent", "Streams"]
