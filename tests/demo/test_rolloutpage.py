"""The page of what happened, and what counts as it should be."""

from __future__ import annotations

from collections import Counter
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from revproxy.demo.rollout import WITHOUT_KEY
from revproxy.demo.rolloutact import MOST_BROKEN, MOST_SLOW, Act
from revproxy.demo.rolloutpage import page
from revproxy.demo.rolloutversions import CANDIDATES, Candidate
from revproxy.demo.visitors import Met


def viewOf(candidate: Candidate, **more: Any) -> dict[str, Any]:
    """A rollout that has ended as it should."""
    arm = {"requests": 40, "warming": 100, "testers": 0, "faults": 3, "interrupts": 4, "seconds": 1.0, "p50": 0.001,
           "p99": None}  # fmt: skip
    return {
        "state": candidate.ends, "held": False, "ended": "2026-11-28T08:01:00+00:00",
        "verdict": {"kind": "regression", "reason": "3 of 20 clients <b>", "family": "faults", "odds": 130.0},
        "curve": [{"at": "2026-11-28T08:00:00+00:00", "odds": 0.5}, {"at": "2026-11-28T08:00:30+00:00", "odds": 130.0}],
        "families": [{"family": "faults", "odds": 130.0, "threshold": 125.0, "candidate": 3, "running": 0,
                      "of_candidate": 20, "of_running": 400}],
        "differences": [{"field": "header:x-plan", "kind": "changed", "candidate": 5, "control": 0, "both": 0,
                         "odds": 9.0, "expected": False, "is_noise": False,
                         "examples": [{"request": "GET /", "real": "free", "differs": "undefined"}]}],
        "arms": {"running": arm, "candidate": arm},
        "transitions": [{"at": "2026-11-28T08:00:00+00:00", "from": "preflight", "to": "shadow", "reason": "well",
                         "by": "edge"},
                        {"at": "2026-11-28T08:01:00+00:00", "from": "shadow", "to": candidate.ends,
                         "reason": "seen enough", "by": "root"}],
        **more,
    }  # fmt: skip


def actOf(candidate: Candidate, met: Met | None = None, **more: Any) -> Act:
    """One that is over."""
    return Act(candidate, viewOf(candidate, **more), met or Met(answered=10), 60.0)


class ActTests(SynchronousTestCase):
    """What is not as it should be."""

    def test_right(self) -> None:
        """Nothing, where all ended as they should and nobody met anything."""
        for candidate in CANDIDATES:
            self.assertEqual(actOf(candidate).faults, [])

    def test_ends(self) -> None:
        """Another end than the right one."""
        self.assertEqual(actOf(CANDIDATES[0], state="promoted").faults, ["it is promoted and not rolled-back"])
        self.assertEqual(Act(CANDIDATES[-1]).faults, ["it is nowhere and not promoted"])

    def test_broken(self) -> None:
        """A version that raises may break some answers before it is taken back, and others none."""
        raises, *others = CANDIDATES
        self.assertEqual(actOf(raises, Met(broken=MOST_BROKEN)).faults, [])
        self.assertEqual(actOf(raises, Met(broken=MOST_BROKEN + 1)).faults, [f"{MOST_BROKEN + 1} answers were broken"])
        for candidate in others:
            self.assertEqual(actOf(candidate, Met(broken=1)).faults, ["1 answers were broken"])

    def test_wrong(self) -> None:
        """Nobody may meet what is wrong."""
        self.assertEqual(actOf(CANDIDATES[3], Met(wrong=Counter({WITHOUT_KEY: 2}))).faults, [f"2 times {WITHOUT_KEY}"])

    def test_slow(self) -> None:
        """A slow version is taken back soon."""
        arms = {"candidate": {"requests": MOST_SLOW + 1}}
        self.assertIn("is slow", actOf(CANDIDATES[1], arms=arms).faults[0])
        self.assertEqual(actOf(CANDIDATES[2], arms=arms).faults, [])


class PageTests(SynchronousTestCase):
    """`page`."""

    def test_whole(self) -> None:
        """Each version has its part, with its curve, and needs nothing from elsewhere."""
        text = page([actOf(candidate) for candidate in CANDIDATES], "2.0.0")
        for candidate in CANDIDATES:
            self.assertIn(f"<h2>{candidate.number}: {candidate.title} ", text)
        self.assertEqual(text.count("<polyline"), len(CANDIDATES))
        self.assertIn('points="40.0,', text)
        self.assertIn("680.0,", text)
        self.assertNotIn("http", text)
        self.assertIn("+60.0 s", text)

    def test_said(self) -> None:
        """What somebody said, and why; odds as people say them; and when steps began, in the curve."""
        act = actOf(CANDIDATES[0])
        act.said.append(("revproxy rollout gate step", "it <i> differs"))
        act.view["families"][0]["odds"] = 4.25e11
        act.view["transitions"][0]["at"] = "2026-11-28T08:00:15+00:00"
        text = page([act], "2.0.0")
        self.assertIn("<code>revproxy rollout gate step</code> when it was held: it &lt;i&gt; differs", text)
        self.assertIn("<td>fails</td><td class=\"number\">over 10,000 : 1</td>", text)
        self.assertIn(">shadow</text>", text)
        self.assertNotIn(">rolled back</text>", text)

    def test_escaped(self) -> None:
        """What versions say is text."""
        text = page([actOf(CANDIDATES[0])], "2.0.0")
        self.assertIn("clients &lt;b&gt;", text)
        self.assertNotIn("clients <b>", text)

    def test_nothingCounted(self) -> None:
        """A rollout that ended before anything was seen has no empty tables."""
        view = {"curve": [], "families": [], "differences": [], "transitions": []}
        text = page([actOf(CANDIDATES[2], **view)], "2.0.0")
        self.assertNotIn("<polyline", text)
        self.assertNotIn("What was counted", text)
