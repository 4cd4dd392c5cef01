"""What an alert is, and what matches it."""

from __future__ import annotations

from hypothesis import given
from hypothesis.strategies import dictionaries, lists, text
from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.alerts.labels import cut, fingerprint, parseMatchers, patternMatches


class FingerprintTests(SynchronousTestCase):
    """It is of labels, and of nothing else."""

    def test_order(self) -> None:
        """In whatever order they come."""
        self.assertEqual(fingerprint({"a": "1", "b": "2"}), fingerprint({"b": "2", "a": "1"}))

    def test_others(self) -> None:
        """Other labels are another alert, also where they read the same when written one after the other."""
        found = {fingerprint(each) for each in ({"a": "1"}, {"a": "12"}, {"a1": "2"}, {"a": "1", "b": ""}, {})}
        self.assertEqual(len(found), 5)

    def test_stays(self) -> None:
        """It is the same in the next version: what was told before a restart is resolved after it."""
        self.assertEqual(fingerprint({"alertname": "target-down", "upstream": "api"}), "9b590544e54f4e29")

    @given(dictionaries(text(), text()))
    def test_anything(self, labels: dict[str, str]) -> None:
        """Whatever is in them."""
        self.assertEqual(len(fingerprint(labels)), 16)


class CutTests(SynchronousTestCase):
    """Values have a bound, and can be sent."""

    def test_cut(self) -> None:
        """The end of what is too long; halves of surrogate pairs."""
        self.assertEqual(cut("a" * 300), "a" * 199 + "…")
        self.assertEqual(cut("a\udc00b"), "a?b")


class MatcherTests(SynchronousTestCase):
    """What silences are made of."""

    def matches(self, labels: dict[str, str], *texts: str) -> bool:
        return all(matcher.matches(labels) for matcher in parseMatchers(texts))

    def test_matches(self) -> None:
        """All of them must; what is not there is empty; only the star is special."""
        labels = {"alertname": "target-down", "upstream": "api-1"}
        self.assertTrue(self.matches(labels, "alertname=target-down"))
        self.assertTrue(self.matches(labels, "alertname = target-*", "upstream!=shop", "route="))
        self.assertFalse(self.matches(labels, "alertname=target-down", "upstream!=api-*"))
        self.assertFalse(self.matches(labels, "upstream=api-?"))
        self.assertFalse(self.matches(labels, "upstream=api-[0-9]"))
        self.assertTrue(patternMatches("a[b]?", "a[b]?"))

    def test_refused(self) -> None:
        """None, too many, none that is one, one that would take long."""
        for texts, expected in (
            ([], "say what it is about"), (["a=b"] * 51, "has 51 matchers"), (["target-down"], "is no matcher"),
            (["1a=x"], "is no matcher"), (["a=~x"], None), ([f"a={'*a' * 5}"], "more than 4 stars"),
            ([f"a={'b' * 400}"], "is no matcher"),
        ):
            if expected is None:
                self.assertEqual(str(parseMatchers(texts)[0]), "a=~x")
            else:
                self.assertIn(expected, str(self.assertRaises(ValueError, parseMatchers, texts)))

    @given(lists(text(), max_size=3))
    def test_anything(self, texts: list[str]) -> None:
        """Whatever is written is a matcher that reads the same again, or refused with a reason."""
        try:
            found = parseMatchers(texts)
        except ValueError as error:
            self.assertTrue(str(error))
        else:
            self.assertEqual(parseMatchers([str(matcher) for matcher in found]), found)
