"""
What control knows by itself.
"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from revproxy.admin.metrics.controlfigures import Rising
from revproxy.config.configfile import parseConfig
from revproxy.control.actor import EDGE
from tests.admin.metrics.edges import FiguresCase
from tests.admin.metrics.reading import value
from tests.admin.metrics.test_edgefigures import TWO


class RisingTests(SynchronousTestCase):
    """
    Counters of what may begin anew.
    """

    def test_goesOn(self) -> None:
        """
        What begins anew goes on from where it was, each name by itself.
        """
        rising = Rising()
        told = [rising.of({"a": a, "b": 1})["a"] for a in (0, 3, 5, 0, 2, 1, 1, 4)]
        self.assertEqual(told, [0, 3, 5, 5, 7, 8, 8, 11])
        self.assertEqual(rising.of({"b": 1}), {"b": 1})


class ControlFiguresTests(FiguresCase):
    """
    Read from an edge.
    """

    def test_ready(self) -> None:
        """
        It is not ready before its first plan.
        """
        self.assertEqual(value(self.read(), "revproxy_ready"), 0)
        self.commit()
        self.assertEqual(value(self.read(), "revproxy_ready"), 1)

    def test_drained(self) -> None:
        """
        A target that somebody has drained is told as that.
        """
        self.commit(config=parseConfig(TWO, "b.yaml", Path("/")))
        self.control.overrides.drain("app", "http://one.example", None, "maintenance", EDGE)
        found = self.read()
        name = "revproxy_upstream_target_drained"
        self.assertEqual(value(found, name, upstream="app", target="http://one.example"), 1)
        self.assertEqual(value(found, name, upstream="app", target="http://two.example"), 0)

    def test_others(self) -> None:
        """
        Nothing fires, and nothing was sent.
        """
        found = self.read()
        for name in ("revproxy_alerts_firing", "revproxy_traces_sent_total", "revproxy_traces_dropped_total"):
            self.assertEqual(value(found, name), 0, name)
