import gzip

import treq.client
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import Response, ResponseDone
from twisted.web.http_headers import Headers as WebHeaders

from revproxy.replay.bodytap import Kept
from revproxy.replay.recordedcall import RecordedExchange
from revproxy.replay.replayedclient import ReplayedAnswer
from revproxy.replay.toldclient import ToldClient, _ToldReader, urlWith
from revproxy.testing import ClientAnswer, ClientDouble, Headers


class ToldClientTests(SynchronousTestCase):
    """What a plugin is answered is written down, and it is answered all the same."""

    def setUp(self):
        self.double, self.told = ClientDouble(), []
        self.client = ToldClient(self.double, self.told, 100)

    def test_answered(self):
        """Method, URL, status, fields and body."""
        answer = ClientAnswer(200, b"ok", Headers.of({"X": "1"}))
        self.double.answers("GET", "http://auth/", answer)
        self.assertIs(self.successResultOf(self.client.get("http://auth/")), answer)
        self.assertEqual(
            self.told[0].recorded(), RecordedExchange("GET", "http://auth/", 200, ((b"X", b"1"),), b"ok", "", True)
        )

    def test_failed(self):
        """What it failed with."""
        self.double.answers("POST", "http://auth/", ConnectionLost("gone"))
        self.failureResultOf(self.client.post("http://auth/"), ConnectionLost)
        self.assertIn("ConnectionLost: ", self.told[0].recorded().error)

    def test_notYet(self):
        """One that has not come is no answer, and of no status."""
        self.double.answers("GET", "http://auth/", Deferred())
        self.client.get("http://auth/")
        self.assertEqual(self.told[0].recorded(), RecordedExchange("GET", "http://auth/", 0, (), b"", "", False))

    def test_parameters(self):
        """Parameters belong to the URL, in whichever order."""
        self.assertEqual(urlWith("http://a/", {"b": "1", "a": "2"}), urlWith(b"http://a/", {"a": "2", "b": "1"}))
        self.assertNotEqual(urlWith("http://a/", {"b": "1"}), urlWith("http://a/", {"b": "2"}))

    def test_reader(self):
        """A body is written down as it is read."""

        class Reader:
            def __init__(self):
                self.calls = []

            def makeConnection(self, transport):
                self.calls.append("made")

            def dataReceived(self, data):
                self.calls.append(data)

            def connectionLost(self, reason):
                self.calls.append("lost")

        reader, kept = Reader(), Kept(100)
        told = _ToldReader(reader, kept)
        told.makeConnection(Clock())
        told.dataReceived(b"x")
        told.connectionLost(Failure(ResponseDone()))
        self.assertEqual((reader.calls, kept.data, kept.isWhole), (["made", b"x", "lost"], b"x", True))

    def test_brokenOff(self):
        """A body that breaks off is not whole."""
        kept = Kept(100)
        told = _ToldReader(Protocol(), kept)
        told.dataReceived(b"x")
        told.connectionLost(Failure(ConnectionLost()))
        self.assertFalse(kept.isWhole)

    def test_noBusiness(self):
        """What cannot be written down is no reason for the plugin's request to fail, or to fail otherwise."""

        class Unspeakable(Exception):
            def __str__(self):
                raise ValueError("no")

        self.assertIn("a", urlWith("http://a/", {"a": "1", b"b": "2"}))
        self.double.answers("GET", "http://auth/", Unspeakable())
        self.failureResultOf(self.client.get("http://auth/"), Unspeakable)
        self.assertEqual(self.told[0].recorded().error, "Unspeakable: ")


class _Agent:
    """Answers with a body."""

    def __init__(self, body, **fields):
        fields = {name: [value] for name, value in fields.items()}
        self.body, self.headers = body, WebHeaders({"Content-Length": [str(len(body))], **fields})

    def request(self, method, uri, headers=None, bodyProducer=None):
        response = Response((b"HTTP", 1, 1), 200, b"OK", self.headers, StringTransport())
        response.length = len(self.body)
        if self.body:
            response._bodyDataReceived(self.body)
        response._bodyDataFinished()
        return succeed(response)


class TreqTests(SynchronousTestCase):
    """What treq makes of an answer is what is written down."""

    def ask(self, body, **fields):
        """:returns: the answer of a client that is taken down, and what is taken down of it."""
        told = []
        client = ToldClient(treq.client.HTTPClient(_Agent(body, **fields)), told, 100)
        answer = self.successResultOf(client.get("http://auth/", reactor=Clock()))
        return answer, told[0]

    def replayed(self, told):
        """The answer that a copy gets."""
        return ReplayedAnswer(told.recorded(), RuntimeError)

    def test_compressed(self):
        """Of an answer that comes compressed, the body is written down as the plugin reads it."""
        body = b'{"user": "eve"}'
        answer, told = self.ask(gzip.compress(body), **{"Content-Encoding": "gzip"})
        self.assertEqual(self.successResultOf(answer.content()), body)
        self.assertEqual(self.successResultOf(self.replayed(told).json()), {"user": "eve"})

    def test_twice(self):
        """One that is read twice is written down once."""
        answer, told = self.ask(b"abc")
        self.assertEqual([self.successResultOf(answer.content()) for _ in "12"], [b"abc", b"abc"])
        self.assertEqual(told.recorded().body, b"abc")

    def test_empty(self):
        """One without a body has been read, whoever reads it."""
        answer, told = self.ask(b"")
        self.assertEqual(self.successResultOf(answer.content()), b"")
        self.assertEqual(self.successResultOf(self.replayed(told).content()), b"")

    def test_text(self):
        """A copy decodes as the original does."""
        for fields in ({}, {"Content-Type": "text/plain; charset=utf-8"}, {"Content-Type": "application/json"}):
            answer, told = self.ask("é".encode(), **fields)
            text = self.successResultOf(answer.text())
            self.assertEqual(self.successResultOf(self.replayed(told).text()), text)
