"""1xx answers, of the origin and of plugins: in their order, all of them, and none after the final one."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from revproxy.context import Context
from revproxy.interfaces import IMiddleware
from revproxy.testing import EdgeDouble, makeContext
from tests.dataplane.origins import OK
from tests.dataplane.test_exchange import GET, ExchangeCase

HINT = b"HTTP/1.1 103 Early Hints\r\nLink: </%b>\r\n\r\n"


def hint(context: Context, name: str) -> None:
    context.sendInformational(103, {"Link": f"</{name}>"})


class InterimTests(ExchangeCase):
    """Before an answer."""

    def test_origins(self) -> None:
        """Several of the origin's, together or one by one."""
        for says in ([HINT % b"a" + HINT % b"b" + OK], [HINT % b"a", HINT % b"b", OK]):
            self.setUp()
            self.client.send(GET)
            for piece in says:
                self.connection.says(piece)
            self.assertEqual(self.client.received(), HINT % b"a" + HINT % b"b" + OK)
            self.assertOver(200)

    def test_plugins(self) -> None:
        """Several of a plugin's: at once, later, and on the way out; the origin's are between them."""
        waiting: Deferred[None] = Deferred()

        async def onEntry(context: Context) -> bool:
            hint(context, "a")
            await waiting
            hint(context, "b")
            return True

        self.plugin.onEntry = onEntry
        self.plugin.onExit = lambda context: hint(context, "d")
        self.client.send(GET)
        self.assertEqual(self.client.received(), HINT % b"a")
        waiting.callback(None)
        self.assertEqual(self.client.received(), HINT % b"b")
        self.connection.says(HINT % b"c" + OK)
        self.assertEqual(self.client.received(), HINT % b"c" + HINT % b"d" + OK)
        self.assertOver(200)

    def test_old(self) -> None:
        """An HTTP/1.0 client gets none, and that is no error."""
        self.plugin.onEntry = lambda context: hint(context, "a") is None
        self.client.send(GET.replace(b"1.1", b"1.0"))
        self.connection.says(OK)
        self.assertNotIn(b"103", self.client.received())
        self.assertOver(200)

    def test_tooLate(self) -> None:
        """Once the answer is on its way, it is an error of the plugin's."""
        kept: list[Context] = []
        self.plugin.onEntry = lambda context: kept.append(context) is None
        self.client.send(GET)
        self.connection.says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        self.assertRaises(RuntimeError, hint, kept[0], "x")
        self.connection.says(b"defghi")
        self.assertRaises(RuntimeError, hint, kept[0], "x")
        self.assertTrue(self.client.received().endswith(b"abcdefghi"))

    def test_wrong(self) -> None:
        """What is no interim answer, or cannot be sent."""
        context = makeContext()
        wrong: list[tuple[Any, Any, type[Exception]]] = [
            (100, None, ValueError), (101, None, ValueError), (200, None, ValueError), ("103", None, TypeError),
            (True, None, TypeError), (103, {"A": "b\r\nc"}, ValueError), (103, {"Content-Length": "1"}, ValueError),
        ]
        for status, headers, kind in wrong:
            self.assertRaises(kind, context.sendInformational, status, headers)


class DoubleTests(SynchronousTestCase):
    """In authors' tests."""

    def test_kept(self) -> None:
        """The double keeps them."""

        @implementer(IMiddleware)
        class Hinting:
            name = "hinting"

            def handle(self, context: Context) -> bool:
                hint(context, "a")
                return True

        ((status, headers),) = EdgeDouble(Hinting()).get().informational
        self.assertEqual((status, headers.get("Link")), (103, "</a>"))
