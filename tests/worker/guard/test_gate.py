"""
A version out of service, and its way back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from revproxy.context import Context
from revproxy.dataplane.chain import Chain
from revproxy.dataplane.link import Link
from revproxy.errors import BodyTooLarge, PluginFailed, PluginQuarantined, PluginStalled
from revproxy.interfaces import IMiddleware, IObserver, IResponseMiddleware
from revproxy.loop.deadlines import Deadlines
from revproxy.testing import DestinationsDouble, SourceDouble, makeContext, makeResponse
from revproxy.worker.guard.gate import Gate


@implementer(IMiddleware)
class Plain:
    """Does what it is told; keeps what it saw."""

    name = "moody"

    def __init__(self) -> None:
        self.handled: list[Context] = []
        self.left: list[Context] = []
        self.ended: list[Context] = []
        self.does: Callable[[Context], Any] = lambda context: True
        self.leaves: Callable[[Context], Any] = lambda context: None
        self.ends: Callable[[Context], Any] = lambda context: None

    def handle(self, context: Context) -> Any:
        self.handled.append(context)
        return self.does(context)


@implementer(IMiddleware, IResponseMiddleware, IObserver)
class Full(Plain):
    """The same, with everything the chain may call."""

    def handleResponse(self, context: Context) -> Any:
        self.left.append(context)
        return self.leaves(context)

    def finished(self, context: Context) -> None:
        self.ended.append(context)
        self.ends(context)


def raises(error: BaseException) -> Callable[[Context], Any]:
    """What a middleware does that fails."""

    def fail(context: Context) -> Any:
        raise error

    return fail


class GateCase(SynchronousTestCase):
    """One gate, before one instance."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.events: list[str] = []
        self.texts: list[str] = []
        self.restored = 0
        self.shut(Plain())

    def shut(self, instance: Plain, open: bool = True, **limits: Any) -> None:
        """Put an instance out of service."""

        def heard(kind: str, text: str) -> None:
            self.events.append(kind)
            self.texts.append(text)

        def back() -> None:
            self.restored += 1

        self.instance = instance
        self.gate = Gate(instance, "moody", open, self.clock.seconds, onEvent=heard, onRestored=back, **limits)

    def request(self) -> Any:
        """A whole request, answered at once. :return: what handle answered."""
        context = makeContext()
        try:
            verdict = self.gate.handle(context)
            context.response = context.response or makeResponse()
            if IResponseMiddleware.providedBy(self.gate):
                self.gate.handleResponse(context)
            return verdict
        finally:
            self.gate.finished(context)


class PlaceTests(GateCase):
    """What it is to the chain."""

    def test_interfaces(self) -> None:
        """It provides what the instance provides, and always hears of the end."""
        verifyObject(IMiddleware, self.gate)
        verifyObject(IObserver, self.gate)
        self.assertFalse(IResponseMiddleware.providedBy(self.gate))
        self.shut(Full())
        verifyObject(IResponseMiddleware, self.gate)

    def test_attributes(self) -> None:
        """Whatever else the instance has is found on it."""
        self.assertIs(self.gate.handled, self.instance.handled)
        with self.assertRaises(AttributeError):
            self.gate.nothing  # noqa: B018


class CoolingTests(GateCase):
    """While it is left alone."""

    def test_open(self) -> None:
        """Requests go past, and the instance sees nothing of them."""
        self.shut(Full())
        self.clock.advance(9.9)
        self.assertIs(self.request(), True)
        self.assertEqual(self.instance.handled + self.instance.left + self.instance.ended, [])
        self.assertEqual(self.events, [])

    def test_noted(self) -> None:
        """A request remembers that it went past, and another that it was a probe."""
        for seconds, text in ((0.0, "quarantine"), (10.0, "probe")):
            self.clock.advance(seconds)
            context = makeContext()
            self.gate.handle(context)
            self.assertEqual(context._story.notes, (("moody", text),))
            self.gate.finished(context)

    def test_closed(self) -> None:
        """Requests fail with 503."""
        self.shut(Full(), open=False)
        error = self.assertRaises(PluginQuarantined, self.request)
        self.assertEqual(error.status, 503)
        self.assertEqual(self.instance.handled + self.instance.left + self.instance.ended, [])


