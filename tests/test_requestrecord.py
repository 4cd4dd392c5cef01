"""Tests for :mod:`revproxy.requestrecord`."""

from __future__ import annotations

import gc

from twisted.trial.unittest import SynchronousTestCase

from revproxy.requestrecord import RequestRecord
from tests.dataplane.doubles import EdgeDouble, RecordingLeaf


class RecordTests(SynchronousTestCase):
    """What is known of a request when it is over."""

    def test_untracked(self) -> None:
        """The garbage collector has nothing to do with them, however many wait to be written."""
        self.assertFalse(gc.is_tracked(RequestRecord(0.0, 0.0, "-", "", b"", b"", b"", "1.1", "http", 200)))

    def test_filled(self) -> None:
        """It has the request as it was on the wire, and the bytes of both directions."""
        leaf = RecordingLeaf()
        double = EdgeDouble(leaf)
        client = double.connect("192.0.2.7")
        client.send(b"POST /a%20b?c HTTP/1.1\r\nHost: X\r\nContent-Length: 3\r\n\r\nabc")
        double.clock.advance(2)
        leaf.answer(0, b"hi", 201)
        (record,) = double.log.records
        self.assertEqual((record.peer, record.method, record.target), ("192.0.2.7", b"POST", b"/a%20b?c"))
        self.assertEqual((record.host, record.version, record.scheme), (b"X", "1.1", "http"))
        self.assertEqual((record.status, record.route, record.error), (201, "default", None))
        self.assertEqual((record.startedAt, record.duration), (0.0, 2.0))
        self.assertEqual((record.bytesIn, record.bytesOut), (3, len(client.transport.sent)))
