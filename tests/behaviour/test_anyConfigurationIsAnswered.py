"""Whatever stands in a configuration file, it is a configuration or a list of problems with places."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from revproxy.config.configfile import parseConfig
from revproxy.config.problems import ConfigErrors
from revproxy.config.schema import publishedSchema
from tests.config.test_configfile import FULL, ConfigTestCase, keysIn

KEYS = sorted(keysIn(publishedSchema("revproxy"))) + ["zzz", ""]
WORDS = ["", "/", "tcp:1", "http://a", "http://a:x", "app", "*.a.b", "[::1]", "\0", "10.0.0.0/8", "off", "é" * 90]
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS | st.sampled_from(WORDS) | st.text(max_size=5)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12)


class HostileTests(ConfigTestCase):
    """Nothing but `ConfigErrors`, whatever is written."""

    @given(st.dictionaries(st.sampled_from(KEYS), ANYTHING, max_size=6))
    @settings(max_examples=150, deadline=None)
    def test_anyDocument(self, value: dict[str, Any]) -> None:
        """A document of known keys with arbitrary values gives a configuration or problems with places."""
        self._parseOrProblems(json.dumps(value))

    @given(st.sampled_from(sorted(set(FULL.split()))), ANYTHING)
    @settings(max_examples=150, deadline=None)
    def test_oneWordReplaced(self, word: str, value: Any) -> None:
        """The full example with one word replaced by an arbitrary value."""
        self._parseOrProblems(FULL.replace(word, json.dumps(value)))

    def _parseOrProblems(self, text: str) -> None:
        try:
            config = parseConfig(text, "r.yaml", self.base)
        except ConfigErrors as errors:
            self.assertTrue(errors.problems)
            self.assertTrue(all(problem.line >= 1 and problem.message for problem in errors.problems))
        else:
            self.assertTrue(config.listeners and config.routes)
