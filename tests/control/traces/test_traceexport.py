"""The export of traces, and what people are told of it."""

from __future__ import annotations

import time
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock

from revproxy.config.tracesconfig import TracesConfig
from revproxy.control.traces.traceexport import END, LOOK, TraceExport
from revproxy.plan.events import WARNINGS, EventLog
from revproxy.plan.words import Records
from tests.control.traces.receiver import batchOf, record
from tests.control.traces.test_spansender import SenderCase


class TraceExportTests(SenderCase):
    """That of one edge."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.events = EventLog(self.clock.seconds)
        self.traces = TraceExport(self.events, self.clock, maybeDeferred)
        self.addCleanup(self.end)

    def end(self) -> None:
        """The edge ends."""
        self.successResultOf(Deferred.fromCoroutine(self.traces.end()))

    def tell(self, *records: Any) -> None:
        """A worker tells of requests that are over."""
        self.traces.told(0, Records(batchOf(*records), len(records), 0))

    def told(self) -> list[str]:
        """What has happened."""
        return [f"{event.kind} {event.text}" for event in self.events.latest(9)]

    def test_off(self) -> None:
        """Without a receiver nothing is looked at, and there is no thread."""
        self.traces.adopt(TracesConfig())
        self.tell(record())
        self.assertEqual((self.traces.isOn, self.traces.figures(), self.clock.getDelayedCalls()), (False, (0, 0), []))

    def test_sent(self) -> None:
        """Sampled ones are sent; at the end, too."""
        receiver = self.receiver()
        self.traces.adopt(TracesConfig(otlp=receiver.url + "/v1/traces"))
        self.tell(record(attempts=0), record(attempts=0, trace=record().trace[:-2] + b"02"))
        self.until(lambda: receiver.spans)
        self.tell(record(attempts=0))
        self.end()
        self.assertEqual(len(receiver.spans), 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_sameAgain(self) -> None:
        """A configuration that says the same changes nothing; another may have another receiver, or none."""
        first, second = self.receiver(), self.receiver()
        config = TracesConfig(otlp=first.url + "/v1/traces")
        self.traces.adopt(config)
        sender = self.traces._sender
        self.traces.adopt(TracesConfig(otlp=first.url + "/v1/traces"))
        self.assertIs(self.traces._sender, sender)
        self.tell(record(attempts=0))
        self.traces.adopt(TracesConfig(otlp=second.url + "/v1/traces"))
        self.tell(record(attempts=0, id="second"))
        self.until(lambda: first.spans and second.spans)
        self.traces.adopt(TracesConfig())
        self.assertFalse(self.traces.isOn)
        self.assertEqual((len(first.spans), len(second.spans)), (1, 1))

    def test_told(self) -> None:
        """That spans are lost is told once, with why; that they are not any more, once."""
        receiver = self.receiver(403)
        self.traces.adopt(TracesConfig(otlp=receiver.url + "/v1/traces"))
        for count in (1, 2):
            self.tell(record())
            self.until(lambda count=count: self.traces.figures() == (0, count))
            self.clock.advance(LOOK)
        self.assertEqual([line.split()[0] for line in self.told()], ["traces-dropped"])
        self.assertIn("403", self.told()[0])
        self.assertEqual(self.events.latest(1)[0].about, {"receiver": receiver.url + "/v1/traces"})
        receiver.status = 200
        self.tell(record())
        self.until(lambda: self.traces.figures() == (1, 2))
        for _ in range(2):
            self.clock.advance(LOOK)
        self.assertEqual(self.told()[1:], [
            f"traces-restored {receiver.url}/v1/traces takes spans again; those of 2 requests were not sent"])
        self.assertIn("traces-dropped", WARNINGS)

    def test_endWithSilence(self) -> None:
        """A receiver that never answers costs the end a second, and loops nothing."""
        receiver = self.receiver(0)
        self.traces.adopt(TracesConfig(otlp=receiver.url + "/v1/traces"))
        self.tell(record())
        self.until(lambda: receiver.requests)
        began = time.monotonic()
        self.end()
        self.assertLess(time.monotonic() - began, END + 1.5)
        receiver.released.set()
