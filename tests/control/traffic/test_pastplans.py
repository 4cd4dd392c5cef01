"""
What is remembered of plans.
"""

from __future__ import annotations

from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.traffic import pastplans
from revproxy.control.traffic.pastplans import PastPlans, PastPlugin, prefixes
from revproxy.requestrecord import ArmMet
from tests.control.traffic.plans import planOf
from tests.plan.plans import entry
from tests.plan.trials import trialOf, withTrials


class PastPlansTests(SynchronousTestCase):
    """
    Plans that come one after the other.
    """

    def setUp(self) -> None:
        self.past = PastPlans()

    def test_had(self) -> None:
        """
        Its routes, and the plugins of each group in order.
        """
        routes = "routes: [{host: shop, upstream: u}, {path: /x/, respond: {}}, {path: /up, health: ready}]\n"
        self.past.committed(planOf(7, routes, "auth", "tag"), 5.0)
        had = self.past.find(7)
        assert had is not None
        self.assertEqual([route.answers for route in had.routes.byName.values()], ["upstream u", "respond", "health"])
        self.assertEqual([plugin.name for plugin in had.chains[0]], ["auth", "tag"])
        self.assertIsInstance(had.chains[0][0], PastPlugin)
        self.assertEqual((had.number, had.at, self.past.current), (7, 5.0, had))

    def test_arms(self) -> None:
        """
        Who has met versions on trial has met the chain with these: of one, of both, or of what its route has of them.
        """
        plan = planOf(1, "routes: [{host: shop, upstream: u}]\n", "auth", "tag", "zip")
        first, second = trialOf("auth", id="r1"), trialOf("tag", "zip", id="r2")
        later = {name: entry(name, "2.0") for name in ("auth", "tag", "zip")}
        self.past.committed(withTrials(
            plan, (first, {"auth": later["auth"]}), (second, {name: later[name] for name in ("tag", "zip")})), 5.0)
        had = self.past.current
        assert had is not None
        for met, versions in (
            ((), ["1.0", "1.0", "1.0"]),
            ((ArmMet("auth", "1.0", False),), ["1.0", "1.0", "1.0"]),
            ((ArmMet("auth", "2.0", True), ArmMet("tag", "1.0", False)), ["2.0", "1.0", "1.0"]),
            ((ArmMet("tag", "2.0", True),), ["1.0", "2.0", "2.0"]),
            ((ArmMet("auth", "2.0", True), ArmMet("tag", "2.0", True)), ["2.0", "2.0", "2.0"]),
            ((ArmMet("gone", "2.0", True),), ["1.0", "1.0", "1.0"]),
        ):
            self.assertEqual([plugin.version for plugin in had.chainsOf(met)[0]], versions, met)

    def test_shared(self) -> None:
        """
        Plans of one configuration have their routes in common; another has its own.
        """
        first = planOf(1, "routes: [{host: shop, upstream: u}]\n", "auth")
        self.past.committed(first, 0)
        self.past.committed(planOf(2, first.config, "auth", "tag"), 0)
        self.past.committed(planOf(3, "routes: [{host: shop, upstream: u}]\n"), 0)
        one, two, three = (self.past.find(number) for number in (1, 2, 3))
        assert one is not None and two is not None and three is not None
        self.assertIs(one.routes, two.routes)
        self.assertIsNot(two.routes, three.routes)

    def test_bounded(self) -> None:
        """
        No more than so many plans, and not more routes of all of them; but the last in any case.
        """
        config = planOf(1, "routes: [{host: shop, upstream: u}]\n").config
        for number in range(1, pastplans.MOST_PLANS + 50):
            self.past.committed(planOf(number, config), 0)
        self.assertIsNone(self.past.find(49))
        self.assertIsNotNone(self.past.find(50))
        many = "routes: [" + ", ".join(f"{{path: /{index}, respond: {{}}}}" for index in range(10)) + "]\n"
        with patch.object(pastplans, "MOST_ROUTES", 25):
            for number in range(1000, 1005):
                self.past.committed(planOf(number, many), 0)
            self.assertEqual([number for number in range(1000, 1005) if self.past.find(number)], [1003, 1004])
        with patch.object(pastplans, "MOST_ROUTES", 5):
            self.past.committed(planOf(1005, many), 0)
        self.assertIsNotNone(self.past.find(1005))

    def test_prefixes(self) -> None:
        """
        On segment boundaries, the longest first.
        """
        self.assertEqual(prefixes(b"/a/b/"), [b"/a/b", b"/a", b""])
        self.assertEqual(prefixes(b"/"), [b""])
        self.assertEqual(prefixes(b"*"), [b"*", b""])
