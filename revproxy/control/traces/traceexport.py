"""
The export of traces: which requests, where to, and what people are told when it does not work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from revproxy.config.tracesconfig import TracesConfig
from revproxy.control.traces.sampledrecords import sampledIn
from revproxy.control.traces.spansender import Export, OtlpExport, SpanSender
from revproxy.plan.events import EventLog
from revproxy.plan.words import Records

LOOK = 5.0
"""Seconds between two looks at what has become of spans."""

END = 1.0
"""Seconds that the end of the edge waits for them."""


class TraceExport:
    """
    That of one edge.

    Its events are ``traces-dropped``, when spans begin to be lost, and ``traces-restored``.
    """

    _log = Logger()

    def __init__(
        self,
        events: EventLog,
        clock: Any,
        inThread: Callable[..., Deferred[Any]],
        makeExport: Callable[[TracesConfig], Export] = OtlpExport,
    ) -> None:
        """
        :param clock: provides `IReactorTime`.
        :param inThread: runs a function, with arguments, in a thread.
        """
        self._events = events
        self._clock = clock
        self._inThread = inThread
        self._makeExport = makeExport
        self._sender: SpanSender | None = None
        self._next: IDelayedCall | None = None
        self._dropped = 0
        self._isLosing = False

    @property
    def isOn(self) -> bool:
        """Whether anything is exported."""
        return self._sender is not None

    def adopt(self, config: TracesConfig) -> None:
        """Export as it says from now on; what waits still goes where it was to go."""
        wanted = config if config.otlp is not None else None
        before = None if self._sender is None else self._sender.config
        if wanted == before:
            return
        if self._sender is not None:
            self._sender.hurry()
        self._sender = None if wanted is None else SpanSender(wanted, self._makeExport)
        self._dropped, self._isLosing = 0, False
        self._arrange()

    def told(self, worker: int, word: Records) -> None:
        """A worker tells of requests that are over."""
        sender = self._sender
        if sender is not None:
            records = sampledIn(word.batch)
            if records:
                sender.put(records)

    def figures(self) -> tuple[int, int]:
        """How many requests' spans were sent, and how many were not, since this receiver was configured."""
        return (0, 0) if self._sender is None else (self._sender.sent, self._sender.dropped)

    def stop(self) -> None:
        """The edge is about to end."""
        if self._next is not None:
            self._next.cancel()
            self._next = None

    async def end(self) -> None:
        """Send what waits, if that can be done in :data:`END` seconds."""
        self.stop()
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.hurry()
            await self._inThread(sender.wait, END)

    def _arrange(self) -> None:
        self.stop()
        if self._sender is not None:
            self._next = self._clock.callLater(LOOK, self._look)

    def _look(self) -> None:
        """Tell when spans begin to be lost, and when that is over: not each time."""
        self._next = None
        self._arrange()
        sender = self._sender
        assert sender is not None
        dropped, self._dropped = sender.dropped - self._dropped, sender.dropped
        if dropped and not self._isLosing:
            self._isLosing = True
            why = sender.failure or "they come faster than the receiver takes them"
            text = f"spans of {dropped} requests were not sent to {sender.config.otlp}: {why}"
            self._events.add("traces-dropped", text, about={"receiver": sender.config.otlp or ""})
        elif self._isLosing and not dropped and not sender.failure:
            self._isLosing = False
            text = f"{sender.config.otlp} takes spans again; those of {sender.dropped} requests were not sent"
            self._events.add("traces-restored", text, about={"receiver": sender.config.otlp or ""})
