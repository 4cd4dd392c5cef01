"""What a plugin in a locked process sees."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.body import Body
from revproxy.context import Outcome, Response
from revproxy.errors import ClientGone
from revproxy.headers import Headers
from revproxy.isolation.sight import UNKNOWN, Sight, outcomeSeen
from revproxy.permissions import UNASKED, Permissions
from tests.isolation.doubles import request


def seen(permissions: Permissions = UNASKED, **fields: str) -> Any:
    context = request(**fields)
    context._request._body = Body(None, None)
    return Sight(permissions).request(context)


class SightTests(SynchronousTestCase):
    """One request, and who sees what of it."""

    def test_unasked(self) -> None:
        """Whoever asks for nothing sees method, path, id and route."""
        head = seen(Cookie="a", X_A="1")
        self.assertEqual((head.method, head.target, head.host, head.fields, head.peer, head.length, head.id),
                         (b"GET", b"/a", b"", (), ("", 0, ""), None, "id1"))  # fmt: skip

    def test_named(self) -> None:
        """Fields that are named, in whatever case."""
        head = seen(Permissions.of({"read_headers": ["X-A", "cookie"]}), Cookie="a", X_A="1", X_B="2")
        self.assertEqual(head.fields, ((b"Cookie", b"a"), (b"X-A", b"1")))

    def test_all(self) -> None:
        """A star is each but those that let people in, and no query."""
        head = seen(Permissions.of({"read_headers": ["*"]}), Cookie="a", Authorization="b", X_A="1")
        self.assertEqual(head.fields, ((b"Host", b"a.example"), (b"X-A", b"1")))
        self.assertEqual((head.target, head.host), (b"/a", b"a.example"))
        self.assertEqual(head.peer, ("192.0.2.1", 5, "192.0.2.2"))

    def test_pseudo(self) -> None:
        """Host and query are named as HTTP/2 does."""
        head = seen(Permissions.of({"read_headers": [":path", ":authority"]}), X_A="1")
        self.assertEqual((head.target, head.host, head.fields), (b"/a?b=c", b"a.example", ((b"Host", b"a.example"),)))

    def test_body(self) -> None:
        """Its length is seen with it."""
        self.assertEqual(seen(Permissions.of({"body": "read"})).length, UNKNOWN)
        response = Response(201, b"Yes", Headers.of({"X-A": "1"}), Body.of(b"four"))
        head = Sight(Permissions.of({"body": "read"})).response(response)
        self.assertEqual((head.status, head.reason, head.fields, head.length), (201, b"Yes", (), 4))
        self.assertIsNone(Sight(UNASKED).response(response).length)

    def test_outcome(self) -> None:
        """An error is told in words."""
        self.assertEqual(outcomeSeen(Outcome(499, 1, 2, 0.5, error=ClientGone("left"))).error, "left")
