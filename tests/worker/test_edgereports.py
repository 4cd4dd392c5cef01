"""Tests for `revproxy.worker.edgereports`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet.defer import succeed
from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.configfile import parseConfig
from revproxy.config.metricsconfig import MetricsConfig
from revproxy.plan.counted import EdgeCounters, HostCount, RouteNow
from revproxy.plan.words import Counters
from revproxy.worker.edgereports import EdgeReports
from revproxy.worker.recording import Recording
from tests.dataplane.doubles import EdgeDouble, RecordingLeaf

CONFIG = parseConfig("listeners: [{endpoint: 'tcp:1'}]\nroutes: [{respond: {}}]\n", "r.yaml", Path("/"))
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Info:
    """What a handshake agreed on."""

    serverName = clientName = None
    protocol = "TLSv1.3"

    def __init__(self, resumed: bool) -> None:
        self.resumed = resumed


class EdgeReportsTests(SynchronousTestCase):
    """`EdgeReports`."""

    def prepare(self, **options: Any) -> None:
        """An edge."""
        self.leaf = RecordingLeaf()
        self.double = EdgeDouble(self.leaf, **options)
        edge, clock = self.double.edge, self.double.clock
        self.recording = Recording(clock, edge, lambda word: None)
        self.recording.adopt(replace(CONFIG, metrics=MetricsConfig(topHosts=2)))
        self.reports = EdgeReports(clock, edge, self.recording, dict, lambda *call: succeed([]), clock.seconds)

    def take(self, isAsked: bool = False) -> Counters:
        """What is told."""
        return Counters(**self.reports.take(isAsked))

    def test_connections(self) -> None:
        """Connections that were let in, those that are open, and heads that were no requests; each told once."""
        self.prepare()
        first, second = self.double.connect(), self.double.connect()
        second.send(b"nonsense\r\n\r\n")
        first.leave()
        self.assertEqual(self.take().edge, EdgeCounters(1, 2, refused=1))
        self.assertEqual(self.take().edge, EdgeCounters(1))

    def test_turnedAway(self) -> None:
        """Connections that were one too many."""
        self.prepare()
        self.double.edge.draining = True
        self.assertFalse(self.double.admits("192.0.2.1"))
        self.assertEqual(self.take().edge, EdgeCounters(0, 0, 1))

    def test_handshakes(self) -> None:
        """TLS: what was agreed on, what was taken up again, and what ended before."""
        self.prepare(tls=True)
        for resumed in (False, True):
            client = self.double.connect(tlsInfo=Info(resumed))
            client.server.handshakeCompleted()
            client.leave()
        self.double.connect().leave()
        self.assertEqual(self.take().edge, EdgeCounters(0, 3, handshakes=2, resumed=1, failedHandshakes=1))

    def test_plain(self) -> None:
        """Without TLS no handshake fails."""
        self.prepare()
        self.double.connect().leave()
        self.assertEqual(self.take().edge, EdgeCounters(0, 1))

    def test_requests(self) -> None:
        """Who asks hears of requests that were over just now; else they are told when they are counted."""
        self.prepare()
        client = self.double.connect()
        client.send(GET)
        self.leaf.answer(0)
        self.assertEqual((self.take().requests, self.take().hosts), ((), ()))
        told = self.take(isAsked=True)
        self.assertEqual((told.requests[0].count, told.hosts, told.routes), (1, (HostCount("x", 1),), ()))
        client.send(GET)
        self.assertEqual(self.take().routes, (RouteNow("default", 1, 0.0),))

    def test_process(self) -> None:
        """The process is told each time; nothing is left to be called at the end."""
        self.prepare()
        calls = len(self.double.clock.getDelayedCalls())
        self.reports.start()
        self.assertIsNotNone(self.take().process)
        self.reports.stop()
        self.assertEqual(len(self.double.clock.getDelayedCalls()), calls)
