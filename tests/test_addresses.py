"""Sets of networks."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.addresses import AddressSet


class AddressSetTests(SynchronousTestCase):
    """Membership and mistakes."""

    def test_members(self) -> None:
        """Networks, single addresses and both families."""
        known = AddressSet(["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "fe80::/10"])
        for host in ("10.0.0.0", "10.255.255.255", "192.0.2.7", "2001:db8:1::1", "fe80::1%eth0", "::ffff:10.1.2.3"):
            self.assertTrue(known.contains(host), host)
            self.assertIn(host, known)
        for host in ("11.0.0.0", "9.255.255.255", "192.0.2.8", "2001:db9::1", "::ffff:11.0.0.1", "", "unix", "10.0.0"):
            self.assertFalse(known.contains(host), host)

    def test_everything(self) -> None:
        """A prefix of no bits holds all of its family and none of the other."""
        known = AddressSet(["0.0.0.0/0"])
        self.assertIn("203.0.113.9", known)
        self.assertNotIn("2001:db8::1", known)

    def test_empty(self) -> None:
        """Nobody is in an empty set, which is false."""
        self.assertNotIn("127.0.0.1", AddressSet())
        self.assertFalse(AddressSet())
        self.assertTrue(AddressSet(["::1"]))

    def test_mistakes(self) -> None:
        """What is no network is refused by name, as are bits beyond the prefix."""
        for wrong in ("10.0.0.1/8", "ten", "10.0.0.0/33", ""):
            error = self.assertRaises(ValueError, AddressSet, [wrong])
            self.assertIn(wrong, str(error))

    def test_bounded(self) -> None:
        """Clients choose their addresses, not our memory."""
        known = AddressSet(["10.0.0.0/8"])
        for number in range(10_000):
            known.contains(str(ipaddress.IPv4Address(number)))
        self.assertLessEqual(len(known._known), 4096)
        self.assertIn("10.0.0.1", known)

    @given(st.lists(st.ip_addresses(network="10.0.0.0/28"), max_size=4), st.ip_addresses(network="10.0.0.0/28"))
    def test_agreesWithTheLibrary(self, hosts: list[ipaddress.IPv4Address], asked: ipaddress.IPv4Address) -> None:
        """The compiled form answers as ``ipaddress`` does."""
        networks = [ipaddress.ip_network((int(host) & ~3, 30)) for host in hosts]
        self.assertEqual(str(asked) in AddressSet(map(str, networks)), any(asked in network for network in networks))
