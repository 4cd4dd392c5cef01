"""
Tests for `revproxy.dataplane.accesslog`.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.accessline import formatCombined
from revproxy.dataplane.accesslog import AccessLog
from tests.dataplane.test_accessline import record


class AccessLogTests(SynchronousTestCase):
    """
    Buffering.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.written: list[bytes] = []

    def ids(self) -> list[str]:
        """
        The ids of all lines that reached the sink, in order.
        """
        return [json.loads(line)["id"] for line in b"".join(self.written).splitlines()]

    def log(self, **options: Any) -> AccessLog:
        """
        A log whose sink is `written`.
        """
        return AccessLog(self.written.append, "json", self.clock, **options)

    def test_oneCallForAll(self) -> None:
        """
        Records that come within one interval share one delayed call and reach the sink together.
        """
        log = self.log(flushInterval=0.5)
        log.record(record(id="1"))
        log.record(record(id="2"))
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.assertEqual(self.written, [])
        self.clock.advance(0.5)
        self.assertEqual((len(self.written), self.ids()), (1, ["1", "2"]))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_unwritable(self) -> None:
        """
        A record that no line can be made of costs its own line, and says so, and not those of others.
        """
        log = self.log()
        log.record(record(id="1"))
        log.record(record(id="2", interruptedBy=object()))
        log.record(record(id="3"))
        self.clock.advance(0.5)
        self.assertEqual(self.ids(), ["1", "3"])
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_largeBatches(self) -> None:
        """
        Many records are spread over turns of the loop, in order, none missing and none twice.
        """
        log = self.log(flushInterval=0.5)
        for number in range(1000):
            log.record(record(id=str(number)))
        self.clock.advance(0.5)
        self.assertEqual([chunk.count(b"\n") for chunk in self.written], [256, 256, 256, 232])
        self.assertEqual(self.ids(), [str(number) for number in range(1000)])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_keepsUp(self) -> None:
        """
        However many records come in each turn of the loop, none is dropped and not many are held.
        """
        turns = 60
        handedOver = 0

        def sink(lines: bytes) -> None:
            nonlocal turns, handedOver
            handedOver += lines.count(b"\n")
            if turns:
                turns -= 1
                for _ in range(4000):
                    log.record(record())

        log = AccessLog(sink, "json", self.clock)
        log.record(record())
        self.clock.advance(0.5)
        self.assertEqual(handedOver, 60 * 4000 + 1)

    def test_manyAtOnce(self) -> None:
        """
        Many records do not wait for the interval: each may be large.
        """
        log = self.log(flushInterval=0.5)
        for _ in range(2000):
            log.record(record())
        self.clock.advance(0)
        self.assertEqual(len(self.ids()), 2000)

    def test_full(self) -> None:
        """
        Beyond the bound records are dropped; how many is reported once, when the buffer is empty again.
        """
        events: list[LogEvent] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        log = self.log(maxBuffered=2)
        for number in range(5):
            log.record(record(id=str(number)))
        self.assertEqual(events, [])
        self.clock.advance(0.5)
        self.assertEqual([event["dropped"] for event in events], [3])
        log.record(record(id="5"))
        self.clock.advance(0.5)
        self.assertEqual(self.ids(), ["0", "1", "5"])
        self.assertEqual(len(events), 1)

    def test_stop(self) -> None:
        """
        Stopping hands over what is buffered and leaves no delayed call; later records are handed over at once.
        """
        log = self.log()
        log.record(record(id="1"))
        log.stop()
        self.assertEqual((self.ids(), self.clock.getDelayedCalls()), (["1"], []))
        log.record(record(id="2"))
        self.assertEqual((self.ids(), self.clock.getDelayedCalls()), (["1", "2"], []))

    def test_combined(self) -> None:
        """
        The format is chosen by name.
        """
        log = AccessLog(self.written.append, "combined", self.clock)
        log.record(record())
        log.flush()
        self.assertEqual(self.written, [formatCombined([record()])])
