"""The pure parts of ``benchmarks.rollouts``."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.rollouts import PLANTS, Found, Outcome, verdicts


class PlantTests(SynchronousTestCase):
    """What is planted, and where it is to be found."""

    def test_found(self) -> None:
        """In a shadow what says so; a canary may have a shadow beside it."""
        for plant in PLANTS:
            self.assertEqual(plant.isInShadow, plant.most == 0, plant.title)

    def test_missed(self) -> None:
        """One that is not found each time, or by too many, is missed."""
        outcome = Outcome(found={plant.title: Found(2, [1.0, 2.0], [0, plant.most]) for plant in PLANTS})
        self.assertEqual([holds for _, holds, _ in verdicts(outcome, ["faults"])], [True] * 2 * len(PLANTS))
        outcome.found[PLANTS[0].title] = Found(2, [1.0], [PLANTS[0].most + 1])
        self.assertEqual([holds for _, holds, _ in verdicts(outcome, ["faults"])][:2], [False, False])
