"""Tests for :mod:`revproxy.dataplane.listener`: who is let in, and how its connections end."""

from __future__ import annotations

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from revproxy.addresses import AddressSet
from revproxy.dataplane.http.limits import Limits
from revproxy.dataplane.leaves.fixed import RespondLeaf
from tests.dataplane.doubles import EdgeDouble, RecordingLeaf

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class AdmissionTests(SynchronousTestCase):
    """Who is let in."""

    def test_manyOfOneClient(self) -> None:
        """Each client may have so many connections; IPv6 addresses of one /64 are one client."""
        edge = EdgeDouble(RespondLeaf(200, b"", {}), limits=Limits(maxConnectionsPerClient=2))
        for first, second, other in (
            ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
            ("2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1"),
            ("198.51.100.1", "::ffff:198.51.100.1", "::ffff:198.51.100.2"),
        ):
            client = edge.connect(first)
            edge.connect(second)
            self.assertFalse(edge.admits(first), first)
            self.assertFalse(edge.admits(second), second)
            self.assertTrue(edge.admits(other), other)
            client.leave()
            self.assertTrue(edge.admits(second), second)
        self.assertEqual((edge.edge.turnedAway, edge.edge.clients.turnedAway), (6, 6))

    def test_manyOfNobody(self) -> None:
        """Clients without an address, and trusted proxies, have as many as they want; others are counted always."""
        edge = EdgeDouble(RespondLeaf(200, b"", {}), trusted=AddressSet(["10.0.0.0/8"]))
        for host in ("", "10.1.2.3", "192.0.2.1"):
            for _ in range(3):
                edge.connect(host)
        edge.edge.limits = Limits(maxConnectionsPerClient=3)
        self.assertEqual([edge.admits(host) for host in ("", "10.1.2.3", "192.0.2.1")], [True, True, False])
        for server in list(edge.edge.connections):
            server.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(len(edge.edge.clients), 0)


class EndTests(SynchronousTestCase):
    """The endpoint is gone, the edge is not."""

    def setUp(self) -> None:
        self.leaf = RecordingLeaf()
        self.double = EdgeDouble(self.leaf)

    def test_drain(self) -> None:
        """
        One that has asked before closes now, one that has never asked may ask once, a running one closes after its
        answer.
        """
        asked, silent, running = (self.double.connect() for _ in range(3))
        for client in (asked, running):
            client.send(GET)
        self.leaf.answer(0)
        self.double.listener.drain()
        self.assertEqual([asked.end, silent.end, running.end], ["close", None, None])
        self.leaf.answer(1, b"hi")
        silent.send(GET)
        self.leaf.answer(2, b"hi")
        for client in (running, silent):
            self.assertIn(b"Connection: close\r\n", client.received())
            self.assertEqual(client.end, "close")

    def test_breakOff(self) -> None:
        """All of its connections end at once, for a reason that the log has; those of other listeners go on."""
        other = EdgeDouble(self.leaf)
        other.edge = other.listener.edge = self.double.edge
        mine, theirs = self.double.connect(), other.connect()
        for client in (mine, theirs):
            client.send(GET)
        self.double.listener.breakOff()
        self.assertEqual([mine.end, theirs.end], ["abort", None])
        mine.leave()
        (record,) = self.double.log.records
        self.assertEqual(record.error, "BrokenOff: the drain time of a removed listener is over")
