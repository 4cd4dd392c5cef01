"""Whatever happens in whatever order: when all have left, nothing is counted as running, open or waiting any more."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionRefusedError
from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.client import PoolAgent, UpstreamClient
from revproxy.dataplane.leaves import Leaf
from revproxy.dataplane.limits import Timeouts
from revproxy.dataplane.proxy import ProxyLeaf
from revproxy.dataplane.upstream import Upstream
from tests.dataplane.doubles import EdgeDouble
from tests.dataplane.origins import OK, Origin

REQUESTS = (
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n",
    b"hello",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    b"0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: y\r\n\r\n",
    b"nonsense\r\n\r\n",
)
ANSWERS = (
    OK,
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab",
    b"cde",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    b"0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: y\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\nuntil",
    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("connect"), st.just(0), st.just(0)),
        st.tuples(st.just("send"), st.integers(0, 2), st.integers(0, len(REQUESTS) - 1)),
        st.tuples(st.just("leave"), st.integers(0, 2), st.just(0)),
        st.tuples(st.just("says"), st.integers(0, 3), st.integers(0, len(ANSWERS) - 1)),
        st.tuples(st.just("dies"), st.integers(0, 3), st.integers(0, 1)),
        st.tuples(st.sampled_from(["shut", "admit", "refuse"]), st.just(0), st.just(0)),
        st.tuples(st.just("time"), st.sampled_from([1, 6, 40, 70]), st.just(0)),
    ),
    min_size=3,
    max_size=25,
)


class BooksTests(SynchronousTestCase):
    """Two connections to the origin at most, two requests that wait."""

    @settings(max_examples=150, deadline=None)
    @given(STEPS)
    def test_anyOrder(self, steps: list[tuple[str, int, int]]) -> None:
        """Clients come, send, leave; the origin answers, well or badly, dies, refuses; time passes."""
        proxied: list[ProxyLeaf] = []

        class Later(Leaf):
            def render(self, exchange: object) -> int:
                return proxied[0].render(exchange)  # type: ignore[arg-type]

        edge = EdgeDouble(Later(), timeouts=Timeouts())
        origin = Origin(edge.clock, deadlines=edge.edge.deadlines, maxConnections=2)
        upstream = Upstream("app", [origin.target], edge.clock.seconds)
        proxied.append(ProxyLeaf(UpstreamClient(PoolAgent(lambda *_: upstream), edge.clock), upstream))
        clients = [edge.connect()]
        gone: set[int] = set()
        dead: set[int] = set()

        def bury() -> None:
            """What the edge has ended is over, as on a socket."""
            for at, client in enumerate(clients):
                if client.end in ("close", "abort") and at not in gone:
                    gone.add(at)
                    client.leave()
            for at, arrived in enumerate(origin.arrived):
                if arrived.end in ("close", "abort") and at not in dead:
                    dead.add(at)
                    arrived.leaves()

        for what, one, other in steps:
            if what == "connect" and len(clients) < 6:
                clients.append(edge.connect())
            elif what == "send" and one < len(clients) and one not in gone:
                clients[one].send(REQUESTS[other])
            elif what == "leave" and one < len(clients) and one not in gone:
                gone.add(one)
                clients[one].leave()
            elif what == "says" and one < len(origin.arrived) and one not in dead:
                origin.arrived[one].says(ANSWERS[other])
            elif what == "dies" and one < len(origin.arrived) and one not in dead:
                dead.add(one)
                origin.arrived[one].leaves(rudely=bool(other))
            elif what == "shut":
                origin.accepts = False
            elif what == "admit" and origin.attempts:
                origin.admits()
            elif what == "refuse" and origin.attempts:
                origin.refuses(ConnectionRefusedError())
            elif what == "time":
                edge.pass_(one)
            bury()
        for at, client in enumerate(clients):
            if at not in gone:
                gone.add(at)
                client.leave()
        for _ in range(3):
            bury()
        while origin.attempts:
            origin.refuses(ConnectionRefusedError())
        self.assertEqual(edge.active, 0)
        self.assertEqual(len(edge.edge.connections), 0)
        pool = origin.pool
        self.assertEqual([pool.open, len(pool.waiting), len(pool._connecting)], [len(pool.idle), 0, 0])
        self.assertEqual(len(pool._live), len(pool.idle))
        self.assertLessEqual(pool.open, 2)
        for at, arrived in enumerate(origin.arrived):
            if at not in dead and arrived.protocol in pool.idle:
                self.assertTrue(arrived.transport.reading)
                dead.add(at)
                arrived.leaves()
        self.assertEqual(pool.open, 0)
        self.assertEqual(dead, set(range(len(origin.arrived))))
        edge.pass_(100)
        self.assertEqual(edge.clock.getDelayedCalls(), [])
