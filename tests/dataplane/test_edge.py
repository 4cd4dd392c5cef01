"""An edge that drains, that breaks off, and whose settings change."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.http.limits import Limits, Timeouts
from revproxy.dataplane.routing import Route
from tests.dataplane.doubles import EdgeDouble, RecorderDouble, RecordingLeaf, SourceDouble

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class DrainTests(SynchronousTestCase):
    """`Edge.drain`."""

    def setUp(self) -> None:
        self.leaf = RecordingLeaf()
        self.double = EdgeDouble(self.leaf, timeouts=Timeouts(drain=10), limits=Limits(maxConnections=3))

    def test_nobody(self) -> None:
        """At once, and nobody is let in any more."""
        self.successResultOf(self.double.edge.drain())
        self.assertIsNone(self.double.listener.buildProtocol(None))  # type: ignore[arg-type]
        self.assertEqual(self.double.clock.getDelayedCalls(), [])

    def test_running(self) -> None:
        """Idle ones close now, running ones after their answer; then it is over, and nothing is scheduled."""
        idle, running = self.double.connect(), self.double.connect()
        running.send(GET)
        drained = self.double.edge.drain()
        self.assertEqual([idle.end, running.end], ["close", None])
        idle.leave()
        self.leaf.answer(0, b"hi")
        self.assertIn(b"Connection: close\r\n", running.received())
        self.assertNoResult(drained)
        running.leave()
        self.successResultOf(drained)
        self.double.pass_(1)
        self.assertEqual(self.double.clock.getDelayedCalls(), [])

    def test_hardStop(self) -> None:
        """After the drain time the rest is broken off."""
        running = self.double.connect()
        running.send(GET)
        drained = self.double.edge.drain()
        self.double.pass_(9)
        self.assertIsNone(running.end)
        self.double.pass_(1.5)
        self.assertEqual(running.end, "abort")
        running.leave()
        self.successResultOf(drained)
        self.assertEqual(self.double.active, 0)
        (record,) = self.double.log.records
        self.assertEqual((record.status, record.error), (503, "BrokenOff: the edge is being stopped"))

    def test_full(self) -> None:
        """No more connections than allowed; one that ends makes room."""
        clients = [self.double.connect() for _ in range(3)]
        self.assertIsNone(self.double.listener.buildProtocol(None))  # type: ignore[arg-type]
        self.assertEqual(self.double.edge.turnedAway, 1)
        clients[0].leave()
        self.double.connect()


class BreakingOffTests(SynchronousTestCase):
    """`Edge.breakOffChains`; of tunnels see `test_exchange`."""

    def setUp(self) -> None:
        self.leaf = RecordingLeaf()
        routes = [Route(path, b"", path.encode(), self.leaf, group) for group, path in enumerate(("/a", "/b", "/c"))]
        self.double = EdgeDouble(routes=routes)
        self.chains = self.double.chains[:3]

    def test_running(self) -> None:
        """Connections whose request goes through one of the chains end, all others go on."""
        clients = [self.double.connect() for _ in range(5)]
        for client, path in zip(clients, (b"/a", b"/b", b"/c", b"/none"), strict=False):
            client.send(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path)
        self.assertEqual(self.double.edge.breakOffChains(self.chains[:2]), 2)
        self.assertEqual([client.end for client in clients], ["abort", "abort", None, None, None])
        self.assertEqual(self.double.edge.breakOffChains(self.chains[:2]), 0)
        for client in clients[:2]:
            client.leave()
        self.assertEqual([chain.active for chain in self.chains], [0, 0, 1])
        self.leaf.answer(2, b"hi")
        self.assertTrue(clients[2].received().endswith(b"\r\n\r\nhi"))

    def test_logged(self) -> None:
        """It was not the client that left: the log says so, of requests and of answers on their way."""
        waiting, reading = self.double.connect(), self.double.connect()
        waiting.send(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
        reading.send(b"GET /b HTTP/1.1\r\nHost: x\r\n\r\n")
        self.leaf.stream(1, SourceDouble())
        self.double.edge.breakOffChains(self.chains)
        for client in (waiting, reading):
            client.leave(rudely=True)
        text = "BrokenOff: the drain time of a replaced plugin is over"
        records = self.double.log.records
        self.assertEqual([(record.status, record.error) for record in records], [(503, text), (200, text)])

    def test_idle(self) -> None:
        """A connection that waits for its next request is not concerned by what it went through before."""
        client = self.double.connect()
        client.send(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
        self.leaf.answer(0)
        self.assertEqual(self.double.edge.breakOffChains(self.chains), 0)
        self.assertIsNone(client.end)

    def test_nothing(self) -> None:
        """No chains, no harm."""
        client = self.double.connect()
        client.send(b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n")
        self.double.connect()
        self.assertEqual(self.double.edge.breakOffChains([]), 0)


class SettingsTests(SynchronousTestCase):
    """What may be assigned while connections live."""

    def setUp(self) -> None:
        self.leaf = RecordingLeaf()
        self.double = EdgeDouble(self.leaf)
        self.client = self.double.connect()
        self.client.send(GET)
        self.leaf.answer(0)
        self.client.received()

    def test_limits(self) -> None:
        """New limits hold for the next request of a connection that is there, and for the next connection."""
        self.double.edge.limits = Limits(maxTargetBytes=5, maxConnections=1)
        self.assertIsNone(self.double.listener.buildProtocol(None))  # type: ignore[arg-type]
        self.client.send(b"GET /toolong HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertTrue(self.client.received().startswith(b"HTTP/1.1 414 "))

    def test_timeouts(self) -> None:
        """New timeouts hold from the next wait of a connection that is there."""
        self.double.edge.timeouts = Timeouts(idle=3)
        self.client.send(GET)
        self.leaf.answer(1)
        self.double.pass_(2)
        self.assertIsNone(self.client.end)
        self.double.pass_(2)
        self.assertEqual(self.client.end, "close")

    def test_log(self) -> None:
        """A request is recorded where the recorder is when it ends, and as it is asked for then."""
        self.client.send(b"GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: me\r\n\r\n")
        other = RecorderDouble()
        self.double.edge.recorder = other  # type: ignore[assignment]
        self.double.edge.logsAgents = True
        self.leaf.answer(1)
        self.assertEqual((len(self.double.log.records), len(other.records)), (1, 1))
        self.assertEqual(other.records[0].userAgent, b"me")
        self.double.edge.recorder = None
        self.client.send(GET)
        self.leaf.answer(2)
        self.assertEqual(len(other.records), 1)
