"""
Tests for `revproxy.demo.origin`: bytes in, bytes out.
"""

from __future__ import annotations

import json

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from revproxy.demo.origin import originSite


class OriginTests(SynchronousTestCase):
    """
    One connection each.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        peer = IPv4Address("TCP", "127.0.0.1", 40000)
        self.connection = originSite(self.clock).buildProtocol(peer)
        self.transport = StringTransport(peerAddress=peer)
        self.connection.makeConnection(self.transport)

    def ask(self, head: bytes, body: bytes = b"") -> tuple[bytes, bytes]:
        """
        Head and body of what was answered so far.
        """
        self.connection.dataReceived(head + b"\r\nHost: demo\r\n\r\n" + body)
        answer = self.transport.value().partition(b"\r\n\r\n")
        return answer[0], answer[2]

    def test_index(self) -> None:
        """
        The page shows the headers that arrived, and they cannot put markup into it.
        """
        head, body = self.ask(b"GET / HTTP/1.1\r\nX-Mark: <script>")
        self.assertTrue(head.startswith(b"HTTP/1.1 200 "), head)
        self.assertIn(b"&lt;script&gt;", body)
        self.assertIn(b" from 127.0.0.1:40000 with", body)
        self.assertNotIn(b"<script>", body)
        self.assertTrue(body.rstrip().endswith(b"</body>"), "html-banner needs a place")

    def test_echo(self) -> None:
        """
        Any method is told back, with target, headers and the size of the body.
        """
        body = self.ask(b"PUT /api/echo?a=b HTTP/1.1\r\nX-One: 1\r\nContent-Length: 5", b"hello")[1]
        echo = json.loads(body)
        self.assertEqual((echo["method"], echo["target"], echo["body_bytes"]), ("PUT", "/api/echo?a=b", 5))
        self.assertIn(["X-One", "1"], echo["headers"])

    def test_slow(self) -> None:
        """
        The answer comes when the time is over.
        """
        self.assertEqual(self.ask(b"GET /slow?seconds=2 HTTP/1.1"), (b"", b""))
        self.clock.advance(2)
        self.assertIn(b"after 2 seconds", self.transport.value())

    def test_slowRefused(self) -> None:
        """
        Times that are none are refused.
        """
        for seconds in (b"-1", b"nan", b"61", b"x"):
            self.transport.clear()
            self.assertIn(b" 400 ", self.ask(b"GET /slow?seconds=" + seconds + b" HTTP/1.1")[0])

    def test_bytes(self) -> None:
        """
        Exactly so many bytes, with their length; none for HEAD.
        """
        head, body = self.ask(b"GET /bytes/100000 HTTP/1.1")
        self.assertIn(b"Content-Length: 100000", head)
        self.assertEqual(len(body), 100000)
        self.transport.clear()
        head, body = self.ask(b"HEAD /bytes/100000 HTTP/1.1")
        self.assertIn(b"Content-Length: 100000", head)
        self.assertEqual(body, b"")

    def test_bytesRefused(self) -> None:
        """
        More than a gibibyte, and what is no number, is not there.
        """
        for number in (b"1073741825", b"-1", b"x"):
            self.transport.clear()
            self.assertIn(b" 404 ", self.ask(b"GET /bytes/" + number + b" HTTP/1.1")[0])

    def test_stream(self) -> None:
        """
        A tick each second, until the client has left.
        """
        self.ask(b"GET /stream HTTP/1.1")
        self.clock.pump([1, 1])
        for tick in (b"data: tick 1\n\n", b"data: tick 2\n\n", b"data: tick 3\n\n"):
            self.assertIn(tick, self.transport.value())
        self.connection.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.clock.getDelayedCalls(), [])
