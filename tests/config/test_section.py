"""A mapping that is read key by key."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.document import parseYAML
from revproxy.config.problems import Problem
from revproxy.config.section import Section


class SectionTests(SynchronousTestCase):
    """`Section`: getters of values that are there, absent, and of a wrong type."""

    def section(self, text: str) -> Section:
        self.problems: list[Problem] = []
        self.base = Path(self.mktemp()).absolute()
        self.base.mkdir()
        document = parseYAML(text, "f")
        return Section(document, document.value, self.base, self.problems)

    def told(self) -> list[str]:
        return [str(problem) for problem in self.problems]

    def test_values(self) -> None:
        """Each getter gives the value, and its default for what is absent or of another type."""
        section = self.section("t: x\nf: true\ni: 3.0\ns: 1.5\n")
        self.assertEqual((section.text("t"), section.text("f"), section.text("no", "d")), ("x", "", "d"))
        self.assertEqual((section.flag("f", False), section.flag("t", False)), (True, False))
        self.assertEqual((section.integer("i", 0), section.integer("s", 7), section.integer("f", 7)), (3, 7, 7))
        self.assertEqual((section.seconds("s", 0), section.seconds("f", 7), section.seconds("t", 7)), (1.5, 7, 7))
        self.assertEqual(self.told(), [])

    def test_units(self) -> None:
        """Durations are numbers or text with a unit, shares are text; what is neither is the default."""
        section = self.section("a: 5m\nb: 150ms\nc: 5 m\nd: true\ne: 1.0e+300\ns: 5%\nt: 0.05\n")
        self.assertEqual([section.seconds(key, 7) for key in "abcde"], [300, 0.15, 7, 7, 7])
        self.assertEqual([section.share(key, 0.7) for key in "sta"], [0.05, 0.7, 0.7])

    def test_inner(self) -> None:
        """Mappings inside are sections of the same document, whose problems stand at their own lines."""
        section = self.section("a: {b: 1}\nm:\n  x: {c: 1}\n  y: {c: 2}\n")
        section.section("a").refuse("no", "b")
        for name, inner in section.entries("m"):
            inner.refuse(name, "c")
        self.assertEqual(self.told(), ["f:1:5: $.a.b: no", "f:3:7: $.m.x.c: x", "f:4:7: $.m.y.c: y"])
        self.assertEqual((section.section("none").has("b"), list(section.entries("a.b"))), (False, []))

    def test_short(self) -> None:
        """Text may stand for a mapping with one key; its problems stand at the text."""
        section = self.section("l: [x, {u: y}, 5]\ne: z\n")
        items = list(section.items("l", textKey="u"))
        self.assertEqual([item.text("u") for item in items], ["x", "y"])
        for item in (*items, section.expanded("e", "u")):
            item.refuse("no", "u")
        self.assertEqual(self.told(), ["f:1:5: $.l[0]: no", "f:1:9: $.l[1].u: no", "f:2:1: $.e: no"])

    def test_paths(self) -> None:
        """Paths start at the base; where something must be there, its absence is a problem."""
        section = self.section('p: x\nn: "a\\0b"\n')
        self.assertEqual(section.pathAt("p"), self.base / "x")
        self.assertIsNone(section.pathAt("none"))
        self.assertIsNone(section.pathAt("n"))
        section.pathAt("p", "file")
        self.assertEqual(self.told(), ["f:2:1: $.n: a path has no NUL in it",
                                       f"f:1:1: $.p: there is no file {self.base / 'x'}"])
        (self.base / "x").mkdir()
        section.pathAt("p", "folder")
        self.assertEqual(len(self.problems), 2)

    def test_checked(self) -> None:
        """A check's ValueError is a problem, and the value its default."""
        section = self.section("a: '7'\nb: x\nc: 5\n")
        self.assertEqual([section.checked(key, int, 0) for key in ("a", "b", "c", "d")], [7, 0, 0, 0])
        self.assertEqual(len(self.problems), 1)
        self.assertTrue(self.told()[0].startswith("f:2:1: $.b: invalid literal"))
