"""
What is to be known of a rollout before it begins.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.config.rolloutpolicy import USUAL, RolloutPolicy, Step
from revproxy.control.rollout.cautions import cautions
from tests.plan.plans import entry

ALIVE = "from revproxy.interfaces import ILifecycle\n"
COUNTS = "# answers 429 when the quota is used up\n"


class CautionTests(SynchronousTestCase):
    """
    By what is in a plugin's files.
    """

    def count(self, code: str, policy: RolloutPolicy = USUAL, isolation: str = "inline", **manifest: object) -> int:
        """How many there are."""
        return len(cautions({"a": entry("a", code=code, **manifest)}, policy, {"a": isolation}))

    def test_alive(self) -> None:
        """
        What has a life of its own is not shadowed, unless it says that it may, or is locked in.
        """
        self.assertEqual(self.count(ALIVE), 1)
        self.assertEqual(self.count(ALIVE, isolation="process"), 0)
        self.assertEqual(self.count(ALIVE, shadow_safe=True), 0)
        self.assertEqual(self.count(ALIVE, RolloutPolicy((Step("canary", 0.05),))), 0)

    def test_counts(self) -> None:
        """
        What counts for all clients counts apart, unless that is not judged.
        """
        (text,) = cautions({"a": entry("a", code=COUNTS)}, USUAL, {})
        self.assertIn('"judge": {"interrupts": false}', text)
        self.assertEqual(self.count(COUNTS, judge={"interrupts": False}), 0)
        self.assertEqual(self.count(COUNTS, RolloutPolicy((Step("shadow", 0.2),))), 0)

    def test_none(self) -> None:
        """
        Of most there is nothing to say.
        """
        self.assertEqual(self.count("pass\n"), 0)
