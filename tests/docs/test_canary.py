"""
docs/canary.md, from the first file to the version that was taken back; and that docs/rollouts.md names what there is.
"""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.configfile import parseConfig
from tests.docs.pagecase import PageCase
from tests.tools import needs

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "canary.md").read_text(encoding="utf-8")
ROLLOUTS = (DOCS / "rollouts.md").read_text(encoding="utf-8")


@needs("curl")
class CanaryTests(PageCase):
    """All commands of the page, one after the other."""

    def test_page(self) -> None:
        """It is done as it is written."""
        self.assertGreater(self.walk(PAGE), 10)


class RolloutsTests(SynchronousTestCase):
    """The page about rollouts."""

    def test_examples(self) -> None:
        """Its configuration is sound, with what stands in pieces put into it."""
        base = Path(self.mktemp()).absolute()
        (base / "plugins").mkdir(parents=True)
        (base / "arm.token").write_text("0123456789abcdef")
        blocks = re.findall(r"```yaml\n((?s:.*?))```", ROLLOUTS)
        whole, pieces = blocks[0], blocks[1:]
        start = "listeners: [{endpoint: 'tcp:8080'}]\nroutes: [{respond: {}}]\n"
        policy = parseConfig(start + whole + "".join(pieces), "r", base).plugins.rollout.policyFor("quota")
        assert policy is not None and policy.testers is not None
        self.assertEqual(len(policy.expect), 2)
        self.assertEqual([step.kind for step in policy.steps], ["preflight", "shadow", "canary", "canary"])
