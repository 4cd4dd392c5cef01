"""Tests for :mod:`revproxy.dataplane.leaves.leaf`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import getChildForRequest
from twisted.web.test.requesthelper import DummyRequest
from zope.interface.verify import verifyObject

from revproxy.dataplane.http.interfaces import ILeaf
from revproxy.dataplane.leaves.leaf import Leaf


class LeafTests(SynchronousTestCase):
    """The base of every leaf."""

    def test_provides(self) -> None:
        """It is a leaf to us, and to Twisted: no walk goes on below it."""
        leaf = Leaf()
        self.assertTrue(verifyObject(ILeaf, leaf))
        request = DummyRequest([b"a", b"b"])
        self.assertIs(getChildForRequest(leaf, request), leaf)
        self.assertEqual(request.postpath, [b"a", b"b"])

    def test_abstract(self) -> None:
        """A leaf that does not say how it answers cannot."""
        with self.assertRaises(TypeError):
            Leaf().render(None)  # type: ignore[arg-type]