class ProbeTests(GateCase):
    """After the cooldown."""

    def test_oneAtATime(self) -> None:
        """One request is let through; others go past until it is over."""
        self.clock.advance(10)
        first, second, third = makeContext(), makeContext(), makeContext()
        waiting: Deferred[bool] = Deferred()
        self.instance.does = lambda context: waiting
        answer = self.gate.handle(first)
        self.assertIs(self.gate.handle(second), True)
        self.assertEqual(self.instance.handled, [first])
        waiting.callback(True)
        self.assertIs(self.successResultOf(answer), True)
        self.instance.does = lambda context: True
        self.gate.handle(third)
        self.assertEqual(self.instance.handled, [first, third])

    def test_othersClosed(self) -> None:
        """Beside a probe, requests of a closed one fail."""
        self.shut(Plain(), open=False)
        self.clock.advance(10)
        self.instance.does = lambda context: Deferred()
        self.gate.handle(makeContext())
        self.assertRaises(PluginQuarantined, self.gate.handle, makeContext())

    def test_back(self) -> None:
        """Three that are well in a row, and all requests reach it."""
        self.shut(Full())
        self.clock.advance(10)
        for _ in range(3):
            self.assertEqual(self.restored, 0)
            self.request()
        self.assertEqual(self.restored, 1)
        self.assertEqual(self.events, ["half-open", "probe-well", "probe-well", "probe-well", "restored"])
        self.assertEqual(self.texts[-1], "moody is back in service after 3 probes")
        contexts = [makeContext(), makeContext()]
        for context in contexts:
            self.gate.handle(context)
        for context in contexts:
            self.gate.handleResponse(context)
            self.gate.finished(context)
        for seen in (self.instance.handled, self.instance.left, self.instance.ended):
            self.assertEqual(seen[3:], contexts)
        self.assertEqual(self.restored, 1)

    def test_failed(self) -> None:
        """One that raises does so to the chain, too; what is left alone next is left alone for twice as long."""
        self.shut(Plain(), longest=50)
        self.clock.advance(10)
        for seconds in (20, 40, 50, 50):
            self.request()
            self.instance.does = raises(ValueError("bad  day"))
            self.assertRaises(ValueError, self.request)
            self.assertEqual(self.texts[-1], f"moody: a probe failed (ValueError: bad day); the next in {seconds} s")
            self.instance.does = lambda context: True
            self.clock.advance(seconds - 0.1)
            seen = len(self.instance.handled)
            self.request()
            self.assertEqual(len(self.instance.handled), seen)
            self.clock.advance(0.1)
        for _ in range(2):
            self.request()
        self.assertEqual(self.restored, 0, "a failed probe starts the row anew")
        self.request()
        self.assertEqual(self.restored, 1)

    def test_stalled(self) -> None:
        """One whose call was ended has failed."""
        self.clock.advance(10)
        self.instance.does = raises(PluginStalled("too long"))
        self.assertRaises(PluginStalled, self.request)
        self.assertEqual(self.events, ["half-open", "probe-failed"])

    def test_asynchronous(self) -> None:
        """What a Deferred or coroutine brings counts, and passes through unchanged."""
        self.clock.advance(10)
        waiting: Deferred[bool] = Deferred()

        async def coroutine() -> Any:
            return await waiting

        for error, way in ((ValueError("late"), lambda context: coroutine()), (None, lambda context: succeed(False))):
            self.instance.does = way
            context = makeContext()
            context.respond(403)
            answer = self.gate.handle(context)
            if error is not None:
                result = Deferred.fromCoroutine(answer)
                waiting.errback(Failure(error))
                self.failureResultOf(result, ValueError)
                self.assertEqual(self.events[-1], "probe-failed")
            else:
                self.assertIs(self.successResultOf(answer), False)
                self.assertEqual(self.events[-1], "probe-well")
            self.gate.finished(context)
            self.clock.advance(20)

    def test_nonsense(self) -> None:
        """An answer of no sense is a failure, and the chain gets it."""
        for answer, reason in (
            (None, "handle answered a NoneType"),
            (False, "handle answered False, but left no response"),
        ):
            self.shut(Plain())
            self.clock.advance(10)
            self.instance.does = lambda context, answer=answer: answer
            self.assertIs(self.request(), answer)
            self.assertIn(reason, self.texts[-1])

    def test_wayOut(self) -> None:
        """One that goes wrong on the way out has failed, and until then the next has to wait."""
        self.shut(Full())
        self.clock.advance(10)
        for way in (raises(ValueError("out")), lambda context: 5, lambda context: succeed(1)):
            self.instance.leaves = way
            context = makeContext()
            self.assertIs(self.gate.handle(context), True)
            self.gate.handle(makeContext())
            self.assertEqual(self.instance.handled[-1], context)
            try:
                self.gate.handleResponse(context)
            except ValueError:
                pass
            self.gate.finished(context)
            self.assertEqual(self.events[-1], "probe-failed")
            self.clock.advance(self.gate.cooldown)

    def test_observer(self) -> None:
        """One that fails when told of the end has failed after all."""
        self.shut(Full())
        self.clock.advance(10)
        self.instance.ends = raises(ValueError("end"))
        self.assertRaises(ValueError, self.request)
        self.assertEqual(self.events, ["half-open", "probe-well", "probe-failed"])

    def test_failsTwice(self) -> None:
        """A probe that fails in two places has failed once."""
        self.shut(Full())
        self.clock.advance(10)
        self.instance.does = self.instance.leaves = raises(ValueError("again"))
        context = makeContext()
        self.assertRaises(ValueError, self.gate.handle, context)
        self.assertRaises(ValueError, self.gate.handleResponse, context)
        self.gate.finished(context)
        self.assertEqual(self.events, ["half-open", "probe-failed"])
        self.assertEqual(self.gate.cooldown, 20)

    def test_left(self) -> None:
        """When the client leaves, a probe has said nothing, and the next may come at once."""
        self.shut(Full())
        self.clock.advance(10)
        context = makeContext()
        waiting: Deferred[bool] = Deferred()
        self.instance.does = lambda context: waiting
        answer = self.gate.handle(context)
        self.gate.finished(context)
        answer.cancel()
        answer.addErrback(lambda failure: None)
        self.assertEqual(self.events, ["half-open"])
        self.instance.does = lambda context: True
        self.request()
        self.assertEqual(self.events, ["half-open", "probe-well"])

    def test_brokenBody(self) -> None:
        """That a body broke off is not the probe's failure."""
        self.clock.advance(10)
        context = makeContext()
        source = SourceDouble([b"x"])
        context.request._body = source.body
        gone = BodyTooLarge("too much")
        self.instance.does = lambda context: context.request.body.read(10)
        answer = self.gate.handle(context)
        source.fail(gone)
        self.failureResultOf(answer, BodyTooLarge)
        self.gate.finished(context)
        self.assertEqual(self.events, ["half-open"])
        self.instance.does = lambda context: True
        self.request()
        self.assertEqual(self.events, ["half-open", "probe-well"])

    def test_neverOver(self) -> None:
        """A probe that is not over in a long time has failed, so that there can be another."""
        self.shut(Plain(), longest=60)
        self.clock.advance(10)
        self.instance.does = lambda context: Deferred()
        self.gate.handle(makeContext())
        self.clock.advance(60)
        self.gate.handle(makeContext())
        self.assertEqual(self.events, ["half-open", "probe-failed"])
        self.clock.advance(20)
        self.gate.handle(makeContext())
        self.assertEqual(len(self.instance.handled), 2)

    def test_nothingStays(self) -> None:
        """What is over is forgotten."""
        self.shut(Full())
        for _ in range(100):
            self.clock.advance(5)
            self.request()
        self.assertEqual(self.restored, 1)
        self.assertEqual(self.gate._probes, {})


