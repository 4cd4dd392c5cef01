"""
Tests for `revproxy.worker.recording`: all that is known of requests goes through one buffer, and only where somebody
wants to know.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.configfile import parseConfig
from revproxy.config.metricsconfig import MetricsConfig
from revproxy.config.settings import Config, LoggingConfig
from revproxy.dataplane.accesslog import AccessLog
from revproxy.plan.words import Records
from revproxy.requestrecord import RequestRecord
from revproxy.worker.recording import Recording
from tests.dataplane.doubles import EdgeDouble, RecordingLeaf

CONFIG = parseConfig("listeners: [{endpoint: 'tcp:1'}]\nroutes: [{respond: {}}]\n", "r.yaml", Path("/"))
GET = b"GET /%b HTTP/1.1\r\nHost: x\r\nUser-Agent: me\r\n\r\n"


def configuration(count: bool, remember: int) -> Config:
    """Whether requests are counted, and how many remembered."""
    return replace(CONFIG, metrics=MetricsConfig(count=count), logging=LoggingConfig(None, remember=remember))


class RecordingTests(SynchronousTestCase):
    """`Recording`."""

    def setUp(self) -> None:
        self.leaf = RecordingLeaf()
        self.double = EdgeDouble(self.leaf)
        self.edge = self.double.edge
        self.edge.recorder = None
        self.told: list[Records] = []
        self.lines: list[bytes] = []
        self.recording = Recording(self.double.clock, self.edge, self.told.append)
        self.client = self.double.connect()

    def ask(self, target: bytes) -> None:
        """A request that is answered."""
        self.client.send(GET % target)
        self.leaf.answer(-1)

    def targets(self) -> list[bytes]:
        """Of what control was told."""
        batches = [msgspec.msgpack.decode(word.batch, type=list[RequestRecord]) for word in self.told]
        return [record.target for batch in batches for record in batch]

    def figures(self) -> tuple[int, int, int]:
        """How many lines, counted requests and told records there are since the last time."""
        self.recording.flush()
        counted = sum(series.count for series in self.recording.counts.requests())
        found = b"".join(self.lines).count(b"\n"), counted, len(self.targets())
        self.lines.clear()
        self.told.clear()
        return found

    def test_each(self) -> None:
        """Each can be on without the others; with none of them nothing is recorded."""
        log = AccessLog(self.lines.append, "json")
        for isLogged, counts, remembers in [(a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)]:
            self.recording.logTo(log if isLogged else None, False)
            self.recording.adopt(configuration(bool(counts), remembers))
            self.assertEqual(self.edge.recorder is None, not (isLogged or counts or remembers))
            self.ask(b"x")
            self.assertEqual(self.figures(), (isLogged, counts, remembers))

    def test_later(self) -> None:
        """Nothing of it happens on the request path: half a second later, at the latest."""
        self.recording.adopt(configuration(True, 1))
        self.ask(b"x")
        self.assertEqual((self.told, self.recording.counts.requests()), ([], ()))
        self.double.clock.advance(0.5)
        self.assertEqual((self.targets(), len(self.recording.counts.requests())), ([b"/x"], 1))

    def test_change(self) -> None:
        """What was over before a change belongs to what was before."""
        self.recording.adopt(configuration(False, 1))
        self.ask(b"before")
        self.recording.adopt(configuration(True, 0))
        self.ask(b"after")
        self.recording.flush()
        self.assertEqual((self.targets(), len(self.recording.counts.requests())), ([b"/before"], 1))

    def test_agents(self) -> None:
        """What the combined format has of headers is in its lines, and nowhere else."""
        self.recording.logTo(AccessLog(self.lines.append, "combined"), True)
        self.recording.adopt(configuration(True, 1))
        self.ask(b"x")
        self.recording.flush()
        self.assertIn(b'"me"', self.lines[0])
        self.assertNotIn(b"me", self.told[0].batch)

    def test_masked(self) -> None:
        """What is masked is nowhere: neither in lines nor in what control is told."""
        self.recording.logTo(AccessLog(self.lines.append, "combined"), True)
        self.recording.adopt(replace(CONFIG, logging=LoggingConfig(None, mask=("token",))))
        self.ask(b"?Tok%65n=s3cr3t")
        self.recording.flush()
        self.assertIn(b"/?Tok%65n=*** ", self.lines[0])
        self.assertEqual(self.targets(), [b"/?Tok%65n=***"])

    def test_refused(self) -> None:
        """A head that was no request is counted and told, too."""
        self.recording.adopt(configuration(True, 1))
        self.client.send(b"nonsense\r\n\r\n")
        self.recording.flush()
        (series,) = self.recording.counts.requests()
        self.assertEqual((series.status, series.errorType, self.targets()), (400, "BadRequest", [b"-"]))

    def test_stop(self) -> None:
        """At the end nothing is kept back, and no call is left."""
        self.recording.adopt(configuration(True, 1))
        self.ask(b"x")
        self.recording.stop()
        self.assertEqual(self.targets(), [b"/x"])
        self.ask(b"y")
        self.assertEqual(self.targets(), [b"/x", b"/y"])
