"""Tests for `revproxy.worker.hostcounts`: the busiest hosts are told, whatever hosts clients make up."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.plan.counted import HostCount
from revproxy.worker import hostcounts
from revproxy.worker.hostcounts import SPARE, HostCounts
from tests.dataplane.test_accessline import record


class HostCountsTests(SynchronousTestCase):
    """`HostCounts`."""

    def setUp(self) -> None:
        self.counts = HostCounts()
        self.counts.top = 1

    def take(self, *hosts: bytes) -> None:
        """Requests for these."""
        self.counts.take([record(host=host) for host in hosts])

    def test_names(self) -> None:
        """Spellings of a host are one; what is none is among the others."""
        self.take(b"Shop.example", b"shop.example:443", b"shop.example.", b"[::1]:80", b"", b"-", b"\xff\n", b"a@b")
        told = {count.host: count.count for count in self.counts.told()}
        self.assertEqual((told["shop.example"], told["[::1]"]), (3, 1))
        self.assertEqual(set(told), {"shop.example", "[::1]", ""})
        self.assertEqual(sum(told.values()), 8)
        self.assertEqual(self.counts.told(), ())

    def test_flood(self) -> None:
        """However many hosts there are, so few are told, and no request is missing."""
        self.take(*[b"real.example"] * 5, *(b"%d.example" % number for number in range(10_000)))
        told = self.counts.told()
        self.assertEqual((told[0], len(told)), (HostCount("real.example", 5), SPARE + 1))
        self.assertEqual(sum(count.count for count in told), 10_005)

    def test_room(self) -> None:
        """What comes when there is no more room, or is too long, is counted with the others."""
        self.patch(hostcounts, "ROOM", 2)
        self.take(b"a", b"b", b"c", b"a", b"x" * 300)
        self.assertEqual(self.counts.told(), (HostCount("a", 2), HostCount("b", 1), HostCount("", 2)))
