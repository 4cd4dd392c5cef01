from twisted.internet.error import ConnectionRefusedError
from twisted.internet.protocol import Protocol
from twisted.trial.unittest import SynchronousTestCase

from revproxy.errors import UpstreamError
from revproxy.replay.recordedcall import RecordedExchange
from revproxy.replay.replayedclient import NotComparable, ReplayedClient

KNOWN = RecordedExchange("GET", "http://a/", 200, ((b"X", b"1"),), b'{"a": 1}')


class ReplayedClientTests(SynchronousTestCase):
    """What is asked for is answered as before; what is not known is said."""

    def setUp(self):
        self.unknown = []

    def client(self, *told):
        def unknown(what):
            self.unknown.append(what)
            return NotComparable(what)

        return ReplayedClient(unknown, told)

    def test_again(self):
        """The last answer that is known is given as often as it is asked for."""
        client = self.client(KNOWN)
        for _ in range(2):
            answer = self.successResultOf(client.get("http://a/"))
            self.assertEqual((answer.code, self.successResultOf(answer.json())), (200, {"a": 1}))
        self.assertEqual(self.unknown, [])

    def test_others(self):
        """Another method or URL is another request."""
        client = self.client(KNOWN)
        self.failureResultOf(client.post("http://a/"), NotComparable)
        self.failureResultOf(client.get("http://a/b"), NotComparable)
        self.assertEqual(len(self.unknown), 2)

    def test_errors(self):
        """Where it failed, it fails, with the same class where it is one of the edge's or of Twisted's."""
        for kind in ("UpstreamError", "ConnectionRefusedError"):
            client = self.client(RecordedExchange("GET", "http://a/", 0, (), b"", f"{kind}: why"))
            self.failureResultOf(client.get("http://a/"), UpstreamError, ConnectionRefusedError)
        client = self.client(RecordedExchange("GET", "http://a/", 0, (), b"", "SomeError: why"))
        self.failureResultOf(client.get("http://a/"), RuntimeError)

    def test_deliverBody(self):
        """As Twisted's answers give their bodies."""
        received = []
        reader = Protocol()
        reader.dataReceived = received.append
        self.successResultOf(self.client(KNOWN).get("http://a/")).deliverBody(reader)
        self.assertEqual(received, [b'{"a": 1}'])

    def test_unreadBody(self):
        """A body that was not read before is not known."""
        answer = self.successResultOf(
            self.client(RecordedExchange("GET", "http://a/", 200, (), b"", "", False)).get("http://a/")
        )
        self.failureResultOf(answer.content(), NotComparable)
        self.assertEqual(len(self.unknown), 1)
