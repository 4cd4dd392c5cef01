"""
docs/judging.md: the figures in it are those of the code.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from twisted.trial.unittest import SynchronousTestCase

from revproxy.control.rollout.canaryjudge import WEIGHTS
from revproxy.control.rollout.detection import faultsNeeded
from revproxy.control.rollout.differencegroup import pairsNeeded
from revproxy.control.rollout.draw import bucketsOf
from revproxy.control.rollout.findings import SHADOW_THRESHOLD, THRESHOLD
from revproxy.control.rollout.hardlimits import CLIENTS, STALLS
from revproxy.control.rollout.mediantime import FIRST_LOOK, GROWTH, STAKE
from revproxy.control.rollout.verdict import VerdictKind
from revproxy.plan.trial import BUCKETS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "judging.md").read_text(encoding="utf-8")


def rows(head: str) -> list[list[str]]:
    """
    The cells of a table, by how its head begins.
    """
    lines = PAGE[PAGE.index(f"| {head} ") :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


class JudgingTests(SynchronousTestCase):
    """
    The page.
    """

    def test_families(self) -> None:
        """
        All of them are named, with what each has of the stake.
        """
        told = {}
        for names, _, part in rows("family"):
            share = float(re.findall(r"\d+", part)[0]) / 100
            told.update(dict.fromkeys(re.findall(r"`([^`]+)`", names), share))
        self.assertEqual(told, dict(WEIGHTS))
        self.assertEqual(round(sum(told.values()), 9), 1.0)

    def test_hitsThatDecide(self) -> None:
        """
        By share of clients.
        """
        found = {cells[0]: int(cells[1]) for cells in rows("share of clients")}
        self.assertEqual(found, {f"{share} %": faultsNeeded(share / 100) for share in (5, 10, 25, 50)})

    def test_verdicts(self) -> None:
        """
        Those that a judge can give, and no other.
        """
        kinds = {cells[0].strip("`") for cells in rows("verdict")}
        self.assertEqual(kinds, set(get_args(VerdictKind)))

    def test_figures(self) -> None:
        """
        Thresholds, groups, looks, limits.
        """
        self.assertIn(f"at **{THRESHOLD:.0f} : 1**", PAGE)
        self.assertIn(f"**{SHADOW_THRESHOLD:.0f} : 1** decides", PAGE)
        self.assertIn(f"{BUCKETS:,} groups", PAGE)
        self.assertIn(f"at 5 %, {bucketsOf(0.05)} of them", PAGE)
        looks = FIRST_LOOK, FIRST_LOOK * GROWTH, FIRST_LOOK * GROWTH**2
        self.assertIn("after {:.0f} s, {:.1f} s, {:.0f} s".format(*looks), PAGE)
        self.assertIn(f"stake of {STAKE:.1%}".replace("%", " %"), PAGE)
        self.assertEqual((CLIENTS, STALLS, pairsNeeded()), (3, 2, 12))
        text = " ".join(PAGE.split())
        self.assertIn("clients in three groups (in five with a quarter of the clients, in ten with half", text)
        self.assertIn("two calls that held the event loop", text)
        self.assertIn("A dozen tosses", PAGE)
