"""Whatever happens in whatever order: when all have left, nothing is counted as running, open or waiting any more."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionRefusedError
from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.http.limits import Timeouts
from revproxy.dataplane.http.shares import TUNNEL, UPLOAD
from revproxy.dataplane.leaves.leaf import Leaf
from revproxy.dataplane.leaves.proxy import ProxyLeaf
from revproxy.dataplane.upstream.pool import Pool
from revproxy.dataplane.upstream.treqclient import PoolAgent, UpstreamClient
from revproxy.dataplane.upstream.upstream import Upstream
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
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\nhello",
    b"x" * 69995,
    b"PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n",
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
SEND = st.tuples(st.just("send"), st.integers(0, 5), st.integers(0, len(REQUESTS) - 1))
SAYS = st.tuples(st.just("says"), st.integers(0, 5), st.integers(0, len(ANSWERS) - 1))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("connect"), st.just(0), st.just(0)),
        SEND,
        SEND,
        SEND,
        SAYS,
        SAYS,
        st.tuples(st.just("leave"), st.integers(0, 5), st.just(0)),
        st.tuples(st.just("dies"), st.integers(0, 5), st.integers(0, 1)),
        st.tuples(st.sampled_from(["shut", "admit", "refuse"]), st.just(0), st.just(0)),
        st.tuples(st.just("time"), st.sampled_from([1, 6, 40, 70]), st.just(0)),
    ),
    min_size=20,
    max_size=60,
)


def balance(pool: Pool) -> bool:
    """
    Whether what is counted is what there is, and nobody waits who need not.

    :raises AssertionError: if not.
    """
    shares, waiting = pool.shares, pool.waiting
    held = [connection.share for connection in pool._live] + [outgoing.share for outgoing in waiting]
    assert shares.uploads == held.count(UPLOAD) <= shares.maxUploads, (shares.uploads, held)
    assert shares.tunnels == held.count(TUNNEL), (shares.tunnels, held)
    assert shares.connections == len(pool._live) - shares.tunnels + len(pool._connecting)
    assert not waiting.held or shares.uploads == shares.maxUploads
    assert not shares.hasRoom or len(pool._connecting) >= len(waiting.ready)
    assert all(outgoing.body is None or outgoing.body.failure is None for outgoing in waiting)
    return True


class BooksTests(SynchronousTestCase):
    """Two connections to the origin at most, two requests that wait."""

    @settings(max_examples=300, deadline=None)
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
        clients = [edge.connect() for _ in range(3)]
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
            self.assertTrue(balance(origin.pool))
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
        self.assertEqual([pool.shares.uploads, pool.shares.tunnels], [0, 0])
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
