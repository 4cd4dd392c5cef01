"""
In what replayed calls differ, and how often in the same way.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.rolloutpolicy import Expectation
from revproxy.plan.evidence import DifferenceCount
from revproxy.proving import differencegroups
from revproxy.proving.differencegroups import DifferenceGroups, isNoise, unexpected
from revproxy.replay.difference import Difference

STATUS = Difference("status", "changed", "200", "503")
DATE = Difference("header:date", "changed", "now", "then")


def count(candidate: int, control: int, both: int = 0, field: str = "status") -> DifferenceCount:
    """Of one kind."""
    return DifferenceCount(field, "changed", candidate, control, both)


class GroupsTests(SynchronousTestCase):
    """How they are counted."""

    def test_counts(self) -> None:
        """By field and kind: what only the candidate does, only the control, and both; the candidate's first."""
        groups = DifferenceGroups()
        groups.add("GET /a", [STATUS, DATE], [DATE])
        groups.add("GET /b", [STATUS], [])
        groups.add("GET /c", [], [DATE])
        groups.add("GET /d", [], [])
        self.assertEqual(
            groups.counts(),
            (
                DifferenceCount("status", "changed", 2, 0, 0, (("GET /a", "200", "503"), ("GET /b", "200", "503"))),
                DifferenceCount("header:date", "changed", 0, 1, 1),
            ),
        )

    def test_oncePerRequest(self) -> None:
        """Two of one kind in one request are one."""
        groups = DifferenceGroups()
        groups.add("GET /a", [STATUS, STATUS])
        self.assertEqual(groups.counts()[0].candidate, 1)

    def test_bounds(self) -> None:
        """Few examples, none of them long, and not more kinds than anybody can read."""
        self.patch(differencegroups, "MOST_GROUPS", 2)
        groups = DifferenceGroups()
        for number in range(5):
            groups.add("GET /" + "a" * 500, [Difference("body", "changed", "x" * 999, "y")])
            groups.add("GET /", [Difference(f"values.{number}", "added")])
        body = groups.counts()[0]
        self.assertEqual((body.candidate, len(body.examples)), (5, 3))
        self.assertEqual([len(text) for text in body.examples[0]], [201, 201, 1])
        self.assertEqual((len(groups.counts()), groups.unnamed), (2, 4))


class NoiseTests(SynchronousTestCase):
    """What differs by itself."""

    def test_alone(self) -> None:
        """What only the candidate does is none, be it once."""
        self.assertFalse(isNoise(count(1, 0)))
        self.assertFalse(isNoise(count(400, 0, 5)))

    def test_random(self) -> None:
        """What the control does as often is noise; also what it does now and then, by chance."""
        for candidate, control in ((0, 3), (3, 3), (1, 2), (5, 2), (600, 590), (2000, 1990)):
            self.assertTrue(isNoise(count(candidate, control, 7)), (candidate, control))
        self.assertTrue(isNoise(count(0, 0, 7)))

    def test_more(self) -> None:
        """What the candidate does far more often is none."""
        for candidate, control in ((30, 1), (300, 200), (2000, 1500)):
            self.assertFalse(isNoise(count(candidate, control)), (candidate, control))

    def test_unexpected(self) -> None:
        """What is meant, or noise, is not told."""
        found = [count(3, 0), count(2, 0, field="header:x-new"), count(3, 3, field="header:date"), count(0, 2)]
        self.assertEqual(unexpected(found, [Expectation("header:x-*", "changed")]), (found[0],))
        self.assertEqual(unexpected(found, [Expectation("header:*", "added")]), (found[0], found[1]))
