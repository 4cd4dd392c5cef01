"""Tests for :mod:`revproxy.dataplane.generation`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.chain import Chain
from revproxy.dataplane.generation import Generation
from revproxy.dataplane.routing import Route, Tree
from tests.dataplane.doubles import EdgeDouble, RecordingLeaf

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class GenerationTests(SynchronousTestCase):
    """The running form of a plan."""

    def test_find(self) -> None:
        """It finds what its tree does, and nothing where that has nothing."""
        leaf = RecordingLeaf()
        generation = Generation(7, Tree([Route("a", b"a.example", b"/x", leaf)]), [Chain([])])
        found = generation.find(b"a.example", b"/x/y")
        assert found is not None
        self.assertEqual((generation.number, found.name), (7, "a"))
        self.assertIsNone(generation.find(b"a.example", b"/y"))

    def test_replaced(self) -> None:
        """A request that has begun ends in the generation it began in; the next one goes through the new one."""
        old, new = RecordingLeaf(), RecordingLeaf()
        double = EdgeDouble(old)
        client, other = double.connect(), double.connect()
        client.send(GET)
        fresh = Chain([])
        double.edge.generation = Generation(2, Tree([Route("new", b"", b"/", new)]), [fresh])
        other.send(GET)
        self.assertEqual((len(old.exchanges), len(new.exchanges)), (1, 1))
        self.assertEqual((double.chains[0].active, fresh.active), (1, 1))
        old.answer(0, b"old")
        new.answer(0, b"new")
        self.assertIn(b"old", client.received())
        self.assertIn(b"new", other.received())
        self.assertEqual((double.chains[0].active, fresh.active), (0, 0))
