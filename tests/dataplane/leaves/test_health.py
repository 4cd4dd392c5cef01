"""Tests for :mod:`revproxy.dataplane.leaves.health`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from revproxy.dataplane.http.interfaces import ILeaf
from revproxy.dataplane.leaves.health import EdgeHealth, HealthLeaf
from tests.dataplane.leaves.test_fixed import answer


class HealthTests(SynchronousTestCase):
    """A word, and a status."""

    def test_live(self) -> None:
        """Whoever answers, lives; nobody is to keep the answer."""
        leaf = HealthLeaf("live", EdgeHealth())
        self.assertTrue(verifyObject(ILeaf, leaf))
        self.assertEqual(answer(leaf), b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
                         b"Cache-Control: no-store\r\nContent-Length: 3\r\n\r\nok\n")

    def test_ready(self) -> None:
        """As it was said last; not before it was."""
        health = EdgeHealth()
        leaf = HealthLeaf("ready", health)
        for isReady, first, word in ((None, b"503 Service Unavailable", b"not ready\n"), (True, b"200 OK", b"ready\n"),
                                     (False, b"503 Service Unavailable", b"not ready\n")):
            if isReady is not None:
                health.isReady = isReady
            got = answer(leaf)
            self.assertTrue(got.startswith(b"HTTP/1.1 " + first + b"\r\n") and got.endswith(b"\r\n\r\n" + word), got)
            self.assertIn(b"Cache-Control: no-store\r\n", got)

    def test_head(self) -> None:
        """HEAD has the status, and no word."""
        self.assertTrue(answer(HealthLeaf("ready", EdgeHealth(True)), method=b"HEAD").endswith(b"\r\n\r\n"))
