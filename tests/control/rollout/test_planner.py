"""
``revproxy.control.rollout.planner``, and the words of ``reasons``.
"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.rolloutpolicy import Step, Until
from revproxy.control.rollout.planner import NOBODY, Forecast, Traffic, forecast
from revproxy.control.rollout.reasons import oddsText, rangeText, spanText

PREFLIGHT = Step("preflight", replay=Path("corpora/checkout.corpus"))
SHADOW = Step("shadow", 0.2, Until(pairs=3000))
CANARY = Step("canary", 0.05, Until(fault=0.01, power=0.9), atLeast=60, atMost=900)
HALF = Step("canary", 0.5, Until(fault=0.01, power=0.9), atLeast=60, atMost=900)


def told(found: Forecast) -> str:
    """
    All that cannot be shown.
    """
    return "\n".join([*(text for step in found.steps for text in step.cannot), *found.cannot])


class ForecastTests(SynchronousTestCase):
    """
    ``forecast``.
    """

    def test_saysWhatTheTrafficCannotShow(self) -> None:
        """
        In the words of the manual.
        """
        found = forecast([CANARY], Traffic(20))
        self.assertEqual(found.steps[0].cannot, ("5 % of 20 requests/s cannot show 1 % errors before 5–6 min",))

    def test_addsUpItsSteps(self) -> None:
        """
        Pairs by the share of requests, faults by that of clients, the clock where it says more; tests take what they
        take.
        """
        found = forecast([PREFLIGHT, SHADOW, CANARY, HALF], Traffic(200))
        preflight, shadow, canary, half = found.steps
        self.assertIsNone(preflight.seconds)
        self.assertIn("checkout.corpus", preflight.text)
        self.assertEqual(shadow.seconds, 75)
        assert canary.seconds is not None
        self.assertTrue(60 < canary.seconds < 90, canary)
        self.assertEqual(half.seconds, 60)
        self.assertEqual(found.seconds, 75 + canary.seconds + 60)

    def test_stepThatIsTooShort(self) -> None:
        """
        It ends by the clock, having shown nothing, and this is said.
        """
        found = forecast([SHADOW, CANARY], Traffic(2))
        self.assertEqual(found.steps[1].seconds, 900)
        self.assertIn("1 % errors with probability 0.9 within 15 min; that takes about 2.1 h", told(found))
        short = forecast([Step("shadow", 0.2, Until(pairs=3000), atMost=60)], Traffic(20))
        self.assertIn("20 % of 20 requests/s make 240 pairs in 60 s, not 3,000", told(short))

    def test_noTraffic(self) -> None:
        """
        Nothing can be shown, and nobody can say how long a step takes that no clock ends.
        """
        found = forecast([SHADOW, CANARY], Traffic(0))
        self.assertEqual([step.seconds for step in found.steps], [None, 900])
        self.assertIsNone(found.seconds)
        self.assertEqual([step.cannot for step in found.steps], [(NOBODY,), (NOBODY,)])

    def test_faultNoWorseThanWhatThereIs(self) -> None:
        """
        A step for 1 % errors never ends well, where the running version has them.
        """
        found = forecast([Step("canary", 0.05, Until(fault=0.01))], Traffic(200, faults=0.01))
        self.assertIsNone(found.steps[0].seconds)
        self.assertEqual(found.steps[0].cannot, ("5 % of 200 requests/s cannot show 1 % errors",))

    def test_allClientsAreNothingToCompareWith(self) -> None:
        """
        Said of a step with all of them.
        """
        self.assertIn("nothing is left to compare with", told(forecast([Step("canary", 1.0)], Traffic(20))))

    def test_stepsThatNothingCountedEnds(self) -> None:
        """
        They last as long as the clock says, or until somebody does.
        """
        found = forecast([Step("shadow", 0.2), Step("canary", 0.05, atMost=60)], Traffic(20))
        self.assertEqual([step.seconds for step in found.steps], [None, 60])

    def test_whatNoStepShows(self) -> None:
        """
        Without a shadow: what versions do, and small slowness. Without a canary: what clients meet.
        """
        self.assertIn("only a shadow compares", told(forecast([CANARY], Traffic(20))))
        self.assertNotIn("only a shadow compares", told(forecast([SHADOW, CANARY], Traffic(20))))
        reversedShadow = Step("canary", 0.05, Until(fault=0.01), shadow=0.1)
        self.assertNotIn("only a shadow compares", told(forecast([reversedShadow], Traffic(20))))
        self.assertIn("what clients meet", told(forecast([SHADOW], Traffic(20))))

    def test_guards(self) -> None:
        """
        Whether it lets all through takes stopped clients of the running version: said, where it stops any.
        """
        self.assertIn("lets all through, before 51 s", told(forecast([CANARY], Traffic(200, interrupts=0.02))))
        self.assertIn("too few to tell", told(forecast([Step("canary", 0.0001)], Traffic(200, interrupts=0.02))))
        self.assertIn("not judged", told(forecast([CANARY], Traffic(200, interrupts=0.02), interrupts=False)))
        self.assertNotIn("lets all through", told(forecast([CANARY], Traffic(200))))


class WordsTests(SynchronousTestCase):
    """
    ``spanText``, ``rangeText``, ``oddsText``.
    """

    def test_lengthsOfTime(self) -> None:
        """
        As people say them.
        """
        spans = [spanText(seconds) for seconds in (0, 0.2, 3.1, 59, 100, 150, 600, 7200, 200_000)]
        self.assertEqual(
            spans, ["1 s", "1 s", "3.1 s", "59 s", "100 s", "2.5 min", "10 min", "2 h", "2.3 days"]
        )
        ranges = [rangeText(*ends) for ends in ((314, 377), (30, 30.2), (110, 132), (140, 168))]
        self.assertEqual(ranges, ["5–6 min", "30 s", "110–132 s", "2.3–2.8 min"])

    def test_odds(self) -> None:
        """
        No more digits than anybody believes.
        """
        self.assertEqual([oddsText(odds) for odds in (0.4, 12.345, 1234.5, 1e300)],
                         ["0.4 : 1", "12 : 1", "1,234 : 1", "over 10,000 : 1"])  # fmt: skip
