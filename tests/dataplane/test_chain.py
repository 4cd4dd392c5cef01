"""Tests for :mod:`revproxy.dataplane.chain`: the same suite over every way a middleware can answer."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import Interface, implementer

from revproxy.context import Context
from revproxy.dataplane.chain import Chain
from revproxy.dataplane.counters import LONG, SAMPLE, Counters
from revproxy.dataplane.link import Link
from revproxy.errors import EdgeError, PluginFailed, PluginQuarantined, PluginStalled
from revproxy.interfaces import IMiddleware, IObserver, IResponseMiddleware
from revproxy.loop.deadlines import Deadlines
from revproxy.testing import SourceDouble, makeContext, makeResponse
from tests.dataplane.doubles import makeLink

Behaviour = Callable[[Context], Any]


class Trace:
    """What happened, in order; and the Deferreds that wait for :meth:`go`."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.waiting: list[tuple[Deferred[Any], Callable[[], Any]]] = []

    def go(self) -> None:
        """Let everything that waits answer, until nothing waits."""
        while self.waiting:
            deferred, answer = self.waiting.pop(0)
            try:
                deferred.callback(answer())
            except BaseException:
                deferred.errback(Failure())


def sync(trace: Trace, answer: Callable[[], Any]) -> Any:
    return answer()


def fired(trace: Trace, answer: Callable[[], Any]) -> Any:
    try:
        return succeed(answer())
    except BaseException:
        return fail(Failure())


def later(trace: Trace, answer: Callable[[], Any]) -> Any:
    deferred: Deferred[Any] = Deferred(lambda _: trace.events.append("cancelled"))
    trace.waiting.append((deferred, answer))
    return deferred


async def coroutine(trace: Trace, answer: Callable[[], Any]) -> Any:
    return answer()


async def waitingCoroutine(trace: Trace, answer: Callable[[], Any]) -> Any:
    return await later(trace, answer)


class Middleware:
    """Does what it is told, in one of the ways above."""

    def __init__(self, trace: Trace, how: Callable[..., Any], name: str, does: Any = True) -> None:
        self.trace = trace
        self.how = how
        self.name = name
        self.does = does

    def handle(self, context: Context) -> Any:
        self.trace.events.append(f"{self.name} in")
        return self.how(self.trace, lambda: self.act(context, self.does))

    def act(self, context: Context, does: Any) -> Any:
        if isinstance(does, BaseException):
            raise does
        return does(context) if callable(does) else does


class Responder(Middleware):
    """One that wants responses as well."""

    onResponse: Any = None

    def handleResponse(self, context: Context) -> Any:
        self.trace.events.append(f"{self.name} out")
        return self.how(self.trace, lambda: self.act(context, self.onResponse))


class Observer(Responder):
    """One that also wants to know the end."""

    onFinish: BaseException | None = None

    def finished(self, context: Context) -> None:
        self.trace.events.append(f"{self.name} end")
        if self.onFinish is not None:
            raise self.onFinish


class Gate:
    """What stands in the place of a plugin that is out of service."""

    name = "b"
    error = PluginQuarantined("b is out of service")

    def handle(self, context: Context) -> bool:
        raise self.error


implementer(IMiddleware)(Gate)
implementer(IMiddleware)(Middleware)
implementer(IResponseMiddleware)(Responder)
implementer(IObserver)(Observer)


