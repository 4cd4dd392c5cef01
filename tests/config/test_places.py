"""Where values stand."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.jsonreader import readJSON
from revproxy.config.places import Place, lineOf
from revproxy.config.yamlreader import readYAML

TEXT = '{"a": 1,\n "b": [2,\n {"c": 3}]}'


class PlaceTests(SynchronousTestCase):
    """`Place` and `lineOf`."""

    def test_lines(self) -> None:
        """Values with something in them are places, and others may be a pair of numbers; both have a line."""
        for read in (readYAML, readJSON):
            value, root = read(TEXT, "f")
            self.assertEqual(value, {"a": 1, "b": [2, {"c": 3}]})
            self.assertEqual([lineOf(item) for item in root.items.values()], [1, 2])
            inner = root.items["b"]
            assert isinstance(inner, Place)
            self.assertEqual([lineOf(item) for item in inner.items.values()], [2, 3])

    def test_size(self) -> None:
        """A place read from YAML knows how many values it holds, and how deep they are nested."""
        _, root = readYAML(TEXT, "f")
        self.assertEqual((root.count, root.depth), (6, 4))
