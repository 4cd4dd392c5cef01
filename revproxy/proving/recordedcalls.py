"""
The calls of one plugin in a recording, request by request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import msgspec

from revproxy.replay.outcome import Outcome
from revproxy.replay.recordedcall import RecordedCall
from revproxy.replay.recordedrequest import RecordedRequest
from revproxy.replay.watchedfields import watched


class CallsOfOne(NamedTuple):
    """
    Those of one request.

    :ivar calls: that were made, in order; ``outcomes``: what came of each.
    :ivar incomparable: why they cannot be held against another's; empty: they can.
    """

    calls: tuple[RecordedCall, ...]
    outcomes: tuple[Outcome, ...]
    incomparable: str

    @property
    def title(self) -> str:
        """What people call the request."""
        first = self.calls[0]
        return f"{_text(first.method)} {_text(first.host)}{_text(first.target)} ({first.id})"


def callsOf(plugin: str, requests: Iterable[RecordedRequest]) -> Iterator[CallsOfOne]:
    """Of each request that came to the plugin."""
    for request in requests:
        made = [each for each in request.calls if each.plugin == plugin]
        if made:
            why = next((each.outcome.incomparable for each in made if each.outcome.incomparable), "")
            yield CallsOfOne(tuple(each.call for each in made), tuple(each.outcome for each in made), why)


def watchedCalls(calls: Iterable[RecordedCall], seen: Callable[[str], None]) -> tuple[RecordedCall, ...]:
    """
    The same calls; who looks at a field that was redacted is told of.

    :param seen: called with the name of the field.
    """
    return tuple(msgspec.structs.replace(call, headers=watched(call.headers, seen)) for call in calls)


def _text(octets: bytes) -> str:
    return octets.decode("latin-1")
