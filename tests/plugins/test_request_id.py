"""Tests for :mod:`revproxy.plugins.request_id`."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.plugins.request_id import RequestId
from revproxy.testing import Answer, EdgeDouble


def forwardedId(answer: Answer, name: str = "X-Request-Id") -> list[str]:
    assert answer.forwarded is not None
    return answer.forwarded.headers.getAll(name)


class RequestIdTests(SynchronousTestCase):
    """One id, told both ways."""

    def test_bothWays(self) -> None:
        """Origin and client are told the request's id."""
        answer = EdgeDouble(RequestId({})).get(id="abc-1")
        self.assertEqual(forwardedId(answer), ["abc-1"])
        self.assertEqual(answer.headers.getAll("X-Request-Id"), ["abc-1"])

    def test_clientsIsReplaced(self) -> None:
        """By default nobody's id is taken over, however often it was sent."""
        answer = EdgeDouble(RequestId({})).get("/", [("x-request-id", "a"), ("X-Request-ID", "b")], id="own")
        self.assertEqual(forwardedId(answer), ["own"])
        self.assertEqual(answer.context.id, "own")

    def test_originsIsReplaced(self) -> None:
        """What the origin says about the id does not reach the client."""
        edge = EdgeDouble(RequestId({}))
        edge.originAnswers(200, {"X-Request-Id": "other"})
        self.assertEqual(edge.get(id="own").headers.getAll("X-Request-Id"), ["own"])

    def test_trusted(self) -> None:
        """With trust the client's id becomes the request's, for logs and error pages too."""
        answer = EdgeDouble(RequestId({"trust": True})).get("/", {"X-Request-Id": "given/1"}, id="own")
        self.assertEqual(forwardedId(answer), ["given/1"])
        self.assertEqual(answer.headers.get("X-Request-Id"), "given/1")
        self.assertEqual(answer.context.id, "given/1")

    def test_trustedNetworks(self) -> None:
        """With networks only the ids of who connects from there are taken over, whoever they speak for."""
        edge = EdgeDouble(RequestId({"trust": ["10.0.0.0/8"]}))
        headers = {"X-Request-Id": "given"}
        self.assertEqual(forwardedId(edge.get("/", headers, client="192.0.2.1", connected="10.1.2.3")), ["given"])
        self.assertEqual(forwardedId(edge.get("/", headers, client="10.1.2.3", connected="192.0.2.1", id="x")), ["x"])

    def test_hostile(self) -> None:
        """Ids that are empty, long, or of other characters are not taken over from anybody."""
        edge = EdgeDouble(RequestId({"trust": True}))
        for bad in ("", "a" * 129, "a b", '"><script>', "a\tb", "\xe9", "a;b", "${jndi}"):
            self.assertEqual(forwardedId(edge.get("/", {"X-Request-Id": bad}, id="own")), ["own"])
        self.assertEqual(forwardedId(edge.get("/", {"X-Request-Id": "a" * 128})), ["a" * 128])

    @given(st.text(st.characters(max_codepoint=255)).map(lambda text: text.translate(dict.fromkeys(range(32)))))
    def test_neverUnsound(self, value: str) -> None:
        """Whatever a trusted client sends, the id is of harmless characters and short."""
        answer = EdgeDouble(RequestId({"trust": True})).get("/", {"X-Request-Id": value.replace("\x7f", "")}, id="own")
        self.assertRegex(forwardedId(answer)[0], r"\A[A-Za-z0-9_.:+/=@-]{1,128}\Z")

    def test_otherPluginsId(self) -> None:
        """An id that another plugin set is used if it can be sent, else the edge's own."""
        plugin = RequestId({})
        for chosen, told in (("trace-7", "trace-7"), ("a b", "own"), ("a;b", "own")):
            edge = EdgeDouble(Renaming(chosen), plugin)
            self.assertEqual(forwardedId(edge.get(id="own")), [told])

    def test_options(self) -> None:
        """The header can have another name, and the client need not be told."""
        answer = EdgeDouble(RequestId({"header": "X-Trace", "response": False})).get(id="abc")
        self.assertEqual(forwardedId(answer, "x-trace"), ["abc"])
        self.assertNotIn("X-Trace", answer.headers)

    def test_refusesConfiguration(self) -> None:
        """Header names and networks that are none are refused."""
        for config in ({"header": "a b"}, {"header": "Connection"}, {"trust": ["10.0.0.300"]}):
            self.assertRaises(ValueError, RequestId, config)


class Renaming:
    """Sets the id, as another plugin might."""

    name = "renaming"

    def __init__(self, id: str) -> None:
        self.id = id

    def handle(self, context):  # type: ignore[no-untyped-def]
        context.id = self.id
        return True
