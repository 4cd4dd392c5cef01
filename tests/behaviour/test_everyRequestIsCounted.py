"""
Every request is counted once: over several workers, whose words cross the border as bytes, whatever clients send.

There are edges without sockets, each with what a worker has to record and to count; and control's sums at the other
end.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.configfile import parseConfig
from revproxy.control.traffic.goings import Goings
from revproxy.control.traffic.traffic import Traffic
from revproxy.plan.encoding import decode, encode
from revproxy.plan.words import Counters, Records, Up
from revproxy.requestrecord import RequestRecord
from revproxy.worker.counterreports import CounterReports
from revproxy.worker.edgereports import EdgeReports
from revproxy.worker.recording import Recording
from tests.dataplane.doubles import EdgeDouble, RecordingLeaf

CONFIG = parseConfig("listeners: [{endpoint: 'tcp:1'}]\nroutes: [{respond: {}}]\n", "r.yaml", Path("/"))

read = msgspec.msgpack.Decoder(list[RequestRecord]).decode


class WorkerDouble:
    """
    An edge, and what is told of it.

    :param says: takes each word, as bytes.
    """

    def __init__(self, says: Any) -> None:
        self.leaf = RecordingLeaf()
        self.double = EdgeDouble(self.leaf)
        edge, clock = self.double.edge, self.double.clock

        def tell(word: Up) -> None:
            says(encode(word))

        recording = Recording(clock, edge, tell)
        recording.adopt(CONFIG)
        reports = EdgeReports(clock, edge, recording, dict, lambda *call: None, clock.seconds)  # type: ignore[arg-type,return-value]
        self.counters = CounterReports(clock, tell, dict, tuple, edge=reports)
        self.counters.start()

    def request(self, data: bytes, status: int) -> None:
        """What a client sends; if it is a request, it is answered."""
        known = len(self.leaf.exchanges)
        client = self.double.connect()
        client.send(data)
        if len(self.leaf.exchanges) > known:
            self.leaf.answer(-1, b"", status)
        client.leave()


_targets = some.binary(max_size=300).map(lambda data: b"/" + data.replace(b"\n", b"").replace(b" ", b"%20"))
_methods = some.sampled_from([b"GET", b"POST", b"FROB", b"get"])
_hosts = some.sampled_from([b"x", b"shop.example", b"\xff", b"a" * 300, b""])
_requests = some.lists(
    some.tuples(some.integers(0, 2), _methods, _targets, _hosts, some.sampled_from([200, 204, 404, 500, 503])),
    max_size=30,
)


class CountedTests(SynchronousTestCase):
    """Three workers and one control."""

    def setUp(self) -> None:
        self.traffic, self.goings = Traffic(lambda: 1000.0), Goings()
        self.records: list[RequestRecord] = []
        self.workers = [WorkerDouble(self.heard(number)) for number in range(3)]

    def heard(self, number: int) -> Any:
        """What control does with the words of a worker."""

        def hear(data: bytes) -> None:
            word = decode(data)
            if isinstance(word, Counters):
                self.traffic.counted(number, word)
                self.goings.counted(number, word)
            elif isinstance(word, Records):
                self.records += read(word.batch)

        return hear

    def settle(self) -> None:
        """All that there is to tell is told."""
        for worker in self.workers:
            worker.counters.report(asked=1)

    @given(_requests)
    @settings(max_examples=40, deadline=None)
    def test_any(self, requests: list[tuple[int, bytes, bytes, bytes, int]]) -> None:
        """There are as many as were asked, by status too, in sums and in records, however hostile they are."""
        self.setUp()
        for number, method, target, host, status in requests:
            self.workers[number].request(b"%b %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (method, target, host), status)
        self.settle()
        window = self.traffic.window(60)
        self.assertEqual((window.requests, len(self.records)), (len(requests), len(requests)))
        for errors, low, high in ((window.errors4xx, 400, 499), (window.errors5xx, 500, 599)):
            self.assertEqual(errors, sum(low <= record.status <= high for record in self.records))
        self.assertEqual(sum(window.buckets.values()), len(requests))
        names = self.traffic.names("route")
        self.assertEqual(sum(self.traffic.window(60, route=name).requests for name in names), len(requests))
        self.assertLessEqual(set(names), {"default", ""})

    def test_ticks(self) -> None:
        """Nothing is counted twice or lost while reports come by themselves, in between."""
        for round_ in range(20):
            for number, worker in enumerate(self.workers):
                for _ in range(round_ * (number + 1)):
                    worker.request(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 200)
                worker.double.clock.advance(0.3)
        self.settle()
        self.assertEqual(self.traffic.window(60).requests, 190 * (1 + 2 + 3))
        self.assertEqual(len(self.records), 190 * 6)

    def test_underWay(self) -> None:
        """What is under way is added up over workers; the end of one leaves the others'."""
        for worker in self.workers:
            worker.double.connect().send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.settle()
        self.assertEqual((self.goings.routes()["default"].count, self.goings.connections), (3, 3))
        self.goings.gone(0)
        self.assertEqual((self.goings.routes()["default"].count, self.goings.connections), (2, 2))
