"""
What workers count, as `revproxy.plan.words.Counters` tells it: increments since it was told last, and what is now.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from revproxy import errors
from revproxy.plan.versionid import VersionId

OTHER = "_OTHER"
"""What stands for a method or an error that is not known (OpenTelemetry's word for it)."""

METHODS = ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE")
"""Methods that are counted under their own name."""

METHOD_OF = {method.encode("ascii"): method for method in METHODS}
"""By method as on the wire, under which it is counted; others under :data:`OTHER`."""

VERSIONS = frozenset(("1.0", "1.1", "2", "3"))
"""Versions of HTTP that are told apart."""

_ERRORS = frozenset(
    name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.EdgeError)
)
"""Errors that are counted under their own name: plugins may have others."""


def errorType(text: str) -> str:
    """
    Under which an error is counted.

    :param text: as the record of a request has it.
    """
    name = text.partition(":")[0]
    return name if name in _ERRORS else OTHER


Phase = Literal["handle", "handleResponse", "finished", "body", "outside"]
"""Where a plugin's code is called: in these methods, in filters and iterators of bodies, and outside of requests."""


class RequestSeries(msgspec.Struct, frozen=True, array_like=True):
    """
    Requests that were over since it was told last, and are the same in all this.

    :ivar route: its name; empty where there was none.
    :ivar method: one of :data:`METHODS`, or :data:`OTHER`.
    :ivar status: as sent; 499: the client left, 0: of several, for there are too many series.
    :ivar version: of HTTP.
    :ivar errorType: the class of the error it ended with; the status for a 5xx without; else empty.
    :ivar count: how many; ``seconds``: the sum of their durations.
    :ivar buckets: by the number of a bucket of `revproxy.plan.durations.FINE`, how many.
    """

    route: str
    method: str
    status: int
    scheme: str
    version: str
    errorType: str
    count: int
    seconds: float
    buckets: Mapping[int, int]


class AttemptSeries(msgspec.Struct, frozen=True, array_like=True):
    """
    Requests that were sent to a target, by the last that each was sent to.

    :ivar upstream: its name; ``target``: the URL, as it is configured.
    :ivar status: of the answer that the client got; 0: of several.
    :ivar errorType: as in `RequestSeries`.
    :ivar seconds: from sending the head there to the answer's head; where none came, as long as the request took.
    :ivar retries: how many other targets these requests had been sent to before, or were to be.
    """

    upstream: str
    target: str
    method: str
    status: int
    errorType: str
    count: int
    seconds: float
    buckets: Mapping[int, int]
    retries: int = 0


