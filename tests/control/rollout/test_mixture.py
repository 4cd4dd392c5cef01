"""
``revproxy.control.rollout.mixture``.
"""

from __future__ import annotations

import random
from math import isclose

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.rollout.mixture import HIGHEST, TIMES_WORSE, Mixture


def after(labels: str, odds: float = 1.0, certain: float = 0.0) -> float:
    """
    The odds after labels: ``c`` of the candidate, ``r`` of the running version.
    """
    mixture = Mixture(certain=certain)
    for label in labels:
        mixture.saw(label == "c", odds)
    return mixture.odds()


class MixtureTests(SynchronousTestCase):
    """
    ``Mixture``.
    """

    def test_ratioOfOneLabelIsThatOfTheDefinition(self) -> None:
        """
        The mean of how much likelier a label is.
        """
        odds = 0.2
        expected = sum((odds * t / (1 + odds * t)) / (odds / (1 + odds)) for t in TIMES_WORSE) / len(TIMES_WORSE)
        self.assertTrue(isclose(after("c", odds), expected))
        other = sum((1 / (1 + odds * t)) / (1 / (1 + odds)) for t in TIMES_WORSE) / len(TIMES_WORSE)
        self.assertTrue(isclose(after("r", odds), other))

    @given(st.floats(min_value=1e-4, max_value=1e4), st.sampled_from([0.0, 0.5]))
    def test_oneLabelMoreChangesNothingOnAverage(self, odds: float, certain: float) -> None:
        """
        If the candidate is as bad as it may be, the odds stay the same on average: that is what the proof rests on.
        """
        chance = odds / (1 + odds)
        average = chance * after("c", odds, certain) + (1 - chance) * after("r", odds, certain)
        self.assertTrue(isclose(average, 1.0, rel_tol=1e-6), average)

    @given(st.floats(min_value=1e-4, max_value=1e4), st.floats(min_value=0, max_value=1))
    def test_candidateThatIsBetterLosesOnAverage(self, odds: float, share: float) -> None:
        """
        Of one that has fewer labels than it may have, the odds fall.
        """
        chance = share * odds / (1 + odds)
        self.assertLessEqual(chance * after("c", odds) + (1 - chance) * after("r", odds), 1 + 1e-9)

    def test_signIsThatOfTheCandidate(self) -> None:
        """
        What happens to the candidate's clients speaks against it, what happens to others for it.
        """
        self.assertGreater(after("cccc"), 5)
        self.assertLess(after("rrrr"), 0.2)

    def test_severalAtOnceAreSeveral(self) -> None:
        """
        A count says the same as so many, one by one.
        """
        once = Mixture()
        once.saw(True, 0.5, 7)
        once.saw(False, 0.5, 3)
        self.assertTrue(isclose(once.odds(), after("crccrccrcc", 0.5)))

    def test_certaintyIsLostWithTheFirstOfTheOthers(self) -> None:
        """
        If every label were the candidate's, each doubles the odds; one of the others ends that.
        """
        self.assertGreater(after("c" * 10, certain=0.5), 512)
        self.assertLess(after("c" * 10 + "r", certain=0.5), 200)

    def test_whatWouldComeNextIsReckonedWithoutChangingAnything(self) -> None:
        """
        ``further`` is what as many labels would make of it.
        """
        mixture = Mixture()
        mixture.saw(True, 0.1)
        self.assertTrue(isclose(mixture.odds(2, 0.1), after("ccc", 0.1)))
        self.assertTrue(isclose(mixture.odds(), after("c", 0.1)))

    def test_millionsOfLabelsAreStillNumbers(self) -> None:
        """
        Nothing overflows.
        """
        mixture = Mixture()
        mixture.saw(True, 1.0, 10_000_000)
        self.assertTrue(isclose(mixture.odds(), HIGHEST))
        mixture.saw(False, 1.0, 100_000_000)
        self.assertEqual(mixture.odds(), 0.0)

    def test_equalCandidatesRarelyGetFar(self) -> None:
        """
        1 in 100 of them ever gets to 100, however often is looked.
        """
        chance, found = random.Random(5), 0
        for _ in range(1000):
            mixture = Mixture()
            for _ in range(200):
                mixture.saw(chance.random() < 0.05, 0.05 / 0.95)
                if mixture.odds() >= 100:
                    found += 1
                    break
        self.assertLessEqual(found, 10)

    def test_logsOfAnotherMixtureAreRefused(self) -> None:
        """
        What was kept has to fit.
        """
        self.assertRaises(ValueError, Mixture().restore, [0.0])