class ChainSuite:
    """The rules. Mixed in once per way of answering, which is ``how``."""

    how: Callable[..., Any]

    def setUp(self) -> None:
        self.clock = Clock()
        self.deadlines = Deadlines(self.clock, 0.5)
        self.trace = Trace()
        self.context = makeContext()

    def link(self, name: str, does: Any = True, kind: type[Middleware] = Responder, **options: Any) -> Link:
        how = type(self).__dict__["how"].__func__
        return makeLink(kind(self.trace, how, name, does), self.deadlines, name=name, **options)

    def enter(self, *links: Link) -> Any:
        """The verdict, or the exception."""
        self.chain = Chain(links)
        return self.outcome(lambda: self.chain.enter(self.context))

    def leave(self) -> Any:
        return self.outcome(lambda: self.chain.leave(self.context))

    def outcome(self, run: Callable[[], Any]) -> Any:
        try:
            result = run()
        except EdgeError as error:
            return error
        if isinstance(result, Deferred):
            results: list[Any] = []
            result.addBoth(results.append)
            self.trace.go()
            (result,) = results
        return result.value if isinstance(result, Failure) else result

    def flushed(self, kind: type[BaseException], count: int = 1) -> None:
        self.assertEqual(len(self.flushLoggedErrors(kind)), count)

    def test_empty(self) -> None:
        """An empty chain lets everything pass."""
        self.assertIs(self.enter(), True)
        self.assertIsNone(self.leave())

    def test_order(self) -> None:
        """In order on the way in, in reverse on the way out."""
        self.assertIs(self.enter(self.link("a"), self.link("b", kind=Middleware), self.link("c")), True)
        self.assertEqual(self.context.depth, 3)
        self.context.response = makeResponse()
        self.assertIsNone(self.leave())
        self.assertEqual(self.trace.events, ["a in", "b in", "c in", "c out", "a out"])

    def test_interrupted(self) -> None:
        """False stops: later links are not asked, and only those before it see the response."""
        stop = self.link("b", lambda context: context.respond(403, "no"))
        self.assertIs(self.enter(self.link("a"), stop, self.link("c")), False)
        self.assertEqual((self.context.depth, self.context.interruptedBy), (1, "b"))
        self.assertIsNone(self.leave())
        self.assertEqual(self.trace.events, ["a in", "b in", "a out"])
        self.assertEqual(self.context.response.status, 403)

    def test_interruptedByFirst(self) -> None:
        """Interrupted by the first, nobody sees the response."""
        self.assertIs(self.enter(self.link("a", lambda context: context.respond(403))), False)
        self.assertEqual(self.context.depth, 0)
        self.leave()
        self.assertEqual(self.trace.events, ["a in"])

    def test_falseWithoutResponse(self) -> None:
        """False without a response is nonsense that stops the request, whatever the policy."""
        for open in (False, True):
            self.context = makeContext()
            link = self.link("a", False, open=open)
            self.assertIsInstance(self.enter(link), PluginFailed)
            self.assertEqual(link.counters.errors, 1)
            self.flushed(TypeError)

    def test_nonsense(self) -> None:
        """What is neither True nor False is a failure of the plugin, also if it is truthy or falsy."""
        for nonsense in (None, 1, 0, "yes", [], object()):
            link = self.link("a", nonsense)
            self.assertIsInstance(self.enter(link), PluginFailed, nonsense)
            self.assertEqual(link.counters.errors, 1)
            self.flushed(TypeError)
            link = self.link("a", nonsense, open=True)
            self.assertIs(self.enter(link, self.link("b")), True)
            self.flushed(TypeError)

    def test_raisesClosed(self) -> None:
        """A plugin that raises fails the request, which the later ones do not see."""
        errors = (ValueError("x"), SystemExit(1), asyncio.CancelledError(), PluginFailed("its own"), CancelledError())
        for error in errors:
            self.trace.events.clear()
            link = self.link("b", error)
            outcome = self.enter(self.link("a"), link, self.link("c"))
            self.assertIsInstance(outcome, PluginFailed, error)
            self.assertEqual(outcome.status, 500)
            self.assertIn("b 1.0", str(outcome))
            self.assertEqual((link.counters.errors, self.context.depth), (1, 1))
            self.assertEqual(self.trace.events, ["a in", "b in"])
            self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_raisesOpen(self) -> None:
        """With ``open`` it is passed over, and counted."""
        for error in (ValueError("x"), SystemExit(1), asyncio.CancelledError(), KeyboardInterrupt()):
            link = self.link("b", error, open=True)
            self.assertIs(self.enter(self.link("a"), link, self.link("c")), True)
            self.assertEqual((link.counters.errors, self.context.depth), (1, 3))
            self.flushed(type(error))

    def test_raisesNoException(self) -> None:
        """What is no Exception is a failure as any other: of each method, and with each policy."""
        for error in (GeneratorExit(), BaseException("odd"), BaseExceptionGroup("all", [GeneratorExit()])):
            for open in (False, True):
                link = self.link("b", error, open=open)
                outcome = self.enter(self.link("a"), link, self.link("c"))
                self.assertTrue(outcome is True if open else isinstance(outcome, PluginFailed), outcome)
                self.assertEqual(link.counters.errors, 1)
                link = self.link("b", open=open)
                link.instance.onResponse = error
                self.assertIs(self.enter(link), True)
                self.context.respond(200)
                outcome = self.leave()
                self.assertTrue(outcome is None if open else isinstance(outcome, PluginFailed), outcome)
                self.assertEqual(link.counters.errors, 1)
                self.assertEqual(len(self.flushLoggedErrors()), 2)

    def test_responseRaises(self) -> None:
        """The same on the way out: closed fails, open is passed over."""
        for open in (False, True):
            self.trace.events.clear()
            link = self.link("b", open=open)
            link.instance.onResponse = ValueError("x")
            self.enter(self.link("a"), link, self.link("c"))
            self.context.response = makeResponse()
            outcome = self.leave()
            self.assertEqual(isinstance(outcome, PluginFailed), not open)
            self.assertEqual(self.trace.events[3:], ["c out", "b out", "a out"] if open else ["c out", "b out"])
            self.assertEqual(link.counters.errors, 1)
            self.flushed(ValueError)

    def test_responseAnswersAreIgnored(self) -> None:
        """What handleResponse answers does not matter as long as it is None, True or False."""
        for answer in (None, True, False):
            link = self.link("a")
            link.instance.onResponse = answer
            self.enter(link)
            self.context.response = makeResponse()
            self.assertIsNone(self.leave())
            self.assertEqual(link.counters.errors, 0)

    def test_responseNonsense(self) -> None:
        """Anything else that cannot be awaited is a failure of the plugin, and the message says of which method."""
        link = self.link("a")
        link.instance.onResponse = "yes"
        self.enter(link)
        self.context.response = makeResponse()
        outcome = self.leave()
        self.assertIsInstance(outcome, PluginFailed)
        self.assertIn("handleResponse answered 'yes'", str(outcome))
        self.flushed(TypeError)

    def test_toolbox(self) -> None:
        """While a plugin is called, the context's tools are its own."""
        seen: list[Any] = []

        class IThing(Interface):
            pass

        def look(context: Context) -> bool:
            seen.append((context._toolbox.name, context.client, context.log.namespace, context.services.get(IThing)))
            return True

        links = [self.link(name, look) for name in "ab"]
        for link in links:
            link.instance.onResponse = look
        self.enter(*links)
        self.leave()
        self.assertEqual([each[0] for each in seen], ["a", "b", "b", "a"])
        self.assertEqual([each[2] for each in seen[:2]], ["plugin.a", "plugin.b"])
        self.assertIs(seen[0][1], seen[3][1])
        self.assertIsNot(seen[0][1], seen[1][1])

    def test_counted(self) -> None:
        """Calls and stopped requests are counted for the links that had them, and shared by all links of a version."""
        counters = Counters()
        b = self.link("b", lambda context: context.respond(403))
        links = [self.link("a", counters=counters), b, self.link("c")]
        for _ in range(3):
            self.context = makeContext()
            self.assertIs(self.enter(*links), False)
        self.context = makeContext()
        self.enter(self.link("a", counters=counters))
        self.assertEqual(counters.calls, 4)
        self.assertEqual([link.counters.calls for link in links], [4, 3, 0])
        self.assertEqual([link.counters.interrupts for link in links], [0, 3, 0])
        self.assertEqual([link.counters.errors for link in links], [0, 0, 0])

    def test_stalled(self) -> None:
        """A call that the guard ended is a failure of the plugin like any other, and counted as a stall."""
        for open in (False, True):
            link = self.link("a", PluginStalled("held"), open=open)
            outcome = self.enter(link)
            self.assertEqual((isinstance(outcome, PluginFailed), outcome is True), (not open, open))
            link.instance.onResponse = PluginStalled("held")
            self.context._depth = 1
            self.context.response = makeResponse()
            self.assertEqual(isinstance(self.leave(), PluginFailed), not open)
            self.assertEqual((link.counters.stalls, link.counters.errors, link.counters.timeouts), (2, 2, 0))
            self.flushed(PluginStalled, 2)

    def test_quarantined(self) -> None:
        """What is out of service fails the request with its own error, and nobody counts, logs or passes it over."""
        heard: list[Failure] = []
        gate = Gate()
        link = makeLink(gate, self.deadlines, name="b", open=True, onFailure=heard.append)
        outcome = self.enter(self.link("a"), link, self.link("c"))
        self.assertIs(outcome, gate.error)
        self.assertEqual((outcome.status, self.context.depth), (503, 1))
        self.assertEqual((link.counters.calls, link.counters.errors, heard), (0, 0, []))
        self.assertEqual((self.context.pluginErrors, self.context.pluginsSkipped), ((), ()))
        self.assertEqual((self.trace.events, self.flushLoggedErrors()), (["a in"], []))

    def test_failuresAreTold(self) -> None:
        """Who wants to know hears of each failure after it was counted; what that raises harms nobody."""
        heard: list[tuple[Any, int]] = []

        def hear(failure: Failure) -> None:
            heard.append((failure.type, link.counters.errors))
            raise RuntimeError("deaf")

        link = self.link("a", ValueError("x"), kind=Observer, open=True, onFailure=hear)
        link.instance.onFinish = KeyError("y")
        self.assertIs(self.enter(link), True)
        self.chain.finished(self.context)
        self.assertEqual(heard, [(ValueError, 1), (KeyError, 2)])
        self.flushed(RuntimeError, 2)
        self.flushed(ValueError)
        self.flushed(KeyError)

    def test_observers(self) -> None:
        """Observers hear of the end in order, and what they raise stops nobody."""
        links = [self.link(name, kind=Observer) for name in "abc"]
        links[0].instance.onFinish = ValueError("x")
        links[1].instance.onFinish = GeneratorExit()
        links[2].instance.onFinish = PluginStalled("held")
        chain = Chain(links)
        self.assertTrue(chain.hasObservers)
        chain.finished(self.context)
        self.assertEqual(self.trace.events, ["a end", "b end", "c end"])
        self.assertEqual([link.counters.errors for link in links], [1, 1, 1])
        self.assertEqual(links[2].counters.stalls, 1)
        self.assertEqual(len(self.flushLoggedErrors(ValueError, GeneratorExit, PluginStalled)), 3)

    def test_compiled(self) -> None:
        """A chain knows beforehand who wants what, and refuses what is no middleware."""
        chain = Chain([self.link("a", kind=Middleware)])
        self.assertEqual((chain.hasResponders, chain.hasObservers), (False, False))
        self.assertTrue(Chain([self.link("a")]).hasResponders)

        class Stranger:
            name = "x"

            def handle(self, context: Context) -> bool:
                return True

        with self.assertRaises(TypeError):
            Chain([makeLink(Stranger(), self.deadlines)])

    def test_noDeadlineLeft(self) -> None:
        """After an answer in time nothing is watched any more."""
        self.assertIs(self.enter(self.link("a", timeout=1)), True)
        self.clock.advance(0.5)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class AsynchronousSuite(ChainSuite):
    """What only those can do that answer later."""

    def start(self, *links: Link) -> tuple[Deferred[bool], list[Any]]:
        self.chain = Chain(links)
        verdict = self.chain.enter(self.context)
        assert isinstance(verdict, Deferred)
        results: list[Any] = []
        verdict.addBoth(results.append)
        return verdict, results

    def test_timeoutClosed(self) -> None:
        """Who does not answer in time is cancelled, and fails the request."""
        link = self.link("a", timeout=1.0)
        _, results = self.start(link, self.link("b"))
        self.clock.pump([0.5, 0.4])
        self.assertEqual(results, [])
        self.clock.pump([0.1, 0.5])
        self.assertIsInstance(results[0].value, PluginFailed)
        self.assertEqual((link.counters.timeouts, link.counters.errors), (1, 1))
        self.assertEqual(self.trace.events, ["a in", "cancelled"])
        self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_timeoutOpen(self) -> None:
        """With ``open`` the request goes on without it; its late answer changes nothing."""
        link = self.link("a", lambda context: context.respond(403), timeout=1.0, open=True)
        deferreds = self.trace.waiting
        _, results = self.start(link)
        kept = list(deferreds)
        deferreds.clear()
        self.clock.pump([0.5] * 4)
        self.assertEqual(results, [True])
        self.assertEqual(self.trace.events, ["a in", "cancelled"])
        self.assertEqual(len(self.flushLoggedErrors()), 1)
        self.assertTrue(kept[0][0].called)
        self.assertIsNone(self.context.response)

    def test_timeoutOfResponse(self) -> None:
        """The time holds on the way out, too."""
        link = self.link("a", timeout=1.0)
        self.enter(link)
        self.context.response = makeResponse()
        results: list[Any] = []
        self.chain.leave(self.context).addBoth(results.append)
        self.clock.pump([0.5] * 4)
        self.assertIsInstance(results[0].value, PluginFailed)
        self.assertEqual(link.counters.timeouts, 1)
        self.flushLoggedErrors()

    def test_cancelled(self) -> None:
        """Cancelling the chain cancels what it waits for, and nobody's failure is counted."""
        link, after = self.link("a", timeout=1.0, open=True), self.link("b")
        verdict, results = self.start(link, after)
        verdict.cancel()
        self.assertEqual(self.trace.events, ["a in", "cancelled"])
        self.assertTrue(results[0].check(CancelledError))
        self.assertEqual((link.counters.errors, self.flushLoggedErrors()), (0, []))
        self.clock.advance(5)
        self.assertEqual(link.counters.timeouts, 0)

    def test_cancelledOnTheWayOut(self) -> None:
        """The same on the way out."""
        link = self.link("a", open=True)
        self.enter(self.link("first"), link)
        self.context.response = makeResponse()
        results: list[Any] = []
        leaving = self.chain.leave(self.context)
        leaving.addBoth(results.append)
        leaving.cancel()
        self.assertTrue(results[0].check(CancelledError))
        self.assertEqual((link.counters.errors, self.trace.events[-1]), (0, "cancelled"))

    def test_ownCancelled(self) -> None:
        """A plugin whose own Deferred somebody cancelled has failed; the client has not left."""
        link = self.link("a")
        _, results = self.start(link)
        self.trace.waiting[0][0].cancel()
        self.assertIsInstance(results[0].value, PluginFailed)
        self.assertEqual(link.counters.errors, 1)
        self.flushLoggedErrors()

    def test_responseCancelledAfterAnother(self) -> None:
        """A plugin that raises CancelledError itself has failed, also after another that was waited for."""
        links = self.link("a"), self.link("b")
        self.enter(*links)
        self.context.response = makeResponse()

        def cancelled(context: Context) -> None:
            raise CancelledError

        links[0].instance.handleResponse = cancelled
        self.chain = Chain([makeLink(links[0].instance, self.deadlines, name="a"), links[1]])
        self.assertIsInstance(self.leave(), PluginFailed)
        self.flushed(CancelledError)

    def test_mixed(self) -> None:
        """Links that answer at once and others may follow each other in any order."""
        quick = [makeLink(Responder(self.trace, sync, name), self.deadlines, name=name) for name in "ac"]
        self.assertIs(self.enter(quick[0], self.link("b"), quick[1], self.link("d")), True)
        self.context.response = makeResponse()
        self.leave()
        expected = [f"{name} in" for name in "abcd"] + [f"{name} out" for name in "dcba"]
        self.assertEqual(self.trace.events, expected)


