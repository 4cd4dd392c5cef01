"""Tests for :mod:`revproxy.testing`."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from revproxy.context import Context
from revproxy.errors import BodyTooLarge, Refused
from revproxy.interfaces import IMiddleware, IObserver, IResponseMiddleware
from revproxy.testing import EdgeDouble, makeContext


@implementer(IMiddleware, IResponseMiddleware, IObserver)
class Recording:
    """Writes down what it is asked."""

    def __init__(self, name: str, log: list[str], answer: Any = True) -> None:
        self.name = name
        self.log = log
        self.answer = answer

    def handle(self, context: Context) -> Any:
        self.log.append(f"{self.name} in")
        if self.answer is False:
            return context.respond(403, "no")
        return self.answer

    def handleResponse(self, context: Context) -> None:
        self.log.append(f"{self.name} out")

    def finished(self, context: Context) -> None:
        self.log.append(f"{self.name} {context.outcome.status} {context.outcome.interruptedBy}")


class EdgeDoubleTests(SynchronousTestCase):
    """It does what the edge does."""

    def test_order(self) -> None:
        """In order on the way in, in reverse on the way out, observers at the end."""
        log: list[str] = []
        answer = EdgeDouble(Recording("a", log), Recording("b", log)).get()
        self.assertEqual(log, ["a in", "b in", "b out", "a out", "a 200 None", "b 200 None"])
        self.assertIs(answer.forwarded, answer.context.request)

    def test_interrupted(self) -> None:
        """Who interrupts is not asked about the response, those before are; the origin hears nothing."""
        log: list[str] = []
        answer = EdgeDouble(Recording("a", log), Recording("b", log, False), Recording("c", log)).get()
        self.assertEqual(log, ["a in", "b in", "a out", "a 403 b", "b 403 b", "c 403 b"])
        self.assertEqual((answer.status, answer.body, answer.forwarded), (403, b"no", None))

    def test_nonsense(self) -> None:
        """Something that is no bool, or False without an answer, fails the test that runs it."""
        for nonsense in (None, 1, "yes"):
            self.assertRaises(AssertionError, EdgeDouble(Recording("a", [], nonsense)).get)
        silent = Recording("a", [])
        silent.handle = lambda context: False  # type: ignore[method-assign]
        self.assertRaises(AssertionError, EdgeDouble(silent).get)

    def test_raises(self) -> None:
        """What a plugin raises is raised in the test, and observers are told all the same."""

        class Broken(Recording):
            def handle(self, context: Context) -> bool:
                raise ZeroDivisionError

        log: list[str] = []
        self.assertRaises(ZeroDivisionError, EdgeDouble(Broken("a", log)).get)
        self.assertEqual(log, ["a 0 None"])

    def test_waits(self) -> None:
        """A plugin that waits for something outside needs send; request says so."""
        waiting: Deferred[bool] = Deferred()
        self.assertRaises(AssertionError, EdgeDouble(Recording("a", [], waiting)).get)
        waiting = Deferred()
        answer = EdgeDouble(Recording("a", [], waiting)).send(makeContext())
        self.assertNoResult(answer)
        waiting.callback(True)
        self.assertEqual(self.successResultOf(answer).status, 200)

    def test_coroutineReadsBody(self) -> None:
        """A coroutine can wait for a body that arrives in pieces; the origin gets it whole."""

        class Reading(Recording):
            async def handle(self, context: Context) -> bool:
                self.read = await context.request.body.read(10)
                return True

        plugin = Reading("a", [])
        answer = EdgeDouble(plugin).request("POST", "/", body=[b"ab", b"cd"])
        self.assertEqual((plugin.read, answer.received), (b"abcd", b"abcd"))
        self.assertRaises(BodyTooLarge, EdgeDouble(plugin).request, "POST", "/", body=[b"x" * 11])

    def test_filtersStream(self) -> None:
        """Filters see the pieces one by one, both ways."""

        class Filtering(Recording):
            def handle(self, context: Context) -> bool:
                context.request.body.addFilter(lambda data, last: data + b"|")
                return True

            def handleResponse(self, context: Context) -> None:
                assert context.response is not None
                context.response.body.addFilter(lambda data, last: data + b"." * last)

        edge = EdgeDouble(Filtering("a", []))
        edge.originAnswers(200, {}, [b"x", b"y"])
        answer = edge.request("POST", "/", body=[b"a", b"b"])
        self.assertEqual((answer.received, answer.body), (b"a|b||", b"xy."))

    def test_noBodyStaysNone(self) -> None:
        """A request without a body still has none when the origin gets it."""
        answer = EdgeDouble(Recording("a", [])).get()
        assert answer.forwarded is not None
        self.assertFalse(answer.forwarded.hasBody)

    def test_refuses(self) -> None:
        """Refusing answers, from a call or a filter, on the way in or out; the observer is told."""
        refused = Refused(422, "no", {"X-A": "1"})

        def refusing(data: bytes, last: bool) -> bytes:
            raise refused

        async def later(data: bytes, last: bool) -> bytes:
            raise refused

        def raises(context: Context) -> bool:
            raise refused

        ways: list[Callable[[Recording], None]] = [
            lambda plugin: setattr(plugin, "handle", raises),
            lambda plugin: setattr(plugin, "handleResponse", raises),
            lambda plugin: setattr(plugin, "handle", lambda c: c.request.body.addFilter(refusing) is None),
            lambda plugin: setattr(plugin, "handle", lambda c: c.request.body.addFilter(later) is None),
            lambda plugin: setattr(plugin, "handleResponse", lambda c: c.response.body.addFilter(refusing)),
            lambda plugin: setattr(plugin, "handleResponse", lambda c: c.response.body.addFilter(later)),
        ]
        for way in ways:
            log: list[str] = []
            plugin = Recording("plugin", log)
            way(plugin)
            edge = EdgeDouble(plugin)
            edge.originAnswers(200, body=[b"a", b"b"])
            answer = edge.request("POST", "/", body=[b"x", b"y"])
            self.assertEqual((answer.status, answer.body, answer.headers.get("X-A")), (422, b"no", "1"))
            self.assertEqual(log[-1], "plugin 422 plugin")

    def test_filterWaits(self) -> None:
        """A filter may answer later."""
        waiting: Deferred[None] = Deferred()

        async def filter(data: bytes, last: bool) -> bytes:
            await waiting
            return data.upper()

        plugin = Recording("plugin", [])
        plugin.handleResponse = lambda context: context.response.body.addFilter(filter)  # type: ignore[method-assign]
        edge = EdgeDouble(plugin)
        edge.originAnswers(200, body=[b"a", b"b"])
        answer = edge.send(makeContext())
        self.assertNoResult(answer)
        waiting.callback(None)
        self.assertEqual(self.successResultOf(answer).body, b"AB")
