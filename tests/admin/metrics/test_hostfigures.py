"""
The busiest hosts.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.admin.metrics import hostfigures
from revproxy.admin.metrics.hostfigures import INTERVAL, HostFigures
from revproxy.plan.counted import HostCount


class HostFiguresTests(SynchronousTestCase):
    """
    Two hosts are shown.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.figures = HostFigures(self.clock.seconds)
        self.figures.adopt(2)

    def tell(self, **counts: int) -> None:
        """A worker tells this; ``others`` are those it does not name."""
        self.figures.counted(HostCount("" if host == "others" else host, count) for host, count in counts.items())

    def shown(self) -> dict[str, float]:
        """What is read."""
        return {labels[0]: number for labels, (number,) in self.figures.source().read()}

    def test_off(self) -> None:
        """
        Without a number of hosts there is nothing to be read, and nothing is kept.
        """
        self.figures.adopt(0)
        self.tell(a=1)
        self.assertEqual(self.shown(), {})

    def test_busiest(self) -> None:
        """
        The first ones are shown until it is known which are the busiest; what these did before stays with the others.
        """
        self.tell(a=5, b=1, c=7, others=2)
        self.assertEqual(self.shown(), {"a": 5, "b": 1, "_other": 9})
        self.clock.advance(INTERVAL)
        self.tell(a=5, c=10)
        self.assertEqual(self.shown(), {"a": 10, "c": 0, "_other": 19})
        self.tell(a=1, b=1, c=1)
        self.assertEqual(self.shown(), {"a": 11, "c": 1, "_other": 20})

    def test_stays(self) -> None:
        """
        A host that is shown stays until another is much busier: else two that are alike would take turns.
        """
        self.tell(a=100, b=100)
        self.clock.advance(INTERVAL)
        self.tell(a=10, b=10, c=14)
        self.clock.advance(INTERVAL)
        self.tell(a=100, b=100, c=140)
        self.assertEqual({*self.shown()}, {"a", "b", "_other"})
        self.clock.advance(INTERVAL)
        self.tell(a=100, b=100, c=160)
        self.assertEqual(len({*self.shown()} & {"a", "b"}), 1)
        self.assertIn("c", self.shown())

    def test_neverBack(self) -> None:
        """
        No number that is shown goes back while it is shown, whoever comes and goes.
        """
        before: dict[str, float] = {}
        for turn in range(200):
            self.tell(**{f"h{number}": (turn * 7 + number * 13) % 29 for number in range(6)})
            now = self.shown()
            self.assertEqual([host for host in now if now[host] < before.get(host, 0)], [])
            before = now
            self.clock.advance(INTERVAL / 5)

    def test_bounded(self) -> None:
        """
        However many names are asked for, a bounded number is compared.
        """
        self.patch(hostfigures, "MOST_KNOWN", 100)
        for number in range(1000):
            self.tell(**{f"h{number}": 1})
        self.assertEqual(len(self.figures._lately), 100)
        self.assertEqual(sum(self.shown().values()), 1000)

    def test_fewer(self) -> None:
        """
        When fewer are to be shown, the busiest stay.
        """
        self.tell(a=1, b=9)
        self.figures.adopt(1)
        self.assertEqual({*self.shown()}, {"b", "_other"})
