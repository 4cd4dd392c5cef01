"""
Bytes nobody thought of, through the whole data plane.

Whatever a client or an origin sends: nothing is raised, nothing is left over when all deadlines have passed, an origin
hears what a strict reader sees in the client's bytes, and a client never takes part of an answer for the whole.
"""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.http.limits import Timeouts
from tests.behaviour.faultyanswers import BEHAVIOURS
from tests.behaviour.pipeline import Pipeline
from tests.behaviour.test_faultyOriginsAreContained import FaultyOrigin, understood
from tests.behaviour.transcripts import TRANSCRIPTS
from tests.conformance.strict import readAll

PIECES = [
    b"GET / HTTP/1.1\r\n",
    b"POST /a HTTP/1.1\r\n",
    b"PUT http://x/b HTTP/1.1\r\n",
    b"GET /c HTTP/1.0\r\n",
    b"Host: x\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n",
    b"Connection: TE\r\nTE: trailers\r\n",
    b"Trailer: T\r\n",
    b"T: v\r\n",
    b"Expect: 100-continue\r\n",
    b"\r\n",
    b"\n",
    b"\r",
    b"hello",
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
    b"0\r\n",
    b" ",
    b":",
    b"\0",
    b"\x80",
]
RESPONSE_PIECES = [
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.0 200 OK\r\n",
    b"HTTP/1.1 204 No Content\r\n",
    b"HTTP/1.1 304 Not Modified\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\n",
    *PIECES[4:],
]

piecewise = st.lists(st.sampled_from(PIECES) | st.binary(max_size=8), max_size=20)
mutated = st.builds(
    lambda data, at, octets, cut: [data[: at % (len(data) + 1)], octets, data[at % (len(data) + 1) + cut :]],
    st.sampled_from([data for _, data, _ in TRANSCRIPTS if len(data) < 2000]),
    st.integers(0, 2000),
    st.binary(max_size=3),
    st.integers(0, 3),
)
answers = st.lists(st.sampled_from(RESPONSE_PIECES) | st.binary(max_size=8), max_size=20)
mutatedAnswers = st.builds(
    lambda data, at, octets, cut: [data[: at % (len(data) + 1)], octets, data[at % (len(data) + 1) + cut :]],
    st.sampled_from(
        [
            step.replace("@", "\r\n").encode("latin-1")
            for _, steps, _ in BEHAVIOURS
            for step in steps[:1]
            if 20 < len(step) < 2000
        ]
    ),
    st.integers(0, 2000),
    st.binary(max_size=3),
    st.integers(0, 3),
)
slowly = settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))


class AnyBytesTests(SynchronousTestCase):
    """No example is too strange."""

    @slowly
    @given(piecewise | mutated)
    def test_ofClients(self, pieces: list[bytes]) -> None:
        """An origin hears what was meant, up to the first thing that could mean anything else."""
        pipeline = Pipeline(timeouts=Timeouts(header=5, body=5, idle=5, response=5))
        client = pipeline.connect()
        for piece in pieces:
            client.send(piece)
        pipeline.end()
        heard = [request.meaning for request in pipeline.origin.heard if request.whole]
        meant = [(one.method, one.target, one.body) for one in readAll(b"".join(pieces))[0]]
        self.assertEqual(heard, meant[: len(heard)])

    @slowly
    @given(answers | mutatedAnswers, st.sampled_from(["close", "reset", "silence"]))
    def test_ofOrigins(self, pieces: list[bytes], end: str) -> None:
        """A client gets one answer that is whole, or can tell; and the next request gets its own."""
        pipeline = Pipeline(timeouts=Timeouts(header=5, body=5, idle=60, response=5))
        FaultyOrigin(pipeline, [*(piece.decode("latin-1") for piece in pieces if b"@" not in piece), end])
        client = pipeline.connect()
        client.send(b"GET /faulty HTTP/1.1\r\nHost: x\r\n\r\n")
        pipeline.wait(20)
        status, _, whole = understood(client)
        self.assertTrue(whole or client.wire.end == "abort", client.got)
        self.assertNotEqual(status, 101)
        client = pipeline.connect()
        client.send(b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(understood(client), (200, b"answer to /next", True))
        pipeline.end()

    @slowly
    @given(piecewise, piecewise)
    def test_ofTunnels(self, ours: list[bytes], theirs: list[bytes]) -> None:
        """What goes into a tunnel comes out of it, both ways, unchanged."""
        pipeline = Pipeline()
        pipeline.origin.deaf = True
        client = pipeline.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: any\r\n\r\n")
        [connection] = pipeline.origin.connections
        asked = len(connection.bytes)
        connection.wire.arrive(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: any\r\n\r\n")
        pipeline.settle()
        answered = len(client.got)
        for mine, yours in zip(ours, theirs, strict=False):
            client.send(mine)
            connection.wire.arrive(yours)
        pipeline.settle()
        count = min(len(ours), len(theirs))
        self.assertEqual(bytes(connection.bytes[asked:]), b"".join(ours[:count]))
        self.assertEqual(client.got[answered:], b"".join(theirs[:count]))
        client.wire.leave()
        pipeline.end()
