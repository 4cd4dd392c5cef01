"""
``revproxy.control.rollout.curve``.
"""

from __future__ import annotations

from itertools import pairwise

from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.rollout.curve import POINTS, Curve


class CurveTests(SynchronousTestCase):
    """
    ``Curve``.
    """

    def test_fewPointsAreAllKept(self) -> None:
        """
        One a second, for some minutes.
        """
        curve = Curve()
        for second in range(300):
            curve.add(float(second), second / 10)
        self.assertEqual(curve.points, tuple((float(second), second / 10) for second in range(300)))

    def test_daysHaveNoMoreThanSomeHundred(self) -> None:
        """
        Spread over all of the time, with the first and the newest.
        """
        curve = Curve()
        for second in range(100_000):
            curve.add(float(second), float(second))
        points = curve.points
        self.assertLessEqual(len(points), POINTS + 1)
        self.assertGreater(len(points), POINTS // 4)
        self.assertEqual((points[0], points[-1]), ((0.0, 0.0), (99_999.0, 99_999.0)))
        self.assertLess(max(b[0] - a[0] for a, b in pairwise(points)), 100_000 / 50)

    def test_clockThatGoesBackAddsNothing(self) -> None:
        """
        Until it is later again.
        """
        curve = Curve([(10.0, 1.0)])
        curve.add(5.0, 2.0)
        curve.add(10.0, 3.0)
        curve.add(11.0, 4.0)
        self.assertEqual(curve.points, ((10.0, 1.0), (11.0, 4.0)))
