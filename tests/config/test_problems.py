"""What is wrong, where, and in which words."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.problems import ConfigErrors, Problem, pathText, quoted, suggestion


class ProblemTests(SynchronousTestCase):
    """The words of messages, and their order."""

    def test_path(self) -> None:
        """Plain keys follow a dot, others stand quoted in brackets."""
        self.assertEqual(pathText(("a", 1, "b-c", "x.y", "")), '$.a[1].b-c["x.y"]' + '[""]')

    def test_quoted(self) -> None:
        """One line, bounded, in the words of YAML."""
        self.assertEqual([quoted(value) for value in (None, True, 1.5, "a", "a\nb")],
                         ["null", "true", "1.5", '"a"', '"a\\nb"'])
        self.assertEqual(len(quoted("x" * 500)), 60)

    def test_suggestion(self) -> None:
        """A near word is asked for; else a few known ones are listed; many are not."""
        self.assertEqual(suggestion("upstrem", ["upstream", "path"]), '; did you mean "upstream"?')
        self.assertEqual(suggestion("zzz", ["b", "a"]), '; there are "a", "b"')
        self.assertEqual(suggestion("zzz", ["a"]), '; there is "a"')
        self.assertEqual(suggestion("zzz", []), "")
        self.assertEqual(suggestion("zzz", map(str, range(20))), "")

    def test_errorsAreOrdered(self) -> None:
        """Problems come in the order of lines, each once."""
        first, second = Problem("f", 1, 1, "", "a"), Problem("f", 2, 1, "", "b")
        self.assertEqual(ConfigErrors([second, first, second]).problems, (first, second))
        self.assertEqual(str(ConfigErrors([second, first])), "f:1:1: a\nf:2:1: b")
