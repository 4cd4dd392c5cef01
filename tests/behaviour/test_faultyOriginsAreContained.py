"""
Whatever an origin does wrong, no client takes it for right, and nobody's next request gets what was left of it.

Each behaviour is tried on a fresh connection and on a kept one, read by an independent client (h11), and followed by a
request that must get its own answer.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import h11
from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.http.limits import Timeouts
from tests.behaviour.faultyanswers import BEHAVIOURS, BROKEN, ENDS, PAUSE, SILENCE, Behaviour, Expectation
from tests.behaviour.pipeline import Client, OriginConnection, Pipeline, answerTo

TIMEOUTS = Timeouts(response=10, body=10)


class FaultyOrigin:
    """
    Behaves as it is told to at ``/faulty`` and well otherwise.

    :ivar faults: how often it was asked for ``/faulty``.
    """

    def __init__(self, pipeline: Pipeline, steps: list[str]) -> None:
        self.faults = 0
        self._steps = steps
        self._clock = pipeline.clock
        self._seen: dict[OriginConnection, int] = {}
        pipeline.origin.deaf = True
        pipeline.origin.bytesHeard = self._heard  # type: ignore[method-assign]

    def _heard(self, connection: OriginConnection) -> None:
        seen = self._seen.get(connection, 0)
        end = connection.bytes.find(b"\r\n\r\n", seen)
        if end < 0:
            return
        head = bytes(connection.bytes[seen:end])
        self._seen[connection] = len(connection.bytes)
        if b" /faulty " in head:
            self.faults += 1
            self._go(connection, 0)
        else:
            connection.wire.arrive(answerTo(*head.split(b" ")[:2]))

    def _go(self, connection: OriginConnection, at: int) -> None:
        for index, step in enumerate(self._steps[at:], at):
            if step == PAUSE:
                self._clock.callLater(3, self._go, connection, index + 1)
                return
            if step == SILENCE:
                return
            if step in ENDS:
                reason, truncated = ENDS[step]
                connection.wire.leave(reason, truncated)
                return
            connection.wire.arrive(step.replace("@", "\r\n").encode("latin-1"))


def understood(client: Client, method: str = "GET", since: int = 0) -> tuple[int, bytes, bool]:
    """
    How an independent client reads the answer.

    :return: status (0 for none), body, and whether it takes it for whole, with nothing behind it.
    """
    reader = h11.Connection(h11.CLIENT)
    reader.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
    reader.send(h11.EndOfMessage())
    reader.receive_data(client.got[since:])
    if client.wire.end in ("close", "half"):
        reader.receive_data(b"")
    status, body = 0, b""
    try:
        while True:
            event = reader.next_event()
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                return status, body, not reader.trailing_data[0]
            elif event is h11.NEED_DATA or isinstance(event, h11.ConnectionClosed):
                return status, body, False
    except h11.RemoteProtocolError:
        return status, body, False


class ContainmentTests(SynchronousTestCase):
    """The table."""

    def each(self, judgement: Callable[[list[str], Expectation], None], behaviours: list[Behaviour]) -> None:
        """Judge every behaviour, and fail with all that went wrong."""
        wrong = []
        for name, steps, expected in behaviours:
            try:
                judgement(steps, expected)
            except AssertionError as error:
                wrong.append(f"{name} ({expected!r}): {error}")
        self.assertEqual(wrong, [], "\n".join(wrong))

    def judge(self, client: Client, expected: Expectation, since: int) -> None:
        """Compare what the client understands with what it should."""
        status, body, whole = understood(client, since=since)
        if expected == BROKEN and (status, whole) == (502, True):
            self.assertNotIn(b"hello", body)
        elif expected == BROKEN:
            self.assertFalse(whole, f"{status} {body!r} was passed on as whole")
            self.assertEqual(client.wire.end, "abort")
        elif isinstance(expected, int):
            self.assertEqual((status, whole), (expected, True))
            self.assertNotIn(b"hello", body)
            self.assertNotIn(b"evil", client.got)
        else:
            self.assertEqual((status, body, whole), (*expected, True))
        self.assertNotIn(b"evil", client.got)

    def assertNextIsItsOwn(self, pipeline: Pipeline, client: Client) -> None:
        """The next request, on this connection if there still is one, gets the answer to itself."""
        if client.closed:
            client = pipeline.connect()
        since = len(client.got)
        client.send(b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(understood(client, since=since), (200, b"answer to /next", True))

    def test_number(self) -> None:
        """Every behaviour has a name of its own, and there are enough of them."""
        names = [name for name, _, _ in BEHAVIOURS]
        self.assertEqual(len(names), len(set(names)), [name for name in names if names.count(name) > 1])
        self.assertGreaterEqual(len(names), 140)

    def test_freshConnection(self) -> None:
        """On a connection's first request."""

        def judgement(steps: list[str], expected: Expectation) -> None:
            pipeline = Pipeline(timeouts=TIMEOUTS)
            FaultyOrigin(pipeline, steps)
            client = pipeline.connect()
            client.send(b"GET /faulty HTTP/1.1\r\nHost: x\r\n\r\n")
            pipeline.wait(30)
            self.judge(client, expected, 0)
            self.assertNextIsItsOwn(pipeline, client)
            pipeline.end()

        self.each(judgement, BEHAVIOURS)

    def test_keptConnection(self) -> None:
        """On a connection that has served before."""

        def judgement(steps: list[str], expected: Expectation) -> None:
            pipeline = Pipeline(timeouts=TIMEOUTS, connections=1)
            FaultyOrigin(pipeline, steps)
            client = pipeline.connect()
            client.send(b"GET /before HTTP/1.1\r\nHost: x\r\n\r\n")
            since = len(client.got)
            client.send(b"GET /faulty HTTP/1.1\r\nHost: x\r\n\r\n")
            pipeline.wait(30)
            self.judge(client, expected, since)
            self.assertNextIsItsOwn(pipeline, client)
            pipeline.end()

        self.each(judgement, BEHAVIOURS)

    def test_pipelinedRequest(self) -> None:
        """A request that waits behind gets its own answer, or none."""

        def judgement(steps: list[str], expected: Expectation) -> None:
            pipeline = Pipeline(timeouts=TIMEOUTS, connections=1)
            FaultyOrigin(pipeline, steps)
            client = pipeline.connect()
            client.send(b"GET /faulty HTTP/1.1\r\nHost: x\r\n\r\nGET /next HTTP/1.1\r\nHost: x\r\n\r\n")
            pipeline.wait(30)
            self.assertNotIn(b"evil", client.got)
            if expected == BROKEN and not client.got.startswith(b"HTTP/1.1 502 "):
                self.assertNotIn(b"/next", client.got)
            else:
                self.assertTrue(client.got.endswith(b"\r\n\r\nanswer to /next"), client.got[-200:])
            pipeline.end()

        self.each(judgement, BEHAVIOURS)

    def test_otherClient(self) -> None:
        """A request of somebody else that waits for the only connection gets its own answer."""

        def judgement(steps: list[str], expected: Expectation) -> None:
            pipeline = Pipeline(timeouts=Timeouts(response=10, body=10, connect=40), connections=1)
            FaultyOrigin(pipeline, steps)
            pipeline.connect().wire.arrive(b"GET /faulty HTTP/1.1\r\nHost: x\r\n\r\n")
            other = pipeline.connect()
            other.send(b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n")
            pipeline.wait(130)
            self.assertEqual(understood(other), (200, b"answer to /next", True))
            pipeline.end()

        self.each(judgement, BEHAVIOURS)

    def test_notSentAgain(self) -> None:
        """A POST is sent once, whatever becomes of it."""

        def judgement(steps: list[str], expected: Expectation) -> None:
            for kept in (False, True):
                pipeline = Pipeline(timeouts=TIMEOUTS)
                origin = FaultyOrigin(pipeline, steps)
                client = pipeline.connect()
                if kept:
                    client.send(b"GET /before HTTP/1.1\r\nHost: x\r\n\r\n")
                client.send(b"POST /faulty HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
                pipeline.wait(30)
                self.assertEqual(origin.faults, 1)
                pipeline.end()

        self.each(judgement, BEHAVIOURS)

    def test_head(self) -> None:
        """The answer to HEAD has no body, whatever the origin sends behind it."""
        for framing in ("Content-Length: 5", "Transfer-Encoding: chunked", "Content-Length: 0", "A: b"):
            for behind in ("", "hello", "evil", "4@evil@0@@", "HTTP/1.1 200 OK@Content-Length: 4@@evil"):
                for steps in (
                    [f"HTTP/1.1 200 OK@{framing}@@{behind}"],
                    [f"HTTP/1.1 200 OK@{framing}@@", behind or "x"],
                ):
                    pipeline = Pipeline(timeouts=TIMEOUTS)
                    FaultyOrigin(pipeline, steps)
                    client = pipeline.connect()
                    client.send(b"HEAD /faulty HTTP/1.1\r\nHost: x\r\n\r\n")
                    self.assertEqual(understood(client, "HEAD"), (200, b"", True), steps)
                    self.assertTrue(client.got.endswith(b"\r\n\r\n"), steps)
                    self.assertNextIsItsOwn(pipeline, client)
                    pipeline.end()


class EarlyAnswerTests(SynchronousTestCase):
    """Origins that answer before they have the whole request."""

    def test_upload(self) -> None:
        """The answer is passed on; what follows on that connection is for nobody."""
        answers = ["HTTP/1.1 200 OK@Content-Length: 5@@hello", "HTTP/1.1 413 No@Content-Length: 5@@hello"]
        after: list[list[str]] = [[], ["evil"], ["HTTP/1.1 200 OK@Content-Length: 4@@evil"], ["reset"], ["close"]]
        framings = [
            (b"Content-Length: 70000", b"01234", b"x" * 69995),
            (b"Transfer-Encoding: chunked", b"11170\r\n01234", b"x" * 69995 + b"\r\n0\r\n\r\n"),
        ]
        for answer, steps, (framing, first, rest) in itertools.product(answers, after, framings):
            pipeline = Pipeline(timeouts=TIMEOUTS)
            FaultyOrigin(pipeline, [answer, *steps])
            client = pipeline.connect()
            client.send(b"POST /faulty HTTP/1.1\r\nHost: x\r\n%b\r\n\r\n%b" % (framing, first))
            pipeline.wait(1.5)
            _, body, whole = understood(client, "POST")
            self.assertEqual((body, whole), (b"hello", True), (answer, steps, framing))
            if not client.closed:
                client.send(rest)
            if not client.closed:
                since = len(client.got)
                client.send(b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n")
                self.assertEqual(understood(client, since=since), (200, b"answer to /next", True))
            other = pipeline.connect()
            other.send(b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertEqual(understood(other), (200, b"answer to /next", True))
            self.assertNotIn(b"evil", client.got)
            pipeline.end()

    def test_connectionIsNotUsedAgain(self) -> None:
        """Where the next request would begin, only the origin knows: so there is none."""
        pipeline = Pipeline(timeouts=TIMEOUTS)
        FaultyOrigin(pipeline, ["HTTP/1.1 200 OK@Content-Length: 5@@hello"])
        client = pipeline.connect()
        client.send(b"POST /faulty HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n01234")
        self.assertIn(pipeline.origin.connections[0].wire.end, ("abort", "close"))
        pipeline.end()


class StaleConnectionTests(SynchronousTestCase):
    """Kept connections that the origin closes at the wrong moment."""

    def outcome(self, request: bytes) -> tuple[tuple[int, bytes, bool], int]:
        """What a client gets on a connection that the origin closes as it is used, and how often it was asked."""
        pipeline = Pipeline(timeouts=TIMEOUTS)
        asked = []

        def heard(connection: OriginConnection) -> None:
            asked.append(connection)
            if connection.index == 0 and len(asked) == 2:
                connection.wire.leave()
            else:
                connection.wire.arrive(answerTo(b"GET", b"/%d" % len(asked)))

        pipeline.origin.deaf = True
        pipeline.origin.bytesHeard = heard  # type: ignore[method-assign]
        client = pipeline.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        since = len(client.got)
        client.send(request)
        answer = understood(client, since=since)
        pipeline.end()
        return answer, len(asked) - 1

    def test_idempotent(self) -> None:
        """A GET is sent again, once, on a fresh connection."""
        self.assertEqual(self.outcome(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), ((200, b"answer to /3", True), 2))

    def test_notIdempotent(self) -> None:
        """A POST is not: it may have been done."""
        answer, asked = self.outcome(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        self.assertEqual((answer[0], answer[2], asked), (502, True, 1))

    def test_withBody(self) -> None:
        """A PUT or DELETE with a small body is sent again, and whole; a POST never."""
        for method, again in ((b"PUT", True), (b"DELETE", True), (b"POST", False)):
            for framing in (
                b"Content-Length: 5\r\n\r\nhello",
                b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            ):
                answer, asked = self.outcome(method + b" / HTTP/1.1\r\nHost: x\r\n" + framing)
                expected = (200, True, 2) if again else (502, True, 1)
                self.assertEqual((answer[0], answer[2], asked), expected, (method, framing))

    def test_withLargeBody(self) -> None:
        """A PUT whose body was too large to be kept is not sent again: half of it would be gone."""
        answer, asked = self.outcome(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n" + b"x" * 65537)
        self.assertEqual((answer[0], answer[2], asked), (502, True, 1))


class IgnoredBodyTests(SynchronousTestCase):
    """Origins that answer by the head alone, and take the body of one client for the request of the next."""

    EVIL = b"GET /evil HTTP/1.1\r\nHost: x\r\nX: "

    def victimSees(self, request: bytes) -> tuple[int, bytes, bool]:
        """What the next client gets from such an origin."""
        pipeline = Pipeline(timeouts=TIMEOUTS)

        def bytesHeard(connection: OriginConnection) -> None:
            while (end := connection.bytes.find(b"\r\n\r\n") + 4) > 3:
                method, target = bytes(connection.bytes).split(b" ")[:2]
                del connection.bytes[:end]
                connection.wire.arrive(answerTo(method, target))

        pipeline.origin.deaf = True
        pipeline.origin.bytesHeard = bytesHeard  # type: ignore[method-assign]
        attacker, victim = pipeline.connect(), pipeline.connect()
        attacker.send(request)
        victim.send(b"GET /victim HTTP/1.1\r\nHost: x\r\n\r\n")
        seen = understood(victim)
        self.assertIn(200, attacker.statuses())
        pipeline.end()
        return seen

    def test_nextClient(self) -> None:
        """The body of a request that needs none is never in front of anybody's request."""
        evil = self.EVIL
        for method in (b"GET", b"HEAD", b"DELETE", b"OPTIONS"):
            for framing in (
                b"Content-Length: %d\r\n\r\n%b" % (len(evil), evil),
                b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(evil), evil),
            ):
                seen = self.victimSees(method + b" / HTTP/1.1\r\nHost: x\r\n" + framing)
                self.assertEqual(seen, (200, b"answer to /victim", True), (method, framing))

    def test_large(self) -> None:
        """The same where it is too large to be sent at once."""
        evil = self.EVIL + b"y" * 70000
        framing = b"Content-Length: %d\r\n\r\n%b" % (len(evil), evil)
        for method in (b"GET", b"DELETE"):
            seen = self.victimSees(method + b" / HTTP/1.1\r\nHost: x\r\n" + framing)
            self.assertEqual(seen, (200, b"answer to /victim", True), method)


class SwitchingTests(SynchronousTestCase):
    """Origins that switch to another protocol than they were offered."""

    def test_others(self) -> None:
        """No tunnel, and nothing of what they say gets through."""
        for chosen in ("h2c", "TLS/1.3", "websocket, h2c", "websocket/13", "web socket", ",", ""):
            pipeline = Pipeline(timeouts=TIMEOUTS)
            steps = [f"HTTP/1.1 101 Switching@Connection: Upgrade@Upgrade: {chosen}@@evil"]
            FaultyOrigin(pipeline, steps)
            client = pipeline.connect()
            client.send(b"GET /faulty HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            self.assertEqual(client.statuses(), [502], chosen)
            self.assertNotIn(b"evil", client.got)
            pipeline.end()
