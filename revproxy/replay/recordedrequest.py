"""
A request with the calls of each plugin in it, and the origin's answer: what a recording is made of.
"""

from __future__ import annotations

import msgspec

from revproxy.replay.outcome import Outcome
from revproxy.replay.recordedcall import RecordedCall, RecordedResponse


class PluginCall(msgspec.Struct, frozen=True, array_like=True):
    """
    What one plugin was asked, and did.

    :ivar version: its number; ``digest``: of its files, empty where it is installed with Python.
    """

    plugin: str
    version: str
    digest: str
    call: RecordedCall
    outcome: Outcome


class RecordedRequest(msgspec.Struct, frozen=True, array_like=True):
    """
    One request.

    :ivar at: when its head was complete, in seconds since the epoch.
    :ivar calls: in the order in which they were made.
    :ivar origin: what the origin answered, before plugins did anything to it; None: it was not asked.
    :ivar status: that the client got.
    """

    id: str
    at: float
    route: str
    calls: tuple[PluginCall, ...]
    origin: RecordedResponse | None
    status: int
