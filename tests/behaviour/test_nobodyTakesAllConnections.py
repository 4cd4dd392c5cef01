"""
Connections to an origin that last as long as a client likes are a part of all: others are served at once.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.http.limits import Timeouts
from tests.behaviour.pipeline import Client, Heard, OriginConnection, Pipeline
from tests.behaviour.test_faultyOriginsAreContained import understood

MANY = 1100
CONNECTIONS = 1024
TIMEOUTS = Timeouts(body=20, tunnel=600)

CHUNKED = b"POST /slow HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
OFFER = b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


class SharesCase(SynchronousTestCase):
    """An edge with as many connections to its origin as is usual."""

    connections = CONNECTIONS

    def setUp(self) -> None:
        self.pipeline = Pipeline(timeouts=TIMEOUTS, connections=self.connections)
        self.origin = self.pipeline.origin

    def crowd(self, begin: bytes, many: int = MANY) -> list[Client]:
        """So many clients, each of whom has sent this."""
        clients = [self.pipeline.connect() for _ in range(many)]
        for client in clients:
            client.wire.arrive(begin)
        self.pipeline.settle()
        return clients

    def assertServed(self, request: bytes = b"GET /other HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") -> None:
        """Somebody else gets an answer, and no time passes."""
        other = self.pipeline.connect()
        other.send(request)
        self.assertEqual(understood(other), (200, b"answer to /other", True))

    def heads(self, target: bytes) -> int:
        """How many requests for it the origin has heard of."""
        return sum(heard.target == target for heard in self.origin.heard)


class UploadsTests(SharesCase):
    """Request bodies that do not go on."""

    def uploads(self, begin: bytes) -> list[Client]:
        """More of them than there are connections, and everybody else is served all the time."""
        clients = self.crowd(begin)
        for _ in range(70):
            self.assertServed()
            self.pipeline.wait(0.5)
        self.assertEqual(self.pipeline.edge.connections, set())
        self.pipeline.end()
        return clients

    def test_smallChunked(self) -> None:
        """Two bytes of a chunked body: awaited for a second, then they are half of all connections at most."""
        clients = self.uploads(CHUNKED + b"2\r\nab\r\n")
        self.assertEqual(self.heads(b"/slow"), CONNECTIONS // 2)
        told = [status for client in clients for status in client.statuses()]
        self.assertEqual({status: told.count(status) for status in set(told)}, {503: 588, 408: 512})

    def test_chunkedWithoutAnyByte(self) -> None:
        """The same with nothing of the body at all."""
        self.uploads(CHUNKED)
        self.assertEqual(self.heads(b"/slow"), CONNECTIONS // 2)

    def test_large(self) -> None:
        """A body of a declared length over 64 KB that stops after some bytes."""
        self.uploads(b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\nab")
        self.assertEqual(self.heads(b"/slow"), CONNECTIONS // 2)

    def test_largeChunked(self) -> None:
        """A chunked one over 64 KB."""
        self.uploads(CHUNKED + b"11170\r\n" + b"a" * 70000 + b"\r\n")
        self.assertEqual(self.heads(b"/slow"), CONNECTIONS // 2)

    def test_expecting(self) -> None:
        """Bodies that wait for 100 Continue."""
        self.uploads(b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n")
        self.assertEqual(self.heads(b"/slow"), CONNECTIONS // 2)

    def test_wholeOnesPass(self) -> None:
        """A request whose body is whole passes those by, too."""
        self.crowd(b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\nab")
        for body in (b"Content-Length: 3\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"):
            self.assertServed(b"POST /other HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + body)
        self.pipeline.end()


class FewConnectionsTests(SharesCase):
    """What is held goes on."""

    connections = 4

    def upload(self, size: int = 70000) -> Client:
        """A client that has begun to send a large body."""
        client = self.pipeline.connect()
        client.send(b"POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (size, size))
        return client

    def test_inTurn(self) -> None:
        """As one upload is through, the next begins; in the end all are served."""
        clients = [self.upload(70000 + at) for at in range(5)]
        self.assertEqual([heard.target for heard in self.origin.heard], [b"/70000", b"/70001"])
        for at, client in enumerate(clients):
            client.send(b"x" * (70000 + at))
        self.assertEqual([client.statuses() for client in clients], [[200]] * 5)
        self.assertEqual([heard.target for heard in self.origin.heard], [b"/%d" % (70000 + at) for at in range(5)])
        self.pipeline.end()

    def test_wholeButUnanswered(self) -> None:
        """An upload that is whole and waits for its answer is none any more: the next begins."""
        self.origin.wholeHeard = lambda connection, heard: None  # type: ignore[method-assign]
        clients = [self.upload() for _ in range(3)]
        clients[0].send(b"x" * 70000)
        self.assertEqual(len(self.origin.heard), 3)
        self.assertEqual(self.pipeline.pool.shares.uploads, 2)
        self.pipeline.end()

    def test_leaving(self) -> None:
        """One whose client leaves makes room, whether it was sent already or held."""
        clients = [self.upload() for _ in range(4)]
        clients[2].wire.leave()
        self.pipeline.settle()
        self.assertEqual(len(self.origin.heard), 2)
        clients[0].wire.leave()
        self.pipeline.settle()
        self.assertEqual(len(self.origin.heard), 3)
        clients[3].send(b"x" * 70000)
        self.assertEqual(clients[3].statuses(), [200])
        self.pipeline.end()

    def test_broken(self) -> None:
        """Hundreds that break off while they are held are told so at once, and cost nobody a connection."""
        self.pipeline = Pipeline(timeouts=TIMEOUTS, connections=600)
        self.origin = self.pipeline.origin
        answering, self.origin.wholeHeard = self.origin.wholeHeard, lambda *_: None  # type: ignore[method-assign]
        self.crowd(b"GET /other HTTP/1.1\r\nHost: x\r\n\r\n", 300)
        others = list(zip(self.origin.connections, self.origin.heard, strict=True))
        slow = [self.upload() for _ in range(300)]
        self.origin.wholeHeard = answering  # type: ignore[method-assign]
        for connection, heard in others:
            answering(connection, heard)
        held = self.crowd(CHUNKED + b"2\r\nab\r\n", 300)
        self.pipeline.wait(2)
        for client in held:
            client.send(b"zz\r\n")
        self.assertEqual([client.statuses() for client in held], [[400]] * 300)
        slow[0].send(b"x" * 70000)
        self.assertEqual(slow[0].statuses(), [200])
        self.assertEqual([len(self.origin.heard), len(self.pipeline.pool.idle)], [600, 301])
        self.pipeline.end()

    def test_waitsNotForEver(self) -> None:
        """One that is held is told 503 after the time for a connection."""
        clients = [self.upload() for _ in range(3)]
        self.pipeline.wait(6)
        self.assertEqual([client.statuses() for client in clients], [[], [], [503]])
        self.pipeline.end()

    def test_onlyOne(self) -> None:
        """With one connection only an upload can have it: better than none ever."""
        self.pipeline = Pipeline(timeouts=TIMEOUTS, connections=1)
        self.origin = self.pipeline.origin
        client = self.upload()
        client.send(b"x" * 70000)
        self.assertEqual(client.statuses(), [200])
        self.assertServed()
        self.pipeline.end()


class TwoWayTests(SharesCase):
    """Streams whose end is not known."""

    def test_answersItself(self) -> None:
        """A client that waits for an answer to what it has sent, before it sends more, gets it after a second."""

        def bytesHeard(connection: OriginConnection) -> None:
            if connection.bytes.endswith(b"ping\r\n"):
                connection.wire.arrive(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npong\r\n")
            elif connection.bytes.endswith(b"0\r\n\r\n"):
                connection.wire.arrive(b"0\r\n\r\n")

        self.origin.deaf = True
        self.origin.bytesHeard = bytesHeard  # type: ignore[method-assign]
        client = self.pipeline.connect()
        client.send(CHUNKED + b"4\r\nping\r\n")
        self.assertEqual(self.origin.connections, [])
        self.pipeline.wait(1.5)
        self.assertIn(b"pong", client.got)
        client.send(b"0\r\n\r\n")
        self.assertTrue(understood(client, "POST")[2])
        self.pipeline.end()

    def test_smallIsSentWhole(self) -> None:
        """A small chunked body that comes within the second is sent with its length, and once it is whole."""
        client = self.pipeline.connect()
        client.sendBytewise(CHUNKED + b"3\r\nabc\r\n0\r\n\r")
        self.assertEqual(self.origin.heard, [])
        client.send(b"\n")
        self.assertEqual(client.statuses(), [200])
        heard = self.origin.heard[0]
        self.assertEqual((heard.body, heard.get(b"content-length")), (b"abc", b"3"))
        self.pipeline.end()

    def test_largeIsNotAwaited(self) -> None:
        """As soon as 64 KB are there the origin hears of it."""
        client = self.pipeline.connect()
        client.send(CHUNKED + b"10000\r\n" + b"a" * 65536 + b"\r\n")
        self.assertEqual(self.origin.heard, [])
        client.send(b"1\r\na\r\n")
        self.assertEqual(len(self.origin.heard), 1)
        client.send(b"0\r\n\r\n")
        self.assertEqual([client.statuses(), len(self.origin.heard[0].body)], [[200], 65537])
        self.pipeline.end()

    def test_brokenWhileAwaited(self) -> None:
        """What breaks off, or is no body, while it is awaited: the origin never hears of it."""
        for rest, statuses in ((b"zz\r\n", [400]), (None, [])):
            client = self.pipeline.connect()
            client.send(CHUNKED + b"2\r\nab\r\n")
            if rest is None:
                client.wire.leave()
                self.pipeline.settle()
            else:
                client.send(rest)
            self.pipeline.wait(3)
            self.assertEqual([client.statuses(), self.origin.heard], [statuses, []])
        self.pipeline.end()


class TunnelsTests(SharesCase):
    """After 101."""

    def setUp(self) -> None:
        super().setUp()
        usual = self.origin.wholeHeard

        def wholeHeard(connection: OriginConnection, heard: Heard) -> None:
            if heard.target == b"/ws":
                connection.wire.arrive(SWITCHED)
            else:
                usual(connection, heard)

        self.origin.wholeHeard = wholeHeard  # type: ignore[method-assign]

    def test_others(self) -> None:
        """More idle tunnels than there may be: those beyond get 503, and everybody else is served."""
        clients = self.crowd(OFFER)
        self.assertServed()
        told = [client.statuses() for client in clients]
        self.assertEqual([told.count([101]), told.count([503])], [1024, MANY - 1024])
        self.assertEqual([self.pipeline.pool.shares.tunnels, self.pipeline.pool.open], [1024, 1])
        clients[0].wire.leave()
        self.pipeline.wait(1)
        self.assertEqual(self.crowd(OFFER, 1)[0].statuses(), [101])
        self.pipeline.wait(620)
        self.pipeline.end()
        self.assertEqual(self.pipeline.pool.shares.tunnels, 0)

    def test_idle(self) -> None:
        """A tunnel through which nothing passes is ended, both ways; a byte either way is enough to keep it."""
        self.origin.deaf = True
        self.origin.bytesHeard = lambda connection: (  # type: ignore[method-assign]
            connection.wire.arrive(SWITCHED) if connection.bytes.endswith(b"\r\n\r\n") else None
        )
        silent, sends, hears = self.crowd(OFFER, 3)
        for _ in range(3):
            self.pipeline.wait(500)
            sends.send(b"x")
            self.origin.connections[2].wire.arrive(b"y")
        self.assertEqual([silent.closed, sends.closed, hears.closed], [True, False, False])
        self.assertIsNotNone(self.origin.connections[0].wire.end)
        self.pipeline.wait(580)
        self.assertEqual([sends.closed, hears.closed], [False, False])
        self.pipeline.wait(50)
        self.assertEqual([sends.closed, hears.closed], [True, True])
        self.pipeline.end()
