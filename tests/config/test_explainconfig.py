"""The section ``explain``: how often, and what is said about what is wrong in it."""

from __future__ import annotations

from revproxy.config.explainconfig import ExplainConfig
from tests.config.test_configfile import START, ConfigTestCase


class ExplainTests(ConfigTestCase):
    """The section ``explain`` of revproxy.yaml."""

    def test_left(self) -> None:
        """What it does not say has its default."""
        self.assertEqual(self.parse(START + "explain: {sample: 5%}").explain, ExplainConfig(True, 0.05, 1.0))
        self.assertEqual(self.parse(START + "explain: {slower: 2m}").explain, ExplainConfig(True, 0.01, 120.0))

    def test_every(self) -> None:
        """A share is one request in so many."""
        for share, every in (("1%", 100), ("100%", 1), ("0.001%", 100_000), ("75%", 1), ("40%", 2), ("0%", 0)):
            self.assertEqual(self.parse(START + f"explain: {{sample: {share}}}").explain.every, every, share)
        self.assertIsNone(self.parse(START + "explain: {collect: false}").explain.every)

    def test_refused(self) -> None:
        """What will not do is refused with its place."""
        self.assertIn("r.yaml:3:11: $.explain.sample", self.refused(START + "explain: {sample: often}")[0])
        self.assertIn("$.explain.sample", self.refused(START + "explain: {sample: 101%}")[0])
        self.assertIn("$.explain.slower", self.refused(START + "explain: {slower: 8d}")[0])
        self.assertIn('did you mean "slower"?', self.refused(START + "explain: {slow: 1s}")[0])
