"""Tests for plugins/server-timing."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.testing import EdgeDouble, makeContext, makeResponse
from tests.plugins.folders import mainOf


class ServerTimingTests(SynchronousTestCase):
    """How long the origin took."""

    def test_milliseconds(self) -> None:
        """The time between the way in and the way out is told in milliseconds, each request its own."""
        clock = Clock()
        plugin = mainOf(self, "server-timing")({}, clock.seconds)
        first, second = makeContext(), makeContext()
        plugin.handle(first)
        clock.advance(1)
        plugin.handle(second)
        clock.advance(0.0125)
        for context, told in ((second, "origin;dur=12.5"), (first, "origin;dur=1012.5")):
            context.response = makeResponse()
            plugin.handleResponse(context)
            self.assertEqual(context.response.headers.get("Server-Timing"), told)

    def test_besideOthers(self) -> None:
        """The origin's own metrics stay; the name can be chosen."""
        edge = EdgeDouble(mainOf(self, "server-timing")({"metric": "app"}, lambda: 1.0))
        edge.originAnswers(200, {"Server-Timing": "db;dur=5"})
        self.assertEqual(edge.get().headers.getAll("Server-Timing"), ["db;dur=5", "app;dur=0.0"])
