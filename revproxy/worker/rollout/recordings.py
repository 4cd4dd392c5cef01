"""
Requests that are taken down for somebody to keep them.

While there is a recording, the fork of each of its routes asks for each request whether it is wanted, sends those that
are through a taken-down chain, and each is given back here once its answer is on its way. Control is told of them once
a second, and writes them. What comes too fast is dropped, and counted.
"""

from __future__ import annotations

from collections.abc import Callable
from random import random
from typing import Any, Final, Protocol

import msgspec
from twisted.logger import Logger

from revproxy.plan.words import Record, Recorded
from revproxy.replay.recordedcall import RecordedCall, RecordedExchange, RecordedResponse
from revproxy.replay.recordedrequest import PluginCall, RecordedRequest

INTERVAL: Final = 1.0
"""Seconds between two words."""

MOST_BYTES: Final = 4 << 20
"""Bytes that wait to be told; what comes besides is dropped."""

_encoder = msgspec.msgpack.Encoder()


class Taken(Protocol):
    """A request as it was taken down."""

    def recorded(self) -> RecordedRequest:
        """As a value."""


Taker = Callable[[Taken], None]


class Recording:
    """One of them."""

    def __init__(self, word: Record) -> None:
        self.word = word
        self.waiting: list[bytes] = []
        self.bytes = 0
        self.dropped = 0

    def isOf(self, route: str) -> bool:
        """Whether a route's requests are meant."""
        return not self.word.routes or route in self.word.routes

    def put(self, encoded: bytes) -> None:
        """Have it told."""
        if self.bytes + len(encoded) > MOST_BYTES:
            self.dropped += 1
        else:
            self.waiting.append(encoded)
            self.bytes += len(encoded)

    def take(self) -> Recorded | None:
        """What is to be told; None: nothing."""
        if not self.waiting and not self.dropped:
            return None
        told = Recorded(self.word.recording, _array(self.waiting), len(self.waiting), self.dropped)
        self.waiting, self.bytes, self.dropped = [], 0, 0
        return told


class _Taker:
    """Takes a request for a recording."""

    _log = Logger()

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def __call__(self, taken: Taken) -> None:
        recording = self._recording
        try:
            recording.put(_encoder.encode(_within(taken.recorded(), recording.word.bodyBytes)))
        except Exception:  # plugins may have put anything anywhere, and nothing of this is the request's business
            self.dropped()
            self._log.failure("a request cannot be taken down")

    def dropped(self) -> None:
        """There were too many at a time."""
        self._recording.dropped += 1


class Recordings:
    """
    Of one worker.

    :ivar onChanged: called when there are recordings of other routes than before; see `isOf`.
    """

    def __init__(
        self, clock: Any, tell: Callable[[Recorded], None], random: Callable[[], float] = random
    ) -> None:
        """
        :param clock: provides `IReactorTime`.
        :param random: from 0 up to 1.
        """
        self.onChanged: Callable[[], None] = lambda: None
        self._clock = clock
        self._tell = tell
        self._random = random
        self._recordings: dict[str, Recording] = {}
        self._later: Any = None

    def hear(self, word: Record) -> None:
        """Begin a recording, have it go on otherwise, or end it."""
        known = self._recordings.get(word.recording)
        if word.share <= 0:
            if known is not None:
                self._tellOf(known)
                del self._recordings[word.recording]
                self.onChanged()
        elif known is None or known.word != word:
            if known is not None:
                self._tellOf(known)
            self._recordings[word.recording] = Recording(word)
            self.onChanged()
            self._schedule()

    @property
    def isAny(self) -> bool:
        """Whether there is any recording."""
        return bool(self._recordings)

    def isOf(self, route: str) -> bool:
        """Whether any of a route's requests are wanted."""
        return any(recording.isOf(route) for recording in self._recordings.values())

    def takers(self, route: str) -> tuple[Taker, ...]:
        """Who wants the next request of a route: it is chosen by chance, for each recording by itself."""
        return tuple(
            _Taker(recording)
            for recording in self._recordings.values()
            if recording.isOf(route) and self._random() < recording.word.share
        )

    def stop(self) -> None:
        """The end: tell what waits."""
        for recording in self._recordings.values():
            self._tellOf(recording)
        self._recordings.clear()
        if self._later is not None:
            self._later.cancel()
            self._later = None

    def _schedule(self) -> None:
        if self._later is None and self._recordings:
            self._later = self._clock.callLater(INTERVAL, self._tellAll)

    def _tellAll(self) -> None:
        self._later = None
        for recording in self._recordings.values():
            self._tellOf(recording)
        self._schedule()

    def _tellOf(self, recording: Recording) -> None:
        word = recording.take()
        if word is not None:
            self._tell(word)


def _array(items: list[bytes]) -> bytes:
    """A MessagePack array of what is encoded already."""
    return b"\xdd" + len(items).to_bytes(4, "big") + b"".join(items)


def _within(request: RecordedRequest, most: int) -> RecordedRequest:
    """The same with no body longer than that."""
    replace = msgspec.structs.replace

    def response(value: RecordedResponse | None) -> RecordedResponse | None:
        if value is None or value.body is None or len(value.body) <= most:
            return value
        return replace(value, body=value.body[:most], isWhole=False)

    def told(value: RecordedExchange) -> RecordedExchange:
        # An exchange that is cut would be replayed as if that was all.
        if len(value.body) <= most:
            return value
        return replace(value, body=b"", error=f"not kept: its body had {len(value.body)} bytes")

    def call(value: RecordedCall) -> RecordedCall:
        isLong = value.body is not None and len(value.body) > most
        return replace(
            value,
            body=value.body[:most] if isLong and value.body is not None else value.body,
            isWhole=value.isWhole and not isLong,
            response=response(value.response),
            told=tuple(map(told, value.told)),
        )

    def made(each: PluginCall) -> PluginCall:
        did = each.outcome
        return replace(each, call=call(each.call), outcome=replace(did, response=response(did.response)))

    return replace(request, calls=tuple(map(made, request.calls)), origin=response(request.origin))


__all__ = ["Recordings", "Taker"]
