"""Tests for :mod:`revproxy.dataplane.explainer`: what the records of whole requests tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from revproxy.context import Context
from revproxy.dataplane.explainer import MOST_A_SECOND, Explainer
from revproxy.dataplane.story import lost, note
from revproxy.explained import MOST, NO_CHANGES, Changes, Explained, Step, Try, decodeExplained
from revproxy.interfaces import IMiddleware, IResponseMiddleware
from tests.dataplane.doubles import ClientDouble, EdgeDouble, RecordingLeaf

SECRET = "correct-horse-battery"


@implementer(IResponseMiddleware)
@implementer(IMiddleware)
class Does:
    """Does what it is told."""

    def __init__(
        self,
        name: str,
        handle: Callable[[Context], Any] = lambda context: True,
        handleResponse: Callable[[Context], Any] = lambda context: None,
    ) -> None:
        self.name = name
        self.handle = handle  # type: ignore[method-assign]
        self.handleResponse = handleResponse  # type: ignore[method-assign]

    def handle(self, context: Context) -> Any: ...

    def handleResponse(self, context: Context) -> Any: ...


def sets(name: str) -> Callable[[Context], bool]:
    """Sets a field of the request."""

    def handle(context: Context) -> bool:
        context.request.headers.set(name, SECRET)
        return True

    return handle


def setsLater(name: str) -> Callable[[Context], None]:
    """Sets a field of the answer."""

    def handleResponse(context: Context) -> None:
        assert context.response is not None
        context.response.headers.set(name, SECRET)

    return handleResponse


class ExplainerTests(SynchronousTestCase):
    """Requests of an edge that explains."""

    def begin(self, *plugins: Any, explains: int = 0, slower: float = 1.0, **options: Any) -> None:
        self.leaf = RecordingLeaf()
        self.edge = EdgeDouble(self.leaf, middleware=plugins, explains=explains, **options)
        self.explainer = Explainer(slower, self.edge.edge.monotonic)
        self.edge.edge.explain, self.edge.edge.slow = self.explainer.explain, slower

    def send(self, head: str = "", target: str = "/") -> ClientDouble:
        client = self.edge.connect()
        client.send(f"GET {target} HTTP/1.1\r\nHost: shop\r\n{head}\r\n".encode())
        return client

    def record(self) -> bytes:
        encoded = self.edge.log.records[-1].explained
        self.assertNotIn(SECRET.encode(), encoded)
        return bytes(encoded)

    def explained(self) -> Explained:
        return decodeExplained(self.record())

    def test_well(self) -> None:
        """Of a request that went well nothing is told."""
        self.begin(Does("a", sets("X-A")))
        self.send()
        self.leaf.answer(0)
        self.assertEqual(self.record(), b"")

    def test_sample(self) -> None:
        """Of one in the sample, every call, with its time and the names of the fields that it has changed."""

        def handle(context: Context) -> bool:
            self.edge.clock.advance(0.25)
            context.request.headers.remove("Cookie")
            context.request.headers.set("Accept", SECRET)
            return True

        self.begin(Does("a", sets("X-A"), setsLater("X-B")), Does("b", handle), explains=1)
        self.send(f"Cookie: {SECRET}\r\nAccept: {SECRET}2\r\n")
        self.leaf.answer(0)
        self.assertEqual(
            self.explained(),
            Explained(
                "sample",
                (
                    Step("a", "1.0", "handle", 0.0, None, Changes(("x-a",))),
                    Step("b", "1.0", "handle", 0.25, None, Changes((), ("accept",), ("cookie",))),
                    Step("b", "1.0", "handleResponse", 0.0, None, NO_CHANGES),
                    Step("a", "1.0", "handleResponse", 0.0, None, Changes(("x-b",))),
                ),
                Changes(("x-a",), ("accept",), ("cookie",)),
                Changes(("x-b",)),
            ),
        )

    def test_interrupted(self) -> None:
        """Whose answer a plugin has made: what was changed before, and the names of its fields."""
        self.begin(Does("a", sets("X-A")), Does("b", lambda context: context.respond(403, "no", {"X-Why": SECRET})))
        self.send()
        told = self.explained()
        self.assertEqual((told.because, told.request), ("interrupted", Changes(("x-a",))))
        self.assertEqual(told.response, Changes(("content-type", "x-why")))
        self.assertEqual((told.steps, told.sent), ((), None))

    def test_failed(self) -> None:
        """With what the plugin has raised; also where its failure is passed over."""

        def fails(context: Context) -> bool:
            raise ValueError("no such tenant")

        for open in (False, True):
            self.begin(Does("a", sets("X-A")), Does("b", fails))
            self.edge.chains[0].links[1].open = open
            self.send()
            if open:
                self.leaf.answer(0)
            told = self.explained()
            self.assertEqual((told.because, told.notes), ("failed", (("b", "failed: no such tenant"),)))
            self.assertEqual(told.request, Changes(("x-a",)))
            self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_sampledAndInterrupted(self) -> None:
        """In the sample, whose chain nobody goes back through, has the calls of the way in."""
        self.begin(Does("a", sets("X-A")), Does("b", lambda context: context.respond(403)), explains=1)
        self.edge.chains[0].links[0].handleResponse = None
        self.send()
        told = self.explained()
        self.assertEqual((told.because, [step.plugin for step in told.steps if step.call == "handle"]),
                         ("interrupted", ["a", "b"]))  # fmt: skip

    def test_firstInterrupts(self) -> None:
        """Also where the first one stops it."""
        self.begin(Does("a", lambda context: context.respond(403)), explains=1)
        self.send()
        self.assertEqual(self.explained().steps, (Step("a", "1.0", "handle", 0.0, None, NO_CHANGES),))

    def test_brokenByPlugins(self) -> None:
        """What cannot be explained, since a plugin has put something odd in its place, does the request no harm."""

        def handle(context: Context) -> bool:
            context.request.headers.fields.append("odd")  # type: ignore[arg-type]
            return context.respond(403)

        self.begin(Does("a", handle))
        client = self.send()
        self.assertIn(b" 403 ", client.received())
        self.assertEqual(self.record(), b"")
        self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_slow(self) -> None:
        """One that took longer than it should."""
        self.begin(Does("a", sets("X-A"), setsLater("X-B")), slower=2.0)
        self.send()
        self.edge.clock.advance(2.0)
        self.leaf.answer(0)
        self.assertEqual(self.record(), b"")
        self.send()
        self.edge.clock.advance(2.1)
        self.leaf.answer(1)
        self.assertEqual(self.explained(), Explained("slow", (), Changes(("x-a",)), Changes(("x-b",))))

    def test_waits(self) -> None:
        """Where plugins' answers come later, it is told how long they took; that alone is no reason to tell."""
        waiting: list[Deferred[Any]] = []

        def later(context: Context) -> Deferred[Any]:
            waiting.append(Deferred())
            return waiting[-1]

        self.begin(Does("a", later, later), slower=1.0)
        for seconds in (0.25, 0.75):
            self.send()
            self.edge.clock.advance(seconds)
            waiting.pop().callback(True)
            self.leaf.answer(-1)
            self.edge.clock.advance(seconds)
            waiting.pop().callback(None)
            if seconds < 0.5:
                self.assertEqual(self.record(), b"")
        steps = (Step("a", "1.0", "handle", None, 0.75), Step("a", "1.0", "handleResponse", None, 0.75))
        self.assertEqual(self.explained(), Explained("slow", steps, NO_CHANGES, NO_CHANGES))

    def test_sampleWaits(self) -> None:
        """In the sample, a call's wait stands beside its time, and what it changes meanwhile is its own."""
        waiting: Deferred[Any] = Deferred()

        def later(context: Context) -> Any:
            return waiting.addCallback(lambda _: sets("X-A")(context))

        self.begin(Does("a", later), Does("b", sets("X-B")), explains=1)
        self.send()
        self.edge.clock.advance(0.5)
        waiting.callback(None)
        self.leaf.answer(0)
        first, second = self.explained().steps[:2]
        self.assertEqual(first, Step("a", "1.0", "handle", 0.0, 0.5, Changes(("x-a",))))
        self.assertEqual(second, Step("b", "1.0", "handle", 0.0, None, Changes(("x-b",))))

    def test_noRoute(self) -> None:
        """Where no plugin was to be asked, there is nothing to tell."""
        self.begin(routes=[])
        self.send()
        self.assertEqual(self.record(), b"")

    def test_clientLeft(self) -> None:
        """One whose client left has failed."""
        self.begin(Does("a"))
        self.send().leave()
        self.assertEqual(self.explained().because, "failed")

    def test_clientTired(self) -> None:
        """Whose client left while a plugin's answer was awaited: which, where, and how long."""
        for explains in (0, 1):
            for where in ("handle", "handleResponse"):
                never = {where: lambda context: Deferred()}
                self.begin(Does("a"), Does("b", **never), Does("c"), explains=explains)
                client = self.send()
                if where == "handleResponse":
                    self.leaf.answer(0)
                self.edge.clock.advance(0.75)
                client.leave()
                told = self.explained()
                self.assertEqual((told.because, told.notes), ("failed", (("b", f"awaited in {where}"),)))
                step = next(step for step in told.steps if (step.plugin, step.call) == ("b", where))
                self.assertEqual(step.waited, 0.75)

    def test_letsGo(self) -> None:
        """A plugin that keeps the context of a request keeps nothing of what was noted with it: no other plugin."""
        kept: list[Context] = []

        def keeps(context: Context) -> bool:
            kept.append(context)
            return True

        self.begin(Does("a", keeps), Does("b", lambda context: Deferred()), explains=1)
        self.send().leave()
        self.assertEqual(self.explained().because, "failed")
        self.assertEqual((kept[0]._story, kept[0]._before, kept[0]._answerBefore), (None, None, None))

    def test_notes(self) -> None:
        """What is noted on the way, and targets that failed."""

        def handle(context: Context) -> bool:
            note(context, "a", "quarantine")
            lost(context, Try("http://one", "ConnectFailed: refused", 1, 0.5), "retried")
            return True

        self.begin(Does("a", handle))
        self.send()
        self.leaf.answer(0)
        told = self.explained()
        self.assertEqual((told.because, told.notes), ("retried", (("a", "quarantine"),)))
        self.assertEqual(told.tries, (Try("http://one", "ConnectFailed: refused", 1, 0.5),))

    def test_flood(self) -> None:
        """When more fail than can be told of, the rest of the second is not; and the next second's are."""
        self.begin(Does("a", lambda context: context.respond(403)))
        for _ in range(MOST_A_SECOND + 20):
            self.send()
        told = [bool(record.explained) for record in self.edge.log.records]
        self.assertEqual((sum(told), told[0], told[-1]), (MOST_A_SECOND, True, False))
        self.edge.clock.advance(1.0)
        self.send()
        self.assertTrue(self.edge.log.records[-1].explained)

    def test_bounded(self) -> None:
        """Whatever plugins and clients do, it stays small."""

        def handle(context: Context) -> bool:
            for number in range(500):
                context.request.headers.set(f"X-{number:03}-{'x' * 1000}", "1")
                note(context, "a", "again and again")
                lost(context, Try("http://one", "no"), "retried")
            return True

        self.begin(*(Does(f"p{number}", handle) for number in range(20)), explains=1)
        self.send()
        self.leaf.answer(0)
        self.assertLess(len(self.record()), 128 * 1024)
        told = self.explained()
        self.assertEqual((len(told.tries), len(told.notes)), (MOST, MOST))
        assert told.request is not None
        self.assertEqual((len(told.request.added), told.request.more), (MOST, 500 - MOST))

    def test_off(self) -> None:
        """Where nothing is to be explained nothing is, whatever happens."""
        leaf = RecordingLeaf()
        self.edge = EdgeDouble(leaf, middleware=[Does("a", lambda context: context.respond(403))])
        self.send()
        self.assertEqual(self.record(), b"")