class SyncTests(ChainSuite, SynchronousTestCase):
    """Middleware that answer at once."""

    how = staticmethod(sync)

    def test_noDeferred(self) -> None:
        """Nothing asynchronous is made for them."""
        self.assertIs(Chain([self.link("a"), self.link("b")]).enter(self.context), True)

    def test_selfTime(self) -> None:
        """One call in a sample is timed and counts for all of them, on both ways, each for its own plugin."""

        def busy(seconds: float) -> Callable[[Context], bool]:
            def work(context: Context) -> bool:
                self.clock.advance(seconds)
                return True

            return work

        links = [self.link("a", busy(0.25)), self.link("b", busy(1.0))]
        links[0].instance.onResponse = busy(0.5)
        chain = Chain(links)
        for _ in range(2 * SAMPLE):
            self.context.response = makeResponse()
            chain.enter(self.context)
            chain.leave(self.context)
        self.assertEqual([link.counters.seconds for link in links], [2 * SAMPLE * 0.75, 2 * SAMPLE * 1.0])

    def test_timeOfFailures(self) -> None:
        """A call that raises has taken its time, too."""

        def fails(context: Context) -> bool:
            self.clock.advance(1.0)
            raise ValueError

        link = self.link("a", fails, open=True)
        chain = Chain([link])
        for _ in range(SAMPLE):
            chain.enter(self.context)
        self.assertEqual(link.counters.seconds, SAMPLE)
        self.flushed(ValueError, SAMPLE)


