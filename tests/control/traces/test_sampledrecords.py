"""Which records are exported."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.traces.sampledrecords import isSampled, sampledIn
from revproxy.dataplane.http.tracing import Tracing, traceparentOf
from tests.control.traces.receiver import batchOf, record


class SampledTests(SynchronousTestCase):
    """Those of traces that are sampled."""

    def trace(self, flags: bytes) -> bytes:
        """One with these flags."""
        return record().trace[:53] + flags

    def test_sampled(self) -> None:
        """By the flag of the trace; of those that were continued, too."""
        for flags, isSo in ((b"00", False), (b"01", True), (b"02", False), (b"03", True)):
            for parent in (b"", b"-b7ad6b7169203331"):
                self.assertEqual(isSampled(self.trace(flags) + parent), isSo)
        self.assertFalse(isSampled(b""))

    def test_agrees(self) -> None:
        """What is exported is what the origin was told is."""
        for share, isSo in ((0.0, False), (1.0, True)):
            trace = Tracing("trusted", share).begin(None, False, [])
            told = traceparentOf(trace, 1)
            self.assertEqual((isSampled(trace), int(told[-2:], 16) & 1 == 1), (isSo, isSo))

    def test_picked(self) -> None:
        """Whole, and in their order; nothing of others, whatever clients have sent."""
        records = [record(id=str(number), trace=self.trace(b"03" if number % 3 == 0 else b"02")) for number in range(9)]
        forged = record(id="forged", trace=self.trace(b"02"), target=b"/?" + self.trace(b"01"))
        found = sampledIn(batchOf(records[0], forged, *records[1:]))
        self.assertEqual(found, [records[0], records[3], records[6]])
        self.assertEqual(sampledIn(batchOf(forged, record(trace=b""))), [])
        self.assertEqual(sampledIn(b""), [])
