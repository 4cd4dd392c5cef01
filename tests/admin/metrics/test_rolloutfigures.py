"""
How rollouts go, as Prometheus reads it.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.admin.metrics.exposition import Exposition
from revproxy.admin.metrics.families import FAMILIES
from revproxy.admin.metrics.rolloutfigures import RolloutFigures
from revproxy.plan.events import EventLog
from tests.admin.metrics.reading import Labels, ofName, parsed, value
from tests.admin.rolloutviews import NOW, canary, rolledBack


class RolloutFiguresTests(SynchronousTestCase):
    """
    Of what control tells.
    """

    def setUp(self) -> None:
        self.views: list[dict[str, Any]] = []
        self.events = EventLog(lambda: NOW)
        self.figures = RolloutFigures(lambda: self.views, self.events)

    def read(self) -> dict[tuple[str, Labels], float]:
        return parsed(b"".join(Exposition().slices(self.figures.sources(), False)).decode())

    def test_none(self) -> None:
        """
        Where nothing is rolled out nothing is told.
        """
        self.assertEqual(self.read(), {})

    def test_canary(self) -> None:
        """
        Which versions, which step, how many clients, how long still; and what both arms did.
        """
        self.views = [canary(held=True)]
        found = self.read()
        which = {"plugin": "quota", "running": "1.2.0", "candidate": "1.3.0", "state": "canary"}
        self.assertEqual(value(found, "revproxy_rollout_info", **which), 1)
        for name, number in (("step", 3), ("held", 1), ("share", 0.05), ("left_seconds", 27), ("differences", 1)):
            self.assertEqual(value(found, f"revproxy_rollout_{name}", plugin="quota"), number, name)
        self.assertEqual(value(found, "revproxy_rollout_odds", plugin="quota", family="faults"), 0.8)
        self.assertEqual(value(found, "revproxy_rollout_odds_threshold", plugin="quota", family="faults"), 125)
        for arm, requests, faults in (("running", 5900, 2), ("candidate", 312, 0)):
            self.assertEqual(value(found, "revproxy_rollout_requests_total", plugin="quota", arm=arm), requests)
            self.assertEqual(value(found, "revproxy_rollout_faults_total", plugin="quota", arm=arm), faults)
        for result, pairs in (("compared", 3000), ("incomparable", 12), ("dropped", 4)):
            self.assertEqual(value(found, "revproxy_rollout_pairs_total", plugin="quota", result=result), pairs)

    def test_over(self) -> None:
        """
        What is over is in no step, and serves nobody; or everybody, if it was promoted.
        """
        self.views = [rolledBack(held=True), canary("auth", state="promoted", step=None)]
        found = self.read()
        for name in ("step", "held", "share"):
            self.assertEqual(value(found, f"revproxy_rollout_{name}", plugin="quota"), 0, name)
        self.assertEqual(value(found, "revproxy_rollout_share", plugin="auth"), 1)
        self.assertEqual(ofName(found, "revproxy_rollout_left_seconds"), {})

    def test_shadow(self) -> None:
        """
        A shadow serves nobody, and its plugin may be a first one: then nothing runs yet.
        """
        view = canary(state="shadow", running=None, pairs=None)
        view["step"] = {**view["step"], "kind": "shadow", "share": 0.2, "left_seconds": None}
        self.views = [view]
        found = self.read()
        self.assertEqual(value(found, "revproxy_rollout_share", plugin="quota"), 0)
        which = {"plugin": "quota", "candidate": "1.3.0", "state": "canary"}
        self.assertEqual(value(found, "revproxy_rollout_info", **{**which, "state": "shadow"}), 1)
        self.assertEqual(ofName(found, "revproxy_rollout_pairs_total"), {})

    def test_another(self) -> None:
        """
        Counters go on where another rollout of the plugin begins.
        """
        self.views = [canary()]
        self.read()
        began = canary(id="r8")
        began["arms"]["running"]["requests"] = 100
        self.views = [began]
        self.assertEqual(value(self.read(), "revproxy_rollout_requests_total", plugin="quota", arm="running"), 6000)

    def test_ends(self) -> None:
        """
        Ends are counted; other events are not.
        """
        for kind in ("rollout-promoted", "rollout-rolled-back", "rollout-rolled-back", "rollout-step", "replaced"):
            self.events.add(kind, "so it is", "quota", "1.3.0")
        name = "revproxy_rollout_ends_total"
        self.assertEqual(
            {dict(labels)["end"]: count for labels, count in ofName(self.read(), name).items()},
            {"promoted": 1, "rolled-back": 2},
        )

    def test_allTold(self) -> None:
        """
        No family of rollouts is without a source.
        """
        ours = {family for family in FAMILIES if family.name.startswith("revproxy_rollout_")}
        self.assertEqual({source.family for source in self.figures.sources()}, ours)