class FiredTests(ChainSuite, SynchronousTestCase):
    """Middleware that answer with a Deferred that has a result already."""

    how = staticmethod(fired)


class LaterTests(AsynchronousSuite, SynchronousTestCase):
    """Middleware that answer with a Deferred."""

    how = staticmethod(later)

    def test_cancelIgnored(self) -> None:
        """Who swallows being cancelled is not waited for, and what it says later goes nowhere."""
        second: Deferred[bool] = Deferred()

        class Deaf:
            name = "deaf"

            async def handle(self, context: Context) -> bool:
                try:
                    await Deferred()
                except CancelledError:
                    pass
                return await second

        implementer(IMiddleware)(Deaf)
        _, results = self.start(makeLink(Deaf(), self.deadlines, timeout=1.0, open=True))
        self.clock.pump([0.5] * 4)
        self.assertEqual(results, [True])
        self.assertEqual(len(self.flushLoggedErrors()), 1)
        second.errback(ValueError("late"))
        self.assertEqual(results, [True])


class BodyTests(SynchronousTestCase):
    """A plugin that reads a body waits for somebody else's slowness, not its own."""

    def test_clockStops(self) -> None:
        """While it waits for the body its time does not run; afterwards it does."""
        clock = Clock()
        deadlines = Deadlines(clock, 0.5)
        forever: Deferred[bool] = Deferred()

        @implementer(IMiddleware)
        class Reader:
            name = "reader"
            read = b""

            async def handle(self, context: Context) -> bool:
                self.read = await context.request.body.read(100)
                return await forever

        source = SourceDouble()
        reader = Reader()
        link = makeLink(reader, deadlines, timeout=1.0)
        entered = Chain([link]).enter(makeContext(body=source.body))
        assert isinstance(entered, Deferred)
        clock.pump([0.5] * 20)
        self.assertEqual(link.counters.timeouts, 0)
        source.feed(b"late")
        source.finish()
        self.assertEqual(reader.read, b"late")
        clock.pump([0.5] * 5)
        self.failureResultOf(entered, PluginFailed)
        self.assertEqual(link.counters.timeouts, 1)
        self.flushLoggedErrors()


