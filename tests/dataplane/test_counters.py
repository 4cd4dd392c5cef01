"""Tests for :mod:`revproxy.dataplane.counters`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from revproxy.dataplane.chain import Chain
from revproxy.dataplane.counters import Counters
from revproxy.dataplane.generation import Generation
from revproxy.dataplane.routing import Route, Tree
from revproxy.interfaces import IMiddleware
from revproxy.loop.deadlines import Deadlines
from tests.dataplane.doubles import EdgeDouble, RecordingLeaf, makeLink


@implementer(IMiddleware)
class Refusing:
    """Lets every second request pass, and fails at the path ``/fail``."""

    name = "refusing"
    calls = 0

    def handle(self, context: object) -> bool:
        """Part of IMiddleware."""
        self.calls += 1
        if context.request.path == "/fail":  # type: ignore[attr-defined]
            raise ValueError("as told")
        if self.calls % 2:
            return True
        context.respond(403)  # type: ignore[attr-defined]
        return False


class TallyTests(SynchronousTestCase):
    """What one version of a plugin has done."""

    def test_sharedByChains(self) -> None:
        """It goes on over the generations that the version is part of: nothing is counted twice or forgotten."""
        leaf = RecordingLeaf()
        double = EdgeDouble(leaf)
        counters, plugin = Counters(), Refusing()
        for number in range(2):
            link = makeLink(plugin, Deadlines(double.clock, 0.5), name="refusing", open=True, counters=counters)
            double.edge.generation = Generation(number, Tree([Route("a", b"", b"/", leaf)]), [Chain([link])])
            for path in (b"/", b"/", b"/fail"):
                double.connect().send(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path)
        self.flushLoggedErrors(ValueError)
        self.assertEqual((counters.calls, counters.errors, counters.interrupts), (6, 2, 2))
        self.assertEqual((counters.timeouts, counters.stalls), (0, 0))
        self.assertGreaterEqual(counters.seconds, 0.0)
