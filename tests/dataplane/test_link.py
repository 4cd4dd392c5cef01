"""Tests for :mod:`revproxy.dataplane.link`. How its answers and failures steer a request is tested with the chain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import Interface, implementer

from revproxy.body import Body
from revproxy.context import Context, Headers, Response
from revproxy.dataplane.link import Link, unsendable, waitFor
from revproxy.errors import BodyTooLarge, PluginFailed, PluginStalled, PluginTimeout
from revproxy.interfaces import IMiddleware, IObserver
from revproxy.loop.deadlines import Deadlines
from revproxy.secrets import hide
from revproxy.testing import DestinationsDouble, SourceDouble, makeContext


class IAccounts(Interface):
    """What some plugin provides."""


@implementer(IMiddleware)
class Middleware:
    name = "plain"

    def handle(self, context: Context) -> bool:
        return True

    def handleResponse(self, context: Context) -> None:
        """It has the method, but does not say that it is a response middleware."""


@implementer(IObserver)
class Watching(Middleware):
    def finished(self, context: Context) -> None:
        """It wants to know."""


class LinkCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.deadlines = Deadlines(self.clock, 0.5)
        self.clients: list[object] = []
        self.told: list[Failure] = []

    def makeClient(self) -> object:
        self.clients.append(object())
        return self.clients[-1]

    def link(self, instance: Any = None, open: bool = False, **options: Any) -> Link:
        options.setdefault("onFailure", self.told.append)
        return Link(
            instance or Middleware(),
            "name",
            "1.0",
            open=open,
            timeout=options.pop("timeout", None),
            deadlines=self.deadlines,
            makeClient=self.makeClient,
            services={IAccounts: "accounts"}.__getitem__,
            destinations=DestinationsDouble(),
            **options,
        )


class LinkTests(LinkCase):
    """What the edge holds ready for a middleware."""

    def test_declared(self) -> None:
        """What it wants to be asked is what it declares, not what it happens to have."""
        self.assertEqual((self.link().handleResponse, self.link().finished), (None, None))
        watching = Watching()
        self.assertEqual(self.link(watching).finished, watching.finished)

    def test_toolbox(self) -> None:
        """A client of its own, made once and not before it is asked for; services by interface."""
        link = self.link()
        self.assertEqual(self.clients, [])
        self.assertIs(link.client, link.client)
        self.assertEqual(len(self.clients), 1)
        self.assertEqual(link.service(IAccounts), "accounts")
        self.assertRaises(KeyError, link.service, Interface)

    def test_blame(self) -> None:
        """Each failure is counted by its kind, logged, and told; who is told may fail himself."""
        link = self.link()
        for error in (ValueError("a"), PluginTimeout("b"), PluginStalled("c")):
            link.blame(Failure(error), "{name} {version} failed")
        self.assertEqual((link.counters.errors, link.counters.timeouts, link.counters.stalls), (3, 1, 1))
        self.assertEqual([failure.type for failure in self.told], [ValueError, PluginTimeout, PluginStalled])
        self.assertEqual(len(self.flushLoggedErrors()), 3)
        self.link(onFailure=[].index).blame(Failure(KeyError()), "{name} failed")  # type: ignore[arg-type]
        self.assertEqual([failure.type for failure in self.flushLoggedErrors()], [KeyError, ValueError])

    def test_failed(self) -> None:
        """Passed over or not, by its policy; the context says which."""
        context = makeContext()
        self.link(open=True).failed(context, Failure(ValueError()))
        self.assertRaises(PluginFailed, self.link().failed, context, Failure(ValueError()))
        self.assertEqual((context.pluginsSkipped, context.pluginErrors), (("name",), ("name",)))
        self.flushLoggedErrors(ValueError)

    def test_secrets(self) -> None:
        """What the access log will say has none in it."""
        hide("Wowbagger-42")
        error = self.assertRaises(PluginFailed, self.link().failed, makeContext(), Failure(ValueError("Wowbagger-42")))
        self.assertEqual(str(error), "name 1.0: ***")
        self.flushLoggedErrors(ValueError)

    def test_notItsFailure(self) -> None:
        """Why the body it read broke off is passed on, and counts for nothing."""
        source, error, link = SourceDouble(), BodyTooLarge("x"), self.link(open=True)
        context = makeContext(body=source.body)
        source.fail(error)
        self.assertIs(self.assertRaises(BodyTooLarge, link.failed, context, Failure(error)), error)
        self.assertEqual((link.counters.errors, self.told), (0, []))


class WaitForTests(LinkCase):
    """An answer that comes later."""

    def test_nothingToWaitFor(self) -> None:
        """What is no answer says what was wanted."""
        error = self.assertRaises(TypeError, waitFor, makeContext(), self.link(), 7, "handle", "True or False")
        self.assertIn("handle answered 7: it must be True or False", str(error))

    def test_coroutine(self) -> None:
        """A coroutine runs from here on, and what it takes counts as the link's."""
        link = self.link()

        async def work() -> str:
            self.clock.advance(2)
            return "done"

        self.assertEqual(self.successResultOf(waitFor(makeContext(), link, work(), "handle", "")), "done")
        self.assertEqual(link.counters.seconds, 2)

    def test_time(self) -> None:
        """It has the link's time, and then is cancelled; without one it may take for ever."""
        for timeout in (1.0, None):
            inner: Deferred[Any] = Deferred()
            outer = waitFor(makeContext(), self.link(timeout=timeout), inner, "handle", "")
            self.clock.pump([0.5] * 10)
            if timeout is None:
                self.assertNoResult(outer)
            else:
                self.failureResultOf(outer, PluginTimeout)
                self.assertTrue(inner.called)

    def test_forgotten(self) -> None:
        """However it ends, its deadline is not watched any more."""
        ends: tuple[Callable[[Deferred[Any], Deferred[Any]], object], ...] = (
            lambda inner, outer: inner.callback(1),
            lambda inner, outer: inner.errback(ValueError()),
            lambda inner, outer: outer.cancel(),
        )
        for end in ends:
            inner: Deferred[Any] = Deferred()
            outer = waitFor(makeContext(), self.link(timeout=1.0), inner, "handle", "")
            outer.addErrback(lambda _: None)
            end(inner, outer)
            self.assertTrue(outer.called)
            self.clock.advance(0.5)
            self.assertEqual(self.clock.getDelayedCalls(), [])


class UnsendableTests(SynchronousTestCase):
    """What plugins' work has to be to be an answer."""

    def test_statuses(self) -> None:
        """A final status; 101 only with a tunnel."""
        for status in (200, 599):
            self.assertIsNone(unsendable(Response(status, None, Headers(), Body.of(b""))))
        for status in (100, 101, 199, 600, "200", None):
            text = unsendable(Response(status, None, Headers(), None))  # type: ignore[arg-type]
            self.assertEqual(text, f"left a response of status {status!r}")
        self.assertEqual(unsendable(None), "left no response")
