"""
Tests for `revproxy.dataplane.accesslog`.
"""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.accesslog import AccessLog, AccessRecord, formatCombined, formatJSON

STARTED = 1795385582.25
"2026-11-22 22:13:02.250 UTC."


def record(**changes: Any) -> AccessRecord:
    """
    A record of an ordinary request, with some fields changed.
    """
    fields: dict[str, Any] = {
        "startedAt": STARTED,
        "duration": 0.0125,
        "id": "a1b2",
        "peer": "192.0.2.7",
        "method": b"GET",
        "target": b"/items?page=2",
        "host": b"shop.example.com",
        "version": "1.1",
        "scheme": "https",
        "status": 200,
    }
    return AccessRecord(**{**fields, **changes})


class JSONFormatTests(SynchronousTestCase):
    """
    One JSON object per line.
    """

    def test_fields(self) -> None:
        """
        Every field of a record appears under its key.
        """
        line = formatJSON(
            [
                record(
                    bytesIn=5,
                    bytesOut=1234,
                    route="shop/items",
                    upstream="http://127.0.0.1:9000",
                    upstreamSeconds=0.011,
                    interruptedBy="auth",
                    pluginErrors=("tenancy",),
                    pluginsSkipped=("bot-rules",),
                    error="client left",
                    userAgent=b"curl/8",
                    referer=b"https://example.com/",
                )
            ]
        )
        self.assertEqual(
            json.loads(line),
            {
                "time": "2026-11-22T22:13:02.250Z",
                "id": "a1b2",
                "peer": "192.0.2.7",
                "method": "GET",
                "scheme": "https",
                "host": "shop.example.com",
                "target": "/items?page=2",
                "version": "1.1",
                "status": 200,
                "bytes_in": 5,
                "bytes_out": 1234,
                "duration_us": 12500,
                "route": "shop/items",
                "upstream": "http://127.0.0.1:9000",
                "upstream_us": 11000,
                "interrupted_by": "auth",
                "plugin_errors": ["tenancy"],
                "plugins_skipped": ["bot-rules"],
                "error": "client left",
                "user_agent": "curl/8",
                "referer": "https://example.com/",
            },
        )

    def test_unknownIsLeftOut(self) -> None:
        """
        What is empty takes no room in the line.
        """
        self.assertNotIn("upstream_us", json.loads(formatJSON([record()])))

    def test_surrogate(self) -> None:
        """
        A string that is no text costs neither its own line nor the next one.
        """
        first, second = map(json.loads, formatJSON([record(error="\ud800", route="a"), record()]).splitlines())
        self.assertEqual((first["error"], first["route"], second["id"]), ("\\ud800", "a", "a1b2"))

    @given(st.binary(), st.binary(), st.binary())
    def test_anyBytes(self, target: bytes, host: bytes, agent: bytes) -> None:
        """
        Whatever a client sends, there is one line, and it reads back as what was sent.
        """
        out = formatJSON([record(target=target, host=host, userAgent=agent)])
        self.assertEqual(out.count(b"\n"), 1)
        line = json.loads(out)
        self.assertEqual(
            [line.get(key, "").encode("latin-1") for key in ("target", "host", "user_agent")],
            [target, host, agent],
        )


class CombinedFormatTests(SynchronousTestCase):
    """
    The format that existing log tools read.
    """

    def test_line(self) -> None:
        """
        Address, time, request line, status, size, referer, agent.
        """
        self.assertEqual(
            formatCombined([record(bytesOut=1234, userAgent=b"curl/8")]),
            b'192.0.2.7 - - [22/Nov/2026:22:13:02 +0000] "GET /items?page=2 HTTP/1.1" 200 1234 "-" "curl/8"\n',
        )

    def test_noAddress(self) -> None:
        """
        Clients that come by a Unix socket have none; the field is there all the same.
        """
        self.assertTrue(formatCombined([record(peer="")]).startswith(b"- - - ["))

    def test_forgery(self) -> None:
        """
        Line ends, quotes, backslashes, controls and bytes beyond ASCII are written as hexadecimal escapes.
        """
        out = formatCombined([record(userAgent=b'x" 200\r\n1.2.3.4 \\ \x1b[2J \xff')])
        self.assertTrue(out.endswith(b'"x\\x22 200\\x0d\\x0a1.2.3.4 \\x5c \\x1b[2J \\xff"\n'), out)

    @given(st.binary(), st.binary(), st.binary(), st.text())
    def test_anyBytes(self, target: bytes, referer: bytes, agent: bytes, peer: str) -> None:
        """
        Whatever a client sends, there is one line of printable ASCII with six quotes.
        """
        out = formatCombined([record(target=target, referer=referer, userAgent=agent, peer=peer)])
        self.assertTrue(re.fullmatch(rb"[ -~]*\n", out), out)
        self.assertEqual(out.count(b'"'), 6)


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
