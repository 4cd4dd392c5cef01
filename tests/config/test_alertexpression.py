"""What ``when`` of an alert rule may say."""

from __future__ import annotations

from hypothesis import given
from hypothesis.strategies import floats, lists, sampled_from, text, tuples
from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.alertexpression import FIGURES, MAX_LENGTH, Comparison, parseExpression, subjectsOf, valueText


class ExpressionTests(SynchronousTestCase):
    """Sound ones."""

    def test_each(self) -> None:
        """Each figure takes a value of its own unit."""
        for written, expected in (
            ("error_share > 2%", Comparison("error_share", True, 0.02)),
            ("p50>150ms", Comparison("p50", True, 0.15)),
            ("p99 > 1.5", Comparison("p99", True, 1.5)),
            ("  rate<0.5 ", Comparison("rate", False, 0.5)),
            ("loop_share > 20%", Comparison("loop_share", True, 0.2)),
            ("expires_in < 14d", Comparison("expires_in", False, 14 * 86400.0)),
        ):
            self.assertEqual(parseExpression(written), (expected,))

    def test_several(self) -> None:
        """They are joined by ``and``, and what they are known of is what all are known of."""
        both = parseExpression("loop_share > 20% and rate > 1")
        self.assertEqual([each.figure for each in both], ["loop_share", "rate"])
        self.assertEqual(subjectsOf(both), ("plugin",))
        self.assertEqual(subjectsOf(parseExpression("p95 < 1s")), ("route", "upstream", "plugin", "edge"))

    def test_holds(self) -> None:
        """A bound itself is neither more nor less."""
        above, below = Comparison("rate", True, 5.0), Comparison("rate", False, 5.0)
        self.assertEqual([above.holds(value) for value in (4, 5, 6)], [False, False, True])
        self.assertEqual([below.holds(value) for value in (4, 5, 6)], [True, False, False])

    def test_shown(self) -> None:
        """A value is written as people write it."""
        for figure, value, expected in (
            ("error_share", 0.0234, "2.34%"), ("p99", 0.1501, "150ms"), ("p99", 12.04, "12s"), ("rate", 0.5, "0.5"),
            ("expires_in", 3 * 86400.0, "3d"), ("expires_in", 5400.0, "1.5h"), ("expires_in", -4.0, "0s"),
        ):
            self.assertEqual(valueText(figure, value), expected)


class RefusedTests(SynchronousTestCase):
    """What is none says at which character it goes wrong."""

    def assertRefused(self, written: str, expected: str) -> None:
        self.assertIn(expected, str(self.assertRaises(ValueError, parseExpression, written)))

    def test_words(self) -> None:
        """Each kind of mistake."""
        self.assertRefused("", "at character 1: a figure is missing; write FIGURE > VALUE")
        self.assertRefused("error_shar > 2%", 'at character 1: no figure is named "error_shar"; did you mean "error_sh')
        self.assertRefused("p99", 'at character 4: expected ">" or "<", and nothing follows')
        self.assertRefused("p99 >= 2s", 'at character 5: expected ">" or "<", not ">="')
        self.assertRefused("p99 > ", "at character 7: a value is missing")
        self.assertRefused("error_share > 0.02", "at character 15: '0.02' is no share; write a share as 5%")
        self.assertRefused("p99 > 2%", "at character 7: '2%' is no duration")
        self.assertRefused("rate > 5/s", 'at character 8: "5/s" is no number of requests a second')
        self.assertRefused("rate > 5 or rate < 1", 'at character 10: expected "and", not "or"')
        self.assertRefused("rate > 5 and", "at character 13: a figure is missing")

    def test_apart(self) -> None:
        """Figures of different things are never compared together."""
        self.assertRefused("loop_share > 20% and expires_in < 1d", "loop_share and expires_in are figures of different")

    def test_bounds(self) -> None:
        """No rule is long."""
        self.assertRefused(" and ".join(["rate > 1"] * 5), "compares 5 figures, and 4 are allowed")
        self.assertRefused(" " * (MAX_LENGTH + 1), "has 301 characters, and 300 are allowed")

    @given(text())
    def test_anything(self, written: str) -> None:
        """Whatever is written is an expression, or refused with a reason."""
        try:
            self.assertTrue(parseExpression(written))
        except ValueError as error:
            self.assertTrue(str(error))

    @given(lists(sampled_from(
        ["rate", "p99", "error_share", "<", ">", "and", "2%", "1s", "5", "=", " ", "\n", "9" * 15, "1e5", "-1", "inf"]
    ), max_size=12))
    def test_words_anywhere(self, words: list[str]) -> None:
        """So are words of the language, in any order; what is one is the same again when it is written out."""
        try:
            found = parseExpression(" ".join(words))
        except ValueError:
            return
        self.assertTrue(all(each.figure in FIGURES and each.bound >= 0 for each in found))

    @given(tuples(sampled_from(["error_share", "loop_share"]), floats(0, 1, allow_subnormal=False)))
    def test_roundTrip(self, pair: tuple[str, float]) -> None:
        """What is shown of a comparison can be read again, and is nearly the same."""
        (found,) = parseExpression(str(Comparison(pair[0], True, float(f"{pair[1]:.3f}"))))
        self.assertAlmostEqual(found.bound, pair[1], 2)
