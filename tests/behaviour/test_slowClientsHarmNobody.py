"""
Three hundred clients of each slow kind: others are served meanwhile, and the slow are gone when their time is over.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.http.limits import Timeouts
from tests.behaviour.pipeline import Client, Heard, OriginConnection, Pipeline
from tests.behaviour.test_faultyOriginsAreContained import understood

MANY = 300
BIG = 4 * 1024 * 1024
TIMEOUTS = Timeouts(handshake=10, header=10, body=20, idle=30, response=60)


class SlowClientsTests(SynchronousTestCase):
    """One kind at a time."""

    def setUp(self) -> None:
        # As many connections to the origin as slow clients may take up, and one more.
        self.pipeline = Pipeline(timeouts=TIMEOUTS, connections=MANY + 1)

    def crowd(self, begin: bytes) -> list[Client]:
        """So many clients, each of whom has sent this."""
        clients = [self.pipeline.connect() for _ in range(MANY)]
        for client in clients:
            client.send(begin)
        return clients

    def pass_(self, seconds: int, each: Callable[[int], None] = lambda second: None) -> None:
        """Time passes, and every second somebody else is served."""
        for second in range(seconds):
            each(second)
            other = self.pipeline.connect()
            other.send(b"GET /other HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            self.assertEqual(understood(other), (200, b"answer to /other", True), f"after {second} s")
            self.pipeline.wait(1)

    def assertGone(self, clients: list[Client], statuses: list[int]) -> None:
        """All have been told this, and nothing is left of them."""
        self.assertEqual([client.statuses() for client in clients], [statuses] * MANY)
        self.assertEqual(self.pipeline.edge.connections, set())
        self.assertEqual(self.pipeline.chain.active, 0)
        self.pipeline.end()

    def test_silentFromTheStart(self) -> None:
        """Who says nothing at all is let go after the time for a head."""
        clients = self.crowd(b"")
        self.pass_(9)
        self.assertGreaterEqual(len(self.pipeline.edge.connections), MANY)
        self.pass_(5)
        self.assertGone(clients, [])

    def test_stalledHandshake(self) -> None:
        """Who connects to TLS and does not shake hands is let go after the time for that."""
        clients = [self.pipeline.connectTLS() for _ in range(MANY)]
        self.pass_(14)
        self.assertGone(clients, [])

    def test_slowHead(self) -> None:
        """A head that comes byte by byte has no more time than any other; then 408."""
        clients = self.crowd(b"GET / HTTP/1.1\r\nHost: x\r\nX: ")

        def drip(second: int) -> None:
            for client in clients:
                client.wire.arrive(b"y")
            self.pipeline.settle()

        self.pass_(9, drip)
        self.assertEqual(clients[0].got, b"")
        self.pass_(6, drip)
        self.assertGone(clients, [408])

    def test_stalledBody(self) -> None:
        """A body that stops gets 408, and the origin, which has seen a beginning, does not take it for whole."""
        clients = self.crowd(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello")
        self.pass_(25)
        self.assertGone(clients, [408])
        self.assertEqual([heard for heard in self.pipeline.origin.heard if heard.body and heard.whole], [])

    def test_slowBody(self) -> None:
        """A body that does come, slowly, is waited for."""
        clients = self.crowd(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")

        def drip(second: int) -> None:
            if second % 10 == 0:
                for client in clients:
                    client.wire.arrive(b"y")

        self.pass_(95, drip)
        self.assertEqual([client.statuses() for client in clients], [[200]] * MANY)

    def test_slowBodiesAndFewConnections(self) -> None:
        """Clients with slow small bodies take up no connection to the origin, so they cannot take up all of them."""
        self.pipeline = Pipeline(timeouts=TIMEOUTS, connections=2)
        clients = self.crowd(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")

        def drip(second: int) -> None:
            if second < 50 and second % 5 == 0:
                for client in clients:
                    client.wire.arrive(b"y")

        self.pass_(60, drip)
        self.assertEqual([client.statuses() for client in clients], [[200]] * MANY)
        whole = [heard for heard in self.pipeline.origin.heard if heard.method == b"POST"]
        self.assertEqual([heard.body for heard in whole], [b"y" * 10] * MANY)

    def test_idle(self) -> None:
        """Who has had an answer and says nothing more is let go after the idle time, without a word."""
        clients = self.crowd(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.pass_(29)
        self.assertFalse(clients[0].closed)
        self.pass_(5)
        self.assertGone(clients, [200])

    def test_readsNothing(self) -> None:
        """Who does not read a large answer takes up little memory, stops the origin, and is let go."""
        self._answerBig()
        clients = [self.pipeline.connect() for _ in range(MANY)]
        for client in clients:
            client.wire.stall()
            client.send(b"GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        held = max(len(client.wire.dataBuffer) for client in clients)
        self.assertLess(held, 300_000)
        # Progress is only seen between two looks, so it takes two of them.
        self.pass_(43)
        self.assertEqual({client.wire.end for client in clients}, {"abort"})
        self.assertEqual(self.pipeline.edge.connections, set())
        self.pipeline.end()

    def test_readsSlowly(self) -> None:
        """Who reads, however slowly, is not let go."""
        self._answerBig()
        clients = [self.pipeline.connect() for _ in range(MANY)]
        for client in clients:
            client.wire.stall()
            client.send(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")

        def read(second: int) -> None:
            for client in clients:
                client.wire.take(2000)

        self.pass_(60, read)
        self.assertEqual({client.wire.end for client in clients}, {None})

    def _answerBig(self) -> None:
        """Have the origin answer ``/big`` in pieces, as long as the edge reads them."""
        origin = self.pipeline.origin
        usual = origin.wholeHeard

        def heard(connection: OriginConnection, heard: Heard) -> None:
            if heard.target != b"/big":
                usual(connection, heard)
                return
            connection.wire.arrive(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BIG)
            piece = bytes(65536)
            for _ in range(BIG // len(piece)):
                connection.wire.arrive(piece)

        origin.wholeHeard = heard  # type: ignore[method-assign]
