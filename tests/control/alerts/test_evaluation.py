"""Figures beside what rules say of them."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.alertexpression import parseExpression
from revproxy.config.alertsettings import AlertRule
from revproxy.control.alerts.evaluation import INTERVAL, PAUSE, SLICE, Evaluation, Finding, Verdict, compare
from tests.control.alerts.doubles import FakeMeasures

ERRORS = AlertRule("errors", when=parseExpression("error_share > 2%"), of="route")
BUSY = AlertRule("busy", when=parseExpression("rate > 10 and p99 > 1s"), of="route")
IDLE = AlertRule("idle", when=parseExpression("rate < 1"), of="edge", over=60.0)


class CompareTests(SynchronousTestCase):
    """One rule, one thing."""

    def verdict(self, rule: AlertRule, **values: float | None) -> tuple[Verdict, str]:
        measures = FakeMeasures()
        measures.values = {(figure, "api"): value for figure, value in values.items()}
        finding = compare(rule, "api", measures)
        return finding.verdict, finding.text

    def test_one(self) -> None:
        """It holds or does not, and the text has the value."""
        self.assertEqual(self.verdict(ERRORS, error_share=0.031),
                         (Verdict.HOLDS, "error_share is 3.1% over 5m (rule: error_share > 2%)"))
        self.assertEqual(self.verdict(ERRORS, error_share=0.02)[0], Verdict.NOT)

    def test_noTraffic(self) -> None:
        """Without traffic there is no share and no percentile; a rate there is."""
        self.assertEqual(self.verdict(ERRORS), (Verdict.SILENT, "no traffic"))
        self.assertEqual(self.verdict(BUSY, rate=0.0)[0], Verdict.SILENT)
        self.assertEqual(self.verdict(IDLE, rate=0.0)[0], Verdict.HOLDS)

    def test_unknown(self) -> None:
        """What is not known and needs no traffic is not the case."""
        rule = AlertRule("a", when=parseExpression("expires_in < 1d"), of="listener")
        self.assertEqual(self.verdict(rule)[0], Verdict.NOT)

    def test_several(self) -> None:
        """All of them must hold."""
        self.assertEqual(self.verdict(BUSY, rate=11.0, p99=2.0)[0], Verdict.HOLDS)
        self.assertEqual(self.verdict(BUSY, rate=11.0, p99=0.5)[0], Verdict.NOT)


class EvaluationTests(SynchronousTestCase):
    """All rules, again and again."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.measures = FakeMeasures()
        self.found: list[Finding] = []
        self.rounds: list[frozenset[str]] = []
        self.spent = 0.0
        self.evaluation = Evaluation(
            self.measures, self.clock, self.found.append, self.rounds.append, lambda: self.spent
        )

    def names(self) -> list[str]:
        found, self.found[:] = [f"{each.rule.name} {each.name}" for each in self.found], []
        return found

    def test_rounds(self) -> None:
        """Each rule of each thing it is about, every few seconds; a low rate when its window has passed."""
        self.evaluation.rules = (ERRORS, IDLE)
        self.evaluation.start()
        self.clock.advance(5)
        self.assertEqual((self.names(), self.rounds), ([], [frozenset()]))
        self.clock.advance(5)
        self.assertEqual(self.names(), ["errors api", "errors shop"])
        for _ in range(9):
            self.clock.advance(5)
        self.assertNotIn("idle edge", self.names())
        self.clock.advance(5)
        self.assertEqual(self.names(), ["errors api", "errors shop", "idle edge"])
        self.assertEqual(self.rounds[-1], {"errors", "idle"})
        self.evaluation.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_only(self) -> None:
        """Names that fit a pattern."""
        self.evaluation.rules = (AlertRule("a", when=ERRORS.when, of="route", only="s*"),)
        self.evaluation.start()
        self.clock.pump([5, 5])
        self.assertEqual(self.names(), ["a shop"])

    def test_slices(self) -> None:
        """Of many things, as many at once as the loop may be held for; comparing has a fiftieth of the time."""
        self.measures.known = [str(n) for n in range(100)]
        self.evaluation.rules = (ERRORS,)
        takes = SLICE / 2

        def value(*_: object) -> None:
            self.spent += takes

        self.measures.value = value  # type: ignore[method-assign, assignment]
        later, delays = self.clock.callLater, []
        self.clock.callLater = lambda delay, *rest: (delays.append(delay), later(delay, *rest))[1]  # type: ignore
        self.evaluation.start()
        self.clock.pump([5, 5, *[PAUSE] * 51])
        self.assertEqual((len(self.names()), len(self.rounds)), (100, 2))
        self.assertEqual(delays[:-1], [5, 5, *[PAUSE] * 50])
        self.assertAlmostEqual(delays[-1], INTERVAL)
        takes = 0.01
        self.clock.pump([INTERVAL + 1, *[PAUSE] * 101])
        self.assertEqual(delays[53:-1], [PAUSE] * 100)
        self.assertAlmostEqual(delays[-1], 50)

    def test_failure(self) -> None:
        """A figure that fails does not end comparing."""

        def value(*_: object) -> float:
            raise RuntimeError("no such figure")

        self.measures.value = value  # type: ignore[method-assign]
        self.evaluation.rules = (ERRORS,)
        self.evaluation.start()
        self.clock.pump([5, 5, 5])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)
