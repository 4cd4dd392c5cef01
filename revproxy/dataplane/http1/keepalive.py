"""
How long an origin keeps a connection that nobody uses: what it announces, and what was seen.

An origin that closes a connection just as a request arrives has not read the request, but we cannot know. What may be
done twice is sent once more. What may not is lost, so it goes on no connection that is about to be closed.

What is learned decides for everybody, so no client may teach it. An origin can answer a request by closing (nginx's
444, a worker that dies), and soon after the one before. So a close with a request on its way counts only where the
connection had been unused for a while.
"""

from __future__ import annotations

from collections import deque
from functools import lru_cache

from revproxy.loop.deadlines import NEVER

MEMORY = 600.0
"""Seconds for which a close is remembered."""

TOGETHER = 1.0
"""Seconds within which closes are one event."""

EVENTS = 20
"""Events that are remembered."""

DOUBTFUL = 1.0
"""
Seconds unused below which a connection that is closed with a request on its way says nothing of others. An origin that
closes so soon is seen to do so while there is no request.
"""

FLOOR = 0.005
"""
Seconds for which a connection is good enough for a safe method, however soon the origin closes; and that much younger
it has to be for others at least.
"""

_PART = 0.5
"""The part of the time for which others trust it: the request has a way to go, and the origin's clock its own steps."""


@lru_cache(256)
def announced(value: bytes) -> float | None:
    """
    Seconds for which a connection may be unused, by a ``Keep-Alive`` field (RFC 2068 §19.7.1.1).

    A second less than the origin says, and not less than a quarter of it: 0.25 for 1, and 0 for 0, which means that
    it is not to be used again at all.

    :returns: None if the field says nothing that can be believed.
    """
    for parameter in value.split(b","):
        name, separator, number = parameter.partition(b"=")
        if separator and name.strip(b" \t").lower() == b"timeout":
            number = number.strip(b" \t")
            if not number.isdigit() or len(number) > 9:
                return None
            seconds = int(number)
            return max(seconds - 1.0, seconds / 4)
    return None


class Closes:
    """
    When one origin closed connections that nobody used.

    A time-out ends connections at one age, a restart ends all of them at any age. So of those that end within
    :data:`TOGETHER` only the oldest counts: it shows the time-out, and of a restart the least that could mislead.

    :ivar shortest: seconds after which the origin has closed one, the least that is remembered; None for nothing.
    """

    __slots__ = ("_events", "shortest")

    def __init__(self) -> None:
        self._events: deque[tuple[float, float]] = deque(maxlen=EVENTS)
        self.shortest: float | None = None

    def saw(self, now: float, idle: float) -> None:
        """The origin has closed a connection. :param idle: seconds for which it had been unused, or a little more."""
        events = self._events
        if events and now - events[-1][0] < TOGETHER:
            began, oldest = events.pop()
            events.append((began, max(oldest, idle)))
        else:
            events.append((now, idle))
        self.shortest = min(idle for _, idle in events)

    def trusted(self, now: float, isSafe: bool) -> float:
        """
        Seconds for which a connection may have been unused if a request is to go on it; not above 0 for no such one.

        :param isSafe: whether the request does nothing, so that it can be sent again.
        """
        events = self._events
        if events and now - events[0][0] > MEMORY:
            while events and now - events[0][0] > MEMORY:
                events.popleft()
            self.shortest = min((idle for _, idle in events), default=None)
        if self.shortest is None:
            return NEVER
        if isSafe:
            return max(self.shortest, FLOOR)
        return min(self.shortest * _PART, self.shortest - FLOOR)
