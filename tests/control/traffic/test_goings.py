"""Tests for `revproxy.control.traffic.goings`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.traffic.goings import Goings
from revproxy.plan.counted import EdgeCounters, PluginNow, RouteNow
from revproxy.plan.versionid import VersionId
from revproxy.plan.words import Counters


class GoingsTests(SynchronousTestCase):
    """What goes on now."""

    def setUp(self) -> None:
        self.goings = Goings()

    def told(self, worker: int, count: int) -> None:
        """A worker has so much of everything."""
        self.goings.counted(worker, Counters(
            routes=(RouteNow("shop", count, 100.0 - count),),
            plugins=(PluginNow("a", VersionId("1"), count), PluginNow("a", VersionId("2"), 1)),
            edge=EdgeCounters(count),
        ))  # fmt: skip

    def test_sums(self) -> None:
        """Of all workers, each as it was told last; an idle one has nothing."""
        self.told(0, 50)
        self.told(0, 2)
        self.told(1, 3)
        self.assertEqual(self.goings.routes(), {"shop": RouteNow("shop", 5, 97.0)})
        self.assertEqual((self.goings.plugins(), self.goings.connections), ({"a": 7}, 5))
        self.goings.counted(1, Counters())
        self.assertEqual((self.goings.routes()["shop"].count, self.goings.plugins()), (2, {"a": 3}))

    def test_gone(self) -> None:
        """Nothing goes on in a worker that has ended."""
        self.told(0, 2)
        self.told(1, 3)
        self.goings.gone(1)
        self.goings.gone(7)
        self.assertEqual((self.goings.routes()["shop"].count, self.goings.connections), (2, 2))
