"""Tests for `revproxy.worker.targetreports`."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionRefusedError

from revproxy.plan.counted import TargetNow
from revproxy.worker import targetreports
from revproxy.worker.targetreports import TargetReports
from tests.dataplane.origins import OK, Origin, OriginCase


class TargetReportsTests(OriginCase):
    """`TargetReports`."""

    def setUp(self) -> None:
        super().setUp()
        self.origin = Origin(self.clock, maxConnections=2)
        self.upstream = self.upstreamOf(self.origin)
        self.upstreams: dict[str, Any] = {"app": (None, self.upstream)}
        self.reports = TargetReports(lambda: self.upstreams)

    def test_busy(self) -> None:
        """Requests that are under way, that wait, and the connections; what has not changed is not told again."""
        self.assertEqual(self.reports.take(), (TargetNow("app", "http://origin"),))
        for _ in range(3):
            self.ask()
        self.assertEqual(self.reports.take(), (TargetNow("app", "http://origin", 2, 1, 2),))
        self.assertEqual(self.reports.take(), ())
        for arrived in self.origin.arrived:
            arrived.says(OK)
        self.assertEqual(self.reports.take(), (TargetNow("app", "http://origin", 1, 0, 2),))

    def test_failures(self) -> None:
        """Failures are counted, and one that is being connected to is not busy."""
        self.origin.accepts = False
        self.ask()
        self.assertEqual(self.reports.take(), (TargetNow("app", "http://origin", 0, 1, 1),))
        self.origin.refuses(ConnectionRefusedError())
        self.assertEqual(self.reports.take(), (TargetNow("app", "http://origin", failures=1),))

    def test_tunnels(self) -> None:
        """A tunnel is a connection that is taken up, apart from the others."""
        self.ask(upgrade=b"websocket")
        self.origin.arrived[0].says(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
        )
        self.assertEqual(self.reports.take(), (TargetNow("app", "http://origin", 1, 0, 0, 1),))

    def test_slices(self) -> None:
        """Where there are many, each report looks at some, and the next goes on; what is gone is forgotten."""
        self.patch(targetreports, "AT_ONCE", 2)
        origins = [Origin(self.clock, url=f"http://o{number}") for number in range(3)]
        self.upstreams["app"] = None, self.upstreamOf(*origins)
        self.assertEqual([[each.url for each in self.reports.take()] for _ in range(3)], [
            ["http://o0", "http://o1"], ["http://o2"], []])  # fmt: skip
        self.reports.take()
        self.upstreams["app"] = None, self.upstreamOf(*origins[:1])
        self.reports.take()
        self.assertEqual(len(self.reports._told), 1)

    def test_noMoreThanASlice(self) -> None:
        """A report touches no more targets than it looks at, however many there are."""
        self.patch(targetreports, "AT_ONCE", 1)
        self.upstreams["later"] = None, object()
        self.assertEqual([each.url for each in self.reports.take()], ["http://origin"])
