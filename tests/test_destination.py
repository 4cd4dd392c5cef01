"""Tests for :mod:`revproxy.destination`, by the contexts that plugins have in their tests."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from revproxy.context import Context
from revproxy.interfaces import IMiddleware
from revproxy.testing import EdgeDouble, ToolboxDouble, makeContext

UPSTREAMS = {"stable": ["http://a:1", "http://b:1"], "canary": ["http://c:1"]}


@implementer(IMiddleware)
class Canary:
    """Sends to the canary who asks for it, from an old path also."""

    name = "canary"

    def handle(self, context: Context) -> bool:
        if context.request.headers.get("X-Canary"):
            context.upstream = "canary"
        if context.request.path.startswith("/old/"):
            context.request.path = context.request.path[4:]
            context.reroute()
        return True


class RoutedTests(SynchronousTestCase):
    """What a plugin may assign, and what it finds."""

    def context(self, upstream: str | None = "stable") -> Context:
        return makeContext(upstream=upstream, toolbox=ToolboxDouble(upstreams=UPSTREAMS))

    def test_nothingSaid(self) -> None:
        """The route's own."""
        context = self.context()
        self.assertEqual((context.route, context.upstream, context.origin), ("default", "stable", None))
        self.assertEqual(context.origins, ("http://a:1", "http://b:1"))
        other = self.context(None)
        self.assertEqual((other.upstream, other.origin, other.origins), (None, None, ()))

    def test_upstream(self) -> None:
        """One that there is; another one forgets the target."""
        context = self.context()
        context.origin = "http://b:1"
        self.assertEqual((context.upstream, context.origin), ("stable", "http://b:1"))
        context.upstream = "canary"
        self.assertEqual((context.upstream, context.origin), ("canary", None))
        error = self.assertRaises(ValueError, setattr, context, "upstream", "other")
        self.assertIn("stable, canary", str(error))
        self.assertEqual(context.upstream, "canary")
        context.upstream = None
        self.assertEqual(context.upstream, "stable")

    def test_origin(self) -> None:
        """One of the upstream's; those that are down are not among the ones that take requests."""
        context = self.context()
        error = self.assertRaises(ValueError, setattr, context, "origin", "http://c:1")
        self.assertIn("http://a:1, http://b:1", str(error))
        context._toolbox.destinations.down.add("http://a:1")  # type: ignore[union-attr]
        self.assertEqual(context.origins, ("http://b:1",))
        context.origin = "http://a:1"
        context.origin = None
        self.assertIsNone(context.origin)

    def test_noUpstream(self) -> None:
        """A route without upstream has no targets, unless one is chosen before."""
        context = self.context(None)
        error = self.assertRaises(ValueError, setattr, context, "origin", "http://c:1")
        self.assertIn("choose context.upstream first", str(error))
        context.upstream = "canary"
        context.origin = "http://c:1"
        self.assertEqual(context.origin, "http://c:1")

    def test_route(self) -> None:
        """Its name is not to be assigned; the message says what to do."""
        error = self.assertRaises(AttributeError, setattr, self.context(), "route", "admin")
        self.assertIn("context.reroute()", str(error))
        self.assertIn("context.upstream", str(error))

    def test_tooLate(self) -> None:
        """Once there is a response, nothing can be chosen."""
        context = self.context()
        context.respond(200)
        self.assertRaises(RuntimeError, context.reroute)
        self.assertRaises(RuntimeError, setattr, context, "upstream", "canary")
        self.assertRaises(RuntimeError, setattr, context, "origin", "http://a:1")

    def test_edgeDouble(self) -> None:
        """A test sees what was chosen, and how often the route was chosen anew."""
        edge = EdgeDouble(Canary(), upstreams=UPSTREAMS)
        plain, chosen, moved = edge.get("/"), edge.get("/", {"X-Canary": "1"}), edge.get("/old/x")
        self.assertEqual((plain.context.upstream, plain.rerouted), (None, 0))
        self.assertEqual((chosen.context.upstream, chosen.rerouted), ("canary", 0))
        assert moved.forwarded is not None
        self.assertEqual((moved.forwarded.path, moved.rerouted), ("/x", 1))
        self.assertRaises(RuntimeError, moved.context.reroute)
        self.assertRaises(ValueError, EdgeDouble(Canary()).get, "/", {"X-Canary": "1"})
