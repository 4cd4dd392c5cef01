"""What a process was asked and has not answered."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from revproxy.isolation.line import Ask, Line


def ask(number: int, limit: float = 1.0) -> Ask:
    return Ask(number, lambda process, n: None, Deferred(), 1.0, limit)  # type: ignore[arg-type, return-value]


class LineTests(SynchronousTestCase):
    """Three are asked."""

    def setUp(self) -> None:
        self.line = Line()
        for number in (1, 2, 3):
            self.line.add(ask(number), float(number))

    def head(self) -> Any:
        return self.line.head.number if self.line.head is not None else None

    def test_order(self) -> None:
        """The oldest that is not answered is the head, since the one before it was answered."""
        self.assertEqual((self.head(), self.line.headSince, self.line.count), (1, 1.0, 3))
        self.line.take(1, 5.0)
        self.assertEqual((self.head(), self.line.headSince, self.line.count), (2, 5.0, 2))
        self.assertIsNone(self.line.take(1, 6.0))

    def test_passedOver(self) -> None:
        """What was asked before one that is answered has begun, and so waits: it is given up in its time."""
        self.line.take(3, 5.0)
        self.assertIsNone(self.line.head)
        self.assertEqual([each.number for each in self.line.due(7.0)], [1, 2])

    def test_waits(self) -> None:
        """The time of what waits began when it was at the head of the line."""
        self.line.waits(1, 4.0)
        self.line.waits(2, 4.5)
        self.assertEqual(self.head(), 3)
        self.assertEqual([each.number for each in self.line.due(4.0)], [1])
        first, second = self.line.due(5.0)
        self.assertEqual((first.number, second.number), (1, 2))
        self.line.prolong(first, 9.0)
        self.line.take(2, 9.0)
        self.assertEqual(self.line.due(9.9), [])
        self.assertEqual(self.line.due(10.0), [first])

    def test_behind(self) -> None:
        """Those that were asked long ago and that nobody has come to, the head apart."""
        self.assertEqual([each.number for each in self.line.behind(2.5)], [2])

    def test_clear(self) -> None:
        """All of them, in order, whether they wait or not."""
        self.line.waits(1, 4.0)
        self.assertEqual([each.number for each in self.line.clear()], [1, 2, 3])
        self.assertEqual((self.line.count, self.line.head), (0, None))
