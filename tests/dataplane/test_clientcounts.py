"""Tests for :mod:`revproxy.dataplane.clientcounts`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.clientcounts import ClientCounts, clientKey


class ClientKeyTests(SynchronousTestCase):
    """Which addresses are one client."""

    def test_sameClient(self) -> None:
        """An IPv4 address however it is written; an IPv6 network of 64 bits; a zone does not matter."""
        for first, second in (
            ("192.0.2.1", "::ffff:192.0.2.1"),
            ("2001:db8::1", "2001:db8:0:0:ffff::"),
            ("fe80::1", "fe80::2%eth0"),
        ):
            self.assertEqual(clientKey(first), clientKey(second))

    def test_others(self) -> None:
        """Other addresses are other clients."""
        hosts = ("192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8:0:1::1", "::1", "::ffff:192.0.2.3")
        self.assertEqual(len({clientKey(host) for host in hosts}), len(hosts))

    @given(st.text(max_size=20))
    def test_noAddress(self, host: str) -> None:
        """What is no address is nobody, and nothing is raised."""
        self.assertIn(len(clientKey(host)), (0, 4, 8))
        self.assertEqual(clientKey("example.com"), b"")


class ClientCountsTests(SynchronousTestCase):
    """Counting."""

    def test_comingAndGoing(self) -> None:
        """Whoever has no connection left takes up no memory."""
        counts = ClientCounts()
        keys = [counts.enter("192.0.2.1"), counts.enter("192.0.2.1"), counts.enter("192.0.2.2"), counts.enter("")]
        self.assertEqual([counts.count(host) for host in ("192.0.2.1", "192.0.2.2", "")], [2, 1, 0])
        for key in keys:
            counts.leave(key)
        self.assertEqual((len(counts), counts.count("192.0.2.1")), (0, 0))
