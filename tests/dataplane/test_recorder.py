"""
Tests for `revproxy.dataplane.recorder`.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.dataplane.recorder import BATCH, MOST, Recorder
from tests.dataplane.test_accessline import record


class RecorderTests(SynchronousTestCase):
    """
    Buffering.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.batches: list[list[Any]] = []
        self.recorder = Recorder(self.clock, [self.batches.append], 0.5)

    def ids(self) -> list[str]:
        """
        The ids of all that was taken, in order.
        """
        return [entry.id for batch in self.batches for entry in batch]

    def records(self, count: int) -> list[str]:
        """
        So many are over. :returns: their ids.
        """
        ids = [str(number) for number in range(count)]
        for each in ids:
            self.recorder.record(record(id=each))
        return ids

    def test_oneCallForAll(self) -> None:
        """
        Records that come within one interval share one delayed call and are taken together.
        """
        self.records(2)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.assertEqual(self.batches, [])
        self.clock.advance(0.5)
        self.assertEqual((len(self.batches), self.ids()), (1, ["0", "1"]))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_takers(self) -> None:
        """
        All that want to know are given the same batch, in order; one that fails costs the others nothing, and says so.
        """
        taken: list[Any] = []

        def fails(batch: list[Any]) -> None:
            taken.append("fails")
            raise KeyError("no")

        self.recorder.takers = (fails, taken.append)
        self.records(2)
        self.clock.advance(0.5)
        self.assertEqual((taken[0], [entry.id for entry in taken[1]]), ("fails", ["0", "1"]))
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_batches(self) -> None:
        """
        Many records do not wait for the interval, and are spread over turns of the loop; less than a batch waits.
        """
        ids = self.records(3 * BATCH + 10)
        self.assertEqual(self.batches, [])
        self.clock.advance(0)
        self.assertEqual([len(batch) for batch in self.batches], [BATCH] * 3)
        self.clock.advance(0.5)
        self.assertEqual((self.ids(), self.clock.getDelayedCalls()), (ids, []))

    def test_keepsUp(self) -> None:
        """
        However many come in one turn of the loop, none is lost, and few are held.
        """
        ids = self.records(50_000)
        self.assertEqual(len(ids) - len(self.ids()), MOST - BATCH + (len(ids) - MOST) % BATCH)
        self.recorder.flush()
        self.assertEqual(self.ids(), ids)
        self.assertEqual({len(batch) for batch in self.batches[:-1]}, {BATCH})

    def test_long(self) -> None:
        """
        Of records with long targets, fewer are taken at a time; one that is longer than that is taken alone.
        """
        targets = [b"/" * 20_000, b"/" * 10_000, b"/" * 20_000, b"/" * 100_000, b"/"]
        for target in targets:
            self.recorder.record(record(target=target))
        self.recorder.flush()
        self.assertEqual([[len(entry.target) for entry in batch] for batch in self.batches],
                         [[20_000, 10_000], [20_000], [100_000], [1]])  # fmt: skip

    def test_longOnes(self) -> None:
        """
        However long targets are, none waits longer than the interval while the loop turns.
        """
        for number in range(200):
            self.recorder.record(record(id=str(number), target=b"/" * 8000))
        self.clock.advance(0.5)
        self.clock.pump([0.0] * 50)
        self.assertEqual((len(self.ids()), {len(batch) for batch in self.batches}), (200, {4}))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop(self) -> None:
        """
        Stopping hands over what is buffered and leaves no delayed call; later records are handed over at once.
        """
        self.records(1)
        self.recorder.stop()
        self.assertEqual((self.ids(), self.clock.getDelayedCalls()), (["0"], []))
        self.records(1)
        self.assertEqual((self.ids(), self.clock.getDelayedCalls()), (["0", "0"], []))
