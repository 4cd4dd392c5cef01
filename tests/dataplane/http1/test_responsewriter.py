"""Tests for :mod:`revproxy.dataplane.http1.responsewriter`: transcripts, with no socket."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.context import Headers
from revproxy.dataplane.http.limits import Timeouts
from revproxy.errors import UpstreamError
from revproxy.testing import SourceDouble
from tests.dataplane.http1.served import GET, Recorded, post


class StreamingTests(SynchronousTestCase):
    """Answers whose body is still to come."""

    def start(self, request: bytes = GET, **options: Any) -> tuple[Recorded, SourceDouble]:
        recorded = Recorded(**options)
        recorded.client.send(request)
        return recorded, SourceDouble()

    def test_chunked(self) -> None:
        """Without a length, a 1.1 client gets chunks as they come."""
        recorded, source = self.start()
        recorded.leaf.stream(0, source)
        self.assertEqual(recorded.client.received(), b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        source.feed(b"abc")
        self.assertEqual(recorded.client.received(), b"3\r\nabc\r\n")
        source.finish()
        self.assertEqual(recorded.client.received(), b"0\r\n\r\n")
        recorded.client.send(GET)
        self.assertEqual(len(recorded.requests), 2)

    def test_trailers(self) -> None:
        """Announced trailers are announced on, and follow the last chunk."""
        recorded = Recorded()
        recorded.client.send(GET)
        source = SourceDouble(trailers=Headers.of({"X-Sum": "3"}))
        source.body._announced = b"X-Sum"
        recorded.leaf.stream(0, source)
        source.feed(b"abc")
        source.finish()
        self.assertEqual(
            recorded.client.received(),
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 3\r\n\r\n",
        )

    def test_withLength(self) -> None:
        """With a length, bytes go as they are."""
        recorded, source = self.start()
        recorded.leaf.stream(0, source, [(b"Content-Length", b"6")])
        source.feed(b"abc")
        source.feed(b"def")
        source.finish()
        self.assertEqual(recorded.client.received(), b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef")
        self.assertEqual(recorded.edge.log.records[0].bytesOut, 81)

    def test_http10(self) -> None:
        """To a 1.0 client the close is the end of a body without a length, whatever it asked for."""
        recorded, source = self.start(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        recorded.leaf.stream(0, source)
        source.feed(b"abc")
        self.assertIsNone(recorded.client.end)
        source.finish()
        self.assertEqual(recorded.client.received(), b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc")
        self.assertEqual(recorded.client.end, "close")

    def test_filtered(self) -> None:
        """A filtered body loses its length and is chunked."""
        recorded, source = self.start()
        source.body.addFilter(lambda data, last: data.upper())
        recorded.leaf.stream(0, source, [(b"Content-Length", b"3")])
        source.feed(b"abc")
        source.finish()
        self.assertEqual(
            recorded.client.received(), b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nABC\r\n0\r\n\r\n"
        )

    def test_firstPieceWithHead(self) -> None:
        """What is there already goes out with the head, in one write."""
        recorded, source = self.start()
        source.feed(b"abc")
        recorded.leaf.stream(0, source)
        self.assertEqual(recorded.client.transport.writes, 1)

    def test_slowReader(self) -> None:
        """A client that does not read pauses the source; the rest follows when it reads on."""
        recorded, source = self.start()
        recorded.leaf.stream(0, source)
        recorded.client.transport.stall()
        source.feed(b"x" * 70_000)
        self.assertTrue(source.paused)
        recorded.client.transport.take()
        self.assertFalse(source.paused)
        source.finish()
        self.assertTrue(recorded.client.received().endswith(b"x\r\n0\r\n\r\n"))

    def test_stalledReader(self) -> None:
        """A client that reads nothing for the body's time is broken off; one that reads a little is not."""
        recorded, source = self.start(timeouts=Timeouts(body=5))
        recorded.leaf.stream(0, source)
        recorded.client.transport.stall()
        source.feed(b"x" * 100_000)
        for _ in range(4):
            recorded.client.transport.take(1000)
            recorded.edge.pass_(5)
            self.assertIsNone(recorded.client.end)
        recorded.edge.pass_(6)
        self.assertEqual(recorded.client.end, "abort")
        recorded.client.leave(rudely=True)
        self.assertTrue(source.stopped)
        self.assertEqual(recorded.edge.active, 0)

    def test_slowReaderOfLastBytes(self) -> None:
        """Also after the last byte is queued and the connection is to be closed, slow reading is reading."""
        recorded, source = self.start(
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", timeouts=Timeouts(body=5, linger=2)
        )
        recorded.leaf.stream(0, source)
        recorded.client.transport.stall()
        source.feed(b"x" * 50_000)
        source.finish()
        self.assertEqual(recorded.client.end, "close")
        for _ in range(4):
            recorded.client.transport.take(1000)
            recorded.edge.pass_(5)
            self.assertEqual(recorded.client.end, "close")
        recorded.edge.pass_(11)
        self.assertEqual(recorded.client.end, "abort")

    def test_bodyFails(self) -> None:
        """A body that breaks off breaks off the connection, without a last chunk."""
        recorded, source = self.start()
        recorded.leaf.stream(0, source)
        source.feed(b"abc")
        source.fail(UpstreamError("gone"))
        self.assertFalse(recorded.client.received().endswith(b"0\r\n\r\n"))
        self.assertEqual(recorded.client.end, "abort")
        recorded.client.leave()
        self.assertEqual(len(recorded.edge.log.records), 1)
        self.assertIn("gone", recorded.edge.log.records[0].error)
        self.assertEqual(recorded.edge.active, 0)

    def test_clientLeaves(self) -> None:
        """A client that leaves stops the source, and is logged once."""
        recorded, source = self.start()
        recorded.leaf.stream(0, source)
        source.feed(b"abc")
        recorded.client.leave()
        self.assertTrue(source.stopped)
        self.assertEqual(len(recorded.edge.log.records), 1)
        self.assertIn("ClientGone", recorded.edge.log.records[0].error)
        self.assertEqual(recorded.edge.active, 0)

    def test_whileUploading(self) -> None:
        """Request and answer can stream at the same time."""
        recorded, source = self.start(post(6) + b"abc")
        sink = recorded.sink()
        recorded.leaf.stream(0, source, [(b"Content-Length", b"2")])
        source.feed(b"1")
        recorded.client.send(b"def")
        self.assertTrue(sink.finished)
        source.feed(b"2")
        source.finish()
        self.assertEqual(recorded.client.received(), b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n12")
        recorded.client.send(GET)
        self.assertEqual(len(recorded.requests), 2)

    @given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.booleans())
    def test_anyPieces(self, pieces: list[bytes], framed: bool) -> None:
        """Whatever the pieces, an independent client reads the same body."""
        import h11

        recorded, source = self.start()
        whole = b"".join(pieces)
        recorded.leaf.stream(0, source, [(b"Content-Length", b"%d" % len(whole))] if framed else ())
        for piece in pieces:
            source.feed(piece)
        source.finish()
        reader = h11.Connection(h11.CLIENT)
        reader.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
        reader.send(h11.EndOfMessage())
        reader.receive_data(recorded.client.received())
        self.assertEqual(reader.next_event().status_code, 200)
        got = b""
        while isinstance(event := reader.next_event(), h11.Data):
            got += event.data
        self.assertIsInstance(event, h11.EndOfMessage)
        self.assertEqual(got, whole)
