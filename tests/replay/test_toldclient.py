from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.replay.bodytap import Kept
from revproxy.replay.recordedcall import RecordedExchange
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
        told.connectionLost(None)
        self.assertEqual((reader.calls, kept.data, kept.isWhole), (["made", b"x", "lost"], b"x", True))
