"""Tests for :mod:`revproxy.dataplane.http.shares`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.http.shares import PLAIN, TUNNEL, UPLOAD, Shares


class SharesTests(SynchronousTestCase):
    """The counts of one target."""

    def test_room(self) -> None:
        """There is room up to the limit, and again when one has ended."""
        shares = Shares(2, 1)
        shares.connections = 2
        self.assertFalse(shares.hasRoom)
        shares.end(PLAIN)
        self.assertTrue(shares.hasRoom)

    def test_uploads(self) -> None:
        """Half of the connections may be taken up by uploads; one that ends makes room for another."""
        shares = Shares(5, 0)
        shares.connections = 2
        self.assertEqual([shares.beginUpload() for _ in range(3)], [True, True, False])
        self.assertEqual(shares.uploads, 2)
        shares.end(UPLOAD)
        self.assertEqual((shares.uploads, shares.connections), (1, 1))
        self.assertTrue(shares.beginUpload())

    def test_oneUpload(self) -> None:
        """With a single connection there may be an upload all the same."""
        self.assertEqual(Shares(1, 0).maxUploads, 1)

    def test_tunnels(self) -> None:
        """A tunnel is no connection any more: it is counted by itself, up to its own limit."""
        shares = Shares(1, 1)
        shares.connections = 1
        self.assertTrue(shares.beginTunnel())
        self.assertEqual((shares.connections, shares.tunnels), (0, 1))
        self.assertTrue(shares.hasRoom)
        shares.connections = 1
        self.assertFalse(shares.beginTunnel())
        self.assertEqual((shares.connections, shares.tunnels), (1, 1))
        shares.end(TUNNEL)
        self.assertEqual((shares.connections, shares.tunnels), (1, 0))
