"""Tests for :mod:`revproxy.plugins.headers`."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.interfaces import IResponseMiddleware
from revproxy.plugins.headers import EditHeaders
from revproxy.testing import Answer, EdgeDouble


def run(config: dict[str, Any], headers: Any = (), **more: Any) -> Answer:
    edge = EdgeDouble(EditHeaders(config))
    edge.originAnswers(200, [("Server", "origin/1"), ("Set-Cookie", "a=1")])
    return edge.get("/", headers, **more)


def sent(answer: Answer) -> Any:
    assert answer.forwarded is not None
    return answer.forwarded.headers


class RequestTests(SynchronousTestCase):
    """What the origin gets."""

    def test_set(self) -> None:
        """A field that is set is there once, whatever the client sent."""
        answer = run({"request": {"set": {"X-Env": "prod"}}}, [("x-env", "evil"), ("X-ENV", "evil")])
        self.assertEqual(sent(answer).getAll("X-Env"), ["prod"])

    def test_add(self) -> None:
        """A field that is added stands beside the client's."""
        answer = run({"request": {"add": {"X-Tag": "edge"}}}, {"X-Tag": "client"})
        self.assertEqual(sent(answer).getAll("X-Tag"), ["client", "edge"])

    def test_remove(self) -> None:
        """A field that is removed is gone, each of them; the others stay."""
        answer = run({"request": {"remove": ["x-debug"]}}, [("X-Debug", "1"), ("Accept", "*/*"), ("X-Debug", "2")])
        self.assertEqual([name for name, _ in sent(answer)], ["Host", "Accept"])

    def test_removeComesFirst(self) -> None:
        """Removing, setting and adding the same field leaves what was set and added."""
        answer = run(
            {"request": {"remove": ["X-A"], "set": {"X-A": "1"}, "add": {"X-A": "{scheme}"}}}, {"X-A": "client"}
        )
        self.assertEqual(sent(answer).getAll("X-A"), ["1", "https"])

    def test_host(self) -> None:
        """Setting Host changes what the request is for, too."""
        answer = run({"request": {"set": {"Host": "internal.example"}}})
        assert answer.forwarded is not None
        self.assertEqual(
            (answer.forwarded.host, sent(answer).getAll("Host")), ("internal.example", ["internal.example"])
        )


class ResponseTests(SynchronousTestCase):
    """What the client gets."""

    def test_response(self) -> None:
        """Responses are changed in the same way."""
        answer = run({"response": {"set": {"X-A": "1"}, "add": {"Set-Cookie": "b=2"}, "remove": ["Server"]}})
        self.assertEqual(list(answer.headers), [("Set-Cookie", "a=1"), ("X-A", "1"), ("Set-Cookie", "b=2")])

    def test_onlyWhenNeeded(self) -> None:
        """Without anything to do for responses the plugin is not called for them."""
        self.assertFalse(IResponseMiddleware.providedBy(EditHeaders({"request": {"set": {"A": "1"}}})))
        self.assertTrue(IResponseMiddleware.providedBy(EditHeaders({"response": {"set": {"A": "1"}}})))


class PlaceholderTests(SynchronousTestCase):
    """Values that depend on the request."""

    def test_all(self) -> None:
        """Each placeholder becomes what it names; text around it stays."""
        value = "<{request.id}|{client.host}|{host}|{route}|{scheme}|{method}>"
        answer = run(
            {"response": {"set": {"X-All": value}}},
            id="id-1",
            client="192.0.2.7",
            host="a.example:8443",
            route="shop",
            scheme="https",
        )
        self.assertEqual(answer.headers.get("X-All"), "<id-1|192.0.2.7|a.example:8443|shop|https|GET>")

    def test_braces(self) -> None:
        """Doubled braces are braces, also next to a placeholder."""
        answer = run({"request": {"set": {"X-A": "{{a}}{{{scheme}}}"}}})
        self.assertEqual(sent(answer).get("X-A"), "{a}{https}")

    def test_refused(self) -> None:
        """An unknown placeholder, or a brace that stands alone, is refused with what there is."""
        for value in ("{nobody}", "{", "a}", "{}", "{host", "{request.id.x}"):
            error = self.assertRaises(ValueError, EditHeaders, {"request": {"set": {"A": value}}})
            self.assertIn("{request.id}", str(error))

    def test_hostileValues(self) -> None:
        """What cannot be sent does not get out through a placeholder; what is not latin-1 becomes a question mark."""
        edge = EdgeDouble(EditHeaders({"request": {"set": {"X-Route": "{route}"}}}))
        self.assertRaises(ValueError, edge.get, route="a\r\nX-Evil: 1")
        self.assertEqual(sent(edge.get(route="caf☃")).get("X-Route"), "caf?")


class ConfigurationTests(SynchronousTestCase):
    """What is refused, with the place in the message."""

    def test_refused(self) -> None:
        """Fields that cannot be sent, or that are the edge's own, are refused when the configuration is read."""
        for place, config in (
            ("request.set", {"request": {"set": {"a b": "1"}}}),
            ("request.add", {"request": {"add": {"A": "b\r\nc"}}}),
            ("response.set", {"response": {"set": {"Content-Length": "1"}}}),
            ("response.remove", {"response": {"remove": ["Transfer-Encoding"]}}),
            ("request.remove", {"request": {"remove": ["Host"]}}),
            ("request.add", {"request": {"add": {"host": "a"}}}),
            ("request.set", {"request": {"set": {"A": "{host}\n"}}}),
            ("request.set", {"request": {"set": {"Host": "user@internal/"}}}),
        ):
            error = self.assertRaises(ValueError, EditHeaders, config)
            self.assertIn(place, str(error))
