"""Tests for :mod:`revproxy.dataplane.upstream.outgoing`: which requests go to another target."""

from __future__ import annotations

from twisted.internet.error import ConnectionRefusedError

from revproxy.body import Body
from revproxy.dataplane.http.limits import Timeouts
from revproxy.errors import BadResponse, ConnectFailed, UpstreamError, UpstreamTimeout
from revproxy.testing import SourceDouble
from tests.dataplane.origins import OK, Origin, OriginCase


class FailOverTests(OriginCase):
    """Two targets of which one fails."""

    def setUp(self) -> None:
        super().setUp()
        timeouts = Timeouts(response=10)
        self.first = Origin(self.clock, url="http://first", timeouts=timeouts)
        self.second = Origin(self.clock, url="http://second", timeouts=timeouts)
        self.upstream = self.upstreamOf(self.first, self.second, maxFails=2, failTimeout=20.0)

    def heads(self, origin: Origin) -> int:
        """How many requests it got."""
        return sum(connection.heard().count(b"HTTP/1.1\r\n") for connection in origin.arrived)

    def test_refused(self) -> None:
        """Nothing was sent yet: any request goes to the other, with the other's name in its head."""
        for method, body in ((b"GET", None), (b"POST", Body.of(b"x")), (b"POST", SourceDouble(length=1).body)):
            self.setUp()
            self.first.accepts = False
            asked = self.ask(method, body)
            self.first.refuses(ConnectionRefusedError())
            self.assertIn(b"Host: second\r\n", self.second.arrived[0].heard())
            self.second.arrived[0].says(OK)
            self.assertEqual(asked.got.status, 200)
            self.assertEqual(asked.target, self.second.target)

    def test_bodyIsWhole(self) -> None:
        """A streamed body arrives whole at the second, whatever came of it while the first was tried."""
        self.first.accepts = False
        source = SourceDouble()
        self.ask(b"POST", source.body)
        source.feed(b"abc")
        source.finish()
        self.first.refuses(ConnectionRefusedError())
        heard = self.second.arrived[0].heard()
        framed = heard.endswith((b"Content-Length: 3\r\n\r\nabc", b"chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"))
        self.assertTrue(framed, heard)

    def test_lostBeforeAnswer(self) -> None:
        """No byte of an answer: an idempotent request goes to the other, with a body that is still here; others not."""
        asked = self.ask()
        self.first.arrived[0].leaves()
        self.second.arrived[0].says(OK)
        self.assertEqual(asked.got.status, 200)
        self.setUp()
        asked = self.ask(b"PUT", Body.of(b"hello"))
        self.first.arrived[0].leaves()
        self.assertTrue(self.second.arrived[0].heard().endswith(b"Content-Length: 5\r\n\r\nhello"))
        self.second.arrived[0].says(OK)
        self.assertEqual(asked.got.status, 200)
        for method, body in ((b"POST", None), (b"POST", Body.of(b"x")), (b"PUT", SourceDouble(length=3).body)):
            self.setUp()
            asked = self.ask(method, body)
            self.first.arrived[0].leaves()
            self.assertFailed(asked, UpstreamError)
            self.assertEqual(self.second.arrived, [])

    def test_badAnswer(self) -> None:
        """A bad answer, and none in time, are answers: nothing is sent again."""
        asked = self.ask()
        self.first.arrived[0].says(b"nonsense")
        self.assertFailed(asked, BadResponse)
        asked = self.ask()
        self.pass_(11)
        self.assertFailed(asked, UpstreamTimeout)
        self.assertEqual([len(self.first.arrived), len(self.second.arrived)], [1, 1])

    def test_full(self) -> None:
        """A target that has no place leaves the request to the other."""
        self.first = Origin(self.clock, url="http://first", maxConnections=0, maxQueue=0)
        self.upstream = self.upstreamOf(self.first, self.second)
        asked = self.ask()
        self.second.arrived[0].says(OK)
        self.assertEqual(asked.got.status, 200)

    def test_allFail(self) -> None:
        """When none is left, the last failure is the answer."""
        self.first.accepts = self.second.accepts = False
        asked = self.ask()
        self.first.refuses(ConnectionRefusedError())
        self.second.refuses(ConnectionRefusedError())
        self.assertFailed(asked, ConnectFailed)