class AsynchronousTimeTests(SynchronousTestCase):
    """Self time of those that answer later."""

    def test_coroutines(self) -> None:
        """Each of their steps counts, waiting does not; and what comes after one of them is timed every time."""
        clock = Clock()
        deadlines = Deadlines(clock, 0.5)
        going: list[Deferred[None]] = []

        @implementer(IMiddleware)
        class Later:
            name = "later"

            async def handle(self, context: Context) -> bool:
                clock.advance(0.25)
                going.append(Deferred())
                await going[-1]
                clock.advance(16)
                return True

        @implementer(IMiddleware)
        class Busy:
            name = "busy"

            def handle(self, context: Context) -> bool:
                clock.advance(1.0)
                return True

        links = [makeLink(Later(), deadlines), makeLink(Busy(), deadlines)]
        entered = Chain(links).enter(makeContext())
        assert isinstance(entered, Deferred)
        clock.advance(4)
        going[0].callback(None)
        self.assertIs(self.successResultOf(entered), True)
        self.assertEqual([link.counters.seconds for link in links], [16.25, 1.0])
        self.assertEqual([link.counters.calls for link in links], [1, 1])


    def test_steps(self) -> None:
        """
        A coroutine is resumed with what it waited for, or with the failure of that; whatever it awaits.
        """
        seen: list[Any] = []

        class Plain:
            """An awaitable that is no coroutine, whose iterator can do nothing but give its next."""

            def __await__(self) -> Any:
                return self

            def __iter__(self) -> Any:
                return self

            def __next__(self) -> Any:
                raise StopIteration(True)

        @types.coroutine
        def old() -> Any:
            return (yield succeed("old"))

        @implementer(IMiddleware)
        class Later:
            name = "later"

            async def handle(self, context: Context) -> bool:
                seen.append(await succeed(1))
                seen.append(await old())
                try:
                    await fail(KeyError("k"))
                except KeyError as error:
                    seen.append(error.args)
                return True

        chain = Chain([makeLink(Later(), Deadlines(Clock(), 0.5))])
        entered = chain.enter(makeContext())
        assert isinstance(entered, Deferred)
        self.assertIs(self.successResultOf(entered), True)
        self.assertEqual(seen, [1, "old", ("k",)])
        link = makeLink(Middleware(Trace(), sync, "plain", lambda context: Plain()), Deadlines(Clock(), 0.5))
        entered = Chain([link]).enter(makeContext())
        assert isinstance(entered, Deferred)
        self.assertIs(self.successResultOf(entered), True)

    def test_longSteps(self) -> None:
        """
        A step that holds the loop for long is known as such, also one after a wait.
        """
        clock, going = Clock(), Deferred[None]()

        @implementer(IMiddleware)
        class Later:
            name = "later"

            async def handle(self, context: Context) -> bool:
                await going
                clock.advance(LONG)
                return True

        link = makeLink(Later(), Deadlines(clock, 0.5))
        Chain([link]).enter(makeContext())
        going.callback(None)
        self.assertEqual((link.counters.longCalls, link.counters.longSeconds), (1, LONG))


class ActivityTests(SynchronousTestCase):
    """`Chain.whenIdle`."""

    def setUp(self) -> None:
        self.chain = Chain([])

    def test_unused(self) -> None:
        """At once when nobody uses it."""
        self.successResultOf(self.chain.whenIdle())

    def test_used(self) -> None:
        """After the last, for all who wait."""
        self.chain.active = 2
        waiting = [self.chain.whenIdle(), self.chain.whenIdle()]
        self.chain.release()
        self.assertNoResult(waiting[0])
        self.chain.release()
        for one in waiting:
            self.successResultOf(one)

    def test_cancelled(self) -> None:
        """Who gives up the wait is not called."""
        self.chain.active = 1
        waiting = self.chain.whenIdle()
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.chain.release()
        self.assertEqual(self.chain.active, 0)


class CoroutineTests(ChainSuite, SynchronousTestCase):
    """Middleware whose handle is ``async def`` and never waits."""

    how = staticmethod(coroutine)


class WaitingCoroutineTests(AsynchronousSuite, SynchronousTestCase):
    """Middleware whose handle is ``async def`` and waits."""

    how = staticmethod(waitingCoroutine)