class PhaseCounters(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    What one version did in one phase since it was told last.

    :ivar failures: by kind (``error``, ``timeout``, ``stall``, ``answer``), how many.
    :ivar skipped: by why (``on_error``, ``gate``), how many requests passed without it.
    :ivar seconds: self time; ``buckets``: how many calls took how long, by `revproxy.plan.durations.SELF_TIME`. Both
        are estimated from a sample.
    """

    phase: Phase
    calls: int = 0
    failures: Mapping[str, int] = {}
    interrupts: int = 0
    skipped: Mapping[str, int] = {}
    seconds: float = 0.0
    buckets: tuple[int, ...] = ()


class VersionCounters(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    What one version did since it was told last.

    :ivar seconds: self time.
    :ivar longCalls: calls that held the event loop for long, as far as they were timed; ``longSeconds``: how long.
    :ivar phases: the same by phase, of those in which there is anything new.
    :ivar exceeded: by limit (`revproxy.errors.LimitName`), how often it had too much.
    """

    plugin: str
    version: VersionId
    calls: int = 0
    errors: int = 0
    timeouts: int = 0
    interrupts: int = 0
    stalls: int = 0
    seconds: float = 0.0
    longCalls: int = 0
    longSeconds: float = 0.0
    phases: tuple[PhaseCounters, ...] = ()
    exceeded: Mapping[str, int] = {}


class ThreadFigures(msgspec.Struct, frozen=True):
    """
    What is in the threads of a plugin now.

    :ivar most: threads that a version may have.
    :ivar busy: how many are at work.
    :ivar queued: calls that wait for one.
    :ivar rejected: calls that were not taken because too many waited, since the version began to run.
    :ivar left: threads still at work for versions that ended. Nobody waits for them.
    """

    plugin: str
    most: int
    busy: int = 0
    queued: int = 0
    rejected: int = 0
    left: int = 0


class Series(msgspec.Struct, frozen=True):
    """
    What a figure has counted under one combination of label values, since it was told last.

    :ivar value: the sum.
    :ivar counts: of a histogram, how many values are in each bucket; the last is for what is above all bounds.
    """

    labels: tuple[str, ...]
    value: float
    counts: tuple[int, ...] = ()


class OwnFigure(msgspec.Struct, frozen=True):
    """
    A figure that a plugin counts by itself.

    :ivar labels: names; ``buckets``: upper bounds.
    """

    plugin: str
    name: str
    kind: Literal["counter", "histogram"]
    description: str
    labels: tuple[str, ...]
    buckets: tuple[float, ...]
    series: tuple[Series, ...]


class PluginNow(msgspec.Struct, frozen=True):
    """
    What a version is doing now.

    :ivar inFlight: how many of its answers are awaited.
    """

    plugin: str
    version: VersionId
    inFlight: int


class TargetNow(msgspec.Struct, frozen=True):
    """
    What goes on at a target now.

    :ivar inFlight: requests that were sent and are not over; ``queued``: that wait for a connection.
    :ivar connections: that exist or are being made; ``tunnels``: those of them that carry one.
    :ivar failures: how often it has failed, since the worker has it.
    """

    upstream: str
    url: str
    inFlight: int = 0
    queued: int = 0
    connections: int = 0
    tunnels: int = 0
    failures: int = 0


class RouteNow(msgspec.Struct, frozen=True):
    """
    Requests that are under way on a route now.

    :ivar route: its name; empty: where none was found yet.
    :ivar oldestAt: when the oldest of them began, in seconds since the epoch.
    """

    route: str
    count: int
    oldestAt: float


class ConnectionNow(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    A connection of a client.

    :ivar peer: its address; empty where it is not known yet, or there is none.
    :ivar listener: the endpoint that accepted it, as it is configured; empty if that is gone.
    :ivar protocol: the version of HTTP that it speaks.
    :ivar since: when it was accepted, in seconds since the epoch.
    :ivar requests: how many were begun on it.
    :ivar state: ``idle``, ``head``, ``body``, ``answering``, ``tunnel`` or ``closing``.
    :ivar route: of the request that is under way; ``requestId`` its id, ``requestAt`` when it began. Empty without.
    """

    peer: str
    listener: str
    scheme: str
    protocol: str
    since: float
    requests: int
    state: str
    route: str = ""
    requestId: str = ""
    requestAt: float = 0.0


class HostCount(msgspec.Struct, frozen=True, array_like=True):
    """
    Requests for one of the busiest hosts since it was told last.

    :ivar host: in lower case, without port; empty for all others together.
    """

    host: str
    count: int


class EdgeCounters(msgspec.Struct, frozen=True, omit_defaults=True):
    """
    What happened at the listeners since it was told last; and, first, what is now.

    :ivar open: connections of clients now.
    :ivar accepted: connections; ``turnedAway``: those that were one too many.
    :ivar refused: heads that were no acceptable requests.
    :ivar handshakes: TLS handshakes that were completed; ``resumed``: those of them that took up a session;
        ``failedHandshakes``: those that were not.
    :ivar seriesDropped: requests that were counted together with others, for there were too many series.
    :ivar recordsLost: requests of which no record could be told.
    """

    open: int = 0
    accepted: int = 0
    turnedAway: int = 0
    refused: int = 0
    handshakes: int = 0
    resumed: int = 0
    failedHandshakes: int = 0
    seriesDropped: int = 0
    recordsLost: int = 0


class ProcessNow(msgspec.Struct, frozen=True):
    """
    What a worker's process takes now.

    :ivar startedAt: when it began, in seconds since the epoch.
    :ivar cpuSeconds: of all its threads, since then.
    :ivar residentBytes: memory; ``descriptors``: that are open, ``mostDescriptors``: that may be.
    :ivar loopLag: seconds: how late the event loop was, at the worst since it was told last.
    """

    startedAt: float
    cpuSeconds: float
    residentBytes: int
    descriptors: int
    mostDescriptors: int
    loopLag: float
