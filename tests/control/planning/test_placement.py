"""
Why a plugin stands where it does.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.planning.placement import namesIn, ruleOf
from tests.plan.plans import entry


class RuleTests(SynchronousTestCase):
    """
    What its plugin.json says of it.
    """

    def test_rule(self) -> None:
        """
        Its priority, and those of the chain that it has to be before or after.
        """
        tag = entry("tag", after=["auth", "absent"], requires={"login": ""}, before=["last"], priority=5).manifest
        auth = entry("auth", provides=["login"]).manifest
        names = namesIn([tag, auth])
        self.assertEqual(ruleOf(tag, names), "priority 5; after auth, login")
        self.assertEqual(ruleOf(auth, names), "priority 100")
        self.assertEqual(ruleOf(tag, {*names, "last"}), "priority 5; after auth, login; before last")