class InChainTests(GateCase):
    """With the chain around it."""

    def enter(self, open: bool, timeout: float | None = None) -> tuple[Chain, Context, Any]:
        """A request's way in."""
        deadlines = Deadlines(self.clock, 0.5)
        link = Link(
            self.gate,
            "moody",
            "1.0.0",
            open=open,
            timeout=timeout,
            deadlines=deadlines,
            makeClient=lambda: None,
            services=lambda interface: None,
            destinations=DestinationsDouble(),
        )
        chain = Chain([link])
        context = makeContext()
        try:
            return chain, context, chain.enter(context)
        except (PluginFailed, PluginQuarantined) as error:
            return chain, context, error

    def test_closed(self) -> None:
        """A request that may not pass is no failure of the plugin's: the edge answers 503."""
        self.shut(Full(), open=False)
        chain, context, error = self.enter(False)
        self.assertIsInstance(error, PluginQuarantined)
        self.assertEqual(context.pluginErrors, ())
        self.assertEqual(chain.links[0].counters.errors, 0)

    def test_failedProbe(self) -> None:
        """A probe that fails is treated as any failure."""
        self.shut(Full(), open=False)
        self.clock.advance(10)
        self.instance.does = raises(ValueError("bad"))
        chain, context, error = self.enter(False)
        self.assertIsInstance(error, PluginFailed)
        self.assertEqual(context.pluginErrors, ("moody",))
        chain.finished(context)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(self.events, ["half-open", "probe-failed"])

    def test_timeout(self) -> None:
        """A probe that does not answer in time has failed."""
        self.clock.advance(10)
        self.instance.does = lambda context: Deferred()
        chain, context, answer = self.enter(True, timeout=1.0)
        self.clock.advance(2)
        self.assertIs(self.successResultOf(answer), True)
        chain.finished(context)
        self.assertEqual(self.events, ["half-open", "probe-failed"])
        self.flushLoggedErrors()
