"""Tests for :mod:`revproxy.hostclient`, above treq and real pools."""

from __future__ import annotations

import gzip
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from revproxy import bookedclient, hostclient
from revproxy.dataplane.upstream.treqclient import PoolAgent, UpstreamClient
from revproxy.dataplane.upstream.upstream import Upstream
from revproxy.testing import HostDouble
from tests.dataplane.origins import OK, Origin

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"


class Reader(Protocol):
    """Reads a body."""

    data = b""
    reason: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self.reason = reason


class HostClientTests(SynchronousTestCase):
    """A plugin's client, and its end."""

    def setUp(self) -> None:
        self.host = HostDouble("p", "1")
        clock = self.host.clock
        self.origin = Origin(clock, maxPause=20.0)
        agent = PoolAgent(lambda *_: Upstream("o", [self.origin.target], clock.seconds))
        self.host._makeClient = lambda: UpstreamClient(agent, clock, 10.0)

    def begun(self, pieces: bytes = HEAD + b"01234", **options: Any) -> Any:
        """A response of which half the body is there."""
        answered = self.host.client.get("http://o/", **options)
        self.origin.arrived[-1].says(pieces)
        return self.successResultOf(answered)

    def closed(self) -> list[str]:
        ended: list[str] = self.successResultOf(self.host.close())
        return ended

    def test_whole(self) -> None:
        """An answer that is read to its end, once or twice, leaves nothing in the book."""
        response = self.begun(OK)
        self.assertEqual(self.successResultOf(response.text()), "hi")
        self.assertEqual(self.successResultOf(response.content()), b"hi")
        self.assertEqual((response.code, self.host.pending(), self.closed()), (200, {}, []))

    def test_gzip(self) -> None:
        """What treq decodes is decoded as ever."""
        packed = gzip.compress(b"hello")
        head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
        self.assertEqual(self.successResultOf(self.begun(head + packed).content()), b"hello")
        self.assertEqual(self.host.pending(), {})

    def test_waiting(self) -> None:
        """A request without an answer is cancelled, and its connection broken off."""
        answered = self.host.client.get("http://o/")
        failures: list[Any] = []
        answered.addErrback(failures.append)
        self.assertEqual(self.closed(), ["1 × request GET"])
        self.assertTrue(failures[0].check(CancelledError))
        self.assertEqual(self.origin.arrived[-1].end, "abort")

    def test_buffering(self) -> None:
        """A body that treq is reading for the plugin is broken off."""
        content = self.begun().content()
        self.assertEqual(self.host.pending(), {"response to GET": 1})
        self.assertEqual(self.closed(), ["1 × response to GET"])
        self.failureResultOf(content)
        self.assertEqual(self.origin.arrived[-1].end, "abort")

    def test_streaming(self) -> None:
        """A body that a protocol of the plugin reads is broken off, and it is told."""
        reader = Reader()
        self.begun(unbuffered=True).deliverBody(reader)
        self.assertEqual((reader.data, reader.reason), (b"01234", None))
        self.closed()
        self.assertIsNotNone(reader.reason)
        self.assertEqual(self.origin.arrived[-1].end, "abort")

    def test_readAfterwards(self) -> None:
        """An answer that is there cannot be read once the plugin was stopped."""
        response = self.begun(unbuffered=True)
        self.closed()
        self.assertRaises(RuntimeError, response.deliverBody, Reader())


class OldNameTests(SynchronousTestCase):
    """Names that plugins may import."""

    def test_same(self) -> None:
        """The module and the class under their earlier names."""
        self.assertIs(bookedclient.BookedClient, hostclient.HostClient)
        self.assertIs(hostclient.BookedClient, hostclient.HostClient)
        self.assertIs(bookedclient.Book, hostclient.Book)
