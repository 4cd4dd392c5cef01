"""
What a client sends that can be read in two ways reaches no origin (RFC 9112 §2.2, §3.2, §5, §6.3, §7.1, §11.2).

Each transcript goes through the whole data plane to a recording origin: whole, byte by byte, and with another request
behind it, which is what smuggling is about.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from tests.behaviour.pipeline import Client, Heard, Pipeline
from tests.behaviour.transcripts import BROKEN, TRANSCRIPTS, UNFINISHED, Expectation, wire

SECOND = b"GET /second HTTP/1.1\r\nHost: x\r\n\r\n"
SECONDS = [(b"GET", b"/second", b"")]


class TranscriptTests(SynchronousTestCase):
    """The table, in several manners of sending."""

    def test_names(self) -> None:
        """Every transcript has a name of its own, and there are enough of them."""
        names = [name for name, _, _ in TRANSCRIPTS]
        self.assertEqual(len(names), len(set(names)), [name for name in names if names.count(name) > 1])
        self.assertGreaterEqual(len(names), 200)

    def each(self, judgement: Callable[[str, bytes, Expectation], None]) -> None:
        """Judge every transcript, and fail with all that went wrong."""
        wrong = []
        for name, data, expected in TRANSCRIPTS:
            try:
                judgement(name, data, expected)
            except AssertionError as error:
                wrong.append(f"{name} ({expected!r}): {error}")
        self.assertEqual(wrong, [], "\n".join(wrong))

    def test_atOnce(self) -> None:
        """Sent in one piece."""

        def judgement(name: str, data: bytes, expected: Expectation) -> None:
            pipeline = Pipeline()
            client = pipeline.connect()
            client.send(data)
            self.judge(pipeline, client, expected)

        self.each(judgement)

    def test_bytewise(self) -> None:
        """Sent byte by byte: no boundary between segments changes the meaning."""

        def judgement(name: str, data: bytes, expected: Expectation) -> None:
            if len(data) < 2000:
                pipeline = Pipeline()
                client = pipeline.connect()
                client.sendBytewise(data)
                self.judge(pipeline, client, expected)

        self.each(judgement)

    def test_secondRequest(self) -> None:
        """A request behind a refused one is never heard; behind a good one it is itself, or not heard."""

        def judgement(name: str, data: bytes, expected: Expectation) -> None:
            if expected == UNFINISHED:
                return
            pipeline = Pipeline()
            pipeline.connect().send(data + SECOND)
            pipeline.end()
            wholes = pipeline.origin.wholes
            if isinstance(expected, list):
                self.assertIn(wholes, (expected, expected + SECONDS))
            else:
                self.assertEqual(wholes, [])

        self.each(judgement)

    def test_onKeptConnection(self) -> None:
        """After a good request on the same connection the rules are the same."""

        def judgement(name: str, data: bytes, expected: Expectation) -> None:
            pipeline = Pipeline()
            client = pipeline.connect()
            client.send(SECOND)
            client.wire.sent.clear()
            self.assertEqual(pipeline.origin.wholes, SECONDS)
            pipeline.origin.heard.clear()
            client.send(data)
            self.judge(pipeline, client, expected)

        self.each(judgement)

    def judge(self, pipeline: Pipeline, client: Client, expected: Expectation) -> None:
        """Compare what came of a transcript with what should."""
        pipeline.wait(5)
        origin = pipeline.origin
        if isinstance(expected, int):
            self.assertEqual(client.statuses(), [expected])
            self.assertTrue(client.closed)
            self.assertEqual(origin.heard, [])
        elif isinstance(expected, list):
            self.assertEqual(origin.wholes, expected)
            self.assertEqual([status for status in client.statuses() if status != 100], [200] * len(expected))
        else:
            if expected == BROKEN:
                self.assertEqual(client.statuses(), [400])
                self.assertTrue(client.closed)
            pipeline.wait(100)
            self.assertTrue(client.closed)
            self.assertEqual(origin.wholes, [])
        pipeline.end()


class PassedOnTests(SynchronousTestCase):
    """What of a request's header section the origin gets to see."""

    def heard(self, fields: str, version: str = "1.1", body: str = "") -> Heard:
        """The only request that the origin hears."""
        pipeline = Pipeline()
        pipeline.connect().send(wire(f"POST /a HTTP/{version}@Host: x@{fields}@{body}"))
        pipeline.end()
        [heard] = pipeline.origin.heard
        self.assertTrue(heard.whole)
        return heard

    def test_nominatedFields(self) -> None:
        """What Connection names ends here, however it is spelled (RFC 9110 §7.6.1)."""
        heard = self.heard("Connection: x-secret,X-Other ,close@X-Secret: a@x-OTHER: b@X-Kept: c@")
        self.assertIsNone(heard.get(b"x-secret"))
        self.assertIsNone(heard.get(b"x-other"))
        self.assertEqual(heard.get(b"x-kept"), b"c")
        self.assertIsNone(heard.get(b"connection"))

    def test_nominatedForwardingFields(self) -> None:
        """A client cannot make the edge drop what it says about that client."""
        names = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded", "Via")
        for name in names:
            heard = self.heard(f"Connection: {name}, close@{name}: 203.0.113.9@")
            self.assertEqual(heard.get(b"x-forwarded-for"), b"192.0.2.1", name)
            self.assertEqual(heard.get(b"x-forwarded-proto"), b"http", name)
            self.assertEqual(heard.get(b"x-forwarded-host"), b"x", name)
            self.assertEqual(heard.get(b"forwarded"), b"for=192.0.2.1;proto=http;host=x", name)
            self.assertEqual(heard.get(b"via"), b"1.1 revproxy", name)

    def test_claimsOfStrangers(self) -> None:
        """What an unknown client says about those before it is not passed on."""
        heard = self.heard("X-Forwarded-For: 203.0.113.9@Forwarded: for=203.0.113.9@X-Real-IP: 203.0.113.9@")
        self.assertEqual(heard.get(b"x-forwarded-for"), b"192.0.2.1")
        self.assertEqual(heard.get(b"forwarded"), b"for=192.0.2.1;proto=http;host=x")
        self.assertIsNone(heard.get(b"x-real-ip"))

    def test_hopByHop(self) -> None:
        """Fields of the connection end with it."""
        heard = self.heard("Keep-Alive: 5@Proxy-Connection: keep-alive@TE: gzip@Upgrade: websocket@")
        for name in (b"keep-alive", b"proxy-connection", b"te", b"upgrade", b"connection"):
            self.assertIsNone(heard.get(name), name)

    def test_upgradesToHTTP(self) -> None:
        """No upgrade to another HTTP: what came through that tunnel would be requests nobody has looked at."""
        for offered in ("h2c", "H2C", "HTTP/2.0", "TLS/1.0", "TLS/1.0, HTTP/1.1", "h2c, , h2"):
            heard = self.heard(f"Connection: Upgrade, HTTP2-Settings@Upgrade: {offered}@HTTP2-Settings: AAMAAABk@")
            for name in (b"upgrade", b"connection", b"http2-settings"):
                self.assertIsNone(heard.get(name), offered)
        self.assertEqual(self.heard("Connection: Upgrade@Upgrade: h2c, websocket@").get(b"upgrade"), b"websocket")
        self.assertEqual(self.heard("Connection: Upgrade@Upgrade: WebSocket@").get(b"upgrade"), b"WebSocket")

    def test_trailers(self) -> None:
        """Announced trailers arrive; those that would change the message, and those nobody announced, do not."""
        trailers = "A: b@Content-Length: 5@Transfer-Encoding: chunked@Host: y@Authorization: z@C: d@"
        announced = "A, Content-Length, Transfer-Encoding, Host, Authorization"
        heard = self.heard(
            f"Transfer-Encoding: chunked@Trailer: {announced}@Connection: TE@TE: trailers@",
            body=f"5@hello@0@{trailers}@",
        )
        self.assertEqual(heard.trailers, [(b"a", b"b")])
        self.assertEqual(heard.body, b"hello")

    def test_lookalikes(self) -> None:
        """Names that a gateway (CGI, WSGI) would take for framing or forwarding fields do not reach it as such."""
        heard = self.heard("Content_Length: 5@Transfer_Encoding: chunked@X_Forwarded_For: 203.0.113.9@")
        self.assertIsNone(heard.get(b"transfer_encoding"))
        self.assertIsNone(heard.get(b"content_length"))
        self.assertIsNone(heard.get(b"x_forwarded_for"))

    def test_version10(self) -> None:
        """A 1.0 request becomes a 1.1 request with its Host."""
        heard = self.heard("Content-Length: 5@", "1.0", "hello")
        self.assertEqual(heard.get(b"host"), b"x")
        self.assertEqual(heard.get(b"via"), b"1.0 revproxy")
        self.assertEqual(heard.body, b"hello")
