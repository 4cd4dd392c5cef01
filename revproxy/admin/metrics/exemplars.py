"""
Exemplars: for buckets of the requests' histogram, the trace of a request that is in it.

They are of requests whose trace is sampled, so that there is something to be found under its id. They are looked for
when somebody reads: among the last of the records, as bytes, in which sampled traces are easily seen.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator

from revproxy.admin.metrics.exposition import Exemplars
from revproxy.admin.metrics.family import Labels
from revproxy.admin.metrics.requestfigures import labelsOf
from revproxy.control.traces.sampledrecords import sampledIn
from revproxy.plan.counted import METHOD_OF, OTHER, VERSIONS, errorType
from revproxy.plan.durations import STANDARD
from revproxy.plan.words import Records
from revproxy.requestrecord import RequestRecord

BATCHES = 16
"""Of records, that are looked into: the last ones."""

MOST_SERIES = 1000
"""With exemplars; the oldest give way."""

_TRACE = slice(3, 35)
"""Where the id stands in the trace of a record."""


class RequestExemplars:
    """
    Of one edge.
    """

    def __init__(self) -> None:
        self._batches: deque[bytes] = deque(maxlen=BATCHES)
        self._found: dict[Labels, dict[int, str]] = {}

    def told(self, worker: int, word: Records) -> None:
        """A worker tells of requests that are over."""
        self._batches.append(word.batch)

    def settle(self) -> Iterator[None]:
        """Look into what was told, a batch at each step."""
        while self._batches:
            for record in sampledIn(self._batches.popleft()):
                self._take(record)
            yield

    def all(self) -> Exemplars:
        """The last one for each bucket."""
        return self._found

    def clear(self) -> None:
        """Forget them: there may be other routes."""
        self._found.clear()

    def _take(self, record: RequestRecord) -> None:
        error = errorType(record.error) if record.error is not None else ""
        if not error and record.status >= 500:
            error = str(record.status)
        version = record.version if record.version in VERSIONS else ""
        method = METHOD_OF.get(record.method, OTHER)
        labels = labelsOf(record.route, method, record.status, record.scheme, version, error)
        buckets = self._found.pop(labels, {})
        if len(self._found) >= MOST_SERIES:
            del self._found[next(iter(self._found))]
        trace, at = record.trace[_TRACE].decode("ascii", "replace"), record.startedAt + record.duration
        text = f' # {{trace_id="{trace}"}} {record.duration!r} {at:.3f}'
        buckets[bisect_left(STANDARD, record.duration)] = text
        self._found[labels] = buckets
