"""
Traces of requests beside the numbers of the buckets that they are in.
"""

from __future__ import annotations

import msgspec

from revproxy.admin.metrics.exposition import Exposition
from revproxy.plan.counted import RequestSeries
from revproxy.plan.durations import fine
from revproxy.plan.words import Counters, Records
from revproxy.requestrecord import RequestRecord
from tests.admin.metrics.edges import FiguresCase
from tests.admin.metrics.reading import parsed

TRACE = b"00-%s-00f067aa0ba902b7-0%d"
ID = "4bf92f3577b34da6a3ce929d0e0e4736"


class ExemplarTests(FiguresCase):
    """
    Requests of one route.
    """

    def over(self, seconds: float, trace: str = ID, sampled: bool = True, status: int = 200) -> None:
        """A request is over; it is counted, and its record told."""
        error = "" if status < 500 else str(status)
        series = RequestSeries("all", "GET", status, "http", "1.1", error, 1, seconds, {fine(seconds): 1})
        self.tell(Counters(requests=(series,)))
        record = RequestRecord(
            1000.0, seconds, "id", "192.0.2.1", b"GET", b"/", b"a", "1.1", "http", status, route="all",
            trace=TRACE % (trace.encode(), sampled),
        )  # fmt: skip
        self.tell(Records(msgspec.msgpack.encode([record]), 1))

    def text(self, openMetrics: bool = True) -> str:
        """What is read."""
        for _ in self.collection.settle():
            pass
        text = b"".join(Exposition().slices(self.collection.sources(), openMetrics)).decode()
        parsed(text, openMetrics)
        return text

    def test_told(self) -> None:
        """
        With its bucket stands the trace of a sampled request, how long it took, and when it was over.
        """
        self.over(0.02)
        [line] = [line for line in self.text().splitlines() if "trace_id" in line]
        self.assertIn('le="0.025"} 1 # {trace_id="4bf92f3577b34da6a3ce929d0e0e4736"} 0.02 1000.020', line)
        self.assertNotIn("trace_id", self.text(False))

    def test_last(self) -> None:
        """
        Each bucket has the last one, and keeps it; series have their own.
        """
        self.over(0.02)
        self.over(0.021, trace=ID.replace("4", "5"))
        self.over(0.02, trace=ID.replace("4", "6"), status=502)
        self.over(30.0, trace=ID.replace("4", "7"))
        for _ in range(2):
            lines = [line for line in self.text().splitlines() if "trace_id" in line]
            self.assertEqual(len(lines), 3)
        for part in ('le="0.025"} 2 # {trace_id="5', 'le="+Inf"} 3 # {trace_id="7', 'le="0.025"} 1 # {trace_id="6'):
            self.assertEqual(sum(part in line for line in lines), 1, part)

    def test_notSampled(self) -> None:
        """
        Of what is not sampled, nobody could find the trace.
        """
        self.over(0.02, sampled=False)
        self.assertNotIn("trace_id", self.text())

    def test_broken(self) -> None:
        """
        What is no trace is none, whatever else a record has in it.
        """
        record = RequestRecord(
            1000.0, 0.1, "id", "192.0.2.1", b"GET", TRACE % (ID.encode(), 1), b"a", "1.1", "http", 200, route="all"
        )
        self.tell(Records(msgspec.msgpack.encode([record]), 1))
        self.tell(Records(b"", 0, 5))
        self.assertNotIn("trace_id", self.text())
