"""Tests for :mod:`revproxy.plugins.ip_filter`."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.plugins.ip_filter import IPFilter
from revproxy.testing import EdgeDouble


class IPFilterTests(SynchronousTestCase):
    """Who may come in."""

    def decisions(self, config: dict[str, Any], *clients: str) -> list[bool]:
        edge = EdgeDouble(IPFilter(config))
        return [edge.get(client=client).forwarded is not None for client in clients]

    def test_allow(self) -> None:
        """With an allow list only those in it come in."""
        config = {"allow": ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"]}
        clients = ("10.255.0.1", "2001:db8::1", "192.0.2.7", "192.0.2.8", "2001:db9::1")
        self.assertEqual(self.decisions(config, *clients), [True, True, True, False, False])

    def test_deny(self) -> None:
        """With a deny list only, all others come in."""
        self.assertEqual(self.decisions({"deny": ["10.0.0.0/8"]}, "10.0.0.1", "11.0.0.1", "::1"), [False, True, True])

    def test_denyWins(self) -> None:
        """Who is in both lists is refused."""
        config = {"allow": ["10.0.0.0/8"], "deny": ["10.6.0.0/16"]}
        self.assertEqual(self.decisions(config, "10.5.0.1", "10.6.0.1", "192.0.2.1"), [True, False, False])

    def test_default(self) -> None:
        """The default can be said: allow beside an allow list, or deny for everyone."""
        self.assertEqual(
            self.decisions({"allow": ["10.0.0.1"], "default": "allow"}, "10.0.0.1", "192.0.2.1"), [True] * 2
        )
        self.assertEqual(self.decisions({"default": "deny"}, "10.0.0.1", "::1"), [False] * 2)
        self.assertEqual(self.decisions({"deny": ["10.0.0.1"], "default": "deny"}, "10.0.0.2"), [False])

    def test_mappedAddress(self) -> None:
        """An IPv4 client is the same when a socket of both families reports it."""
        self.assertEqual(self.decisions({"deny": ["10.0.0.0/8"]}, "::ffff:10.0.0.1"), [False])

    def test_noAddress(self) -> None:
        """A client without an address (a local socket) is in no list: the default decides."""
        self.assertEqual(self.decisions({"allow": ["0.0.0.0/0", "::/0"]}, ""), [False])
        self.assertEqual(self.decisions({"deny": ["0.0.0.0/0", "::/0"]}, ""), [True])

    def test_answer(self) -> None:
        """The answer is 403, or 404 where it should not show that there is anything."""
        answer = EdgeDouble(IPFilter({"default": "deny"})).get()
        self.assertEqual((answer.status, answer.forwarded), (403, None))
        hidden = EdgeDouble(IPFilter({"default": "deny", "status": 404})).get()
        self.assertEqual(hidden.status, 404)
        self.assertNotIn(b"address", hidden.body)

    def test_refusesConfiguration(self) -> None:
        """What is no network is refused with the list's name; so is a filter with nothing to go by."""
        self.assertIn("deny", str(self.assertRaises(ValueError, IPFilter, {"deny": ["10.0.0.0/33"]})))
        self.assertIn("allow", str(self.assertRaises(ValueError, IPFilter, {"allow": ["10.0.0.1/8"]})))
        self.assertRaises(ValueError, IPFilter, {})
